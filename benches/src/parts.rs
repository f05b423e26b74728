//! What the parts of the media engine cost, in instructions and requests for memory, which are the same on every run: each
//! part runs for some seconds of audio and for some more, under valgrind, and the difference is told per frame of 20 ms.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_media::codec::conceal::Concealer;
use offhook_media::codec::resample::Resampler;
use offhook_media::codec::{Codec, Decoder, Encoder};
use offhook_media::dtmf::tone::ToneDetector;
use offhook_media::event::{ActionId, Channel, Command as Media, ConnectMode, LegId};
use offhook_media::event::{KeySet, Prompt, RecordFormat, RecordingId, RoomCommand, RoomId};
use offhook_media::mixer::{Desk, Mixer, Rate, Voice};
use offhook_media::sdp::{Keys, MasterKey, Suite};
use offhook_media::{Clock, Engine, FRAME, PHASES};
use rtp_rs::{RtpPacketBuilder, Seq};

use crate::leg;

/// Frames in the shorter of two runs, and how many the longer one has more.
const INSTRUCTIONS: [u32; 2] = [50, 50];
/// The same where requests for memory are counted: whatever is used again has been used before, and reports have been sent.
const REQUESTS: [u32; 2] = [1000, 500];

const CALLGRIND: [&str; 2] = ["--tool=callgrind", "--callgrind-out-file=/dev/null"];
/// The same with caches whose sizes are those of no machine in particular: 32 KiB and 1 MiB.
const CACHES: [&str; 5] = [
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    "--cache-sim=yes",
    "--D1=32768,8,64",
    "--LL=1048576,16,64",
];

/// What happens to packets asks for no memory; now and then a list that is used again grows.
const PACKET_REQUESTS: f64 = 0.1;

/// Audio that is recorded goes to another thread in memory of its own.
const RECORDED_REQUESTS: f64 = 2.0;

/// Legs in a crowd.
const CROWD: u32 = 300;

/// A part: what it is called, how many share its cost, and what it does in so many frames.
struct Part {
    name: String,
    shares: u32,
    /// How often it may ask for memory in a frame, where that is counted.
    requests: Option<f64>,
    /// Whether it is of interest what it has to bring into the caches.
    tells_lines: bool,
    run: Box<dyn Fn(u32)>,
}

impl Part {
    fn new(name: impl Into<String>, run: impl Fn(u32) + 'static) -> Self {
        Self { name: name.into(), shares: 1, requests: None, tells_lines: false, run: Box::new(run) }
    }

    /// One of many legs, between two frames of which the caches have had those of the others.
    fn crowd(name: &str, run: impl Fn(u32) + 'static) -> Self {
        Self { shares: CROWD, tells_lines: true, ..Self::engine(name, run) }
    }

    fn engine(name: impl Into<String>, run: impl Fn(u32) + 'static) -> Self {
        Self { requests: Some(PACKET_REQUESTS), ..Self::new(name, run) }
    }
}

fn parts() -> Vec<Part> {
    let mut parts = Vec::new();
    for codec in Codec::ALL {
        let name = format!("{} at {} Hz", codec.name(), codec.sample_rate());
        parts.push(Part::new(format!("encode {name}"), move |frames| encode(codec, frames)));
        parts.push(Part::new(format!("decode {name}"), move |frames| decode(codec, frames)));
    }
    for (from, to) in [(8_000, 16_000), (16_000, 8_000), (8_000, 48_000), (48_000, 8_000)] {
        parts
            .push(Part::new(format!("resample {from} to {to} Hz"), move |frames| resample(from, to, frames)));
    }
    parts.push(Part::new("tone detector", tones));
    parts.push(Part::new("concealment, one of five lost", conceal));
    for members in [3, 10, 50] {
        let name = format!("mixer of {members}, all talking, each");
        parts.push(Part { shares: members, ..Part::new(name, move |frames| mix(members, frames)) });
    }
    parts.extend(engines());
    parts
}

/// Whole legs: two in an engine that is ticked in all phases.
fn engines() -> Vec<Part> {
    let connect =
        Media::Connect { first: LegId(1), second: LegId(2), mode: ConnectMode::Both, mute_digits: false };
    let mut parts = vec![
        Part::engine("two legs at rest", |frames| engine(frames, &[], In::Nothing, None)),
        Part::engine("one plays", |frames| engine(frames, &[play(1)], In::Nothing, None)),
        Part {
            requests: Some(RECORDED_REQUESTS),
            ..Part::new("one records, a packet in", |frames| {
                engine(frames, &[record(1)], In::Packet, None);
            })
        },
        Part::engine("a packet in", |frames| engine(frames, &[], In::Packet, None)),
        Part::engine("a packet in, listened to for keys", |frames| engine(frames, &[], In::Listened, None)),
        Part::engine("a packet passed on", move |frames| {
            engine(frames, std::slice::from_ref(&connect), In::Packet, None);
        }),
        Part::engine("one plays to the other", |frames| engine(frames, &[play(2)], In::OfTheOther, None)),
        Part::crowd("of 300 that play", |frames| crowd(frames, 1, In::Nothing)),
        Part::crowd("of 300 that play, a packet in", |frames| crowd(frames, 1, In::Packet)),
        Part::crowd("of 100 rooms of 3, a packet in", |frames| crowd(frames, 3, In::Packet)),
    ];
    for suite in Suite::ALL {
        let name = format!("the same by {}", suite.name());
        let run = move |frames| engine(frames, &[play(2)], In::OfTheOther, Some(suite));
        parts.push(Part::engine(name, run));
    }
    parts
}

