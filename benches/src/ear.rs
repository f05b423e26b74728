//! The callers' ears: one RTP socket per call, all on one thread that does nothing else, so that what is measured is
//! the server's pace and not our own. The time of a packet is that of its reading, which includes our own wake-up.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rtp_rs::RtpReader;
use tokio::net::UdpSocket;

use crate::voices::{self, Stream};

/// The time between two packets of a stream.
const PACKET_TIME: Duration = Duration::from_millis(20);

/// What was heard in a window.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Packets.
    pub(crate) received: u64,
    /// Sequence numbers that never came.
    pub(crate) lost: u64,
    /// |time between two packets − 20 ms| in microseconds, of neighbours.
    pub(crate) deviations: Vec<u32>,
    /// Time from the caller's mouth to the other caller's ear in microseconds, of packets that say when they were sent.
    pub(crate) delays: Vec<u32>,
    last: Option<(u16, Instant)>,
}

impl Tally {
    fn hear(&mut self, packet: &[u8], at: Instant) {
        let Ok(packet) = RtpReader::new(packet) else { return };
        let sequence = u16::from(packet.sequence_number());
        self.received += 1;
        self.delays.extend(voices::age(packet.payload(), at).map(micros));
        if let Some((before, then)) = self.last {
            match sequence.wrapping_sub(before) {
                1 => {
                    self.deviations.push(micros((at - then).abs_diff(PACKET_TIME)));
                }
                step @ 2..0x8000 => self.lost += u64::from(step) - 1,
                // A late or a repeated packet: it was counted as lost, or is none too many.
                _ => {}
            }
        }
        self.last = Some((sequence, at));
    }

    /// Adds another call's window.
    fn add(&mut self, other: Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.deviations.extend(other.deviations);
        self.delays.extend(other.delays);
    }
}

/// The times, in milliseconds, that 50 %, 99 %, 99.9 % and all of these, in microseconds, do not pass.
pub(crate) fn percentiles(times: &mut [u32]) -> [f64; 4] {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    [500, 990, 999, 1000].map(|mille| {
        let value = times.get(last * mille / 1000).copied().unwrap_or_default();
        f64::from(value) / 1000.0
    })
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// All ears of a run.
#[derive(Debug)]
pub(crate) struct Ears {
    tallies: Vec<Arc<Mutex<Tally>>>,
    addresses: Vec<SocketAddr>,
    /// The same sockets, for the callers to speak by: that is where the server hears them from.
    mouths: Vec<std::net::UdpSocket>,
}

impl Ears {
    /// Opens `count` of them, each on a free even port; they listen until the program ends.
    pub(crate) fn open(count: u16) -> Self {
        let first = offhook_tests::ports::block(count * 2);
        let ports = (0..count).map(|index| first + 2 * index);
        let addresses: Vec<SocketAddr> = ports.map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect();
        let tallies: Vec<Arc<Mutex<Tally>>> = addresses.iter().map(|_| Arc::default()).collect();
        let sockets: Vec<_> = addresses
            .iter()
            .map(|address| std::net::UdpSocket::bind(address).expect("an RTP port"))
            .collect();
        let mouths = sockets.iter().map(|socket| socket.try_clone().expect("a descriptor")).collect();
        let ears: Vec<_> = sockets.into_iter().zip(tallies.iter().cloned()).collect();
        std::thread::Builder::new()
            .name("ears".into())
            .spawn(move || listen(ears))
            .expect("a thread for the ears");
        Self { tallies, addresses, mouths }
    }

    /// A stream from each caller to where it is to speak to, in this payload type.
    pub(crate) fn streams(&self, to: impl IntoIterator<Item = (SocketAddr, u8)>) -> Vec<Stream> {
        let mouths = self.mouths.iter().map(|mouth| mouth.try_clone().expect("a descriptor"));
        mouths.zip(to).map(|(socket, (to, payload_type))| Stream { socket, to, payload_type }).collect()
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The least number of packets that any of them has heard.
    pub(crate) fn least(&self) -> u64 {
        self.tallies.iter().map(|tally| tally.lock().expect("a tally").received).min().unwrap_or_default()
    }

    /// What all heard since the last time this was asked; a new window begins.
    pub(crate) fn take(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in &self.tallies {
            let mut tally = tally.lock().expect("a tally");
            let last = tally.last;
            sum.add(std::mem::take(&mut *tally));
            tally.last = last;
        }
        sum
    }

    /// Forgets the streams as well: other senders follow.
    pub(crate) fn reset(&self) {
        for tally in &self.tallies {
            *tally.lock().expect("a tally") = Tally::default();
        }
    }
}

fn listen(ears: Vec<(std::net::UdpSocket, Arc<Mutex<Tally>>)>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        for (socket, tally) in ears {
            socket.set_nonblocking(true).expect("a socket that does not block");
            tokio::spawn(hear(UdpSocket::from_std(socket).expect("a socket"), tally));
        }
        std::future::pending::<()>().await;
    });
}

async fn hear(socket: UdpSocket, tally: Arc<Mutex<Tally>>) {
    let mut buffer = [0; 2048];
    loop {
        if let Ok(length) = socket.recv(&mut buffer).await {
            tally.lock().expect("a tally").hear(&buffer[..length], Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sequence: u16) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend([0; 8 + 160]);
        packet
    }

    #[test]
    fn losses_and_deviations_are_counted_over_the_wrap() {
        let start = Instant::now();
        let mut tally = Tally::default();
        for (sequence, at) in [(65_534, 0), (65_535, 20), (0, 43), (3, 100)] {
            tally.hear(&packet(sequence), start + Duration::from_millis(at));
        }
        assert_eq!((tally.received, tally.lost), (4, 2));
        assert_eq!(tally.deviations, [0, 3000]);
        assert_eq!(percentiles(&mut tally.deviations)[3], 3.0);
    }
}
