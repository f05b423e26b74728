//! Subscriptions: replay, gaps, filters, slow readers, the end.

use std::time::Duration;

use offhook::events::{Retention, append_recovered};
use offhook::recordings::Recovered;
use offhook::serial::First;
use offhook_call::Reply;
use offhook_call::event::UnixMs;
use offhook_client::wire::{
    CloseReason, EventKind, GapReason, OnClosed, OnGap, OnSyncBegin, OnSyncEnd, Subscribe,
};
use offhook_client::{Client, Error, Event, Events};
use serde_json::json;

use crate::server::{Log, RawWebSocket, Server, patient};

async fn next(events: &mut Events) -> Event {
    patient(events.next()).await.unwrap().unwrap()
}

async fn seqs(events: &mut Events, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    for _ in 0..count {
        seqs.push(next(events).await.seq);
    }
    seqs
}

#[tokio::test]
async fn replay_goes_over_into_what_happens() {
    let mut server = Server::start_unasked().await;
    for n in 1..=150 {
        server.ring(n);
    }
    let client = server.client().await;
    let mut from_now = client.subscribe(None, None).await.unwrap();
    let mut all = client.subscribe(Some(0), None).await.unwrap();
    let mut some = client.subscribe(Some(140), None).await.unwrap();
    for n in 151..=300 {
        server.ring(n);
        if n % 10 == 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(seqs(&mut all, 300).await, (1..=300).collect::<Vec<u64>>());
    assert_eq!(seqs(&mut some, 160).await, (141..=300).collect::<Vec<u64>>());
    assert_eq!(seqs(&mut from_now, 150).await, (151..=300).collect::<Vec<u64>>());
    let event = Event { ..next_ring(&mut server, &mut all).await };
    assert!(matches!(event.kind, EventKind::Ringing(ref ringing) if ringing.ring_time == 301));
    assert_eq!(event.time_ms, 301);
}

/// What lives comes first, as of one event; then what has happened since, without a hole.
#[tokio::test]
async fn what_lives_comes_before_what_happens() {
    let mut server = Server::start_unasked().await;
    for n in 1..=150 {
        server.ring(n);
    }
    let client = server.client().await;
    let snapshot = Subscribe { snapshot: true, ..Default::default() };
    let mut events = client.subscribe_as(&snapshot).await.unwrap();
    for n in 151..=160 {
        server.ring(n);
    }
    let begin = next(&mut events).await;
    assert_eq!(
        (begin.seq, begin.kind),
        (150, EventKind::SyncBegin(OnSyncBegin { calls: 0, conferences: 0 }))
    );
    let end = next(&mut events).await;
    assert_eq!((end.seq, end.kind), (150, EventKind::SyncEnd(OnSyncEnd {})));
    assert_eq!(seqs(&mut events, 10).await, (151..=160).collect::<Vec<u64>>());
    for params in [json!({ "snapshot": true, "after": 1 }), json!({ "snapshot": true, "group": "g" })] {
        let error = client.request("sys.event.subscribe", params).await.unwrap_err();
        let Error::Rpc { code, data, .. } = &error else { panic!("{error:?}") };
        assert_eq!((*code, &data["param"]), (-32602, &json!("snapshot")));
    }
}

async fn next_ring(server: &mut Server, events: &mut Events) -> Event {
    server.ring(301);
    next(events).await
}

#[tokio::test]
async fn what_is_not_kept_is_told() {
    let retention = Retention { bytes: 64 << 10, age: Duration::from_secs(3600) };
    let mut server = Server::start_with(&[], retention, |_| Ok(Reply::Done)).await;
    for n in 1..=2_000 {
        server.ring(n);
    }
    let client = server.client().await;
    // Whatever types are asked for.
    let mut events = client.subscribe(Some(5), Some(&["sys.call.on_ringing"])).await.unwrap();
    let gap = next(&mut events).await;
    let EventKind::Gap(OnGap { reason: GapReason::Expired, first: Some(6), last: Some(last) }) = gap.kind
    else {
        panic!("{gap:?}")
    };
    assert_eq!(gap.seq, last, "resuming after the notification is right");
    assert_eq!(next(&mut events).await.seq, last + 1);

    let mut ahead = client.subscribe(Some(10_000), None).await.unwrap();
    let gap = next(&mut ahead).await;
    assert_eq!(gap.kind, EventKind::Gap(OnGap { reason: GapReason::Restarted, first: None, last: None }));
    assert_eq!(next(&mut ahead).await.seq, gap.seq + 1);
}

#[tokio::test]
async fn who_begins_at_0_on_a_new_node_has_missed_nothing() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(3600) };
    let log = Log::of(retention, First { number: 1_000, is_new: true });
    let mut server = Server::start_on(log, &[], |_| Ok(Reply::Done)).await;
    let client = server.client().await;
    let mut early = client.subscribe(Some(0), None).await.unwrap();
    server.ring(1);
    server.ring(2);
    let mut late = client.subscribe(Some(0), None).await.unwrap();
    for events in [&mut early, &mut late] {
        assert_eq!(seqs(events, 2).await, [1_000, 1_001]);
    }
}

