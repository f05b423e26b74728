//! What calls cost once they stand: many of each kind over a steady window, each beside its floor, in one table.
//!
//! ```text
//!   floor ─▶ server ─▶ calls set up ─▶ warm ─▶ window: CPU, packets ─▶ hung up ─▶ floor      for each line
//! ```
//! The floor is measured before and after, since a machine changes in a minute.

use std::sync::atomic::Ordering;
use std::time::Duration;

use offhook_media::codec::resample::Resampler;
use offhook_media::codec::{Codec, Decoder, Encoder};
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait;
use offhook_tests::wav::Signal;

use crate::caller::{Call, Switchboard};
use crate::ear::{Ears, Tally};
use crate::files::Files;
use crate::floor::{self, Floor, thread_cpu};
use crate::ivr::{self, Counts, Service};
use crate::process::CpuTime;
use crate::rooms;
use crate::table::{self, Cost, Reach};
use crate::voices::{OPUS, PCMA, PCMU, Voices};

/// The prompt: half a minute, played over and over; a tone, so that nothing in it is silence.
const PROMPT: &str = "bench.wav";
const PROMPT_MS: u32 = 30_000;
/// How fast calls are set up before the window.
const SET_UP_PER_SECOND: u32 = 400;
/// How long the callers may take to be answered, or to be gone, beyond the time of their setting up.
const GRACE: Duration = Duration::from_secs(60);
/// Packets that each caller has heard before the window begins.
const WARM_PACKETS: u64 = 50;
/// How long a load that nobody hears stands before the window.
const WARM: Duration = Duration::from_secs(2);
/// How many calls growth is looked at with, and how much the dearest may cost more than the cheapest.
const GROWTH: [u16; 3] = [100, 1000, 4000];
const FLAT: f64 = 1.15;
/// Prompts at a time whose evenness is told beside that of the calls of the table.
const MANY_PROMPTS: u16 = 2000;
/// Recordings at a time that are told of beside those of the table.
const MANY_RECORDINGS: u16 = 500;
/// How far a file may be off the clock, in microseconds: 20 ms, and two periods of the voice by which a jitter buffer may have
/// changed its delay meanwhile.
const OFF_THE_CLOCK: u32 = 45_000;
/// How late a packet of a conference may never be, in microseconds: a whole tick.
const LATE: u32 = 20_000;
/// KiB that a call with a prompt may take.
const MEMORY: f64 = 40.0;

/// What calls do, and what they are measured by.
#[derive(Debug)]
pub(crate) struct Work {
    name: &'static str,
    what: &'static str,
    service: Service,
    /// Whether the callers speak.
    speaks: bool,
    /// The codecs of the first and the second of two calls.
    codecs: [u8; 2],
    /// The floor of one call.
    floor: Floor,
    /// What is to be reached.
    reach: Reach,
}

/// Calls that are recorded.
const RECORD: Work = Work {
    name: "record",
    what: "record, mu-law to mu-law",
    service: Service::Record,
    speaks: true,
    codecs: [PCMU, PCMU],
    floor: Floor::Receive,
    reach: Reach::Times(1.5),
};