/// Measures all of them. Whether valgrind ran, and no part asks for memory more often than it may.
pub(crate) fn run() -> bool {
    println!(
        "per frame of 20 ms: instructions by callgrind, requests for memory by memcheck, lines that a first cache of 32 KiB has not"
    );
    let good: Vec<bool> = parts().iter().map(Part::measure).collect();
    good.into_iter().all(|good| good)
}

impl Part {
    fn measure(&self) -> bool {
        let per_frame = |tool: &[&str], marker, [first, more]: [u32; 2]| {
            let count = |frames| counted(tool, marker, &self.name, frames);
            let counted = count(first + more)?.checked_sub(count(first)?)?;
            Some(counted as f64 / f64::from(more * self.shares))
        };
        let Some(instructions) = per_frame(&CALLGRIND, "Collected : ", INSTRUCTIONS) else {
            eprintln!("valgrind did not run");
            return false;
        };
        let requests =
            self.requests.map(|most| (most, per_frame(&["--tool=memcheck"], "total heap usage: ", REQUESTS)));
        let told = match requests {
            Some((_, Some(requests))) => format!("{requests:.2}"),
            _ => String::new(),
        };
        let lines = self.tells_lines.then(|| per_frame(&CACHES, "D1  misses: ", INSTRUCTIONS)).flatten();
        let lines = lines.map(|lines| format!("{lines:.0}")).unwrap_or_default();
        println!("{instructions:9.0} {told:>5} {lines:>5}  {}", self.name);
        requests.is_none_or(|(most, requests)| requests.is_some_and(|requests| requests <= most))
    }
}

/// Runs one part in this process: what valgrind is given.
pub(crate) fn run_one(name: &str, frames: u32) -> bool {
    let part = parts().into_iter().find(|part| part.name == name);
    part.map(|part| (part.run)(frames)).is_some()
}

/// What a tool of valgrind counts behind a marker in a process that runs a part for so many frames.
fn counted(tool: &[&str], marker: &str, name: &str, frames: u32) -> Option<u64> {
    let own = std::env::current_exe().ok()?;
    let ran = Command::new("valgrind")
        .args(tool)
        .arg(own)
        .args(["part", name, &frames.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&ran.stderr).into_owned();
    let (_, count) = told.lines().find_map(|line| line.split_once(marker))?;
    count.split_whitespace().next()?.replace(',', "").parse().ok()
}

/// A frame that is neither silence nor the same as the next: two tones that are no key.
fn frame(rate: u32, number: u32) -> Vec<i16> {
    let samples = rate / 50;
    let sample = |at: u32| {
        let time = f64::from(number * samples + at) / f64::from(rate);
        let wave =
            (time * 310.0 * std::f64::consts::TAU).sin() + (time * 1_870.0 * std::f64::consts::TAU).sin();
        #[allow(clippy::cast_possible_truncation, reason = "its amplitude is below 16,001")]
        let sample = (wave * 8_000.0) as i16;
        sample
    };
    (0..samples).map(sample).collect()
}

fn encode(codec: Codec, frames: u32) {
    let (mut encoder, mut out) = (Encoder::new(codec), Vec::new());
    let samples = frame(codec.sample_rate(), 0);
    for _ in 0..frames {
        out.clear();
        encoder.encode(&samples, &mut out);
    }
}

fn decode(codec: Codec, frames: u32) {
    let (mut payload, mut decoder, mut out) = (Vec::new(), Decoder::new(codec), Vec::new());
    Encoder::new(codec).encode(&frame(codec.sample_rate(), 0), &mut payload);
    for _ in 0..frames {
        out.clear();
        decoder.decode(&payload, &mut out);
    }
}

fn resample(from: u32, to: u32, frames: u32) {
    let (mut resampler, mut out) = (Resampler::new(from, to).expect("rates"), Vec::new());
    let samples = frame(from, 0);
    for _ in 0..frames {
        out.clear();
        resampler.push(&samples, &mut out);
    }
}

fn tones(frames: u32) {
    let (mut detector, samples) = (ToneDetector::new(), frame(8_000, 0));
    for _ in 0..frames {
        assert!(detector.push(&samples).is_empty(), "no key");
    }
}

fn mix(members: u32, frames: u32) {
    let (mut mixer, mut desk) = (Mixer::new(), Desk::default());
    let seats: Vec<_> = (0..members).map(|_| mixer.join(Rate::Narrow, Voice::default())).collect();
    let samples = frame(8_000, 0);
    let mut heard = 0;
    for _ in 0..frames {
        seats.iter().for_each(|seat| mixer.say(&mut desk, *seat, &samples));
        mixer.mix(&mut desk);
        heard += seats.iter().filter(|seat| mixer.heard(&mut desk, **seat).is_some()).count();
    }
    assert!(heard > 0, "somebody heard something");
}

fn play(leg: u64) -> Media {
    let samples: Vec<i16> = (0..500).flat_map(|number| frame(8_000, number)).collect();
    let prompts = vec![Prompt::encode(&samples, Codec::Pcmu)];
    Media::Play { leg: LegId(leg), action: ActionId(1), prompts, repeat: 10 }
}

fn record(leg: u64) -> Media {
    Media::Record {
        leg: LegId(leg),
        action: ActionId(1),
        recording: RecordingId(1),
        beep: false,
        max: Duration::from_secs(60),
        trim_silence: false,
        mute_digits: false,
        finish_keys: KeySet::default(),
        format: RecordFormat::Mulaw,
    }
}

fn conceal(frames: u32) {
    let mut concealer = Concealer::new(8_000);
    let mut samples = frame(8_000, 0);
    for number in 0..frames {
        match number % 5 {
            4 => concealer.lost(&mut samples),
            _ => concealer.arrived(&mut samples),
        }
    }
}

/// What comes to the first of two legs in each frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum In {
    Nothing,
    Packet,
    /// A packet, in which keys are looked for.
    Listened,
    /// What the other leg sends.
    OfTheOther,
}

