//! Calls set up and ended at a rate, by SIPp, in or out; each lasts a while, so that many stand at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use offhook_client::Client;
use offhook_tests::app;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::{Report, RunningSipp, Sipp};
use offhook_tests::{ports, wait};

use crate::ivr::{self, Counts, Service};
use crate::process::CpuTime;

/// Where the search for the highest rate begins, in calls per second.
const FIRST_RATE: u32 = 100;

/// What a run may take beyond its own length.
const GRACE: Duration = Duration::from_secs(60);

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
    /// Messages that the caller had to send again.
    pub(crate) retransmissions: u64,
}

/// SIPp calls the server; the application answers.
pub(crate) async fn inbound(plan: Plan) -> Outcome {
    let server = start(plan).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let cpu = CpuTime::of(server.id());
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", plan.talk_ms);
    let sipp = scenario.load(plan.count, plan.rate).call(server.sip(), server.dir());
    finish("in", &server, sipp, &counts, cpu, plan).await
}

/// The highest rate at which every call comes about and no message has to be sent again, the server on one core and no
/// packet of media anywhere; found to within a tenth.
pub(crate) async fn ceiling(seconds: u32, highest: u32) -> bool {
    let (mut good, mut bad) = (0, highest + 1);
    let mut rate = FIRST_RATE.min(highest);
    while bad - good > (good / 10).max(1) {
        let plan = Plan { rate, count: rate * seconds, talk_ms: 0, one_core: true };
        let outcome = inbound(plan).await;
        if outcome.good && outcome.retransmissions == 0 {
            good = rate;
        } else {
            bad = rate;
        }
        rate = if bad > highest { (good * 2).min(highest) } else { good.midpoint(bad) };
        if good == highest {
            break;
        }
    }
    println!(
        "highest rate without a message sent again, on one core: {good} calls/s (tried up to {highest})"
    );
    good > 0
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
    let cpu = CpuTime::of(server.id());
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
    finish("out", &server, sipp, &counts, cpu, plan).await
}

/// With ports for the calls that stand at a time, half as many again, and what a quarantine of ports holds back.
async fn start(plan: Plan) -> Server {
    let Plan { rate, count, talk_ms, one_core } = plan;
    let standing = (rate * (talk_ms / 1000 + 8)).min(count);
    let rtp_ports = u16::try_from(standing * 3 + 100).unwrap_or(ports::MOST).min(ports::MOST);
    // What is looked for is where the machine ends, not where the limits do.
    let sections = "[limits]\ncalls_per_second = 100000\n".to_owned();
    Server::start_with("bench-calls", &Setup { rtp_ports, sections, one_core, ..Setup::default() }).await
}

async fn finish(
    direction: &str,
    server: &Server,
    mut sipp: RunningSipp,
    counts: &Counts,
    before: CpuTime,
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
    let cpu = CpuTime::of(server.id()).since(before);
    let per_call = cpu.total() / count;
    print(direction, plan, &report, counts, per_call);
    let good = report.status.success() && report.failed == 0 && load(&counts.failed) == 0;
    Outcome { good, retransmissions: report.retransmissions }
}

fn print(direction: &str, plan: Plan, report: &Report, counts: &Counts, per_call: Duration) {
    println!("calls {direction}: {} at {} calls/s", plan.count, plan.rate);
    println!("  SIPp           {} successful, {} failed", report.successful, report.failed);
    println!("                 {} messages sent again", report.retransmissions);
    println!(
        "  application    {} released with cause 200, {} failed",
        load(&counts.released),
        load(&counts.failed)
    );
    let per_call = per_call.as_secs_f64() * 1000.0;
    println!("  server CPU     {per_call:.2} ms per call, RPC, events and the talk included");
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
