//! Files that were recorded of callers who say in each packet when they sent it: whether they are as long as it lasted, and
//! have all that was said.
//!
//! ```text
//!   head │ silence │ mark, time │ … │ mark, time │ … │ mark, time │ …       a file in mu-law, bit for bit what came
//!                  ╰──────────── its samples, the clock ────────╯
//! ```

use std::path::Path;
use std::time::Duration;

use crate::voices;

/// Bytes of the head of a WAV file in mu-law.
const HEAD: usize = 58;
/// Samples in a second.
const RATE: u64 = 8000;

/// A packet and the next one are further apart, or nearer, than they were sent: a gap. A jitter buffer that changes its delay
/// does so by a period of the voice, 12.5 ms at most, and a packet that it had to make up is 20.
const GAP: Duration = Duration::from_millis(40);
/// A time that far off is none: where a period of the voice is left out, one packet fades into another.
const BLURRED: Duration = Duration::from_secs(1);

/// What the files of a run are like.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Those in which anything was said.
    pub(crate) said: u64,
    /// Those whose head counts other than what follows.
    pub(crate) broken: u64,
    pub(crate) gaps: u64,
    /// How much longer or shorter than the clock a file is between its first and its last packet, in microseconds.
    pub(crate) off: Vec<u32>,
}

impl Files {
    /// Looks at all files in a folder.
    pub(crate) fn judge(folder: &Path) -> Self {
        let mut files = Self::default();
        for entry in std::fs::read_dir(folder).expect("a folder of recordings") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|ending| ending == "wav") {
                files.take(&std::fs::read(path).expect("a recording"));
            }
        }
        files
    }

    fn take(&mut self, file: &[u8]) {
        let (head, audio) = file.split_at(HEAD.min(file.len()));
        let counted = head.last_chunk().map(|count| u32::from_le_bytes(*count) as usize);
        self.broken += u64::from(counted.is_none_or(|counted| counted.abs_diff(audio.len()) > 1));
        // Where each packet is in the file, and when it was sent.
        let packets = (0..audio.len()).filter_map(|at| {
            let place = Duration::from_micros(at as u64 * 1_000_000 / RATE);
            Some((place, voices::sent_at(&audio[at..])?))
        });
        let (mut first, mut last) = (None, None);
        for (place, sent) in packets {
            first = first.or(Some((place, sent)));
            let off = off(last.unwrap_or((place, sent)), (place, sent));
            if off < BLURRED {
                self.gaps += u64::from(off > GAP);
                last = Some((place, sent));
            }
        }
        if let (Some(first), Some(last)) = (first, last) {
            self.said += 1;
            self.off.push(u32::try_from(off(first, last).as_micros()).unwrap_or(u32::MAX));
        }
    }
}

/// By how much the time between two packets in the file is not that between their being sent.
fn off(one: (Duration, Duration), other: (Duration, Duration)) -> Duration {
    (other.0.saturating_sub(one.0)).abs_diff(other.1.saturating_sub(one.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of packets that were sent at these times, in milliseconds, one behind the other.
    fn file(sent: &[u64]) -> Vec<u8> {
        let audio: Vec<u8> = sent.iter().flat_map(|ms| voices::stamped(Duration::from_millis(*ms))).collect();
        let mut file = vec![0; HEAD - 4];
        file.extend(u32::try_from(audio.len()).expect("a short file").to_le_bytes());
        file.extend(audio);
        file
    }

    #[test]
    fn lengths_gaps_and_heads_are_seen() {
        for (sent, off, gaps) in [
            (&[7, 27, 47, 68][..], 1_000, 0),
            (&[7, 27, 107, 127], 60_000, 1),
            (&[7, 27, 27, 47], 20_000, 0),
            (&[7, 5_000, 47, 67], 0, 0),
        ] {
            let mut files = Files::default();
            files.take(&file(sent));
            assert_eq!(
                (files.said, files.broken, files.gaps, files.off),
                (1, 0, gaps, vec![off]),
                "{sent:?}"
            );
        }
        let mut files = Files::default();
        files.take(&file(&[7, 27])[..HEAD + 170]);
        files.take(&[file(&[]), vec![0xff; 320]].concat());
        assert_eq!((files.said, files.broken), (1, 2));
    }
}
