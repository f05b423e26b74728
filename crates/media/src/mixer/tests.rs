//! Rooms of values: what each hears is compared with what the others were made to say.

use std::f64::consts::PI;

use proptest::prelude::*;

use super::*;

/// A room whose members say frames and remember what they heard last.
struct Room {
    mixer: Mixer,
    desk: Desk,
    seats: Vec<(Seat, Rate)>,
}

impl Room {
    fn new(rates: &[Rate]) -> Self {
        let mut mixer = Mixer::new();
        let seats = rates.iter().map(|&rate| (mixer.join(rate, Voice::default()), rate)).collect();
        Self { mixer, desk: Desk::default(), seats }
    }

    /// Each member says its frame; gives what each hears.
    fn frame(&mut self, said: &[Vec<i16>]) -> Vec<Vec<i16>> {
        for (&(seat, _), frame) in self.seats.iter().zip(said) {
            self.mixer.say(&mut self.desk, seat, frame);
        }
        self.mixer.mix(&mut self.desk);
        (0..self.seats.len()).map(|member| self.heard(member)).collect()
    }

    fn heard(&mut self, member: usize) -> Vec<i16> {
        match self.mixer.heard(&mut self.desk, self.seats[member].0) {
            Some(Heard::Common(samples) | Heard::Own(samples)) => {
                assert_eq!(samples.len(), self.seats[member].1.frame());
                samples.to_vec()
            }
            None => Vec::new(),
        }
    }

    fn set(&mut self, member: usize, mode: VoiceMode, says: i8, hears: i8) {
        let (says, hears) = (Gain::from_decibels(says), Gain::from_decibels(hears));
        self.mixer.set_voice(self.seats[member].0, Voice { mode, says, hears });
    }
}

/// Noise of this amplitude: -4.8 dB below it by power.
fn noise(random: &mut fastrand::Rng, rate: Rate, amplitude: i16) -> Vec<i16> {
    (0..rate.frame()).map(|_| random.i16(-amplitude..=amplitude)).collect()
}

/// A frame of a sine that goes on from the frame before.
#[expect(clippy::cast_possible_truncation, reason = "within the range")]
fn sine(rate: Rate, frequency: f64, amplitude: f64, frame: usize) -> Vec<i16> {
    let at = |n: usize| 2.0 * PI * frequency * (frame * rate.frame() + n) as f64 / f64::from(rate.hz());
    (0..rate.frame()).map(|n| (amplitude * at(n).sin()).round() as i16).collect()
}

/// The amplitude of a frequency in samples, by projection.
fn amplitude(samples: &[i16], rate: Rate, frequency: f64) -> f64 {
    let (mut sine, mut cosine) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        let at = 2.0 * PI * frequency * n as f64 / f64::from(rate.hz());
        sine += f64::from(sample) * at.sin();
        cosine += f64::from(sample) * at.cos();
    }
    2.0 * sine.hypot(cosine) / samples.len() as f64
}

fn sum_of_others(said: &[Vec<i16>], member: usize) -> Vec<i16> {
    let others = said.iter().enumerate().filter(|&(other, _)| other != member);
    others.fold(vec![0; said[member].len()], |sum, (_, frame)| {
        sum.iter().zip(frame).map(|(sum, sample)| sum + sample).collect()
    })
}

fn silence(rate: Rate) -> Vec<i16> {
    vec![0; rate.frame()]
}