#[tokio::test]
async fn what_a_former_run_had_is_told_as_missing() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(3600) };
    let mut server = Server::start_on(Log::new(retention, 1_000), &[], |_| Ok(Reply::Done)).await;
    let client = server.client().await;
    let mut early = client.subscribe(Some(5), None).await.unwrap();
    let missing = EventKind::Gap(OnGap { reason: GapReason::Expired, first: Some(6), last: Some(999) });
    let gap = next(&mut early).await;
    assert_eq!((gap.seq, &gap.kind), (999, &missing));
    assert!(gap.time_ms > 1_700_000_000_000, "a notice happens when it is told, be it before any event");
    for n in 1..=10 {
        server.ring(n);
    }
    let mut late = client.subscribe(Some(5), None).await.unwrap();
    assert_eq!(next(&mut late).await.kind, missing);
    for events in [&mut early, &mut late] {
        assert_eq!(seqs(events, 10).await, (1_000..=1_009).collect::<Vec<u64>>());
    }
}

/// What is told at the start, as recordings that were cut off are, is told before anybody can be there to hear it.
#[tokio::test]
async fn what_is_told_at_the_start_needs_after() {
    let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(3600) };
    let mut log = Log::new(retention, 1_000);
    let cut_off =
        Recovered { owner: None, file: "a.wav".to_owned(), parts: 1, bytes: 480_058, repaired: true };
    append_recovered(&mut log.writer, UnixMs(1_800_000_000_000), vec![cut_off]);
    log.commit();
    let mut server = Server::start_on(log, &[], |_| Ok(Reply::Done)).await;
    let client = server.client().await;
    let mut from_now = client.subscribe(None, None).await.unwrap();
    let mut from_anywhere = client.subscribe(Some(0), None).await.unwrap();
    let mut from_before = client.subscribe(Some(700), None).await.unwrap();
    server.ring(1);
    assert_eq!(next(&mut from_now).await.seq, 1_001);
    for events in [&mut from_anywhere, &mut from_before] {
        assert!(matches!(next(events).await.kind, EventKind::Gap(_)));
        let told = next(events).await;
        assert!(matches!(told.kind, EventKind::RecordingRecovered(_)), "{told:?}");
        assert_eq!((told.seq, next(events).await.seq), (1_000, 1_001));
    }
}

