//! A file that was cut off, by a process that was killed or by a machine without power.
//!
//! Audio is written before the head that counts it, so a file that was cut off between the two has more than it tells;
//! and after a loss of power it may have less. Only the heads of WAV files count bytes. An MP3 file and an Ogg file are
//! read to their last whole frame or page, however they end.

use super::wav::WavHeader;
use super::{RecordFormat, RecordSpec};

/// What a file of `spec` has to begin with, and how long it has to be, so that it tells all that it has; `None` where it
/// does so already, or never was begun. `head` is what it begins with, all of its head at least, and `length` its bytes.
pub fn repair(spec: RecordSpec, head: &[u8], length: u64) -> Option<(Vec<u8>, u64)> {
    if matches!(spec.format, RecordFormat::Mp3 | RecordFormat::Opus) {
        return None;
    }
    let wav = WavHeader::new(spec);
    let begin = wav.bytes(0, 0).len();
    let has = length.checked_sub(begin as u64)?;
    // The head's last field is how much it tells.
    let told = head.get(..begin)?.last_chunk().map(|told| u64::from(u32::from_le_bytes(*told)))?;
    if told + wav.padding(told).len() as u64 == has {
        return None;
    }
    let (audio, samples) = wav.whole(has);
    Some((wav.bytes(audio, samples), begin as u64 + audio))
}

/// What a file of ours was written as, by its head; `None` where it is none of ours.
pub fn spec_of(head: &[u8]) -> Option<RecordSpec> {
    let number = |at: usize| Some(u16::from_le_bytes(*head.get(at..)?.first_chunk()?));
    let (tag, channels, bits) = (number(20)?, number(22)?, number(34)?);
    let rate = u32::from_le_bytes(*head.get(24..)?.first_chunk()?);
    let format = match (tag, bits) {
        (1, 8) => RecordFormat::Pcm8,
        (1, 16) => RecordFormat::Pcm16,
        (6, 8) => RecordFormat::Alaw,
        (7, 8) => RecordFormat::Mulaw,
        (0x11, 4) => RecordFormat::Ima,
        (0x31, 0) => RecordFormat::Gsm,
        _ => return None,
    };
    let spec = RecordSpec { format, rate, channels };
    if !(1..=2).contains(&channels) || !(8_000..=48_000).contains(&rate) {
        return None;
    }
    // Ours byte for byte, but for what counts: the file, the samples, and the audio.
    let ours = WavHeader::new(spec).bytes(0, 0);
    let end = ours.len() - 4;
    let samples = if tag == 1 { end..end } else { end - 8..end - 4 };
    let counts = |at: usize| (4..8).contains(&at) || samples.contains(&at) || at >= end;
    let is_ours =
        head.len() >= ours.len() && (0..ours.len()).all(|at| counts(at) || ours.get(at) == head.get(at));
    is_ours.then_some(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever it is written as, a file says it itself, with any counts in its head.
    #[test]
    fn a_head_says_what_it_is_the_head_of() {
        use RecordFormat::{Alaw, Gsm, Ima, Mulaw, Pcm8, Pcm16};
        for format in [Pcm8, Pcm16, Alaw, Mulaw, Ima, Gsm] {
            for (rate, channels) in [(8_000, 1), (16_000, 1), (8_000, 2)] {
                let spec = RecordSpec { format, rate, channels };
                let mut head = WavHeader::new(spec).bytes(1_000_000, 500_000);
                head.extend([7; 40]);
                assert_eq!(spec_of(&head), Some(spec));
                assert_eq!(spec_of(&head[..40]), None);
                head[8] = b'X';
                assert_eq!(spec_of(&head), None);
            }
        }
        assert_eq!(spec_of(&[]), None);
    }
}
