//! The callers' ears: one RTP socket per call. The kernel stamps each packet when it comes (`SO_TIMESTAMPNS`, socket(7)),
//! and one thread reads all sockets now and then. So what is measured is when packets came, not when somebody woke up for
//! them; and nobody is woken by a packet, which on the loopback would be paid for by who sends it. The thread gives way to
//! everybody else, so that none who sends has to wait for it.

use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt::ReceiveTimestampns};
use nix::sys::time::TimeSpec;
use rtp_rs::RtpReader;
use rustix::process::setpriority_process;

use crate::voices::{self, Stream};

/// The time between two packets of a stream.
const PACKET_TIME: Duration = Duration::from_millis(20);
/// How often the sockets are read. A socket holds the packets of seconds.
const SWEEP: Duration = Duration::from_millis(25);

/// The lowest priority, setpriority(2): of this thread alone, on Linux.
const LAST: i32 = 19;

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
    last: Option<(u16, Duration)>,
}

impl Tally {
    /// Takes a packet that came at this time of day, since 1970.
    fn hear(&mut self, packet: &[u8], at: Duration) {
        let Ok(packet) = RtpReader::new(packet) else { return };
        let sequence = u16::from(packet.sequence_number());
        self.received += 1;
        self.delays.extend(voices::age(packet.payload(), at).map(micros));
        if let Some((before, then)) = self.last {
            match sequence.wrapping_sub(before) {
                1 => {
                    self.deviations.push(micros(at.saturating_sub(then).abs_diff(PACKET_TIME)));
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
    ears: Arc<[Ear]>,
    addresses: Vec<SocketAddr>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One caller's: its socket, by which it speaks as well, since that is where the server hears it from.
#[derive(Debug)]
struct Ear {
    socket: Arc<UdpSocket>,
    tally: Mutex<Tally>,
}

impl Ears {
    /// Opens `count` of them, each on a free even port; they listen until this is dropped.
    pub(crate) fn open(count: u16) -> Self {
        let first = offhook_tests::ports::block(count * 2);
        let ports = (0..count).map(|index| first + 2 * index);
        let addresses: Vec<SocketAddr> = ports.map(|port| (Ipv4Addr::LOCALHOST, port).into()).collect();
        let ears: Arc<[Ear]> = addresses.iter().map(Ear::open).collect();
        let is_over = Arc::new(AtomicBool::new(false));
        let (told, heard) = (Arc::clone(&is_over), Arc::clone(&ears));
        let thread = std::thread::Builder::new().name("ears".into()).spawn(move || listen(&heard, &told));
        Self { ears, addresses, is_over, thread: Some(thread.expect("a thread for the ears")) }
    }

    /// A stream from each caller to where it is to speak to, in this payload type.
    pub(crate) fn streams(&self, to: impl IntoIterator<Item = (SocketAddr, u8)>) -> Vec<Stream> {
        let mouths = self.ears.iter().map(|ear| Arc::clone(&ear.socket));
        mouths.zip(to).map(|(socket, (to, payload_type))| Stream { socket, to, payload_type }).collect()
    }

    /// Where they listen.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The least number of packets that any of them has heard.
    pub(crate) fn least(&self) -> u64 {
        self.ears.iter().map(|ear| ear.tally().received).min().unwrap_or_default()
    }

    /// What all heard since the last time this was asked; a new window begins.
    pub(crate) fn take(&self) -> Tally {
        let mut sum = Tally::default();
        for ear in &*self.ears {
            let mut tally = ear.tally();
            let last = tally.last;
            sum.add(std::mem::take(&mut *tally));
            tally.last = last;
        }
        sum
    }

    /// Forgets the streams as well: other senders follow.
    pub(crate) fn reset(&self) {
        self.ears.iter().for_each(|ear| *ear.tally() = Tally::default());
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Ear {
    fn open(address: &SocketAddr) -> Self {
        let socket = UdpSocket::bind(address).expect("an RTP port");
        socket.set_nonblocking(true).expect("a socket that does not block");
        setsockopt(&socket, ReceiveTimestampns, &true).expect("stamps of the kernel");
        Self { socket: Arc::new(socket), tally: Mutex::default() }
    }

    fn tally(&self) -> std::sync::MutexGuard<'_, Tally> {
        self.tally.lock().expect("a tally")
    }

    /// Takes all packets that have come.
    fn listen(&self, stamp: &mut [u8]) {
        let mut packet = [0; 2048];
        loop {
            let mut into = [IoSliceMut::new(&mut packet)];
            let Ok(message) =
                recvmsg::<()>(self.socket.as_raw_fd(), &mut into, Some(stamp), MsgFlags::empty())
            else {
                return;
            };
            let (length, mut stamps) = (message.bytes, message.cmsgs().expect("room for a stamp"));
            let Some(ControlMessageOwned::ScmTimestampns(at)) = stamps.next() else { panic!("no stamp") };
            self.tally().hear(&packet[..length], of_day(at));
        }
    }
}

fn listen(ears: &[Ear], is_over: &AtomicBool) {
    // Who sends goes first, or would be late by the time that this takes: on two cores a wait of milliseconds, now and then.
    setpriority_process(None, LAST).expect("a lower priority");
    let mut stamp = nix::cmsg_space!(TimeSpec);
    while !is_over.load(Ordering::Relaxed) {
        ears.iter().for_each(|ear| ear.listen(&mut stamp));
        std::thread::sleep(SWEEP);
    }
}

fn of_day(stamp: TimeSpec) -> Duration {
    let seconds = u64::try_from(stamp.tv_sec()).expect("later than 1970");
    Duration::new(seconds, u32::try_from(stamp.tv_nsec()).expect("less than a second"))
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
        let mut tally = Tally::default();
        for (sequence, at) in [(65_534, 0), (65_535, 20), (0, 43), (3, 100)] {
            tally.hear(&packet(sequence), Duration::from_millis(at));
        }
        assert_eq!((tally.received, tally.lost), (4, 2));
        assert_eq!(tally.deviations, [0, 3000]);
        assert_eq!(percentiles(&mut tally.deviations)[3], 3.0);
    }
}
