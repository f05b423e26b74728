//! What is heard, frame by frame, of streams with loss, jitter, odd packet times and drifting clocks.

use super::*;

use crate::codec::Encoder;

const SILENCE: u8 = 0xff;
const CODEC: Codec = Codec::Pcmu;

impl Playout {
    fn frame(&mut self) -> Vec<i16> {
        let mut frame = vec![7; 3];
        self.frame_into(&mut frame);
        frame
    }
}

/// A packet whose samples all tell its number; 0x80 and up are loud positive samples of mu-law.
fn payload(number: u64, samples: usize) -> Vec<u8> {
    vec![0x80 + u8::try_from(number % 32).unwrap(); samples]
}

/// What the samples are in the codec of the packets.
fn mu_law(samples: &[i16]) -> Vec<u8> {
    let mut payload = Vec::new();
    Encoder::new(CODEC).encode(samples, &mut payload);
    payload
}

/// Plays packets of `samples`, each at its frame; gives the first byte of each frame.
fn play(samples: usize, arrivals: &[(usize, u64)], frames: usize) -> Vec<u8> {
    let mut playout = Playout::new(8000);
    let mut heard = Vec::new();
    for frame in 0..frames {
        for (_, place) in arrivals.iter().filter(|(at, _)| *at == frame) {
            playout.insert(*place, CODEC, &payload(*place, samples), 0.0);
        }
        heard.push(mu_law(&playout.frame())[0]);
    }
    heard
}

#[test]
fn a_clean_stream_is_heard_whole_after_the_target() {
    let arrivals: Vec<_> = (0..20).map(|index| (index, index as u64)).collect();
    let heard = play(160, &arrivals, 20);
    assert_eq!(heard[0], SILENCE);
    let expected: Vec<u8> = (0..19).map(|number| 0x80 + number).collect();
    assert_eq!(heard[1..], expected);
}

#[test]
fn reordering_within_the_delay_is_not_heard() {
    let arrivals = [(0, 0), (1, 2), (1, 1), (2, 2), (3, 4), (3, 3), (4, 5)];
    assert_eq!(play(160, &arrivals, 6)[1..], [0x80, 0x81, 0x82, 0x83, 0x84]);
}

#[test]
fn a_loss_is_concealed_and_keeps_its_time() {
    let arrivals = [(0, 0), (1, 1), (2, 2), (4, 4), (5, 5), (6, 6)];
    let heard = play(160, &arrivals, 7);
    assert_eq!((heard[3], heard[6]), (0x82, 0x85));
    // What is constant goes on as it was, until it fades.
    assert_eq!(heard[4], 0x82);
}

#[test]
fn a_pause_ends_in_silence_and_begins_anew() {
    let mut arrivals = vec![(0, 0), (1, 1), (2, 2)];
    arrivals.extend([(20, 3), (21, 4), (22, 5)]);
    let heard = play(160, &arrivals, 24);
    assert_eq!(heard[1..4], [0x80, 0x81, 0x82]);
    // 60 ms of fading, then silence.
    assert_eq!(heard[7..21], [SILENCE; 14]);
    assert_eq!(heard[21..24], [0x83, 0x84, 0x85]);
}

#[test]
fn any_packet_time() {
    // Packets of `ms`, sent when they are full: what is heard is the concatenation.
    for samples in [80, 100, 240, 320, 392, 480] {
        let mut playout = Playout::new(8000);
        let mut sent = Vec::new();
        let mut heard = Vec::new();
        let mut place = 0;
        for frame in 1..200 {
            while sent.len() + samples <= frame * 160 {
                let packet = payload(place, samples);
                playout.insert(place, CODEC, &packet, 0.0);
                sent.extend(packet);
                place += 1;
            }
            heard.extend(mu_law(&playout.frame()));
        }
        let start = heard.iter().position(|&byte| byte != SILENCE).unwrap();
        assert!(start <= 1600, "{samples}: {start}");
        let length = heard.len() - start - 320;
        assert!(heard[start..start + length] == sent[..length], "{samples}");
    }
}

/// The delay after an hour of a peer whose clock differs by `ppm`, and what was made up, both in ms.
fn drift(ppm: i64, loud: bool) -> (usize, u64) {
    let mut playout = Playout::new(8000);
    let mut place = 0u64;
    for frame in 1..180_000i64 {
        let peer = frame * 160 * (1_000_000 + ppm) / 1_000_000;
        while i64::try_from((place + 1) * 160).unwrap() <= peer {
            let byte = if loud || place % 100 > 50 { 0x90 } else { SILENCE };
            playout.insert(place, CODEC, &[byte; 160], 0.0);
            place += 1;
        }
        playout.frame();
    }
    (playout.delay() / MS, playout.take_concealed() / MS as u64)
}