proptest! {
    /// Below the knee the sum is exact, whoever talks: those who say nothing add nothing.
    #[test]
    fn each_hears_exactly_the_sum_of_the_others(
        talk in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..16usize),
        seed: u64,
        rate in prop::sample::select(&Rate::ALL[..]),
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut room = Room::new(&vec![rate; talk.len()]);
        for spurt in 0..4 {
            for frame in 0..40 {
                let mut voice = |talks: &Vec<bool>| match talks[spurt] {
                    true => noise(&mut random, rate, 1_800),
                    false => silence(rate),
                };
                let said: Vec<_> = talk.iter().map(&mut voice).collect();
                let heard = room.frame(&said);
                // In the first frame voices come in, and after 300 ms those that have ended go out as silence.
                for (member, heard) in heard.iter().enumerate().filter(|_| frame > 0) {
                    prop_assert_eq!(heard, &sum_of_others(&said, member));
                }
            }
        }
    }

    /// Whatever comes, in whatever order and length, nothing panics, and frames are frames.
    #[test]
    fn anything_may_happen(steps in prop::collection::vec(any::<(u8, u8, i8, u16)>(), 1..200)) {
        let mut random = fastrand::Rng::with_seed(1);
        let mut room = Room::new(&[]);
        for (what, whom, decibels, length) in steps {
            let rate = Rate::ALL[usize::from(whom) % 3];
            let (seat, at) = (usize::from(whom) % room.seats.len().max(1), room.seats.len());
            let mode = [VoiceMode::HearAndSpeak, VoiceMode::SpeakOnly, VoiceMode::HearOnly, VoiceMode::Neither];
            match (what % 8, at) {
                (0, _) | (_, 0) => {
                    let seat = room.mixer.join(rate, Voice::default());
                    room.seats.push((seat, rate));
                }
                (1, _) => room.mixer.leave(room.seats.swap_remove(seat).0),
                (2, _) => room.set(seat, mode[usize::from(what >> 3) % 4], decibels, decibels),
                (3, _) => {
                    room.mixer.set_rate(room.seats[seat].0, rate);
                    room.seats[seat].1 = rate;
                }
                (4, _) => room.mixer.record((decibels > 0).then_some(rate)),
                _ => {
                    let said: Vec<Vec<i16>> =
                        room.seats.iter().map(|_| (0..length % 2000).map(|_| random.i16(..)).collect()).collect();
                    Mixer::play(&mut room.desk, rate, &noise(&mut random, rate, i16::MAX), Gain::from_decibels(decibels));
                    room.frame(&said);
                }
            }
        }
    }
}

#[test]
fn nobody_hears_itself_at_any_rate() {
    for rate in Rate::ALL {
        let mut room = Room::new(&[rate, Rate::Narrow, Rate::Wide, Rate::Full]);
        for frame in 0..50 {
            let mut said: Vec<_> = room.seats.iter().map(|&(_, rate)| silence(rate)).collect();
            said[0] = sine(rate, 1004.0, 20_000.0, frame);
            let heard = room.frame(&said);
            assert_eq!(heard[0], silence(rate), "frame {frame}");
            let all = heard[1..].iter().all(|heard| heard.iter().any(|&sample| sample != 0));
            assert!(all || frame == 0);
        }
    }
}

#[test]
fn silence_is_silence() {
    let mut room = Room::new(&[Rate::Narrow, Rate::Narrow, Rate::Full]);
    let said: Vec<_> = room.seats.iter().map(|&(_, rate)| silence(rate)).collect();
    for _ in 0..20 {
        assert_eq!(room.frame(&said), said);
    }
    // Nor does the noise of an idle line reach anybody: -69 dB, below -65 dBm0.
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20 {
        let noises = [20, 20, 20].map(|amplitude| noise(&mut random, Rate::Narrow, amplitude));
        assert_eq!(room.frame(&noises), said);
    }
}

/// Of eight who may speak everything is heard, from its first frame on and as long as it lasts; of more, noise is not.
#[test]
fn soft_and_even_sounds_are_heard_where_few_may_speak() {
    for (speakers, listeners, is_open) in [(3, 0, true), (MAX_OPEN, 2, true), (MAX_OPEN + 1, 0, false)] {
        let mut room = Room::new(&vec![Rate::Narrow; speakers + listeners]);
        (speakers..speakers + listeners).for_each(|member| room.set(member, VoiceMode::HearOnly, 0, 0));
        let mut random = fastrand::Rng::with_seed(1);
        for frame in 0..200 {
            // -49 and -57 dB: a soft voice and what is behind it.
            let said: Vec<_> = (0..speakers + listeners)
                .map(|member| noise(&mut random, Rate::Narrow, if member == 0 { 200 } else { 80 }))
                .collect();
            let heard = room.frame(&said);
            let spoken = [&said[..speakers], &vec![silence(Rate::Narrow); listeners][..]].concat();
            for (member, heard) in heard.iter().enumerate().filter(|_| frame > 0 && is_open) {
                assert_eq!(*heard, sum_of_others(&spoken, member), "{speakers}, {frame}");
            }
            if frame > 150 && !is_open {
                assert!(heard.iter().all(|heard| *heard == silence(Rate::Narrow)), "{frame}");
            }
        }
    }
}

