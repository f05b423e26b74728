//! How soon an application hears of what happens, at a rate of events, with readers beside it that do not read and web hooks that do
//! not answer, or without.
//!
//! ```text
//!   INVITE, INFO, BYE ─▶ socket ─┐                                           ┌─▶ the application
//!   sys.conf.release ──▶ RPC ────┴▶ control loop ─▶ event log, disk ─▶ WebSocket ─▶ 100 that stall, 10 hooks that hang
//!   ╰─────────────────────────────── timed from here to there ────────────────────╯
//! ```
//! Every event that is counted has a cause of its own, which is stamped before it is handed to the kernel or to the client; the
//! event when the client has read it. Both ends are in this process, by one clock, and its own wake-ups are in the figures.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offhook_client::wire::{ConfConstruct, ConfRelease, EventKind, WebhookAdd};
use offhook_client::{Client, Events};
use offhook_tests::server::{Server, Setup};
use offhook_tests::stalled::{Hanging, Stalled};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::caller::{Call, Switchboard};
use crate::ivr::{self, Counts, Service};
use crate::process::CpuTime;
use crate::table;

/// Calls in which keys are pressed: so many that at 2,000 events a second no key comes while the last one of its call is still
/// pressed, which would be one press.
const KEYPADS: u32 = 600;
/// The CSeq of the first key of a call; the INVITE has 1.
const FIRST_CSEQ: u32 = 2;
/// Of all events: one in so many is a call that comes, and one more its end; one in so many is the end of a conference.
const CALLS_IN: u32 = 20;
const CONFERENCES_IN: u32 = 5;
/// What p99 is not to pass beside readers that stall, in milliseconds, and what memory all of those may cost.
const REACH_MS: f64 = 20.0;
const REACH_KIB: u64 = 64 << 10;
/// How long what is on its way at the end may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Signs what hooks that hang are told.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// What is heard: nothing else happens because of something that has a stamp.
const TYPES: [&str; 4] =
    ["sys.call.on_incoming", "sys.call.on_released", "sys.call.on_dtmf", "sys.conf.on_released"];

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Events in a second.
    pub(crate) rate: u32,
    /// For so long.
    pub(crate) seconds: u32,
    /// Readers that stall, half by WebSocket and half by Server-Sent Events.
    pub(crate) stalled: u16,
    /// Web hooks that hang.
    pub(crate) hooks: u16,
}

/// What an event came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Cause {
    Invite,
    Bye,
    Key,
    Release,
}

impl Cause {
    const ALL: [(Self, &str); 4] = [
        (Self::Invite, "INVITE to on_incoming"),
        (Self::Bye, "BYE to on_released"),
        (Self::Key, "INFO to on_dtmf"),
        (Self::Release, "conf.release to on_released"),
    ];
}

/// An inbound call is told without its Call-ID: all INVITEs come by one socket, and are told in their order.
const IN_ORDER: &str = "";

/// A cause, and the Call-ID or the conference.
type Key = (Cause, String);

/// When the causes happened, those of one call in their order.
#[derive(Clone, Debug, Default)]
struct Stamps(Arc<Mutex<HashMap<Key, VecDeque<Instant>>>>);

impl Stamps {
    fn set(&self, cause: Cause, name: &str) {
        let mut stamps = self.0.lock().expect("the stamps");
        stamps.entry((cause, name.to_owned())).or_default().push_back(Instant::now());
    }

    fn take(&self, cause: Cause, name: &str) -> Option<Instant> {
        self.0.lock().expect("the stamps").get_mut(&(cause, name.to_owned()))?.pop_front()
    }

    /// Those whose events have not come.
    fn left(&self) -> usize {
        self.0.lock().expect("the stamps").values().map(VecDeque::len).sum()
    }
}

impl Plan {
    /// The same load with nobody beside it.
    fn alone(self) -> Self {
        Self { stalled: 0, hooks: 0, ..self }
    }

    fn is_alone(self) -> bool {
        self.stalled == 0 && self.hooks == 0
    }
}

/// What a run has shown.
struct Measured {
    /// From cause to event, in microseconds.
    heard: HashMap<Cause, Vec<u32>>,
    /// What the application has done.
    counts: Arc<Counts>,
    /// KiB that the server has taken in since the calls stand.
    more: u64,
    /// Readers that do not read which have something that waits for them.
    held_up: usize,
    /// CPU time of the server.
    spent: Duration,
    /// Events that have not come.
    left: usize,
}

