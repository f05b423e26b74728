//! How soon the application hears that a caller has hung up: from the caller's BYE to the event at the client, over WebSocket,
//! with many calls up and a few of them replaced each second; and the same for a request that asks for next to nothing.
//!
//! ```text
//!   Switchboard ─ BYE ─▶ socket ─▶ control loop ─▶ Endpoint ─▶ Calls ─▶ event log ─▶ WebSocket ─▶ the application
//!               ╰──────────────────────── timed from here to there ────────────────────────────╯
//! ```
//! It is timed at both ends in this process, by one clock: from before the BYE is handed to the kernel until the client
//! has read `on_released`. The wake-ups of the bench's own tasks are in it.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use offhook_client::wire::EventKind;
use offhook_client::{Client, Events};
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait;
use tokio::sync::mpsc;

use crate::caller::{Call, Switchboard};
use crate::ivr::{self, Service};
use crate::process::CpuTime;
use crate::table;

/// The longest that all calls may take to stand or to end.
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls that are placed at the same time while the first ones are set up.
const AT_A_TIME: usize = 50;
/// What p99 is not to pass, in milliseconds.
const REACH_MS: f64 = 5.0;

/// What a run does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Calls that stand.
    pub(crate) calls: u16,
    /// So many of them end in a second, and others come for them.
    pub(crate) rate: u32,
    /// For so long.
    pub(crate) seconds: u32,
}

/// When the BYE of a call was sent, by its Call-ID.
type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// Prints how the times are spread. Whether every call ended as it should, and p99 is within reach.
pub(crate) async fn run(plan: Plan) -> bool {
    let server = start(plan).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let client = Client::connect(&server.rpc_url(), None).await.expect("a connection to the server");
    let events = client.subscribe(None, None).await.expect("a subscription");
    let board = Switchboard::open(server.sip()).await;
    let sent = Sent::default();
    let (times_sender, mut times) = mpsc::unbounded_channel();
    tokio::spawn(hear(events, Arc::clone(&sent), times_sender));
    let mut standing = stand(&board, usize::from(plan.calls)).await;
    let before = CpuTime::of(server.id());
    let ends = plan.rate * plan.seconds;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / plan.rate);
    let (arrived, mut arrivals) = mpsc::unbounded_channel();
    for number in 0..ends {
        pace.tick().await;
        let Some(call) = standing.pop_front() else { break };
        sent.lock().expect("the BYEs").insert(call.id().to_owned(), Instant::now());
        let (board, arrived) = (Arc::clone(&board), arrived.clone());
        let next = usize::from(plan.calls) + number as usize;
        tokio::spawn(async move {
            board.hang_up(call).await.expect("an end of the call");
            // Whoever counts the calls has gone only where the run has failed.
            let _ = arrived.send(board.call(next, nobody(), 0).await.expect("an answered call"));
        });
        while let Ok(call) = arrivals.try_recv() {
            standing.push_back(call);
        }
    }
    let mut heard = Vec::new();
    wait::until("the end of all calls", PATIENCE, async || {
        while let Ok(time) = times.try_recv() {
            heard.push(time);
        }
        (heard.len() >= ends as usize).then_some(())
    })
    .await;
    let spent = CpuTime::of(server.id()).since(before).total();
    println!(
        "{} calls up, {} of {} ended at {} a second; {:.1} % of a core for all of it",
        plan.calls,
        heard.len(),
        ends,
        plan.rate,
        100.0 * spent.as_secs_f64() / f64::from(plan.seconds)
    );
    table::spread("BYE to on_released", &mut heard, [Some(REACH_MS), None]);
    let failed = counts.failed.load(std::sync::atomic::Ordering::Relaxed);
    failed == 0 && heard.get(heard.len() * 99 / 100).is_some_and(|&p99| f64::from(p99) <= REACH_MS * 1000.0)
}

/// With as many ports as calls, and as many again that rest.
async fn start(plan: Plan) -> Server {
    let limits = "[limits]\ncalls = 100000\ncalls_per_second = 100000\nsource_requests_per_second = 100000\n";
    let setup = Setup {
        rtp_address: Ipv4Addr::new(127, 0, 0, 2).into(),
        rtp_first: Some(2_000),
        rtp_ports: 4 * plan.calls.max(1_000),
        sections: limits.to_owned(),
        ..Setup::default()
    };
    Server::start_with("bench-released", &setup).await
}

/// Where nobody listens: nothing is said in these calls.
fn nobody() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 9))
}

async fn stand(board: &Arc<Switchboard>, calls: usize) -> std::collections::VecDeque<Call> {
    let mut standing = std::collections::VecDeque::new();
    for first in (0..calls).step_by(AT_A_TIME) {
        let placed = (first..calls.min(first + AT_A_TIME)).map(|number| {
            let board = Arc::clone(board);
            tokio::spawn(async move { board.call(number, nobody(), 0).await.expect("an answered call") })
        });
        for call in placed.collect::<Vec<_>>() {
            standing.push_back(call.await.expect("a call"));
        }
    }
    standing
}

/// Tells how long after its BYE each call was released, in microseconds.
async fn hear(mut events: Events, sent: Sent, times: mpsc::UnboundedSender<u32>) {
    while let Some(Ok(event)) = events.next().await {
        let now = Instant::now();
        let EventKind::Released(released) = event.kind else { continue };
        let call_id = released.ipsc_info.call_id.unwrap_or_default();
        if let Some(at) = sent.lock().expect("the BYEs").remove(&call_id) {
            // Whoever takes the times has gone only where the run is over.
            let _ = times.send(u32::try_from((now - at).as_micros()).unwrap_or(u32::MAX));
        }
    }
}