/// All kinds, in the order of the design page.
const WORKS: [Work; 10] = [
    Work {
        name: "play",
        what: "play",
        service: Service::Play(PROMPT),
        speaks: false,
        codecs: [PCMU, PCMU],
        floor: Floor::Send,
        reach: Reach::Times(1.3),
    },
    Work {
        name: "play-rtp-in",
        what: "play, with RTP coming in",
        service: Service::Play(PROMPT),
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.33),
    },
    RECORD,
    Work {
        name: "forward",
        what: "connect, forwarded, each of two",
        service: Service::Connect,
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.5),
    },
    Work {
        name: "forward-record",
        what: "connect, recorded, each of two",
        service: Service::ConnectRecorded,
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.6),
    },
    Work {
        name: "transcode",
        what: "connect, PCMU and PCMA, each",
        service: Service::Connect,
        speaks: true,
        codecs: [PCMU, PCMA],
        floor: Floor::Both,
        reach: Reach::Times(1.5),
    },
    Work {
        name: "opus",
        what: "connect, PCMU and Opus, each (1)",
        service: Service::Connect,
        speaks: true,
        codecs: [PCMU, OPUS],
        floor: Floor::Both,
        reach: Reach::Times(1.2),
    },
    Work {
        name: "conference",
        what: "one conference of all, each",
        service: Service::Conference(ivr::EVERYBODY),
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.6),
    },
    Work {
        name: "conferences",
        what: "conferences of 3, each",
        service: Service::Conference(3),
        speaks: true,
        codecs: [PCMU, PCMU],
        floor: Floor::Both,
        reach: Reach::Times(1.6),
    },
    Work {
        name: "idle",
        what: "answered and idle",
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

/// A run of calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    /// Calls at the same time.
    pub(crate) calls: u16,
    /// The window in seconds.
    pub(crate) seconds: u32,
    /// How the server finds packets, `media.io` of its configuration.
    pub(crate) io: &'a str,
}

impl Plan<'_> {
    /// The same with so many calls.
    fn of(self, calls: u16) -> Self {
        Self { calls, ..self }
    }
}

/// What came out of a run.
#[derive(Debug)]
struct Outcome {
    cost: Cost,
    heard: Tally,
    /// What the callers heard of the floor.
    bare: Tally,
    kib_per_call: f64,
    /// The floor with files of its own, where something is recorded.
    with_files: Option<f64>,
    /// What was recorded, where that was the work.
    files: Option<Files>,
    failed: u64,
}

/// Runs the kind of this name, or all kinds and the rest of the design page's table. Whether every call stood and every
/// packet came.
pub(crate) async fn run(only: Option<&str>, plan: Plan<'_>) -> bool {
    raise_descriptor_limit();
    let Plan { seconds, io, .. } = plan;
    table::head(&format!("{seconds} s each, G.711, 20 ms, loopback, packets found by {io}"));
    let mut good = true;
    for work in WORKS.iter().filter(|work| only.is_none_or(|name| name == work.name)) {
        good &= tell(work, plan, one(work, plan).await);
    }
    if only.is_none() {
        rooms::lines();
        good &= many_prompts(plan).await;
        good &= tell(&RECORD, plan.of(MANY_RECORDINGS), one(&RECORD, plan.of(MANY_RECORDINGS)).await);
        good &= growth(plan).await;
        println!("(1) of the floor and the codecs, with resampling, together");
        println!("(2) the engine and sockets on one thread, without the server");
    }
    good
}

/// Prints what a run came to.
fn tell(work: &Work, plan: Plan<'_>, mut outcome: Outcome) -> bool {
    outcome.cost.print(work.what, plan.calls.into(), Some(work.reach));
    if let Service::Play(_) = work.service {
        evenness(&mut outcome, [Some(1.0), Some(2.0)]);
        if !work.speaks {
            let kib = outcome.kib_per_call;
            table::figure("  memory of a call", &format!("{kib:.1} KiB"), "40 KiB", kib <= MEMORY);
        }
    }
    if let Service::Conference(_) = work.service {
        evenness(&mut outcome, [None, None]);
        let late = outcome.heard.deviations.iter().filter(|&&micros| micros > LATE).count();
        table::figure("  later than the next one's time", &format!("{late} packets"), "0", late == 0);
    }
    if let Some(floor) = outcome.with_files {
        Cost { floor, ..outcome.cost }.print("  beside bare sockets and files", plan.calls.into(), None);
    }
    if let Some(files) = &mut outcome.files {
        recorded(files, plan.calls);
    }
    if !outcome.heard.delays.is_empty() {
        // What is mixed is played out first, behind a jitter buffer.
        let is_passed_on = matches!(work.service, Service::Connect | Service::ConnectRecorded);
        let most = is_passed_on.then_some(3.0);
        table::spread("added delay", &mut outcome.heard.delays, [most, None]);
    }
    outcome.is_good()
}