#[test]
fn the_four_modes() {
    use VoiceMode::{HearAndSpeak, HearOnly, Neither, SpeakOnly};
    let mut room = Room::new(&[Rate::Narrow; 5]);
    for (member, mode) in [HearAndSpeak, SpeakOnly, HearOnly, Neither, HearOnly].into_iter().enumerate() {
        room.set(member, mode, 0, 0);
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut last = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let said: Vec<_> = (0..5).map(|_| noise(&mut random, Rate::Narrow, 3_000)).collect();
        last = (room.frame(&said), said);
    }
    let (heard, said) = last;
    let both: Vec<i16> = said[0].iter().zip(&said[1]).map(|(a, b)| a + b).collect();
    assert_eq!(heard, [said[1].clone(), Vec::new(), both.clone(), Vec::new(), both]);
    // A member that is muted in the middle of its talk is not heard from then on, but for 2 ms in which it goes.
    room.set(1, HearOnly, 0, 0);
    let said: Vec<_> = (0..5).map(|_| noise(&mut random, Rate::Narrow, 3_000)).collect();
    assert_eq!(room.frame(&said)[0][16..], [0; 144]);
    assert_eq!(room.frame(&said)[0], [0; 160]);
    assert_eq!(room.heard(1), said[0]);
}

#[test]
fn gains_are_what_the_others_hear_and_what_a_member_hears() {
    for (says, hears) in [(0, 0), (6, 0), (-10, 0), (0, 6), (0, -10), (20, -20), (-40, 20)] {
        let mut room = Room::new(&[Rate::Narrow; 3]);
        room.set(0, VoiceMode::HearAndSpeak, says, 0);
        room.set(1, VoiceMode::HearAndSpeak, 0, hears);
        let mut heard = Vec::new();
        for frame in 0..10 {
            heard = room.frame(&[
                sine(Rate::Narrow, 400.0, 8_000.0, frame),
                sine(Rate::Narrow, 1000.0, 1_500.0, frame),
                silence(Rate::Narrow),
            ]);
        }
        let level = |member: usize, frequency| amplitude(&heard[member], Rate::Narrow, frequency);
        let factor = |decibels: i8| 10f64.powf(f64::from(decibels) / 20.0);
        let close = |level: f64, expected: f64| (level - expected).abs() < expected * 0.005 + 0.5;
        if says + hears < 12 && says < 12 {
            assert!(close(level(1, 400.0), 8_000.0 * factor(says) * factor(hears)), "{says}, {hears}");
            assert!(close(level(2, 400.0), 8_000.0 * factor(says)), "{says}");
        } else {
            assert!(heard[1].iter().all(|sample| sample.unsigned_abs() < 29_207), "limited");
        }
        assert!(close(level(0, 1000.0), 1_500.0), "{says}, {hears}");
        assert!(level(0, 400.0) < 1.0 && level(1, 1000.0) < 1.0, "nobody hears itself");
    }
}

#[test]
fn sixteen_loud_voices_neither_wrap_nor_clip() {
    let mut room = Room::new(&[Rate::Narrow; 17]);
    for frame in 0..20 {
        let mut said: Vec<_> =
            (0..16).map(|n| sine(Rate::Narrow, 250.0 + 50.0 * f64::from(n), 30_000.0, frame)).collect();
        said.push(silence(Rate::Narrow));
        let heard = room.frame(&said);
        // Once the gain has fallen nothing is above the knee.
        let peak = heard[16].iter().map(|sample| sample.unsigned_abs()).max();
        assert!(peak.is_some_and(|peak| frame == 0 || (20_000..29_207).contains(&peak)), "{peak:?}");
        if frame > 0 {
            // What is left is in proportion: a sum that was cut or wrapped has other tones in it.
            let tones = (0..16).map(|n| amplitude(&heard[16], Rate::Narrow, 250.0 + 50.0 * f64::from(n)));
            let (least, most) = tones.fold((f64::MAX, 0.0), |(a, b), tone| (tone.min(a), tone.max(b)));
            assert!(most / least < 1.3, "{least} to {most}");
            assert!(amplitude(&heard[16], Rate::Narrow, 2000.0) < least / 30.0);
        }
    }
}

