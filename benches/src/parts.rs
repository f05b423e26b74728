//! What the parts of the media engine cost, in instructions, which are the same on every run: each part runs for a second
//! of audio and for two, under callgrind, and the difference is told per frame of 20 ms.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use offhook_media::codec::resample::Resampler;
use offhook_media::codec::{Codec, Decoder, Encoder};
use offhook_media::dtmf::tone::ToneDetector;
use offhook_media::event::{ActionId, Channel, Command as Media, ConnectMode, LegConfig, LegId};
use offhook_media::event::{Prompt, RecordingId};
use offhook_media::mixer::{Mixer, Rate, Voice};
use offhook_media::sdp::{Direction, Negotiated};
use offhook_media::{Clock, Engine, FRAME, PHASES};
use rtp_rs::{RtpPacketBuilder, Seq};

/// Frames in the shorter of the two runs.
const FRAMES: u32 = 50;

/// A part: what it is called, how many share its cost, and what it does in so many frames.
struct Part {
    name: String,
    shares: u32,
    run: Box<dyn Fn(u32)>,
}

impl Part {
    fn new(name: impl Into<String>, run: impl Fn(u32) + 'static) -> Self {
        Self { name: name.into(), shares: 1, run: Box::new(run) }
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
    for members in [3, 10, 50] {
        let run = Box::new(move |frames| mix(members, frames));
        parts.push(Part { name: format!("mixer of {members}, all talking, each"), shares: members, run });
    }
    parts.push(Part::new("a leg at rest", |frames| engine(frames, &[], false)));
    parts.push(Part::new("a leg that plays", |frames| engine(frames, &[play(1)], false)));
    parts.push(Part::new("a leg that records", |frames| engine(frames, &[record(1)], true)));
    parts.push(Part::new("a leg at rest, a packet in", |frames| engine(frames, &[], true)));
    let connect =
        Media::Connect { first: LegId(1), second: LegId(2), mode: ConnectMode::Both, mute_digits: false };
    parts.push(Part::new("two legs, one packet passed on", move |frames| {
        engine(frames, std::slice::from_ref(&connect), true);
    }));
    parts
}

/// Measures all of them, or says how to; whether valgrind did.
pub(crate) fn run() -> bool {
    println!("instructions per frame of 20 ms, by callgrind:");
    parts().into_iter().all(|Part { name, shares, .. }| {
        let Some((once, twice)) = collected(&name, FRAMES).zip(collected(&name, 2 * FRAMES)) else {
            eprintln!("valgrind did not run");
            return false;
        };
        println!("{:9}  {name}", (twice - once) / u64::from(FRAMES * shares));
        true
    })
}

/// Runs one part in this process: what valgrind is given.
pub(crate) fn run_one(name: &str, frames: u32) -> bool {
    let part = parts().into_iter().find(|part| part.name == name);
    part.map(|part| (part.run)(frames)).is_some()
}

/// The instructions of a process that runs a part for so many frames.
fn collected(name: &str, frames: u32) -> Option<u64> {
    let own = std::env::current_exe().ok()?;
    let valgrind = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(own)
        .args(["part", name, &frames.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&valgrind.stderr).into_owned();
    let line = told.lines().find_map(|line| line.split_once("Collected : ").map(|(_, count)| count.trim()));
    line.and_then(|count| count.parse().ok())
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
    let mut mixer = Mixer::new();
    let seats: Vec<_> = (0..members).map(|_| mixer.join(Rate::Narrow, Voice::default())).collect();
    let samples = frame(8_000, 0);
    let mut heard = 0;
    for _ in 0..frames {
        seats.iter().for_each(|seat| mixer.say(*seat, &samples));
        mixer.mix();
        heard += seats.iter().filter(|seat| mixer.heard(**seat).is_some()).count();
    }
    assert!(heard > 0, "somebody heard something");
}

fn play(leg: u64) -> Media {
    let samples: Vec<i16> = (0..500).flat_map(|number| frame(8_000, number)).collect();
    let prompts = vec![Prompt::encode(&samples, Codec::Pcmu)];
    Media::Play { leg: LegId(leg), action: ActionId(1), prompts, repeat: 0 }
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
    }
}

/// Two legs in an engine, the first of which does something and gets a packet in each frame, or not.
fn engine(frames: u32, commands: &[Media], hears: bool) {
    let mut now = Instant::now();
    let mut engine = Engine::new(Clock { mono: now, unix_ms: 0 }, [7; 32]);
    for leg in [1, 2] {
        engine.command(now, Media::AddLeg { leg: LegId(leg), config: config() });
    }
    commands.iter().for_each(|command| engine.command(now, command.clone()));
    let payload: Vec<u8> = (0..160_u8).collect();
    for number in 0..frames {
        now += FRAME;
        if hears {
            let sequence = Seq::from(u16::try_from(number).expect("a short run"));
            let builder = RtpPacketBuilder::new().payload_type(0).ssrc(1).sequence(sequence);
            let packet = builder.timestamp(number * 160).payload(&payload).build().expect("a packet");
            engine.receive(now, LegId(1), Channel::Rtp, &packet);
        }
        (0..PHASES).for_each(|phase| engine.tick(now, phase));
        while engine.poll_transmit().is_some() {}
        while engine.poll_audio().is_some() {}
        while engine.poll_event().is_some() {}
    }
}

fn config() -> LegConfig {
    let remote = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let media = Negotiated {
        codec: Codec::Pcmu,
        send_payload_type: 0,
        receive_payload_type: 0,
        telephone_event: None,
        comfort_noise: None,
        remote_rtp: remote,
        remote_rtcp: remote,
        rtcp_mux: false,
        ptime_ms: 20,
        direction: Direction::SendRecv,
        keys: None,
    };
    LegConfig::new(media)
}