fn evenness(outcome: &mut Outcome, most: [Option<f64>; 2]) {
    table::spread("packets off 20 ms by", &mut outcome.heard.deviations, most);
    table::spread("  of the floor", &mut outcome.bare.deviations, [None, None]);
}

fn recorded(files: &mut Files, calls: u16) {
    table::spread("files off the clock by", &mut files.off, [None, None]);
    let most = files.off.last().copied().unwrap_or(u32::MAX);
    let Files { said, gaps, broken, .. } = *files;
    let is_whole = said == u64::from(calls) && gaps + broken == 0 && most <= OFF_THE_CLOCK;
    table::figure("  files", &format!("{said}, {broken} broken, {gaps} gaps"), "45 ms", is_whole);
}

/// How evenly many prompts are played.
async fn many_prompts(plan: Plan<'_>) -> bool {
    let mut outcome = one(&WORKS[0], plan.of(MANY_PROMPTS)).await;
    outcome.cost.print("play", MANY_PROMPTS.into(), Some(WORKS[0].reach));
    evenness(&mut outcome, [None, Some(5.0)]);
    outcome.is_good()
}

/// Whether a call costs the same however many there are.
async fn growth(plan: Plan<'_>) -> bool {
    let (mut costs, mut good) = (Vec::new(), true);
    for calls in GROWTH {
        let outcome = one(&WORKS[0], plan.of(calls)).await;
        outcome.cost.print("play, growth", calls.into(), None);
        costs.push(outcome.cost);
        good &= outcome.is_good();
    }
    // What a machine does not do as cheaply for few as for many, as it sleeps in between, is in the floor as well.
    let by_cpu: Vec<f64> = costs.iter().map(|cost| cost.cpu).collect();
    let by_floor: Vec<f64> = costs.iter().map(|cost| cost.cpu / cost.floor).collect();
    for (what, costs) in [("  growth", by_cpu), ("  growth beside the floor", by_floor)] {
        let (least, most) =
            costs.iter().fold((f64::MAX, 0.0_f64), |(a, b), cost| (a.min(*cost), b.max(*cost)));
        let measured = format!("dearest {:.2} x cheapest", most / least);
        table::figure(what, &measured, &format!("{FLAT:.2} x"), most <= FLAT * least);
    }
    good
}

async fn one(work: &Work, plan: Plan<'_>) -> Outcome {
    let ears = Ears::open(plan.calls);
    let before = floor::measure(&ears, work.floor, None).await;
    ears.reset();
    let setup = Setup {
        rtp_ports: plan.calls * 2 + 80,
        media: format!("io = \"{}\"", plan.io),
        gateway: "codecs = [\"PCMU\", \"PCMA\", \"opus\"]".to_owned(),
        ..Setup::default()
    };
    let server = Server::start_with("bench-media", &setup).await;
    Signal::sine(440.0, 0.3, PROMPT_MS).write(&server.prompt(PROMPT));
    let board = Switchboard::open(server.sip()).await;
    let counts = ivr::start(&server, work.service).await;
    warm_up(&counts, &board, &ears).await;
    let resident_before = server.resident_kib();
    let standing = set_up(work, &board, &ears).await;
    let all = u64::from(plan.calls);
    wait::until("all services", GRACE, async || (counts.served.load(Ordering::Relaxed) >= all).then_some(()))
        .await;
    let media = standing.iter().zip(work.codecs.into_iter().cycle()).map(|(call, codec)| (call.media, codec));
    let say = if let Service::Conference(_) = work.service { Voices::hum } else { Voices::begin };
    let voices = work.speaks.then(|| say(ears.streams(media)));
    if work.is_heard() {
        wait::until("voice on all calls", GRACE, async || (ears.least() >= WARM_PACKETS).then_some(())).await;
    } else {
        tokio::time::sleep(WARM).await;
    }
    let (cpu, heard) = measure(&server, &ears, plan).await;
    let kib = server.resident_kib().saturating_sub(resident_before);
    drop(voices);
    hang_up(&board, standing, &counts).await;
    let is_recorded = work.service == Service::Record;
    let files = is_recorded.then(|| Files::judge(&server.dir().join("recordings")));
    drop(server);
    ears.reset();
    let bare = floor::measure(&ears, work.floor, None).await.midpoint(before) + work.codec_cost();
    let heard_of_floor = ears.take();
    let with_files = match work.streams_per_file() {
        None => None,
        streams => Some(floor::measure(&ears, work.floor, streams).await),
    };
    Outcome {
        cost: Cost { cpu, floor: bare },
        heard,
        bare: heard_of_floor,
        with_files,
        files,
        kib_per_call: kib as f64 / f64::from(plan.calls),
        failed: counts.failed.load(Ordering::Relaxed),
    }
}

