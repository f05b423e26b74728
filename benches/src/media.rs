//! What calls cost once they stand: many of each kind over a steady window, each beside its floor, in one table.

use std::sync::atomic::Ordering;
use std::time::Duration;

use offhook_tests::server::{Server, Setup};
use offhook_tests::wait;
use offhook_tests::wav::Signal;

use crate::caller::{Call, Switchboard};
use crate::ear::{Ears, Tally, percentiles};
use crate::floor::{self, Floor};
use crate::ivr::{self, Counts, Service};
use crate::process::{CpuTime, resident_kib};
use crate::voices::Voices;

/// The prompt: half a minute, played over and over; a tone, so that nothing in it is silence.
const PROMPT: &str = "bench.wav";
const PROMPT_MS: u32 = 30_000;
/// How fast calls are set up before the window.
const SET_UP_PER_SECOND: u32 = 200;
/// How long the callers may take to be answered, or to be gone, beyond the time of their setting up.
const GRACE: Duration = Duration::from_secs(60);
/// Packets that each caller has heard before the window begins.
const WARM_PACKETS: u64 = 50;
/// How long a load that nobody hears stands before the window.
const WARM: Duration = Duration::from_secs(1);

const PCMU: u8 = 0;
const PCMA: u8 = 8;

/// What calls do, and what they are measured by.
#[derive(Debug)]
pub(crate) struct Work {
    name: &'static str,
    service: Service,
    /// Whether the callers speak.
    speaks: bool,
    /// The codecs of the first and the second of two calls.
    codecs: [u8; 2],
    /// The floor of one call.
    floor: Floor,
    /// What is to be reached: as a multiple of the floor, or in milliseconds.
    reach: Reach,
}

#[derive(Clone, Copy, Debug)]
enum Reach {
    /// Of the floor.
    Times(f64),
    /// CPU milliseconds per call-second, whatever the floor.
    Millis(f64),
}

/// All kinds, in the order of the design page.
const WORKS: [Work; 6] = [
    Work {
        name: "play",
        service: Service::Play(PROMPT),
        speaks: false,
        codecs: [PCMU, PCMU],
        floor: Floor::Send,
        reach: Reach::Times(1.3),
    },
    Work {
        name: "play-rtp-in",
        service: Service::Play(PROMPT),
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.33),
    },
    Work {
        name: "record",
        service: Service::Record,
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Receive,
        reach: Reach::Times(1.5),
    },
    Work {
        name: "forward",
        service: Service::Connect,
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.5),
    },
    Work {
        name: "transcode",
        service: Service::Connect,
        speaks: true,
        codecs: [PCMU, PCMA],
        floor: Floor::Both,
        reach: Reach::Times(1.5),
    },
    Work {
        name: "idle",
        service: Service::LeaveAlone,
        speaks: false,
        codecs: [PCMU, PCMU],
        floor: Floor::Send,
        reach: Reach::Millis(0.02),
    },
];

/// The names of all kinds.
pub(crate) fn names() -> [&'static str; WORKS.len()] {
    WORKS.map(|work| work.name)
}

/// What came out of a window.
#[derive(Debug)]
struct Window {
    cpu: CpuTime,
    heard: Tally,
    resident_before: u64,
    resident_with: u64,
    call_seconds: f64,
}

/// Runs all kinds, or the one of this name, prints the table, and says whether every call stood and every packet came.
pub(crate) async fn run(only: Option<&str>, calls: u16, seconds: u32) -> bool {
    raise_descriptor_limit();
    println!(
        "{calls} calls, {seconds} s, G.711, 20 ms, loopback; CPU milliseconds of the server per call-second"
    );
    println!("work            CPU   (user  system)   floor  ratio  reach     heard   lost  KiB/call");
    let mut good = true;
    for work in WORKS.iter().filter(|work| only.is_none_or(|name| name == work.name)) {
        good &= one(work, calls, seconds).await;
    }
    good
}

