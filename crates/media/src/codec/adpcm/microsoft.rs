//! Microsoft's ADPCM in blocks, as WAV files hold it. Read only: nothing of ours writes it.

#[cfg(test)]
mod tests;

/// The pairs of weights that every file has; a file's format chunk may add to them.
pub const WEIGHTS: [[i16; 2]; 7] =
    [[256, 0], [512, -256], [0, 0], [192, 64], [240, 0], [460, -208], [392, -232]];

/// Octets of a block's header, of each channel.
const HEADER: usize = 7;

/// What the step is multiplied by after each code, in 1/256.
const CHANGES: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];

/// The smallest step.
const MIN_STEP: i32 = 16;

/// The largest: an encoder needs none that is larger than the range of samples is wide.
const MAX_STEP: i32 = 1 << 16;

/// The most channels.
pub const MAX_CHANNELS: usize = 2;

/// One channel's predictor.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    weights: [i16; 2],
    step: i32,
    /// The last sample and the one before.
    samples: [i16; 2],
}

impl State {
    /// Goes on by a code of four bits, which counts steps from −8 to 7.
    fn decode(&mut self, code: u8) -> i16 {
        let part = |n: usize| i32::from(self.weights[n]) * i32::from(self.samples[n]);
        // Weights from a file can be anything: the sum may need a bit more than there is.
        let predicted = part(0).saturating_add(part(1)) >> 8;
        let steps = if code < 8 { i32::from(code) } else { i32::from(code) - 16 };
        let sample = saturate(predicted + steps * self.step);
        self.samples = [sample, self.samples[0]];
        self.step = ((self.step * CHANGES[usize::from(code)]) >> 8).clamp(MIN_STEP, MAX_STEP);
        sample
    }
}

/// Appends the samples of a block of `channels` channels (one or two; of others nothing) to `out`, the channels in turn.
///
/// `weights` are those of the file's format chunk; a block that asks for a pair that is not there gets the first. A block
/// shorter than its header gives nothing.
pub fn decode_block(block: &[u8], channels: usize, weights: &[[i16; 2]], out: &mut Vec<i16>) {
    let Some((header, body)) = block.split_at_checked(HEADER * channels) else {
        return;
    };
    let mut states = [State::default(); MAX_CHANNELS];
    let Some(states @ [_, ..]) = states.get_mut(..channels) else {
        return;
    };
    let word = |field: usize, channel: usize| {
        let at = channels + 2 * (field * channels + channel);
        i16::from_le_bytes([header[at], header[at + 1]])
    };
    for (channel, state) in states.iter_mut().enumerate() {
        let pair = weights.get(usize::from(header[channel])).or(weights.first());
        *state = State {
            weights: pair.copied().unwrap_or_default(),
            step: i32::from(word(0, channel)).clamp(MIN_STEP, MAX_STEP),
            samples: [word(1, channel), word(2, channel)],
        };
    }
    // The earlier of the two samples that the header has is played first.
    out.extend(states.iter().map(|state| state.samples[1]));
    out.extend(states.iter().map(|state| state.samples[0]));
    let codes = body.iter().flat_map(|octet| [octet >> 4, octet & 0x0f]);
    out.extend(codes.enumerate().map(|(n, code)| states[n % channels].decode(code)));
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
