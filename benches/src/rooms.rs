//! What a member of a room costs: sockets and the engine as a media thread has them, in rooms of several sizes.
//!
//! ```text
//!   peers ─ a packet each ─▶ sockets ─▶ sweep ─▶ Engine, rooms ─▶ packets ─▶ sockets ─▶ peers
//!   (not counted)            ╰────────────── CPU time of this thread ──────────────╯   (not counted)
//! ```
//! Always as many members, so that only the size of their rooms differs. The floor receives and sends the same packets by
//! the same sockets and does nothing between. Time is virtual: frames follow each other as fast as they can.

use std::collections::HashMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

use offhook_media::event::{Channel, Command, LegId, RoomCommand, RoomId, Voice};
use offhook_media::{Clock, Engine, FRAME, PHASES};
use rtp_rs::{RtpPacketBuilder, Seq};

use crate::floor::thread_cpu;
use crate::leg::config;
use crate::table::{Cost, Reach};

/// Members in all rooms together.
const MEMBERS: usize = 200;
/// Sizes of rooms, and how many members of each talk; fewer if there are fewer.
const ROOMS: [(usize, usize); 8] =
    [(3, 2), (3, 3), (10, 2), (10, 10), (50, 2), (50, 50), (200, 2), (200, 200)];
/// Times the floor, of the design page.
const REACH: f64 = 1.6;
/// Frames before the window: playout begins and voices are known.
const WARM_UP: u32 = 50;
/// Frames of the window, 10 s.
const FRAMES: u32 = 500;
/// Reads of a socket in one tick, as the server does them.
const SWEEP: usize = 12;

/// Prints the table. Whether a member of every room costs at most 1.6 times the floor, as the design page wants it.
pub(crate) fn run() -> bool {
    println!("PCMU, {MEMBERS} members, {} s; µs of CPU per member and frame of 20 ms", FRAMES / 50);
    println!("{:>6} {:>6} {:>8} {:>8} {:>8}", "room", "talk", "floor", "room", "ratio");
    let mut is_good = true;
    for (size, talkers) in ROOMS {
        let mut bench = Bench::new(size, talkers);
        let (floor, cost) = (bench.floor(), bench.rooms());
        println!("{size:>6} {talkers:>6} {floor:>8.2} {cost:>8.2} {:>8.2}", cost / floor);
        is_good &= cost <= REACH * floor;
    }
    is_good
}

/// Lines of the design page's table: rooms in which all talk.
pub(crate) fn lines() {
    for size in [3, 10, 50] {
        let mut bench = Bench::new(size, size);
        let (floor, cpu) = (bench.floor(), bench.rooms());
        // A member has 50 frames a second.
        let cost = Cost { cpu: cpu * 50.0 / 1000.0, floor: floor * 50.0 / 1000.0 };
        cost.print(&format!("conference of {size}, each member (2)"), MEMBERS, Some(Reach::Times(REACH)));
    }
}

struct Bench {
    size: usize,
    talkers: usize,
    /// Ours and the peer's, connected to each other.
    pairs: Vec<(UdpSocket, UdpSocket)>,
    buffer: Vec<u8>,
    sent: u32,
}

impl Bench {
    fn new(size: usize, talkers: usize) -> Self {
        let pairs = (0..MEMBERS).map(|_| pair()).collect();
        Self { size, talkers, pairs, buffer: vec![0; 2048], sent: 0 }
    }

    /// A packet of every peer: noise of those that talk, silence of the others.
    fn peers_speak(&mut self) {
        for (index, (_, peer)) in self.pairs.iter().enumerate() {
            let talks = index % self.size < self.talkers;
            let sample = |n: usize| match talks {
                // Codes of -30 to -18 dB of either sign, in an order of its own for each member and frame.
                true => {
                    let mixed = (n + 1) * (index * 31 + self.sent as usize * 7 + 1);
                    [0x20u8, 0xa4, 0x28, 0xac, 0x30, 0xb4, 0x38, 0xbc][mixed % 13 % 8]
                }
                false => 0xff,
            };
            let payload: Vec<u8> = (0..160).map(sample).collect();
            #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
            let sequence = Seq::from(self.sent as u16);
            let builder = RtpPacketBuilder::new().payload_type(0).ssrc(7).sequence(sequence);
            let packet = builder.timestamp(self.sent.wrapping_mul(160)).payload(&payload).build();
            let _ = peer.send(&packet.expect("an RTP packet"));
        }
        self.sent += 1;
    }

