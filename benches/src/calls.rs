//! Calls set up and ended at a rate, by SIPp, in or out; each lasts a while, so that many stand at a time.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use offhook_client::Client;
use offhook_tests::app;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::{Report, RunningSipp, Sipp};
use offhook_tests::{ports, wait};

use crate::ivr::{self, Counts, Service};
use crate::process::{self, CpuTime};

/// What a run may take beyond its own length.
const GRACE: Duration = Duration::from_secs(60);

/// How far SIPp may stay behind the rate that it was told before the figure is not of that rate.
const PACE: f64 = 0.97;

/// The address of the server's RTP, its own, so that there are ports for every rate: a call gives its pair back, which
/// then rests for five seconds.
const RTP_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const RTP_FIRST: u16 = 2_000;
const RTP_PORTS: u16 = 62_000;

/// The core of the server where it has one only; what calls it is on the others.
pub(crate) const SERVER_CORE: usize = 0;

/// How calls are to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// So many in a second.
    pub(crate) rate: u32,
    /// So many in all.
    pub(crate) count: u32,
    /// How long each lasts.
    pub(crate) talk_ms: u32,
    /// Whether the server has one core only.
    pub(crate) one_core: bool,
}

/// How they went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// Whether every call came about and ended as it should.
    pub(crate) good: bool,
    /// Whether no message had to be sent again on either side, and SIPp kept to the rate.
    pub(crate) clean: bool,
}

/// SIPp calls the server; the application answers.
pub(crate) async fn inbound(plan: Plan) -> Outcome {
    let server = start(plan).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let before = Readings::take(&server);
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", plan.talk_ms);
    let sipp = scenario.load(plan.count, plan.rate).call(server.sip(), server.dir());
    finish("in", &server, sipp, &counts, before, plan).await
}

/// The last of the rates from `from` to `to`, each `step` above the one before, at which every call comes about and no
/// message has to be sent again, the server on one core and no packet of media anywhere.
pub(crate) async fn ceiling(seconds: u32, from: u32, to: u32, step: u32) -> bool {
    let mut last = None;
    for rate in (from..=to).step_by(step as usize) {
        let plan = Plan { rate, count: rate * seconds, talk_ms: 0, one_core: true };
        let outcome = inbound(plan).await;
        if !(outcome.good && outcome.clean) {
            break;
        }
        last = Some(rate);
    }
    match last {
        Some(rate) => {
            println!("last rate without a failure or a message sent again, on one core: {rate} calls/s");
        }
        None => println!("{from} calls/s, the first rate that was tried, is more than one core carries"),
    }
    last.is_some()
}

/// The application calls SIPp.
pub(crate) async fn outbound(plan: Plan) -> Outcome {
    let Plan { rate, count, talk_ms, .. } = plan;
    let server = start(plan).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let callee = Sipp::new("uas-bye").set("rtp_port", ports::one()).set("talk_ms", talk_ms).load(count, rate);
    let sipp = callee.listen(server.dir()).await;
    let client =
        Arc::new(Client::connect(&server.rpc_url(), None).await.expect("a connection to the server"));
    let before = Readings::take(&server);
    let mut pace = tokio::time::interval(Duration::from_secs(1) / rate);
    for _call in 0..count {
        pace.tick().await;
        let (client, counts, callee) = (Arc::clone(&client), Arc::clone(&counts), sipp.address());
        tokio::spawn(async move {
            if let Err(error) = client.construct(&app::to(callee)).await {
                eprintln!("not called: {error}");
                counts.failed.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    finish("out", &server, sipp, &counts, before, plan).await
}

/// With ports for every rate: what is looked for is where the machine ends, not where the limits do.
async fn start(plan: Plan) -> Server {
    let limits = "[limits]\ncalls = 100000\ncalls_per_second = 100000\nsource_requests_per_second = 100000\n";
    let setup = Setup {
        rtp_address: RTP_ADDRESS.into(),
        rtp_first: Some(RTP_FIRST),
        rtp_ports: RTP_PORTS,
        sections: limits.to_owned(),
        one_core: plan.one_core,
        ..Setup::default()
    };
    Server::start_with("bench-calls", &setup).await
}

/// What the counters of the machine said at one moment.
#[derive(Clone, Copy, Debug)]
struct Readings {
    at: Instant,
    server: CpuTime,
    own: CpuTime,
    children: CpuTime,
    dropped_at_server: u64,
    dropped: u64,
}

impl Readings {
    fn take(server: &Server) -> Self {
        let (dropped_at_server, dropped) = process::dropped(server.sip().port());
        Self {
            at: Instant::now(),
            server: CpuTime::of(server.id()),
            own: CpuTime::of(std::process::id()),
            children: CpuTime::of_ended_children(),
            dropped_at_server,
            dropped,
        }
    }
}

async fn finish(
    direction: &str,
    server: &Server,
    mut sipp: RunningSipp,
    counts: &Counts,
    before: Readings,
    plan: Plan,
) -> Outcome {
    let Plan { rate, count, talk_ms, .. } = plan;
    let length = Duration::from_secs(u64::from(count / rate)) + Duration::from_millis(u64::from(talk_ms));
    let report = sipp.report(length + GRACE).await;
    // Of a call that was refused for want of room the application never hears.
    let known = u64::from(count).saturating_sub(report.failed);
    let ended = || counts.released.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed);
    let all = async || (ended() >= known).then_some(());
    wait::until("the end of all calls", GRACE, all).await;
    let after = Readings::take(server);
    let resent = server.metric("offhook_sip_retransmissions_total").await;
    print(direction, plan, &report, counts, resent);
    print_limits(plan, before, after);
    let good = report.status.success() && report.failed == 0 && load(&counts.failed) == 0;
    let in_pace = report.rate >= f64::from(rate) * PACE;
    Outcome { good, clean: report.retransmissions + resent == 0 && in_pace }
}

fn print(direction: &str, plan: Plan, report: &Report, counts: &Counts, resent: u64) {
    println!("calls {direction}: {} at {} calls/s, {:.0} reached", plan.count, plan.rate, report.rate);
    println!("  SIPp           {} successful, {} failed", report.successful, report.failed);
    println!("  sent again     {} by SIPp, {resent} by the server", report.retransmissions);
    println!(
        "  application    {} released with cause 200, {} failed",
        load(&counts.released),
        load(&counts.failed)
    );
}

/// What the calls cost, and which side was the limit if there was one.
fn print_limits(plan: Plan, before: Readings, after: Readings) {
    let wall = after.at.duration_since(before.at);
    let share = |cpu: CpuTime| 100.0 * cpu.total().as_secs_f64() / wall.as_secs_f64();
    let server = after.server.since(before.server);
    let per_call = |time: Duration| time.as_secs_f64() * 1000.0 / f64::from(plan.count);
    println!(
        "  server CPU     {:.3} ms per call (user {:.3}, system {:.3}), RPC, events and the talk included",
        per_call(server.total()),
        per_call(server.user),
        per_call(server.system),
    );
    let sipp = share(after.children.since(before.children));
    let (server, own) = (share(server), share(after.own.since(before.own)));
    println!("  share of a core  server {server:.0} %, SIPp {sipp:.0} %, application {own:.0} %");
    println!(
        "  dropped        {} datagrams at the server's socket, {} at all sockets of this machine",
        after.dropped_at_server - before.dropped_at_server,
        after.dropped - before.dropped,
    );
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