/// Many legs in an engine, which play, or all talk in rooms of so many.
fn crowd(frames: u32, in_room: u32, comes: In) {
    let mut now = Instant::now();
    let mut engine = Engine::new(Clock { mono: now, unix_ms: 0 }, [7; 32]);
    let Media::Play { prompts, .. } = play(1) else { return };
    for leg in (1..=CROWD).map(u64::from) {
        let config = leg::config(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        engine.command(now, Media::AddLeg { leg: LegId(leg), config });
        if in_room == 1 {
            let prompts = prompts.clone();
            engine.command(now, Media::Play { leg: LegId(leg), action: ActionId(leg), prompts, repeat: 10 });
            continue;
        }
        let room = RoomId((leg - 1) / u64::from(in_room));
        if (leg - 1).is_multiple_of(in_room.into()) {
            engine.command(now, Media::Room { room, command: RoomCommand::Open { tells_talking: false } });
        }
        let command = RoomCommand::Join { leg: LegId(leg), voice: Voice::default() };
        engine.command(now, Media::Room { room, command });
    }
    let payload: Vec<u8> = (0..160_u8).collect();
    let mut packet = vec![0; 12 + payload.len()];
    for number in 0..frames {
        now += FRAME;
        let sequence = Seq::from(u16::try_from(number).expect("a short run"));
        let builder = RtpPacketBuilder::new().payload_type(0).ssrc(1).sequence(sequence);
        builder.timestamp(number * 160).payload(&payload).build_into(&mut packet).expect("a packet");
        for leg in (1..=CROWD).map(u64::from).filter(|_| comes == In::Packet) {
            engine.receive(now, LegId(leg), Channel::Rtp, &packet);
        }
        for phase in 0..PHASES {
            engine.tick(now, phase, number.into());
            while engine.poll_transmit().is_some() {}
        }
        while engine.poll_event().is_some() {}
    }
}

/// Two legs in an engine, which do something, in the clear or protected.
fn engine(frames: u32, commands: &[Media], comes: In, suite: Option<Suite>) {
    let mut now = Instant::now();
    let mut engine = Engine::new(Clock { mono: now, unix_ms: 0 }, [7; 32]);
    let key = |suite: Suite| MasterKey::new(suite, &vec![7; suite.master()]).expect("as long as it is");
    for leg in [1, 2] {
        let mut config = leg::config(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        config.detect_tones = comes == In::Listened;
        config.media.keys = suite.map(|suite| Keys::new(key(suite), key(suite)));
        engine.command(now, Media::AddLeg { leg: LegId(leg), config });
    }
    commands.iter().for_each(|command| engine.command(now, command.clone()));
    let payload: Vec<u8> = (0..160_u8).collect();
    let mut sent = Vec::new();
    for number in 0..frames {
        now += FRAME;
        if matches!(comes, In::Packet | In::Listened) {
            let sequence = Seq::from(u16::try_from(number).expect("a short run"));
            let builder = RtpPacketBuilder::new().payload_type(0).ssrc(1).sequence(sequence);
            sent.resize(12 + payload.len(), 0);
            let packet = builder.timestamp(number * 160).payload(&payload);
            packet.build_into(&mut sent).expect("a packet");
        }
        if !sent.is_empty() {
            engine.receive(now, LegId(1), Channel::Rtp, &sent);
        }
        (0..PHASES).for_each(|phase| engine.tick(now, phase, number.into()));
        while let Some(packet) = engine.poll_transmit() {
            if comes == In::OfTheOther && packet.channel == Channel::Rtp {
                sent.clear();
                sent.extend_from_slice(packet.bytes);
            }
        }
        while engine.poll_audio().is_some() {}
        while engine.poll_event().is_some() {}
    }
}