#[test]
fn clocks_that_differ_do_not_add_delay() {
    for ppm in [-200, -50, 0, 50, 200] {
        for loud in [false, true] {
            let (delay, made_up) = drift(ppm, loud);
            assert!(delay <= 80, "{ppm} ppm: {delay} ms");
            // An hour of 200 ppm is 720 ms.
            assert!(made_up <= 800, "{ppm} ppm: {made_up} ms made up");
        }
    }
}

#[test]
fn late_packets_raise_the_delay_and_quiet_gives_it_back() {
    let mut playout = Playout::new(8000);
    let target = playout.target();
    assert_eq!(target, 40 * MS);
    for place in 0..2000u64 {
        // Each 20th packet comes 60 ms late, after its place was given up.
        if place % 20 != 0 || place >= 200 {
            playout.insert(place, CODEC, &payload(place, 160), 0.0);
        }
        if place % 20 == 3 && (4..200).contains(&place) {
            playout.insert(place - 3, CODEC, &payload(place - 3, 160), 0.0);
        }
        playout.frame();
        assert!(playout.target() <= 200 * MS);
        if place == 199 {
            assert!(playout.target() > target);
        }
    }
    let after_the_trouble = playout.target();
    for place in 2000..20_000u64 {
        playout.insert(place, CODEC, &payload(place, 160), 0.0);
        playout.frame();
    }
    assert!(playout.target() < after_the_trouble);
    assert!(playout.delay() <= 60 * MS);
}

#[test]
fn a_burst_after_a_standstill_is_given_up() {
    let mut playout = Playout::new(8000);
    for place in 0..10 {
        playout.insert(place, CODEC, &payload(place, 160), 0.0);
        playout.frame();
    }
    for place in 10..260 {
        playout.insert(place, CODEC, &payload(place, 160), 0.0);
    }
    playout.frame();
    assert!(playout.delay() <= playout.target());
}

/// After a standstill all that was held up comes at once: what is more than the longest delay that is aimed at is given up, also where
/// that is little, and a moment later the talk goes on as before.
#[test]
fn r6_a_standstill_adds_no_more_than_the_longest_delay() {
    for held_up in [220, 260, 300, 340, 400, 500, 900] {
        for seed in 0..4 {
            let mut random = fastrand::Rng::with_seed(seed);
            let delays = delays(14, |number| {
                // Until just before the first packet of the fifth second.
                let standstill = 5000 - held_up..4990;
                let still = standstill.contains(&(number * 20)).then(|| 4990 - number * 20);
                Some(still.unwrap_or_else(|| random.u64(0..10)))
            });
            assert!(delays.iter().all(|delay| *delay <= 240), "{held_up} ms, {seed}: {delays:?}");
            assert!(delays[10..].iter().all(|delay| *delay <= 120), "{held_up} ms, {seed}: {delays:?}");
        }
    }
}

/// A network for packets of 20 ms.
#[derive(Clone, Copy)]
struct Impaired {
    loss: f64,
    /// The longest delay beside the shortest, in ms; each packet has its own.
    jitter_ms: f64,
    duplication: f64,
    /// How many packets are held back by 30 ms more.
    reordering: f64,
}

/// What an hour over a network is like: the part of the time that was made up, and the mean and longest delay in ms.
fn hour(seed: u64, network: Impaired) -> (f64, f64, usize) {
    const FRAMES: u64 = 180_000;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut playout = Playout::new(8000);
    let mut receiver = crate::packet::Receiver::default();
    let mut flying = std::collections::BTreeMap::new();
    let (mut delays, mut longest) = (0, 0);
    for frame in 0..FRAMES {
        // Arrivals are in units of 1/8000 s.
        if random.f64() >= network.loss {
            let late = if random.f64() < network.reordering { 240.0 } else { 0.0 };
            let copies = 1 + usize::from(random.f64() < network.duplication);
            for copy in 0..copies {
                let delay = random.f64() * network.jitter_ms * 8.0 + late;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small and positive"
                )]
                flying.insert((frame * 160 + delay as u64, frame, copy), ());
            }
        }
        while let Some(entry) = flying.first_entry().filter(|entry| entry.key().0 <= frame * 160) {
            let (at, number, _) = *entry.key();
            entry.remove();
            let [.., high, low] = number.to_be_bytes();
            let arrival = receiver.arrive(7, u16::from_be_bytes([high, low]));
            let (crate::packet::Arrival::InSequence(place) | crate::packet::Arrival::Restart(place)) =
                arrival
            else {
                panic!("{arrival:?}")
            };
            let [.., a, b, c, d] = at.to_be_bytes();
            let [.., e, f, g, h] = (number * 160).to_be_bytes();
            receiver.timing(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]), 8000);
            playout.insert(place, CODEC, &[0x90; 160], receiver.jitter() / 8000.0);
        }
        playout.frame();
        delays += playout.delay();
        longest = longest.max(playout.delay());
    }
    let made_up = playout.take_concealed() as f64 / (FRAMES * FRAME_TICKS as u64) as f64;
    (made_up, (delays / usize::try_from(FRAMES).unwrap()) as f64 / MS as f64, longest / MS)
}

