//! Samples without the keys in them.
//!
//! ```text
//!   frame ──▶ detector ──▶ a key is on?          a tone is known as a key 34 ms after it began, in the next frame but one:
//!     └─▶ waits ─▶ waits ─▶ frame, or silence    so two frames wait, and are silenced with the one in which it is known
//! ```
//! Nothing is silenced on suspicion: of speech, which for a frame or two often sounds like a key, nothing is lost. The price
//! is a delay of 40 ms, for those who ask that no key be heard.

use std::time::Duration;

use super::keyed::Keyed;
use super::tone;

/// Frames that wait.
const DELAY: usize = 2;

const _: () =
    assert!(tone::LATEST.as_millis() <= 20 * DELAY as u128, "a key is known while its beginning waits");

/// Frames on their way past a detector.
#[derive(Debug, Default)]
pub struct Mute {
    /// Older first.
    waiting: [Frame; DELAY],
}

/// A frame, and whether it is of a stream that goes on.
#[derive(Debug, Default)]
struct Frame {
    samples: Vec<i16>,
    is_heard: bool,
}

impl Mute {
    /// How much later everything is heard.
    pub const DELAY: Duration = Duration::from_millis(20 * DELAY as u64);

    /// Puts the frame of 40 ms ago into the place of the present one, and silences what belongs to keys, as is said of the present
    /// frame. `is_heard` goes the same way as its frame. At first, and after a change of the frame's length, there is silence.
    pub fn push(&mut self, frame: &mut Vec<i16>, is_heard: bool, keyed: Option<&Keyed>) -> bool {
        if let Some(keyed) = keyed {
            keyed.silence(frame);
            for (ago, waiting) in self.waiting.iter_mut().rev().enumerate() {
                keyed.silence_earlier(&mut waiting.samples, ago);
            }
        }
        let length = frame.len();
        let mut next = is_heard;
        for waiting in self.waiting.iter_mut().rev() {
            std::mem::swap(&mut waiting.samples, frame);
            std::mem::swap(&mut waiting.is_heard, &mut next);
        }
        if frame.len() != length {
            frame.clear();
            frame.resize(length, 0);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out of frames of two samples that say which they are; `K` marks those with a key.
    #[track_caller]
    fn check(frames: &[(i16, &str)], expected: &[i16]) {
        let mut mute = Mute::default();
        let out: Vec<i16> = frames
            .iter()
            .map(|&(level, mark)| {
                let mut frame = vec![level; 2];
                let keyed = (mark == "K").then(Keyed::by_tone);
                let is_heard = mute.push(&mut frame, level != 0, keyed.as_ref());
                assert_eq!((frame.len(), frame[0]), (2, frame[1]));
                assert!(is_heard || frame[0] == 0);
                frame[0]
            })
            .collect();
        assert_eq!(out, expected);
    }

    #[test]
    fn frames_are_two_late() {
        let frames: Vec<(i16, &str)> = (1..=5).map(|level| (level, "")).collect();
        check(&frames, &[0, 0, 1, 2, 3]);
    }

    #[test]
    fn a_key_is_silenced_from_two_frames_before_it_is_known() {
        let frames = [(1, ""), (2, ""), (3, ""), (4, "K"), (5, "K"), (6, ""), (7, ""), (8, "")];
        check(&frames, &[0, 0, 1, 0, 0, 0, 0, 6]);
    }

    #[test]
    fn another_length_begins_with_silence() {
        let mut mute = Mute::default();
        for _ in 0..3 {
            mute.push(&mut vec![1; 160], true, None);
        }
        let mut out = Vec::new();
        for _ in 0..3 {
            let mut frame = vec![2; 960];
            mute.push(&mut frame, true, None);
            out.push((frame.len(), frame[0]));
        }
        assert_eq!(out, [(960, 0), (960, 0), (960, 2)]);
    }
}