#[test]
fn the_sixteen_loudest_are_heard_and_equals_do_not_take_turns() {
    let rate = Rate::Narrow;
    let mut room = Room::new(&[rate; 21]);
    // Members 0 to 19 at 20 frequencies; 16 to 19 are 12 dB softer. Member 20 listens.
    let frequency = |member: usize| 200.0 + 100.0 * member as f64;
    let heard_of = |room: &mut Room, amplitudes: &dyn Fn(usize) -> f64, frame: usize| {
        let mut said: Vec<_> = (0..20).map(|n| sine(rate, frequency(n), amplitudes(n), frame)).collect();
        said.push(silence(rate));
        let heard = room.frame(&said).swap_remove(20);
        (0..20).filter(|&n| amplitude(&heard, rate, frequency(n)) > 300.0).collect::<Vec<usize>>()
    };
    let loudest: Vec<usize> = (0..16).collect();
    for frame in 0..20 {
        let heard = heard_of(&mut room, &|n| if n < 16 { 1600.0 } else { 800.0 }, frame);
        assert!(frame == 0 || heard == loudest, "{heard:?}");
    }
    // The softer ones become a little louder than the others: nothing changes.
    for frame in 20..40 {
        assert_eq!(heard_of(&mut room, &|n| if n < 16 { 1600.0 } else { 2200.0 }, frame), loudest);
    }
    // One becomes much louder: it comes in, and only one goes.
    for frame in 40..60 {
        let heard = heard_of(&mut room, &|n| if n == 18 { 4800.0 } else { 1600.0 }, frame);
        assert!(frame < 42 || (heard.len() == 16 && heard.contains(&18)), "{heard:?}");
    }
    // One that is heard falls silent, which makes room for another.
    for frame in 60..90 {
        let heard = heard_of(&mut room, &|n| if n == 18 { 0.0 } else { 1600.0 }, frame);
        assert!(frame < 80 || (heard.len() == 16 && !heard.contains(&18)), "{heard:?}");
    }
}

#[test]
fn each_rate_is_heard_at_each_other() {
    for from in Rate::ALL {
        for to in Rate::ALL.into_iter().filter(|&to| to != from) {
            let mut room = Room::new(&[from, from, to, to]);
            let (mut at_from, mut at_to) = (Vec::new(), Vec::new());
            for frame in 0..50 {
                let heard = room.frame(&[
                    sine(from, 1000.0, 8_000.0, frame),
                    silence(from),
                    silence(to),
                    sine(to, 700.0, 5_000.0, frame),
                ]);
                at_from.extend_from_slice(&heard[1]);
                at_to.extend_from_slice(&heard[2]);
                if frame > 2 {
                    // Who talks hears the other only.
                    assert!(
                        amplitude(&heard[0], from, 1000.0) < 3.0 && amplitude(&heard[3], to, 700.0) < 3.0
                    );
                }
            }
            for (heard, rate) in [(at_from, from), (at_to, to)] {
                let steady = &heard[heard.len() / 2..];
                let levels = (amplitude(steady, rate, 1000.0), amplitude(steady, rate, 700.0));
                assert!((levels.0 / 8_000.0 - 1.0).abs() < 0.006, "{from:?} to {to:?}: {levels:?}");
                assert!((levels.1 / 5_000.0 - 1.0).abs() < 0.006, "{from:?} to {to:?}: {levels:?}");
            }
        }
    }
}

#[test]
fn what_is_above_the_telephone_band_stays_among_those_who_hear_it() {
    let mut room = Room::new(&[Rate::Full, Rate::Full, Rate::Narrow]);
    let (mut full, mut narrow) = (Vec::new(), Vec::new());
    for frame in 0..50 {
        let voice = sine(Rate::Full, 15_000.0, 10_000.0, frame);
        let heard = room.frame(&[voice.clone(), silence(Rate::Full), silence(Rate::Narrow)]);
        assert!(frame == 0 || heard[1] == voice);
        full = heard[1].clone();
        narrow.extend_from_slice(&heard[2]);
    }
    assert!(amplitude(&full, Rate::Full, 15_000.0) > 9_990.0);
    assert!(narrow[160..].iter().all(|sample| sample.unsigned_abs() < 3), "aliases at most -70 dB");
}

#[test]
fn a_crossing_rests_in_silence_and_goes_on() {
    let mut room = Room::new(&[Rate::Full, Rate::Narrow]);
    for turn in 0..3 {
        let mut heard = Vec::new();
        for frame in 0..60 {
            let talks = if frame < 20 { 8_000.0 } else { 0.0 };
            let said = [sine(Rate::Full, 500.0, talks, frame), silence(Rate::Narrow)];
            heard = room.frame(&said).swap_remove(1);
            assert_eq!(frame < 21, heard.iter().any(|&sample| sample != 0), "turn {turn}, frame {frame}");
        }
        assert_eq!(heard, silence(Rate::Narrow));
    }
}