#[test]
fn r6_what_is_lost_is_made_up_for_and_hardly_more() {
    let none = Impaired { loss: 0.0, jitter_ms: 0.0, duplication: 0.0, reordering: 0.0 };
    for (name, network, made_up_at_most, delay_at_most) in [
        ("a clean one", none, 0.0, 40.0),
        ("10 ms of jitter", Impaired { jitter_ms: 10.0, ..none }, 0.001, 50.0),
        ("40 ms of jitter", Impaired { jitter_ms: 40.0, ..none }, 0.004, 90.0),
        ("150 ms of jitter", Impaired { jitter_ms: 150.0, ..none }, 0.004, 200.0),
        ("5 % of loss", Impaired { loss: 0.05, ..none }, 0.051, 40.0),
        (
            "all of it",
            Impaired { loss: 0.05, jitter_ms: 40.0, duplication: 0.02, reordering: 0.02 },
            0.056,
            120.0,
        ),
    ] {
        for seed in 1..=3 {
            let (made_up, delay, longest) = hour(seed, network);
            assert!(made_up <= made_up_at_most + 0.0005, "{name}: {made_up}");
            assert!(delay <= delay_at_most, "{name}: {delay} ms");
            assert!(longest <= 300, "{name}: {longest} ms");
        }
    }
}

/// How long after it was full the first packet of each second is heard, in ms: packets of 20 ms, each with a delay of its own, or lost.
fn delays(seconds: u64, mut delay_ms: impl FnMut(u64) -> Option<u64>) -> Vec<u64> {
    let mut playout = Playout::new(8000);
    let mut receiver = crate::packet::Receiver::default();
    let packets = seconds * 50;
    let mut flying: Vec<(u64, u64)> =
        (0..packets).filter_map(|number| Some((number * 20 + delay_ms(number)?, number))).collect();
    flying.sort_unstable();
    let mut flying = flying.into_iter().peekable();
    let mut delays = vec![0; usize::try_from(seconds).unwrap()];
    for frame in 0..packets {
        while let Some((at, number)) = flying.next_if(|(at, _)| *at <= frame * 20) {
            let (sequence, timestamp) =
                (u16::try_from(number).unwrap(), u32::try_from(number * 160).unwrap());
            let arrival = receiver.arrive(7, sequence);
            let (crate::packet::Arrival::InSequence(place) | crate::packet::Arrival::Restart(place)) =
                arrival
            else {
                panic!("{arrival:?}")
            };
            receiver.timing(u32::try_from(at * 8).unwrap(), timestamp, 8000);
            // A click in the first packet of each second.
            let byte = if number % 50 == 0 { 0x80 } else { 0xd0 };
            playout.insert(place, CODEC, &[byte; 160], receiver.jitter() / 8000.0);
        }
        let loud = playout.frame().iter().position(|sample| *sample > 20_000);
        if let Some(at) = loud {
            let since = (frame * 20 + at as u64 / 8) % 1000;
            let delay = &mut delays[usize::try_from(frame / 50).unwrap()];
            *delay = if *delay == 0 { since } else { *delay };
        }
    }
    delays
}

/// However the network was, it is heard with no more delay than is aimed at, and soon after with as much as before.
#[test]
fn r6_the_delay_is_no_longer_than_is_aimed_at_and_is_given_back() {
    for seed in 0..8 {
        for (jitter, most, soon) in [(60, 130, 50), (80, 170, 60)] {
            let mut random = fastrand::Rng::with_seed(seed);
            let shaken = |number: u64| (200..400).contains(&number);
            let delays = delays(30, |number| Some(if shaken(number) { random.u64(0..jitter) } else { 0 }));
            assert!(delays.iter().all(|delay| *delay <= most), "{jitter} ms, {seed}: {delays:?}");
            assert!(delays[14..].iter().all(|delay| *delay <= soon), "{jitter} ms, {seed}: {delays:?}");
        }
    }
}

