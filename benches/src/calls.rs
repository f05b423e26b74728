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

/// What a run may take beyond its own length.
const GRACE: Duration = Duration::from_secs(60);

/// SIPp calls the server; the application answers.
pub(crate) async fn inbound(rate: u32, count: u32, talk_ms: u32) -> bool {
    let server = start(rate, count, talk_ms).await;
    let counts = ivr::start(&server, Service::LeaveAlone).await;
    let cpu = CpuTime::of(server.id());
    let scenario =
        Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", talk_ms).load(count, rate);
    let sipp = scenario.call(server.sip(), server.dir());
    finish("in", &server, sipp, &counts, cpu, (rate, count, talk_ms)).await
}

/// The application calls SIPp.
pub(crate) async fn outbound(rate: u32, count: u32, talk_ms: u32) -> bool {
    let server = start(rate, count, talk_ms).await;
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
    finish("out", &server, sipp, &counts, cpu, (rate, count, talk_ms)).await
}

/// With ports for the calls that stand at a time, half as many again, and what a quarantine of ports holds back.
async fn start(rate: u32, count: u32, talk_ms: u32) -> Server {
    let standing = (rate * (talk_ms / 1000 + 8)).min(count);
    let rtp_ports = u16::try_from(standing * 3 + 100).unwrap_or(ports::MOST).min(ports::MOST);
    Server::start_with("bench-calls", &Setup { rtp_ports, ..Setup::default() }).await
}

async fn finish(
    direction: &str,
    server: &Server,
    mut sipp: RunningSipp,
    counts: &Counts,
    before: CpuTime,
    (rate, count, talk_ms): (u32, u32, u32),
) -> bool {
    let length = Duration::from_secs(u64::from(count / rate)) + Duration::from_millis(u64::from(talk_ms));
    let report = sipp.report(length + GRACE).await;
    let ended = || counts.released.load(Ordering::Relaxed) + counts.failed.load(Ordering::Relaxed);
    let all = async || (ended() >= u64::from(count)).then_some(());
    wait::until("the end of all calls", GRACE, all).await;
    let cpu = CpuTime::of(server.id()).since(before);
    print(direction, rate, count, &report, counts, cpu);
    let failed = &counts.failed;
    report.status.success() && report.failed == 0 && load(failed) == 0
}

fn print(direction: &str, rate: u32, count: u32, report: &Report, counts: &Counts, cpu: CpuTime) {
    println!("calls {direction}: {count} at {rate} calls/s");
    println!("  SIPp           {} successful, {} failed", report.successful, report.failed);
    println!("                 {} messages sent again", report.retransmissions);
    println!(
        "  application    {} released with cause 200, {} failed",
        load(&counts.released),
        load(&counts.failed)
    );
    let per_call = cpu.total().as_secs_f64() * 1000.0 / f64::from(count);
    println!("  server CPU     {per_call:.2} ms per call, RPC, events and the talk included");
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
