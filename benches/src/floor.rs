//! The floor: the same packets to the same ears, sent by one thread from bare connected sockets at absolute 20 ms
//! ticks. No telephony can cost less; what the server costs is told as a multiple of it.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rtp_rs::{RtpPacketBuilder, Seq};
use rustix::time::{ClockId, clock_gettime};

/// One packet each tick.
const TICK: Duration = Duration::from_millis(20);
/// How long it is measured: 250 ticks, so that a disturbance of one of them does not matter.
const SECONDS: u32 = 5;

/// CPU milliseconds per stream and second of sending to `ears`.
pub(crate) async fn measure(ears: Vec<SocketAddr>) -> f64 {
    tokio::task::spawn_blocking(move || send(&ears)).await.expect("the floor's thread")
}

fn send(ears: &[SocketAddr]) -> f64 {
    let sockets: Vec<UdpSocket> = ears.iter().map(connected).collect();
    let begun = Instant::now();
    let cpu = thread_cpu();
    for tick in 0..SECONDS * 50 {
        let due = begun + TICK * tick;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for socket in &sockets {
            // A full buffer of a listener that fell behind is its loss, not a failure here.
            let _ = socket.send(&packet(tick));
        }
    }
    let spent = thread_cpu() - cpu;
    spent.as_secs_f64() * 1000.0 / (f64::from(SECONDS) * sockets.len() as f64)
}

fn connected(ear: &SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(ear).expect("a connected socket");
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