#[tokio::test]
async fn types() {
    let mut server = Server::start_unasked().await;
    let client = server.client().await;
    let mut usual = client.subscribe(None, None).await.unwrap();
    let mut keys = client.subscribe(None, Some(&["sys.call.on_dtmf"])).await.unwrap();
    let mut all = client.subscribe(None, Some(&["sys.call.*"])).await.unwrap();
    server.ring(1);
    server.press(2);
    server.ring(3);
    server.press(4);
    assert_eq!(seqs(&mut usual, 2).await, [1, 3]);
    assert_eq!(seqs(&mut keys, 2).await, [2, 4]);
    assert_eq!(seqs(&mut all, 4).await, [1, 2, 3, 4]);

    let names = ["sys.call.on_ringing", "sys.call.on_rining"];
    let error = client.subscribe(None, Some(&names)).await.unwrap_err();
    let Error::Rpc { code, data, .. } = error else { panic!("{error}") };
    assert_eq!((code, &data["param"]), (-32602, &json!("types[1]")));
    for group in ["", &"x".repeat(65)] {
        let error = client.request("sys.event.subscribe", json!({ "group": group })).await.unwrap_err();
        let Error::Rpc { code, data, .. } = error else { panic!("{error}") };
        assert_eq!((code, &data["param"]), (-32602, &json!("group")));
    }
}

#[tokio::test]
async fn the_control_loop_knows_how_many_listen() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let client = server.client().await;
    let first = client.subscribe(None, None).await.unwrap();
    server.applications(1).await;
    let _second = client.subscribe(None, None).await.unwrap();
    server.applications(2).await;
    first.unsubscribe().await.unwrap();
    server.applications(1).await;
    drop(client);
    server.applications(0).await;
}

/// A console, or a collector of statistics: a call that comes in does not wait for it.
#[tokio::test]
async fn who_does_not_hear_of_inbound_calls_is_no_application() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let client = server.client().await;
    let _watcher = client.subscribe(None, Some(&["sys.call.on_state_changed", "sys.conf.*"])).await.unwrap();
    let _application = client.subscribe(None, Some(&["sys.call.on_i*"])).await.unwrap();
    server.applications(1).await;
}

#[tokio::test]
async fn a_subscription_ends_by_the_name_of_its_parameter_too() {
    let mut server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    socket.send(r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.subscribe"}"#).await;
    let reply = patient(socket.read_until("\"result\"")).await;
    let number = reply
        .rsplit("\"result\":")
        .next()
        .unwrap()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect::<String>();
    server.applications(1).await;
    let end = format!(
        r#"{{"jsonrpc":"2.0","id":2,"method":"sys.event.unsubscribe","params":{{"subscription":{number}}}}}"#
    );
    socket.send(&end).await;
    server.applications(0).await;
}

#[tokio::test]
async fn at_the_end_subscribers_hear_the_rest_and_why() {
    let mut server = Server::start_unasked().await;
    let client = server.client().await;
    let mut events = client.subscribe(None, None).await.unwrap();
    for n in 1..=200 {
        server.ring(n);
    }
    server.stop();
    assert_eq!(seqs(&mut events, 200).await, (1..=200).collect::<Vec<u64>>());
    let closed = next(&mut events).await;
    assert_eq!(
        (closed.seq, closed.kind),
        (200, EventKind::Closed(OnClosed { reason: CloseReason::ShuttingDown }))
    );
    assert!(patient(events.next()).await.is_none());
    server.stopped().await;
}

/// The library's own word, `"error"` in the place of `"result"`, is in no contract.
#[tokio::test]
async fn on_closed_is_the_last_message() {
    let mut server = Server::start_unasked().await;
    let mut socket = RawWebSocket::connect(&server).await;
    socket.send(SUBSCRIBE).await;
    server.applications(1).await;
    server.stop();
    let text = patient(socket.read_to_end()).await;
    assert_eq!(text.matches("sys.event.on_event").count(), 1, "{text}");
    assert!(text.contains("sys.event.on_closed") && !text.contains("error"), "{text}");
    server.stopped().await;
}

/// A connection that is lost without that word is an error.
#[tokio::test]
async fn a_lost_connection_is_no_end() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start_unasked().await;
    let (near, far) = (listener.local_addr().unwrap(), server.address);
    let between = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(far).await.unwrap();
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    let client = Client::connect(&format!("ws://{near}/rpc"), None).await.unwrap();
    let mut events = client.subscribe(None, None).await.unwrap();
    between.abort();
    assert!(matches!(patient(events.next()).await, Some(Err(Error::Connection(_)))));
    assert!(patient(events.next()).await.is_none());
}

