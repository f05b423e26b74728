//! The quiet before the first sound of a recording and after its last, which may be left out of the file.
//!
//! ```text
//!   ······▁▁▇▆▂▇▁▁▁▁▁▁▁▁▅▇▃▁▁·······      ▇ sound: in the file
//!   left out │ margin │ held │   │left out ▁ margin: in the file; what follows is held until there is sound again
//! ```
//! Quiet is held back and never taken back, so the file needs no cutting: it is as it shall be at every moment. A window
//! of 20 ms is sound when its mean square is above a threshold.

use std::collections::VecDeque;

use super::{samples_in, ticks_of};
use crate::FRAME;
use crate::codec::TICKS;
use crate::event::Chunk;

/// Quiet that stays around sound: 200 ms, so that soft beginnings and ends of words are not cut.
const MARGIN: u64 = TICKS as u64 / 5;
/// Quiet within the recording that is held as it was, 2 s; what is in the middle of a longer one is recorded as silence.
/// It bounds the memory, to 192 kB at 48 kHz.
const HELD: u64 = 2 * TICKS as u64;
/// The least mean square of sound, −46 dB of full scale: a voice on a poor line lies above, the noise of one below.
const SOUND: i64 = 27_000;

/// The state of the trimming.
#[derive(Debug, Default)]
pub(super) struct Trim {
    /// Whether there was any sound.
    began: bool,
    /// Ticks of quiet since the last sound that are in the file.
    margin: u64,
    /// Windows of quiet that may be left out, and their ticks. Before them lies silence of so many samples at a rate.
    quiet: VecDeque<Chunk>,
    held: u64,
    silence: Option<(u32, u64)>,
}

impl Trim {
    /// Takes what was recorded next, and returns what goes to the file now.
    pub(super) fn push(&mut self, chunk: Chunk) -> Vec<Chunk> {
        let mut out = Vec::new();
        match chunk {
            Chunk::Data { rate, channels, samples } => {
                for window in samples.chunks((samples_in(FRAME, rate) * usize::from(channels)).max(1)) {
                    let is_sound = is_sound(window, channels);
                    self.take(Chunk::Data { rate, channels, samples: window.to_vec() }, is_sound, &mut out);
                }
            }
            chunk @ Chunk::Silence { .. } => self.take(chunk, false, &mut out),
            // They are not looked into, so they may be sound.
            chunk @ Chunk::Codes { .. } => self.take(chunk, true, &mut out),
            Chunk::End => {}
        }
        out
    }

    fn take(&mut self, window: Chunk, is_sound: bool, out: &mut Vec<Chunk>) {
        if is_sound {
            let silence = self.silence.take().map(|(rate, samples)| Chunk::Silence { rate, samples });
            out.extend(silence.into_iter().chain(self.quiet.drain(..)));
            out.push(window);
            (self.began, self.margin, self.held) = (true, 0, 0);
        } else if self.began && self.margin < MARGIN && ticks_of(&window) <= MARGIN {
            self.margin += ticks_of(&window);
            out.push(window);
        } else {
            self.hold(window);
        }
    }

    fn hold(&mut self, window: Chunk) {
        self.held += ticks_of(&window);
        self.quiet.push_back(window);
        let most = if self.began { HELD } else { MARGIN };
        while self.held > most
            && let Some(oldest) = self.quiet.pop_front()
        {
            self.held -= ticks_of(&oldest);
            if self.began {
                self.count(&oldest);
            }
        }
    }

    /// Quiet that is recorded as silence, if sound follows.
    fn count(&mut self, window: &Chunk) {
        let Some((rate, samples)) = window.length() else { return };
        let before = self.silence.map_or(0, |(of, samples)| samples * u64::from(rate) / u64::from(of.max(1)));
        self.silence = Some((rate, before.saturating_add(samples)));
    }
}

/// Whether there is sound in any of the channels.
fn is_sound(window: &[i16], channels: u16) -> bool {
    let channels = usize::from(channels.max(1));
    (0..channels).any(|channel| {
        let own = window.iter().skip(channel).step_by(channels);
        let power: i64 = own.map(|&sample| i64::from(sample) * i64::from(sample)).sum();
        power > SOUND * i64::try_from(window.len() / channels).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Windows of 20 ms at 8 kHz: `#` sound, `-` quiet. What comes out, likewise; `0` is a window of silence.
    fn check(recorded: &str, expected: &str) {
        let mut trim = Trim::default();
        let mut out = String::new();
        for window in recorded.chars() {
            let level = if window == '#' { 3000 } else { 100 };
            for chunk in trim.push(Chunk::Data { rate: 8000, channels: 1, samples: vec![level; 160] }) {
                match chunk {
                    Chunk::Data { samples, .. } => out.push(if samples[0] == 3000 { '#' } else { '-' }),
                    Chunk::Silence { samples, .. } => {
                        out.extend(std::iter::repeat_n('0', usize::try_from(samples / 160).unwrap()));
                    }
                    Chunk::Codes { .. } | Chunk::End => unreachable!(),
                }
            }
        }
        assert_eq!(out, expected, "of {recorded}");
    }

    #[test]
    fn quiet_ends_are_left_out_but_for_a_margin_of_200_ms() {
        check("", "");
        check(&"-".repeat(100), "");
        check("###", "###");
        check("---##--", "---##--");
        let quiet = "-".repeat(50);
        check(&format!("{quiet}##{quiet}"), &format!("{0}##{0}", "-".repeat(10)));
    }

    #[test]
    fn quiet_between_sounds_stays_as_long_as_it_was() {
        let quiet = "-".repeat(60);
        check(&format!("#{quiet}#"), &format!("#{quiet}#"));
        // 10 of the margin, 190 that were too long ago, 100 of the last two seconds.
        let expected = format!("#{}{}{}#", "-".repeat(10), "0".repeat(190), "-".repeat(100));
        check(&format!("#{}#", "-".repeat(300)), &expected);
    }

    #[test]
    fn the_threshold_lies_between_line_noise_and_a_soft_voice() {
        // A sine's mean square is half of its peak's square: −50 and −40 dB of full scale.
        let level = |peak: f64| -> Vec<i16> {
            #[expect(clippy::cast_possible_truncation, reason = "within the range")]
            let sample = |n: i32| (peak * (f64::from(n) * 0.7).sin()).round() as i16;
            (0..160).map(sample).collect()
        };
        let peak = |decibels: f64| 32_768.0 * 2f64.sqrt() * 10f64.powf(decibels / 20.0);
        assert!(!is_sound(&level(peak(-50.0)), 1));
        assert!(is_sound(&level(peak(-40.0)), 1));
    }

    /// Of two parties of whom one is silent, the one who speaks counts as if alone.
    #[test]
    fn sound_in_one_of_two_channels_is_sound() {
        let mut trim = Trim::default();
        let mut window = |left: i16, right: i16| {
            let samples = [left, right].repeat(160);
            trim.push(Chunk::Data { rate: 8000, channels: 2, samples })
        };
        assert!(window(100, 100).is_empty());
        // Its power is above the threshold, half of it is not.
        let out = window(0, 200);
        assert_eq!(out.len(), 2, "the window before and this one");
        assert_eq!(out.iter().filter_map(Chunk::length).collect::<Vec<_>>(), [(8000, 160); 2]);
    }
}
