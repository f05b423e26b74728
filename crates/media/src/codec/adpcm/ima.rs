//! IMA ADPCM in blocks, as WAV files hold it.

#[cfg(test)]
mod tests;

/// Octets of the blocks that we write: 505 samples, 63 ms at 8 kHz.
pub const BLOCK_OCTETS: usize = 256;

/// Samples of the blocks that we write: one in the header, then two an octet.
pub const BLOCK_SAMPLES: usize = 1 + 2 * (BLOCK_OCTETS - HEADER);

/// Octets of a block's header, of each channel.
const HEADER: usize = 4;

/// Octets that a channel has until the next one's turn; eight samples.
const GROUP: usize = 4;

/// The step sizes.
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88,
    97, 107, 118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658,
    724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660,
    4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818,
    18500, 20350, 22385, 24623, 27086, 29794, 32767,
];

/// How far the step goes up or down, by the code without its sign.
const CHANGES: [isize; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];

/// One channel's prediction and step, as both ends keep them.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    sample: i16,
    /// Of [`STEPS`].
    index: usize,
}

impl State {
    /// Goes on by a code of four bits: sign and three of magnitude.
    fn decode(&mut self, code: u8) -> i16 {
        let step = STEPS[self.index];
        let part = |bit: u8, shift: u32| if code & bit == 0 { 0 } else { step >> shift };
        let difference = (step >> 3) + part(4, 0) + part(2, 1) + part(1, 2);
        let signed = if code & 8 == 0 { difference } else { -difference };
        self.sample = saturate(i32::from(self.sample) + signed);
        let index = self.index.saturating_add_signed(CHANGES[usize::from(code & 7)]);
        self.index = index.min(STEPS.len() - 1);
        self.sample
    }

    /// Goes on to `sample`, as near as a code comes.
    fn encode(&mut self, sample: i16) -> u8 {
        let difference = i32::from(sample) - i32::from(self.sample);
        let mut code = if difference < 0 { 8 } else { 0 };
        let (mut rest, mut step) = (difference.abs(), STEPS[self.index]);
        for bit in [4, 2, 1] {
            if rest >= step {
                rest -= step;
                code |= bit;
            }
            step >>= 1;
        }
        self.decode(code);
        code
    }
}

/// Encodes one channel.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    /// The step index goes on from block to block.
    state: State,
}

impl Encoder {
    /// An encoder that begins with the smallest step.
    pub fn new() -> Self {
        Self::default()
    }

    /// A block. Its first sample is kept exactly.
    pub fn encode_block(&mut self, samples: &[i16; BLOCK_SAMPLES]) -> [u8; BLOCK_OCTETS] {
        self.state.sample = samples[0];
        let mut block = [0; BLOCK_OCTETS];
        let [low, high] = samples[0].to_le_bytes();
        let [index, ..] = self.state.index.to_le_bytes();
        block[..HEADER].copy_from_slice(&[low, high, index, 0]);
        for (octet, pair) in block[HEADER..].iter_mut().zip(samples[1..].as_chunks::<2>().0) {
            *octet = self.state.encode(pair[0]) | self.state.encode(pair[1]) << 4;
        }
        block
    }
}

/// Appends the samples of a block of `channels` channels to `out`, the channels in turn. A block that is cut off gives the
/// samples of its whole groups; one shorter than its header, none.
pub fn decode_block(block: &[u8], channels: usize, out: &mut Vec<i16>) {
    let Some((headers, body)) = block.split_at_checked(HEADER * channels) else {
        return;
    };
    let groups = body.len().checked_div(GROUP * channels).unwrap_or_default();
    let start = out.len();
    out.resize(start + channels * (1 + 2 * GROUP * groups), 0);
    let out = &mut out[start..];
    for (channel, &[low, high, index, _]) in headers.as_chunks::<HEADER>().0.iter().enumerate() {
        // A step that is none is taken for the largest.
        let index = usize::from(index).min(STEPS.len() - 1);
        let mut state = State { sample: i16::from_le_bytes([low, high]), index };
        let mut places = out[channel..].iter_mut().step_by(channels);
        let mut put = |sample| places.by_ref().take(1).for_each(|place| *place = sample);
        put(state.sample);
        for group in body.as_chunks::<GROUP>().0.iter().skip(channel).step_by(channels) {
            for octet in group {
                put(state.decode(octet & 0x0f));
                put(state.decode(octet >> 4));
            }
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range")]
fn saturate(value: i32) -> i16 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}