/// What has not come for a while has been heard as silence, and is not waited for again.
#[test]
fn r6_a_gap_does_not_add_to_the_delay() {
    for gap in [2, 5, 20, 45, 100] {
        let delays = delays(20, |number| (!(205..205 + gap).contains(&number)).then_some(0));
        assert!(delays[8..].iter().all(|delay| *delay <= 60), "{gap}: {delays:?}");
    }
}

#[test]
fn a_silence_that_is_described_sounds_as_described() {
    let mut playout = Playout::new(8000);
    let mut heard = Vec::new();
    for frame in 0..100 {
        match frame {
            0..20 => drop(playout.insert(frame, CODEC, &payload(frame, 160), 0.0)),
            // RFC 3389 §3: 50 dB under the overload point, white.
            20 => drop(playout.insert_noise(20, &[50])),
            80.. => drop(playout.insert(frame - 59, CODEC, &payload(frame, 160), 0.0)),
            _ => {}
        }
        heard.extend(playout.frame());
    }
    let noise = &heard[25 * 160..80 * 160];
    let power: f64 = noise.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / noise.len() as f64;
    let level = 10.0 * (power / 32_768f64.powi(2)).log10();
    assert!((-51.5..-48.5).contains(&level), "{level} dBov");
    assert!(noise.chunks(160).all(|frame| frame.iter().any(|&sample| sample != 0)), "no gap");
    let talk = heard[84 * 160..].iter().filter(|sample| sample.unsigned_abs() > 5000).count();
    assert!(talk > 14 * 160, "{talk}");
    assert_eq!(playout.take_concealed(), 0, "nothing was lost");
}

/// A talk of bursts and pauses that comes in with far too much delay: what is left out is silence.
#[test]
fn delay_is_given_back_in_pauses() {
    let mut playout = Playout::new(8000);
    // 240 ms of speech, 160 ms of silence, over and over; all of the first 160 ms come at once.
    let is_said = |packet: u64| packet % 20 < 12;
    let payload = |packet: u64| if is_said(packet) { [0x90; 160] } else { [CODEC.silence()[0]; 160] };
    let (mut said, mut delay) = (0, 0);
    for frame in 0..500_u64 {
        let due = if frame == 0 { 0..8 } else { frame + 7..frame + 8 };
        for packet in due {
            playout.insert(packet, CODEC, &payload(packet), 0.0);
        }
        said += playout.frame().iter().filter(|sample| sample.unsigned_abs() > 1000).count();
        delay = playout.delay();
    }
    assert!(delay <= 60 * MS, "{} ms", delay / MS);
    // What was said before the place that is heard now; nothing of it may lack but what a pause's edges are blended with.
    let place = 507 * 160 - delay * 8000 / TICKS as usize;
    let whole = (0..place).filter(|sample| is_said(*sample as u64 / 160)).count();
    assert!((whole - 80..=whole + 80).contains(&said), "{said} of {whole}");
}

/// Frames that are left as they came are what would have been decoded, with losses, bursts and a pause. Where packets come
/// late, voice is repeated: what is repeated was coded once more, so it may differ by a step of the law.
#[test]
fn what_is_left_as_it_came_is_what_would_have_been_decoded() {
    for (seed, late, as_they_come) in [(1, 0, 2700), (2, 0, 2700), (3, 3, 1500), (4, 3, 1500)] {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut playouts = [Playout::new(8000), Playout::new(8000)];
        let mut packets = Vec::new();
        for place in (0..3000).filter(|place| !(1000..1020).contains(place)) {
            let payload: Vec<u8> = (0..160).map(|_| random.u8(0xa0..0xb0)).collect();
            let frame: u64 = if place % 100 == 7 { place + late } else { place };
            packets.extend((random.u8(..) > 5).then_some((frame, place, payload)));
        }
        packets.sort();
        let (mut left, mut unlike) = (0, 0);
        for frame in 0..3000 {
            for (_, place, payload) in packets.iter().filter(|packet| packet.0 == frame) {
                for playout in &mut playouts {
                    playout.insert(*place, CODEC, payload, 0.0);
                }
            }
            let [one, other] = &mut playouts;
            let decoded = mu_law(&one.frame());
            let heard = match other.frame_in(CODEC).0 {
                Heard::Linear(samples) => mu_law(samples),
                Heard::Codes(law, codes) => {
                    left += 1;
                    assert_eq!(law, CODEC);
                    codes.to_vec()
                }
            };
            assert_eq!((heard.len(), decoded.len()), (160, 160));
            let steps = heard.iter().zip(&decoded).map(|(one, other)| one.abs_diff(*other)).max();
            unlike += usize::from(steps > Some(if late > 0 { 1 } else { 0 }));
        }
        assert!(left > as_they_come, "seed {seed}: {left} of 3000");
        assert_eq!(unlike, 0, "seed {seed}: frames that differ");
    }
}