#[test]
fn prompts_go_to_all_and_to_the_recording() {
    let mut room = Room::new(&[Rate::Wide, Rate::Wide]);
    room.mixer.record(Some(Rate::Narrow));
    let at = |frame: &[i16]| (amplitude(frame, Rate::Wide, 1000.0), amplitude(frame, Rate::Wide, 600.0));
    let mut recorded = Vec::new();
    for frame in 0..50 {
        Mixer::play(
            &mut room.desk,
            Rate::Wide,
            &sine(Rate::Wide, 1000.0, 4_000.0, frame),
            Gain::from_decibels(-6),
        );
        let heard = room.frame(&[sine(Rate::Wide, 600.0, 5_000.0, frame), silence(Rate::Wide)]);
        let levels: Vec<_> = heard.iter().map(|frame| at(frame)).collect();
        if frame > 0 {
            assert!((levels[0].0 - 2_004.7).abs() < 5.0 && levels[0].1 < 1.0, "{levels:?}");
            assert!((levels[1].0 - 2_004.7).abs() < 5.0 && (levels[1].1 - 5_000.0).abs() < 5.0, "{levels:?}");
        }
        recorded.extend_from_slice(room.mixer.recorded(&mut room.desk).expect("was asked for").1);
    }
    let steady = &recorded[4_000..];
    assert!((amplitude(steady, Rate::Narrow, 600.0) / 5_000.0 - 1.0).abs() < 0.006);
    assert!((amplitude(steady, Rate::Narrow, 1000.0) / 2_004.7 - 1.0).abs() < 0.006);
    room.mixer.record(None);
    assert_eq!(room.mixer.recorded(&mut room.desk), None);
}

#[test]
fn talks_are_told_once_each_way() {
    let mut room = Room::new(&[Rate::Narrow; 3]);
    let mut random = fastrand::Rng::with_seed(1);
    let mut told = Vec::new();
    for frame in 0..100 {
        // Swelling and fading as syllables do: what is even is no talk.
        let amplitude = if frame % 8 < 4 { 3_000 } else { 1_000 };
        let mut voice = |talks: bool| match talks {
            true => noise(&mut random, Rate::Narrow, amplitude),
            false => silence(Rate::Narrow),
        };
        let said = [voice(frame < 20), voice((30..90).contains(&frame)), voice(false)];
        room.frame(&said);
        while let Some((seat, talks)) = room.mixer.poll_talk() {
            assert_eq!(room.mixer.is_talking(seat), talks);
            told.push((frame, room.seats.iter().position(|(other, _)| *other == seat), talks));
        }
        if frame == 60 {
            room.set(1, VoiceMode::HearOnly, 0, 0);
        }
    }
    let expected = [(4, Some(0), true), (34, Some(1), true), (49, Some(0), false), (61, Some(1), false)];
    assert_eq!(told, expected);
}

#[test]
fn two_hundred_members_share_what_they_hear() {
    let mut room = Room::new(&[Rate::Narrow; 200]);
    let mut random = fastrand::Rng::with_seed(1);
    for frame in 0..10 {
        let talks = |member: usize| member < 16;
        let mut voice = |member| match talks(member) {
            true => noise(&mut random, Rate::Narrow, 1_800),
            false => silence(Rate::Narrow),
        };
        let said: Vec<_> = (0..200).map(&mut voice).collect();
        let heard = room.frame(&said);
        for member in (0..200).filter(|_| frame > 0) {
            assert_eq!(heard[member], sum_of_others(&said, member));
            let common =
                matches!(room.mixer.heard(&mut room.desk, room.seats[member].0), Some(Heard::Common(_)));
            assert_eq!(common, !talks(member), "all who listen share one frame");
        }
    }
    // And where all talk, all but those who are heard.
    for _ in 0..10 {
        room.frame(&(0..200).map(|_| noise(&mut random, Rate::Narrow, 1_800)).collect::<Vec<_>>());
    }
    let seats: Vec<Seat> = room.seats.iter().map(|&(seat, _)| seat).collect();
    let mut own = 0;
    for seat in seats {
        own += usize::from(matches!(room.mixer.heard(&mut room.desk, seat), Some(Heard::Own(_))));
    }
    assert_eq!(own, MAX_TALKERS);
}

#[test]
fn a_seat_is_given_to_the_next_and_a_guest_that_left_is_not_heard() {
    let mut room = Room::new(&[Rate::Narrow; 2]);
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..5 {
        let said = [noise(&mut random, Rate::Narrow, 3_000), silence(Rate::Narrow)];
        room.frame(&said);
    }
    let left = room.seats[0].0;
    room.mixer.leave(left);
    assert_eq!(room.mixer.heard(&mut room.desk, left), None);
    assert!(!room.mixer.is_talking(left));
    room.mixer.mix(&mut room.desk);
    assert_eq!(room.heard(1), silence(Rate::Narrow));
    assert_eq!(room.mixer.join(Rate::Narrow, Voice::default()), left);
    room.mixer.mix(&mut room.desk);
    assert_eq!((room.heard(0), room.heard(1)), (silence(Rate::Narrow), silence(Rate::Narrow)));
}
