//! The floor: the same packets to and from the same callers, by one thread with bare connected sockets at absolute 20 ms
//! ticks, each read once a tick. No telephony can cost less; what the server costs is told as a multiple of it.
//!
//! For recordings there is a second one, in which what was received is put into files of the same kind and as often.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use offhook_tests::dir::TestDir;
use rtp_rs::{RtpPacketBuilder, Seq};
use rustix::time::{ClockId, clock_gettime};

use crate::ear::Ears;
use crate::voices::Voices;

/// One packet each tick.
const TICK: Duration = Duration::from_millis(20);
/// How long it is measured each time: 125 ticks, so that a disturbance of one of them does not matter.
const SECONDS: f64 = 2.5;
const TICKS: u32 = 125;
/// Ticks whose audio is written at once, as the server does; a crash may cost 200 ms.
const SPAN: u32 = 5;
/// Bytes of the head of a packet, of that of a file in mu-law, and of 20 ms of audio.
const RTP_HEAD: usize = 12;
const WAV_HEAD: usize = 58;
const FRAME: usize = 160;

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

/// CPU milliseconds per stream and second. With a number, so many streams have a file together, to which what was received of
/// the first is written five packets at a time: their audio, and the head that counts it.
pub(crate) async fn measure(ears: &Ears, floor: Floor, streams_per_file: Option<usize>) -> f64 {
    let sockets: Vec<UdpSocket> = ears.addresses().iter().map(connected).collect();
    let ours = sockets.iter().map(|socket| (socket.local_addr().expect("a bound socket"), 0));
    let voices = (floor != Floor::Send).then(|| Voices::begin(ears.streams(ours)));
    let run = tokio::task::spawn_blocking(move || run(&sockets, floor, streams_per_file));
    let cost = run.await.expect("the floor's thread");
    drop(voices);
    cost
}

fn run(sockets: &[UdpSocket], floor: Floor, streams_per_file: Option<usize>) -> f64 {
    let mut buffer = [0; 2048];
    let folder = TestDir::new("floor");
    let has_tape = |number: &usize| streams_per_file.is_some_and(|streams| number.is_multiple_of(streams));
    let mut tapes: Vec<Option<Tape>> =
        (0..sockets.len()).map(|number| has_tape(&number).then(|| Tape::begin(&folder, number))).collect();
    let begun = Instant::now();
    let cpu = thread_cpu();
    for tick in 0..TICKS {
        let due = begun + TICK * tick;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        for ((number, socket), tape) in (0..).zip(sockets).zip(&mut tapes) {
            // A full buffer of a listener that fell behind is its loss, and a caller may be late.
            if floor != Floor::Send {
                let received = socket.recv(&mut buffer).unwrap_or_default();
                if let Some(tape) = tape {
                    tape.take(&buffer[RTP_HEAD.min(received)..received], (tick + number) % SPAN == 0);
                }
            }
            if floor != Floor::Receive {
                let _ = socket.send(&packet(tick));
            }
        }
    }
    let spent = thread_cpu() - cpu;
    spent.as_secs_f64() * 1000.0 / (SECONDS * sockets.len() as f64)
}

/// A file, and what is not in it yet.
struct Tape {
    file: File,
    audio: Vec<u8>,
    written: u64,
}

impl Tape {
    /// One that has been written to: what a file costs once is not of interest.
    fn begin(folder: &TestDir, number: usize) -> Self {
        let file = File::create(folder.join(&number.to_string())).expect("a file");
        let mut tape = Self { file, audio: Vec::new(), written: WAV_HEAD as u64 };
        tape.take(&[0; FRAME], true);
        tape
    }

    fn take(&mut self, audio: &[u8], is_due: bool) {
        self.audio.extend_from_slice(audio);
        if is_due {
            self.file.write_all_at(&self.audio, self.written).expect("a file that takes audio");
            self.written += self.audio.len() as u64;
            self.audio.clear();
            self.file.write_all_at(&[0; WAV_HEAD], 0).expect("a file that takes its head");
        }
    }
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
    builder.payload(&[0xff; FRAME]).build().expect("an RTP packet")
}

/// CPU time of this thread so far.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("CPU time is not negative")
}