impl Outcome {
    /// Whether every call stood and every packet came.
    fn is_good(&self) -> bool {
        if self.failed + self.heard.lost > 0 {
            println!(
                "  {} calls failed, {} packets of {} lost",
                self.failed, self.heard.lost, self.heard.received
            );
        }
        self.failed + self.heard.lost == 0
    }
}

impl Work {
    /// Whether the callers hear anything.
    fn is_heard(&self) -> bool {
        !matches!(self.service, Service::Record | Service::LeaveAlone)
    }

    /// How many calls have a file together.
    fn streams_per_file(&self) -> Option<usize> {
        match self.service {
            Service::Record => Some(1),
            Service::ConnectRecorded => Some(2),
            _ => None,
        }
    }

    /// CPU milliseconds per call-second of decoding, resampling and encoding where the two codecs want it: each way once
    /// for two calls.
    fn codec_cost(&self) -> f64 {
        if !self.codecs.contains(&OPUS) {
            return 0.0;
        }
        let (opus, pcmu) = (Codec::Opus, Codec::Pcmu);
        [convert(opus, pcmu), convert(pcmu, opus)].iter().sum::<f64>() / 2.0
    }
}

/// CPU milliseconds for a second of one codec to become another.
fn convert(from: Codec, to: Codec) -> f64 {
    const FRAMES: u32 = 500;
    let (mut decoder, mut encoder) = (Decoder::new(from), Encoder::new(to));
    let mut resampler = Resampler::new(from.sample_rate(), to.sample_rate()).expect("rates of codecs");
    let payload = crate::voices::tone(from);
    let (mut samples, mut resampled, mut out) = (Vec::new(), Vec::new(), Vec::new());
    let frame = to.frame_samples();
    let begun = thread_cpu();
    for _ in 0..FRAMES {
        out.clear();
        samples.clear();
        decoder.decode(&payload, &mut samples);
        resampler.push(&samples, &mut resampled);
        while resampled.len() >= frame {
            encoder.encode(&resampled[..frame], &mut out);
            resampled.drain(..frame);
        }
    }
    (thread_cpu() - begun).as_secs_f64() * 1000.0 * 50.0 / f64::from(FRAMES)
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
    counts.reset().await;
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

/// CPU milliseconds of the server per call-second of a window, and what the callers heard in it.
async fn measure(server: &Server, ears: &Ears, plan: Plan<'_>) -> (f64, Tally) {
    ears.take();
    let (begun, before) = (std::time::Instant::now(), CpuTime::of(server.id()));
    tokio::time::sleep(Duration::from_secs(plan.seconds.into())).await;
    let spent = CpuTime::of(server.id()).since(before).total();
    let call_seconds = begun.elapsed().as_secs_f64() * f64::from(plan.calls);
    (table::per_call_second(spent, call_seconds), ears.take())
}

/// Hangs up, and waits until the application knows of each end.
async fn hang_up(board: &Switchboard, standing: Vec<Call>, counts: &Counts) {
    let all = u64::try_from(standing.len()).expect("a number of calls");
    for call in standing {
        if let Err(failed) = board.hang_up(call).await {
            eprintln!("not hung up: {}", failed.0);
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
    let over = || counts.released.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed);
    wait::until("all releases", GRACE, async || (over() >= all).then_some(())).await;
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