async fn one(work: &Work, calls: u16, seconds: u32) -> bool {
    let server =
        Server::start_with("bench-media", &Setup { rtp_ports: calls * 2 + 80, ..Setup::default() }).await;
    Signal::sine(440.0, 0.3, PROMPT_MS).write(&server.prompt(PROMPT));
    let ears = Ears::open(calls);
    let board = Switchboard::open(server.sip()).await;
    let counts = ivr::start(&server, work.service).await;
    warm_up(&counts, &board, &ears).await;
    let resident_before = resident_kib(server.id());
    let standing = set_up(work, &board, &ears).await;
    let all = u64::from(calls);
    wait::until("all services", GRACE, async || (counts.served.load(Ordering::Relaxed) >= all).then_some(()))
        .await;
    let media = standing.iter().zip(work.codecs.into_iter().cycle()).map(|(call, codec)| (call.media, codec));
    let voices = work.speaks.then(|| Voices::begin(ears.streams(media)));
    if work.is_heard() {
        wait::until("voice on all calls", GRACE, async || (ears.least() >= WARM_PACKETS).then_some(())).await;
    } else {
        tokio::time::sleep(WARM).await;
    }
    let mut window = measure(&server, &ears, calls, seconds, resident_before).await;
    drop(voices);
    for call in standing {
        if let Err(failed) = board.hang_up(call).await {
            eprintln!("not hung up: {}", failed.0);
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    let over = || counts.released.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed);
    wait::until("all releases", GRACE, async || (over() >= all).then_some(())).await;
    ears.reset();
    let floor = floor::measure(&ears, work.floor).await;
    let mut bare = ears.take();
    print(work, calls, &mut window, floor, &mut bare);
    let failed = counts.failed.load(Ordering::Relaxed);
    if failed > 0 {
        println!("  {failed} calls failed");
    }
    failed == 0 && window.heard.lost == 0
}

impl Work {
    /// Whether the callers hear anything.
    fn is_heard(&self) -> bool {
        matches!(self.service, Service::Play(_) | Service::Connect)
    }
}

/// One call before all others: what every first one needs is in memory then.
async fn warm_up(counts: &Counts, board: &Switchboard, ears: &Ears) {
    let first = board.call(usize::MAX, ears.addresses()[0], PCMU).await.expect("a first call");
    wait::until("the first service", GRACE, async || {
        (counts.served.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;
    board.hang_up(first).await.expect("the end of the first call");
    wait::until("its release", GRACE, async || (counts.released.load(Ordering::Relaxed) == 1).then_some(()))
        .await;
    counts.reset();
    ears.reset();
}

async fn set_up(work: &Work, board: &Switchboard, ears: &Ears) -> Vec<Call> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / SET_UP_PER_SECOND);
    let mut standing = Vec::new();
    let codecs = work.codecs.into_iter().cycle();
    for ((number, ear), codec) in ears.addresses().iter().enumerate().zip(codecs) {
        pace.tick().await;
        match board.call(number, *ear, codec).await {
            Ok(call) => standing.push(call),
            Err(failed) => panic!("call {number}: {}", failed.0),
        }
    }
    standing
}

async fn measure(server: &Server, ears: &Ears, calls: u16, seconds: u32, resident_before: u64) -> Window {
    ears.take();
    let (begun, before) = (std::time::Instant::now(), CpuTime::of(server.id()));
    tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    let cpu = CpuTime::of(server.id()).since(before);
    let call_seconds = begun.elapsed().as_secs_f64() * f64::from(calls);
    let resident_with = resident_kib(server.id());
    Window { cpu, heard: ears.take(), resident_before, resident_with, call_seconds }
}

fn print(work: &Work, calls: u16, window: &mut Window, floor: f64, bare: &mut Tally) {
    let per_call_second = |time: Duration| time.as_secs_f64() * 1000.0 / window.call_seconds;
    let cpu = [window.cpu.total(), window.cpu.user, window.cpu.system].map(per_call_second);
    let reach = match work.reach {
        Reach::Times(times) => format!("{times:.2} x"),
        Reach::Millis(millis) => format!("{millis:.3}"),
    };
    let each = window.resident_with.saturating_sub(window.resident_before) as f64 / f64::from(calls);
    println!(
        "{:11} {:7.4}  ({:.4} {:.4})  {floor:.4}   {:4.2}  {reach:6}  {:8} {:6}   {each:6.1}",
        work.name,
        cpu[0],
        cpu[1],
        cpu[2],
        cpu[0] / floor,
        window.heard.received,
        window.heard.lost,
    );
    if let Service::Play(_) = work.service {
        println!("  off 20 ms by  {}", told(&mut window.heard.deviations));
        println!("  off, the bare {}", told(&mut bare.deviations));
    }
    if !window.heard.delays.is_empty() {
        println!("  mouth to ear  {}", told(&mut window.heard.delays));
    }
}

fn told(times: &mut [u32]) -> String {
    let [p50, p99, p999, most] = percentiles(times);
    format!("p50 {p50:.3}, p99 {p99:.3}, p99.9 {p999:.3}, most {most:.3} ms")
}

/// Each caller has a socket by two descriptors, and so has the floor's sender to it.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the limit of open files stays: {error}");
    }
}