/// Prints how the times are spread. Whether every event has come, and all is within reach.
///
/// A server that has events to keep grows by that alone. What those cost who stall is what it grows by beside them, less what
/// another one does by the same load without them.
pub(crate) async fn run(plan: Plan) -> bool {
    let alone = if plan.is_alone() { None } else { Some(measure(plan.alone()).await) };
    let measured = measure(plan).await;
    let is_good = alone.is_none_or(|alone| {
        let cost = measured.more.saturating_sub(alone.more);
        let (more, alone) = (measured.more, alone.more);
        println!("{more} KiB more than before, {alone} by the load alone");
        table::figure("KiB for those beside", &cost.to_string(), "65536", cost <= REACH_KIB);
        cost <= REACH_KIB
    });
    print(plan, measured) && is_good
}

async fn measure(plan: Plan) -> Measured {
    let server = start(plan).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let client = connect(&server).await;
    let board = Switchboard::open(server.sip()).await;
    let (keypads, names) = stand(&server, &board).await;
    let before = server.resident_kib();
    let beside = beside(&server, &client, plan).await;
    let stamps = Stamps::default();
    let (tell, mut times) = mpsc::unbounded_channel();
    let listener = connect(&server).await;
    let events = listener.subscribe(None, Some(&TYPES)).await.expect("a subscription");
    tokio::spawn(hear(events, stamps.clone(), names, tell));
    let cpu = CpuTime::of(server.id());
    load(plan, &board, &client, keypads, &stamps).await;
    let patience = Instant::now() + PATIENCE;
    while stamps.left() > 0 && Instant::now() < patience {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(listener);
    let spent = CpuTime::of(server.id()).since(cpu).total();
    let mut heard: HashMap<Cause, Vec<u32>> = HashMap::new();
    while let Ok((cause, time)) = times.try_recv() {
        heard.entry(cause).or_default().push(time);
    }
    let more = server.resident_kib().saturating_sub(before);
    let held_up = beside.1.iter().filter(|stalled| stalled.is_stalled()).count();
    Measured { heard, counts, more, held_up, spent, left: stamps.left() }
}

fn print(plan: Plan, measured: Measured) -> bool {
    let Measured { mut heard, counts, held_up, spent, left, .. } = measured;
    println!("{left} events have not come");
    let mut all: Vec<u32> = heard.values().flatten().copied().collect();
    println!(
        "{} events in {} s beside {} readers that stall ({held_up} held up) and {} hooks that hang; {:.1} % of a core",
        all.len(),
        plan.seconds,
        plan.stalled,
        plan.hooks,
        100.0 * spent.as_secs_f64() / f64::from(plan.seconds)
    );
    for (cause, what) in Cause::ALL {
        table::spread(what, heard.entry(cause).or_default(), [None, None]);
    }
    table::spread("all", &mut all, [(!plan.is_alone()).then_some(REACH_MS), None]);
    let failed = counts.failed.load(Ordering::Relaxed);
    if plan.is_alone() {
        return failed == 0 && left == 0;
    }
    let p99 = all.get(all.len() * 99 / 100).copied().unwrap_or(u32::MAX);
    failed == 0 && left == 0 && held_up == usize::from(plan.stalled) && f64::from(p99) <= REACH_MS * 1000.0
}

/// With ports for the calls that come and those that rest.
async fn start(plan: Plan) -> Server {
    let sections = format!(
        "[limits]\ncalls = 100000\ncalls_per_second = 100000\nsource_requests_per_second = 100000\nconferences = 100000\n\
         [events]\nstreams = {}\n[webhooks]\nallow_networks = [\"127.0.0.0/8\"]\n",
        plan.stalled
    );
    let setup = Setup {
        rtp_address: Ipv4Addr::new(127, 0, 0, 2).into(),
        rtp_first: Some(2_000),
        rtp_ports: 20_000,
        sections,
        ..Setup::default()
    };
    Server::start_with("bench-events", &setup).await
}

async fn connect(server: &Server) -> Arc<Client> {
    Arc::new(Client::connect(&server.rpc_url(), None).await.expect("a connection to the server"))
}

/// Calls that stand, with their Call-IDs, and those by what the application calls them.
async fn stand(server: &Server, board: &Switchboard) -> (Vec<(Call, String)>, HashMap<String, String>) {
    let client = connect(server).await;
    let mut events = client.subscribe(None, Some(&TYPES)).await.expect("a subscription");
    let (mut standing, mut names) = (Vec::new(), HashMap::new());
    for number in 0..KEYPADS as usize {
        let call = board.call(number, nobody(), 0).await.expect("an answered call");
        let id = call.id().to_owned();
        let event = events.next().await.expect("a subscription").expect("an event");
        let EventKind::Incoming(incoming) = event.kind else { panic!("{event:?}") };
        names.insert(incoming.res_id, id.clone());
        standing.push((call, id));
    }
    (standing, names)
}

fn nobody() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

/// Those that do not read and do not answer; they live as long as what is given back.
async fn beside(server: &Server, client: &Client, plan: Plan) -> (Vec<Hanging>, Vec<Stalled>) {
    let (mut hooks, mut stalled) = (Vec::new(), Vec::new());
    for _ in 0..plan.hooks {
        let hook = Hanging::listen().await;
        let (secret, types) = (Some(SECRET.to_owned()), Some(vec!["*".to_owned()]));
        let add = WebhookAdd { url: hook.url(), secret, types, ..Default::default() };
        client.call(&add).await.expect("a hook");
        hooks.push(hook);
    }
    for number in 0..plan.stalled {
        stalled.push(match number % 2 {
            0 => Stalled::by_websocket(server).await,
            _ => Stalled::by_stream(server).await,
        });
    }
    (hooks, stalled)
}

/// The load: keys, conferences and calls, each at a pace of its own.
async fn load(
    plan: Plan,
    board: &Arc<Switchboard>,
    client: &Arc<Client>,
    keypads: Vec<(Call, String)>,
    stamps: &Stamps,
) {
    let Plan { rate, seconds, .. } = plan;
    let (calls, conferences) = (rate / CALLS_IN, rate / CONFERENCES_IN);
    let keys = rate - 2 * calls - conferences;
    let mut parts = JoinSet::new();
    parts.spawn(press(board.clone(), keypads, keys, keys * seconds, stamps.clone()));
    parts.spawn(confer(client.clone(), conferences, conferences * seconds, stamps.clone()));
    parts.spawn(come_and_go(board.clone(), calls, calls * seconds, stamps.clone()));
    parts.join_all().await;
}

/// Keys in calls that stand, one call after the other.
async fn press(board: Arc<Switchboard>, keypads: Vec<(Call, String)>, rate: u32, count: u32, stamps: Stamps) {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    for number in 0..count {
        let (round, place) = (number / KEYPADS, number % KEYPADS);
        let (call, id) = &keypads[place as usize];
        pace.tick().await;
        stamps.set(Cause::Key, id);
        board.press(call, FIRST_CSEQ + round).await;
    }
}

/// Conferences that are opened and released.
async fn confer(client: Arc<Client>, rate: u32, count: u32, stamps: Stamps) {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    for _ in 0..count {
        pace.tick().await;
        let (client, stamps) = (client.clone(), stamps.clone());
        under_way.spawn(async move {
            let open = ConfConstruct { max_seconds: 60, ..Default::default() };
            let res_id = client.call(&open).await.expect("a conference").res_id;
            stamps.set(Cause::Release, &res_id);
            client.call(&ConfRelease { res_id }).await.expect("its end");
        });
    }
    under_way.join_all().await;
}

/// Calls that are answered and hung up.
async fn come_and_go(board: Arc<Switchboard>, rate: u32, count: u32, stamps: Stamps) {
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    let mut under_way = JoinSet::new();
    for number in 0..count as usize {
        pace.tick().await;
        let (board, stamps) = (board.clone(), stamps.clone());
        under_way.spawn(async move {
            let number = KEYPADS as usize + number;
            stamps.set(Cause::Invite, IN_ORDER);
            let call = board.call(number, nobody(), 0).await.expect("an answered call");
            stamps.set(Cause::Bye, call.id());
            board.hang_up(call).await.expect("an end of the call");
        });
    }
    under_way.join_all().await;
}

/// Tells how long after its cause each event was read, in microseconds.
async fn hear(
    mut events: Events,
    stamps: Stamps,
    calls: HashMap<String, String>,
    tell: mpsc::UnboundedSender<(Cause, u32)>,
) {
    while let Some(Ok(event)) = events.next().await {
        let now = Instant::now();
        let (cause, name) = match event.kind {
            EventKind::Incoming(_) => (Cause::Invite, IN_ORDER.to_owned()),
            EventKind::Released(released) => (Cause::Bye, released.ipsc_info.call_id.unwrap_or_default()),
            EventKind::Dtmf(dtmf) => (Cause::Key, calls.get(&dtmf.res_id).cloned().unwrap_or_default()),
            EventKind::ConferenceReleased(released) => (Cause::Release, released.res_id),
            _ => continue,
        };
        if let Some(at) = stamps.take(cause, &name) {
            // Whoever takes the times has gone only where the run is over.
            let _ = tell.send((cause, u32::try_from((now - at).as_micros()).unwrap_or(u32::MAX)));
        }
    }
}
