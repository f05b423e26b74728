//! Many calls at the same time over a steady window: hearing a prompt, or answered and left alone.

use std::sync::atomic::Ordering;
use std::time::Duration;

use offhook_tests::server::{Server, Setup};
use offhook_tests::wait;
use offhook_tests::wav::Signal;

use crate::caller::{Call, Switchboard};
use crate::ear::{Ears, Tally};
use crate::ivr::{self, Service};
use crate::process::{CpuTime, resident_kib};
use crate::{floor, process};

/// The prompt: half a minute, played over and over; a tone, so that nothing in it is silence.
const PROMPT: &str = "bench.wav";
const PROMPT_MS: u32 = 30_000;
/// How fast calls are set up before the window.
const SET_UP_PER_SECOND: u32 = 50;
/// How long the callers may take to be answered, or to be gone, beyond the time of their setting up.
const GRACE: Duration = Duration::from_secs(60);
/// Packets that each caller has heard before the window begins.
const WARM_PACKETS: u64 = 50;

/// What the calls do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Hear a prompt.
    Prompts,
    /// Nothing.
    Idle,
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

/// Runs it, prints the figures, and says whether every call stood and every packet came.
pub(crate) async fn run(load: Load, calls: u16, seconds: u32) -> bool {
    raise_descriptor_limit();
    let setup = Setup { rtp_ports: calls * 2 + 40, ..Setup::default() };
    let server = Server::start_with("bench-steady", &setup).await;
    Signal::sine(440.0, 0.3, PROMPT_MS).write(&server.prompt(PROMPT));
    let service = if load == Load::Prompts { Service::Play(PROMPT) } else { Service::LeaveAlone };
    let counts = ivr::start(&server, service).await;
    let ears = Ears::open(calls);
    let board = Switchboard::open(server.sip()).await;

    // One call before all others: the prompt is in memory then, and what every first call needs once.
    let first = board.call(usize::MAX, ears.addresses()[0]).await.expect("a first call");
    wait::until("the first service", GRACE, async || {
        (counts.served.load(Ordering::Relaxed) == 1).then_some(())
    })
    .await;
    board.hang_up(first).await.expect("the end of the first call");
    wait::until("its release", GRACE, async || (counts.released.load(Ordering::Relaxed) == 1).then_some(()))
        .await;
    ears.reset();
    let resident_before = resident_kib(server.id());

    let standing = set_up(&board, &ears).await;
    let all = u64::from(calls) + 1;
    wait::until("all services", GRACE, async || (counts.served.load(Ordering::Relaxed) >= all).then_some(()))
        .await;
    if load == Load::Prompts {
        wait::until("voice on all calls", GRACE, async || (ears.least() >= WARM_PACKETS).then_some(())).await;
    }
    let mut window = measure(&server, &ears, calls, seconds, resident_before).await;
    for call in standing {
        if let Err(failed) = board.hang_up(call).await {
            eprintln!("not hung up: {}", failed.0);
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    wait::until("all releases", GRACE, async || {
        (counts.released.load(Ordering::Relaxed) >= all).then_some(())
    })
    .await;
    let resident_after = resident_kib(server.id());
    ears.reset();
    let floor = floor::measure(ears.addresses().to_vec()).await;
    let bare = ears.take().percentiles();

    let failed = counts.failed.load(Ordering::Relaxed);
    print(load, calls, seconds, &mut window, floor, bare);
    println!("  after the calls   {resident_after} KiB resident, {failed} failures");
    failed == 0 && window.heard.lost == 0
}

async fn set_up(board: &Switchboard, ears: &Ears) -> Vec<Call> {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / SET_UP_PER_SECOND);
    let mut standing = Vec::new();
    for (number, ear) in ears.addresses().iter().enumerate() {
        pace.tick().await;
        match board.call(number, *ear).await {
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
    let resident_with = process::resident_kib(server.id());
    Window { cpu, heard: ears.take(), resident_before, resident_with, call_seconds }
}

fn print(load: Load, calls: u16, seconds: u32, window: &mut Window, floor: f64, bare: [f64; 4]) {
    let per_call_second = |time: Duration| time.as_secs_f64() * 1000.0 / window.call_seconds;
    let (total, user, system) = (
        per_call_second(window.cpu.total()),
        per_call_second(window.cpu.user),
        per_call_second(window.cpu.system),
    );
    let what = if load == Load::Prompts { "hearing a prompt" } else { "answered and idle" };
    println!("{calls} calls {what}, {seconds} s, PCMU, 20 ms, loopback");
    println!("  server CPU        {total:.4} ms per call-second (user {user:.4}, system {system:.4})");
    println!("  send floor        {floor:.4} ms per call-second");
    if load == Load::Prompts {
        let expected = window.call_seconds * 50.0;
        println!("  ratio             {:.2} x the send floor", total / floor);
        println!(
            "  packets           {} heard of {expected:.0}, {} lost",
            window.heard.received, window.heard.lost
        );
        println!("  off 20 ms by      {}", deviations(window.heard.percentiles()));
        println!("    from bare       {} (the floor, heard the same way)", deviations(bare));
    }
    let (before, with) = (window.resident_before, window.resident_with);
    let each = with.saturating_sub(before) as f64 / f64::from(calls);
    println!(
        "  memory            {before} KiB resident before, {with} with the calls: {each:.1} KiB per call"
    );
}

fn deviations([p50, p99, p999, most]: [f64; 4]) -> String {
    format!("p50 {p50:.3}, p99 {p99:.3}, p99.9 {p999:.3}, most {most:.3} ms")
}

/// Each caller has a socket, and so has the floor's sender to it.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("the limit of open files stays: {error}");
    }
}