/// A subscriber that reads nothing is cut off within a bound, and nobody else notices.
#[tokio::test]
async fn a2_a_stalled_subscriber_harms_nobody() {
    let retention = Retention { bytes: 64 << 20, age: Duration::from_secs(3600) };
    let mut server = Server::start_with(&[], retention, |_| Ok(Reply::Done)).await;
    let mut stalled = RawWebSocket::connect(&server).await;
    stalled.send(SUBSCRIBE).await;
    let client = server.client().await;
    let mut events = client.subscribe(None, None).await.unwrap();
    server.applications(2).await;
    // More than the sockets and the queue on the way to one connection can hold.
    for n in 1..=60_000 {
        server.ring(n);
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for expected in 1..=60_000 {
        assert_eq!(next(&mut events).await.seq, expected);
    }
    settle().await;
    // The bound is 10 s in which not one event is taken.
    pass(Duration::from_millis(10_001)).await;
    // Whatever was on its way is still to be had, and at its end the reason.
    let text = patient(stalled.read_until("slow_reader")).await;
    let closed = text.rsplit("\"seq\":").next().unwrap();
    assert!(closed.contains("sys.event.on_closed"), "{closed}");
    server.applications(1).await;
    // The other one still hears.
    server.ring(60_001);
    assert_eq!(next(&mut events).await.seq, 60_001);
}

/// One that does not even take what is on its way has its connection cut.
#[tokio::test]
async fn a2_a_dead_subscriber_is_forgotten() {
    let retention = Retention { bytes: 64 << 20, age: Duration::from_secs(3600) };
    let mut server = Server::start_with(&[], retention, |_| Ok(Reply::Done)).await;
    let mut stalled = RawWebSocket::connect(&server).await;
    stalled.send(SUBSCRIBE).await;
    server.applications(1).await;
    for n in 1..=60_000 {
        server.ring(n);
        if n % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    settle().await;
    // 10 s without a byte: no call waits for it any more.
    pass(Duration::from_millis(10_001)).await;
    server.applications(0).await;
    // 20 s more: what is on its way is all there is.
    settle().await;
    pass(Duration::from_millis(20_001)).await;
    settle().await;
    assert!(stalled.is_closed().await);
}

/// One that takes what it is sent and does not answer is told so, and closed with a reason: 1008 (RFC 6455 §7.4.1).
#[tokio::test]
async fn a_subscriber_that_answers_no_ping_is_told_so() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let mut silent = RawWebSocket::connect(&server).await;
    silent.send(SUBSCRIBE).await;
    server.applications(1).await;
    // Whatever it says is an answer to the ping that it began with.
    silent.send(r#"{"jsonrpc":"2.0","id":"on","method":"sys.call.exists","params":[""]}"#).await;
    patient(silent.read_until(r#""id":"on","result":false}"#)).await;
    // A ping goes out every 5 s, and 15 s are for its answer.
    pass(Duration::from_millis(5_001)).await;
    settle().await;
    pass(Duration::from_millis(14_000)).await;
    settle().await;
    server.ring(1);
    patient(silent.read_until("on_ringing")).await;
    pass(Duration::from_millis(1_001)).await;
    server.applications(0).await;
    let last = patient(silent.read_until("no_pong")).await;
    assert!(last.contains("sys.event.on_closed"), "{last}");
    settle().await;
    pass(Duration::from_millis(1_001)).await;
    let end = patient(silent.read_bytes_to_end()).await;
    assert!(end.ends_with(b"\x88\x09\x03\xf0no pong"), "{end:?}");
}

const SUBSCRIBE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.subscribe"}"#;

/// Lets everybody send what can be sent.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Lets time pass, at once.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