    fn peers_hear(&mut self) {
        for (_, peer) in &self.pairs {
            while peer.recv(&mut self.buffer).is_ok() {}
        }
    }

    /// Microseconds for each member and frame of receiving and sending alone.
    fn floor(&mut self) -> f64 {
        let mut spent = Duration::ZERO;
        for _ in 0..FRAMES {
            self.peers_speak();
            let begun = thread_cpu();
            for (ours, _) in &self.pairs {
                if let Ok(length) = ours.recv(&mut self.buffer) {
                    let _ = ours.send(&self.buffer[..length]);
                }
            }
            spent += thread_cpu() - begun;
            self.peers_hear();
        }
        each(spent)
    }

    /// The same with the rooms between.
    fn rooms(&mut self) -> f64 {
        let epoch = Instant::now();
        let mut engine = Engine::new(Clock { mono: epoch, unix_ms: 0 }, [7; 32]);
        let mut names = HashMap::new();
        for index in 0..MEMBERS - MEMBERS % self.size {
            let (leg, room) = (LegId(index as u64), RoomId((index / self.size) as u64));
            let remote = self.pairs[index].1.local_addr().expect("an address");
            engine.command(epoch, Command::AddLeg { leg, config: config(remote) });
            if index % self.size == 0 {
                let open = RoomCommand::Open { tells_talking: true };
                engine.command(epoch, Command::Room { room, command: open });
            }
            let join = RoomCommand::Join { leg, voice: Voice::default() };
            engine.command(epoch, Command::Room { room, command: join });
            names.insert(leg, index);
        }
        let (mut spent, mut now, mut packets) = (Duration::ZERO, epoch, 0);
        for frame in 0..WARM_UP + FRAMES {
            self.peers_speak();
            let begun = thread_cpu();
            for phase in 0..PHASES {
                now += FRAME / u32::from(PHASES);
                packets += self.tick(&mut engine, &names, now, (phase, frame.into()));
            }
            if frame >= WARM_UP {
                spent += thread_cpu() - begun;
            }
            self.peers_hear();
        }
        let expected = names.len() * (WARM_UP + FRAMES) as usize;
        assert!(packets + MEMBERS >= expected, "{packets} packets of {expected}");
        each(spent) * MEMBERS as f64 / names.len() as f64
    }

    /// What the server does in a tick. Returns how many packets it sent.
    fn tick(
        &mut self,
        engine: &mut Engine,
        names: &HashMap<LegId, usize>,
        now: Instant,
        (phase, frame): (u8, u64),
    ) -> usize {
        let due: Vec<LegId> = engine.legs_of(phase).collect();
        for leg in due {
            for _ in 0..SWEEP {
                let Ok(length) = self.pairs[names[&leg]].0.recv(&mut self.buffer) else { break };
                engine.receive(now, leg, Channel::Rtp, &self.buffer[..length]);
            }
        }
        engine.tick(now, phase, frame);
        let mut packets = 0;
        while let Some(packet) = engine.poll_transmit() {
            if packet.channel == Channel::Rtp {
                packets += 1;
                let _ = self.pairs[names[&packet.leg]].0.send(packet.bytes);
            }
        }
        while engine.poll_audio().is_some() || engine.poll_event().is_some() {}
        packets
    }
}

/// Microseconds for each member and frame.
fn each(spent: Duration) -> f64 {
    spent.as_secs_f64() * 1e6 / (f64::from(FRAMES) * MEMBERS as f64)
}

fn pair() -> (UdpSocket, UdpSocket) {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let (ours, peer) = (socket(), socket());
    for (socket, other) in [(&ours, &peer), (&peer, &ours)] {
        socket.connect(other.local_addr().expect("an address")).expect("a connected socket");
        socket.set_nonblocking(true).expect("a socket that does not wait");
    }
    (ours, peer)
}
