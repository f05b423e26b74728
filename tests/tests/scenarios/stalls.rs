//! Readers that do not read (`reliability.md` G13): nobody else's events are late for them, and neither are packets of calls. The
//! figure itself, of a release build, is measured by `cargo xtask bench events`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_client::Client;
use offhook_client::wire::{ConfConstruct, ConfRelease, EventKind, WebhookAdd};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::stalled::{Hanging, Stalled};
use offhook_tests::wait::PATIENCE;

/// Half of them by WebSocket, half by Server-Sent Events.
const STALLED: usize = 100;
const HANGING: usize = 10;
/// Signs what they are never told.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Conferences that are opened and released, each of them an event: what fills the sockets of those that do not read.
const EVENTS: usize = 3_000;
/// The same before there are any that stall.
const ALONE: usize = 500;
/// For so long at most, on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// Calls beside, in a second.
const RATE: u32 = 50;
/// What may be needed for all of them.
const MEMORY_KIB: u64 = 64 << 10;
/// The figure of G13 is 20 ms; this is not a machine of its own, nor a release build.
const LATE: Duration = Duration::from_millis(200);
/// On a machine that is so busy that events are late by themselves, so many times as late as those.
const BUSY: u32 = 4;

/// How long after their causes events were heard.
#[derive(Debug)]
#[allow(dead_code, reason = "shown")]
struct Late {
    p50: Duration,
    p99: Duration,
    most: Duration,
}

/// Opens and releases conferences, and hears of each that it is released.
async fn listen(app: &mut App, events: usize) -> Late {
    let (mut late, end) = (Vec::new(), Instant::now() + LONGEST);
    while late.len() < events && Instant::now() < end {
        let open = ConfConstruct { max_seconds: 60, ..Default::default() };
        let res_id = app.client.call(&open).await.expect("a conference").res_id;
        let begun = Instant::now();
        app.client.call(&ConfRelease { res_id: res_id.clone() }).await.expect("its end");
        let pick = |kind: &EventKind| match kind {
            EventKind::ConferenceReleased(event) if event.res_id == res_id => Some(()),
            _ => None,
        };
        app.event("on_released", PATIENCE, pick).await;
        late.push(begun.elapsed());
    }
    late.sort_unstable();
    let [p50, p99, most] = [50, 99, 100].map(|part| late[(late.len() - 1) * part / 100]);
    Late { p50, p99, most }
}

/// Answers every call.
async fn attend(client: Client) {
    let client = Arc::new(client);
    let mut events = client.subscribe(None, None).await.expect("a subscription");
    while let Some(Ok(event)) = events.next().await {
        if let EventKind::Incoming(incoming) = event.kind {
            let client = client.clone();
            tokio::spawn(async move { client.answer(&incoming.res_id, 60).await });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g13_a_hundred_that_stall_and_ten_hooks_that_hang_hold_up_nobody() {
    let sections = format!("[events]\nstreams = {STALLED}\n[webhooks]\nallow_networks = [\"127.0.0.0/8\"]\n");
    let server = Server::start_with("stalled", &Setup { sections, rtp_ports: 800, ..Setup::default() }).await;
    let mut app = App::connect(&server).await;
    let control = Caller::listening(&server, &mut app).await;
    let alone = listen(&mut app, ALONE).await;
    let before = server.resident_kib();
    let (mut hooks, mut stalled) = (Vec::new(), Vec::new());
    for _ in 0..HANGING {
        let hook = Hanging::listen().await;
        let (secret, types) = (Some(SECRET.to_owned()), Some(vec!["*".to_owned()]));
        let add = WebhookAdd { url: hook.url(), secret, types, ..Default::default() };
        app.client.call(&add).await.expect("a hook");
        hooks.push(hook);
    }
    for _ in 0..STALLED / 2 {
        stalled.push(Stalled::by_websocket(&server).await);
        stalled.push(Stalled::by_stream(&server).await);
    }
    // Who reads a stream of Server-Sent Events hears of calls only.
    let attending = tokio::spawn(attend(Client::connect(&server.rpc_url(), None).await.expect("a client")));
    let scenario = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", 0);
    let calling = scenario.load(100_000, RATE).call(server.sip(), server.dir());
    let late = listen(&mut app, EVENTS).await;
    drop(calling);
    attending.abort();
    let held_up = stalled.iter().filter(|stalled| stalled.is_stalled()).count();
    let more = server.resident_kib().saturating_sub(before);
    println!("{held_up} of {STALLED} are held up; {more} KiB more; events after {late:?}, alone {alone:?}");
    assert_eq!(held_up, STALLED, "events wait for all of them");
    assert!(late.p99 < LATE.max(BUSY * alone.p99), "{late:?}, alone {alone:?}");
    assert!(more < MEMORY_KIB, "{more} KiB");
    control.rtp.hear_more(25, PATIENCE).await;
    control.assert_unbroken();
    control.hang_up().await;
    app.released(&control.res_id).await;
    app.check_order();
}
