//! The floor: the same packets to and from the same callers, by one thread with bare connected sockets at absolute 20 ms
//! ticks, each read once a tick. No telephony can cost less; what the server costs is told as a multiple of it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rtp_rs::{RtpPacketBuilder, Seq};
use rustix::time::{ClockId, clock_gettime};

use crate::ear::Ears;
use crate::voices::Voices;

/// One packet each tick.
const TICK: Duration = Duration::from_millis(20);
/// How long it is measured each time: 125 ticks, so that a disturbance of one of them does not matter.
const SECONDS: f64 = 2.5;
const TICKS: u32 = 125;

/// What is done with each stream in each tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Floor {
    /// A packet is sent.
    Send,
    /// A packet is received.
    Receive,
    /// Both.
    Both,
}

/// CPU milliseconds per stream and second.
pub(crate) async fn measure(ears: &Ears, floor: Floor) -> f64 {
    let sockets: Vec<UdpSocket> = ears.addresses().iter().map(connected).collect();
    let ours = sockets.iter().map(|socket| (socket.local_addr().expect("a bound socket"), 0));
    let voices = (floor != Floor::Send).then(|| Voices::begin(ears.streams(ours)));
    let run = tokio::task::spawn_blocking(move || run(&sockets, floor));
    let cost = run.await.expect("the floor's thread");
    drop(voices);
    cost
}

fn run(sockets: &[UdpSocket], floor: Floor) -> f64 {
    let mut buffer = [0; 2048];
    let begun = Instant::now();
    let cpu = thread_cpu();
    for tick in 0..TICKS {
        let due = begun + TICK * tick;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for socket in sockets {
            // A full buffer of a listener that fell behind is its loss, and a caller may be late.
            if floor != Floor::Send {
                let _ = socket.recv(&mut buffer);
            }
            if floor != Floor::Receive {
                let _ = socket.send(&packet(tick));
            }
        }
    }
    let spent = thread_cpu() - cpu;
    spent.as_secs_f64() * 1000.0 / (SECONDS * sockets.len() as f64)
}

fn connected(ear: &SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(ear).expect("a connected socket");
    socket.set_nonblocking(true).expect("a socket that does not block");
    socket
}

fn packet(tick: u32) -> Vec<u8> {
    #[allow(clippy::cast_possible_truncation, reason = "sequence numbers wrap")]
    let sequence = Seq::from(tick as u16);
    let builder = RtpPacketBuilder::new().payload_type(0).ssrc(1).sequence(sequence).timestamp(tick * 160);
    builder.payload(&[0xff; 160]).build().expect("an RTP packet")
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is not negative")
}
