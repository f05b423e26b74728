//! Any bytes, read as a script of what happens to legs: packets, reports and time. The first byte chooses codec and
//! negotiation, each further step is a kind and what belongs to it.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use offhook_media::codec::Codec;
use offhook_media::event::*;
use offhook_media::sdp::{self, LocalMedia};
use offhook_media::{Clock, Engine, PHASES};

/// The most time that passes in a step: two seconds, in phases.
const MAX_PHASES: u16 = 1000;

/// Two legs, connected and recorded, of which the first hears the network.
pub struct Legs {
    engine: Engine,
    now: Instant,
    phase: u8,
    frame: u64,
}

impl Legs {
    /// By the bits of `choice` the second leg has another codec, and the first is recorded and listened to for tones.
    pub fn new(choice: u8) -> Self {
        static EPOCH: OnceLock<Instant> = OnceLock::new();
        #[allow(
            clippy::disallowed_methods,
            reason = "an Instant cannot be made otherwise; scripts only add to it"
        )]
        let now = *EPOCH.get_or_init(Instant::now);
        let engine = Engine::new(Clock { mono: now, unix_ms: 1_800_000_000_000 }, [1; 32]);
        let mut legs = Self { engine, now, phase: 0, frame: 0 };
        let codec = Codec::ALL[usize::from(choice) % Codec::ALL.len()];
        let second = if choice & 0x80 == 0 { codec } else { Codec::Pcma };
        legs.add(1, codec, choice);
        legs.add(2, second, 0);
        let (first, second) = (LegId(1), LegId(2));
        legs.command(Command::Connect { first, second, mode: ConnectMode::Both, mute_digits: false });
        if choice & 0x40 != 0 {
            let (leg, action, recording) = (first, ActionId(1), RecordingId(1));
            let (max, trim_silence) = (Duration::from_secs(3600), choice & 0x10 != 0);
            legs.command(Command::Record {
                leg,
                action,
                recording,
                beep: false,
                max,
                trim_silence,
                mute_digits: false,
                finish_keys: KeySet::default(),
                format: RecordFormat::Pcm16,
            });
        }
        legs
    }

    fn add(&mut self, leg: u64, codec: Codec, choice: u8) {
        let offer = sdp::offer(&side(codec, 2));
        let Ok((_, media)) = sdp::answer(offer.as_bytes(), &side(codec, 1)) else {
            panic!("our own offer is refused: {offer}");
        };
        let config = LegConfig {
            detect_tones: choice & 0x20 != 0,
            silent_after: Some(Duration::from_secs(1)),
            ..LegConfig::new(media)
        };
        self.command(Command::AddLeg { leg: LegId(leg), config });
    }

    fn command(&mut self, command: Command) {
        self.engine.command(self.now, command);
        self.drain();
    }

    /// Gives the first leg a datagram.
    pub fn receive(&mut self, channel: Channel, bytes: &[u8]) {
        self.engine.receive(self.now, LegId(1), channel, bytes);
        self.drain();
    }

    /// Lets time pass, in steps of 2 ms.
    pub fn run(&mut self, phases: u16) {
        for _ in 0..phases.min(MAX_PHASES) {
            self.now += Duration::from_millis(2);
            self.engine.tick(self.now, self.phase, self.frame);
            self.phase = (self.phase + 1) % PHASES;
            self.frame += u64::from(self.phase == 0);
            self.drain();
        }
    }

    /// Ends both legs; nothing may be left.
    pub fn finish(mut self) {
        self.run(100);
        for leg in [LegId(1), LegId(2)] {
            self.command(Command::RemoveLeg { leg });
        }
        assert_eq!(self.engine.legs(), 0);
    }

    fn drain(&mut self) {
        while let Some(transmit) = self.engine.poll_transmit() {
            assert!(transmit.bytes.len() <= 1500, "{} bytes", transmit.bytes.len());
        }
        while self.engine.poll_audio().is_some() {}
        while self.engine.poll_event().is_some() {}
    }
}

/// A side that has one codec, and digits, at 192.0.2.`host`.
fn side(codec: Codec, host: u8) -> LocalMedia {
    LocalMedia {
        address: std::net::Ipv4Addr::new(192, 0, 2, host).into(),
        port: 40_000,
        codecs: vec![codec],
        order: Default::default(),
        telephone_events: true,
        comfort_noise: true,
        rtcp_mux: true,
        protection: Default::default(),
        seed: Default::default(),
        ptime_ms: 20,
        session_id: 7,
        version: 1,
        destinations: Default::default(),
    }
}

/// The next `count` bytes of a script, or as many as there are.
pub fn take<'a>(script: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (now, later) = script.split_at(count.min(script.len()));
    *script = later;
    now
}
