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
