//! The short form of the load of `benches/`: forty calls at twenty a second, each way, none fails.

use std::collections::HashSet;
use std::time::Duration;

use offhook_client::wire::EventKind;
use offhook_tests::app::App;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;

const CALLS: u32 = 40;
const RATE: u32 = 20;
/// Two seconds of calls, the talk, and room for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn setup() -> Setup {
    Setup { rtp_ports: 200, ..Setup::default() }
}

#[tokio::test]
async fn forty_callers_are_answered() {
    let server = Server::start_with("load-in", &setup()).await;
    let mut app = App::connect(&server).await;
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", 1000).load(CALLS, RATE);
    let mut sipp = scenario.call(server.sip(), server.dir());
    let mut answering = Vec::new();
    let mut over = HashSet::new();
    while over.len() < CALLS as usize {
        match app.event("an event", PATIENCE, |kind| Some(kind.clone())).await {
            EventKind::Incoming(incoming) => {
                let client = app.client.clone();
                answering.push(tokio::spawn(async move { client.answer(&incoming.res_id, 60).await }));
            }
            EventKind::Released(released) => {
                assert_eq!(released.cause, 200, "{released:?}");
                assert!(over.insert(released.res_id));
            }
            _ => {}
        }
    }
    for answer in answering {
        answer.await.expect("a finished request").expect("an answered call");
    }
    assert_eq!(sipp.succeed(u64::from(CALLS), PATIENCE).await.retransmissions, 0);
    app.check_order();
}

#[tokio::test]
async fn forty_callees_are_called() {
    let server = Server::start_with("load-out", &setup()).await;
    let mut app = App::connect(&server).await;
    let callee = Sipp::new("uas-bye").set("rtp_port", ports::one()).set("talk_ms", 1000).load(CALLS, RATE);
    let mut sipp = callee.listen(server.dir()).await;
    let mut pace = tokio::time::interval(Duration::from_secs(1) / RATE);
    for _call in 0..CALLS {
        pace.tick().await;
        app.dial(sipp.address(), 20).await;
    }
    let mut over = HashSet::new();
    while over.len() < CALLS as usize {
        match app.event("an event", PATIENCE, |kind| Some(kind.clone())).await {
            EventKind::DialCompleted(dialled) => assert_eq!(dialled.error, None, "{dialled:?}"),
            EventKind::Released(released) => {
                assert_eq!(released.cause, 200, "{released:?}");
                assert!(over.insert(released.res_id));
            }
            _ => {}
        }
    }
    sipp.succeed(u64::from(CALLS), PATIENCE).await;
    app.check_order();
}
