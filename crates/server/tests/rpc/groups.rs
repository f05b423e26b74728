//! Subscribers that share the work (`call-api.md` §2).

use offhook_call::Reply;
use offhook_call::command::Command;
use offhook_call::id::CallId;
use offhook_client::wire::{Construct, Subscribe};
use offhook_client::{Client, Error, Events};
use tokio::sync::Semaphore;

use crate::server::{Asked, RawWebSocket, Server, patient};

async fn join(client: &Client, after: Option<u64>) -> Events {
    let group = Some("ivr".to_owned());
    client.subscribe_as(&Subscribe { after, group, ..Default::default() }).await.unwrap()
}

fn construct() -> Construct {
    Construct {
        from_uri: "a@192.0.2.1".to_owned(),
        to_uri: "b@192.0.2.2".into(),
        max_answer_seconds: 60,
        ..Default::default()
    }
}

/// The next events: their numbers.
async fn seqs(events: &mut Events, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    for _ in 0..count {
        seqs.push(patient(events.next()).await.unwrap().unwrap().seq);
    }
    seqs
}

#[tokio::test]
async fn each_call_goes_to_one_with_all_its_events() {
    let mut server = Server::start_unasked().await;
    let (one, other, witness) = (server.client().await, server.client().await, server.client().await);
    let (mut first, mut second) = (join(&one, None).await, join(&other, None).await);
    let mut all = witness.subscribe(None, None).await.unwrap();
    for call in [1, 2, 1, 2, 3, 4] {
        server.tell(call, false);
    }
    for call in [1, 2, 3, 4] {
        server.tell(call, true);
    }
    assert_eq!(
        seqs(&mut all, 10).await,
        (1..=10).collect::<Vec<u64>>(),
        "who shares takes nothing from others"
    );
    // Which of the two gets which call is not told, so both are asked; between them they have everything once.
    let (one, other) = (seqs(&mut first, 5).await, seqs(&mut second, 5).await);
    let of_first = if one[0] == 1 { [&one, &other] } else { [&other, &one] };
    assert_eq!(of_first, [&[1, 3, 5, 7, 9], &[2, 4, 6, 8, 10]]);
}

/// What one had and has not acknowledged the other gets once more, in its order, before what comes then.
#[tokio::test]
async fn a5_the_calls_of_one_that_goes_pass_to_another() {
    let mut server = Server::start_unasked().await;
    let (one, other) = (server.client().await, server.client().await);
    let mut first = join(&one, None).await;
    for call in [1, 2, 1, 1] {
        server.tell(call, false);
    }
    server.tell(2, true);
    assert_eq!(seqs(&mut first, 5).await, [1, 2, 3, 4, 5]);
    assert_eq!(one.ack(2).await.unwrap().subscriptions, 1);
    let mut second = join(&other, None).await;
    assert_eq!(other.ack(0).await.unwrap().subscriptions, 1);
    drop((first, one));
    assert_eq!(seqs(&mut second, 3).await, [3, 4, 5]);
    server.tell(1, true);
    assert_eq!(seqs(&mut second, 1).await, [6]);
}

#[tokio::test]
async fn a_group_that_all_have_left_goes_on_where_it_was() {
    let mut server = Server::start_unasked().await;
    let one = server.client().await;
    let mut events = join(&one, None).await;
    server.tell(1, false);
    server.tell(2, false);
    assert_eq!(seqs(&mut events, 2).await, [1, 2]);
    one.ack(1).await.unwrap();
    drop((events, one));
    server.applications(0).await;
    server.tell(1, true);
    server.tell(3, false);
    let back = server.client().await;
    let mut events = join(&back, None).await;
    assert_eq!(seqs(&mut events, 3).await, [2, 3, 4], "what was not acknowledged, and what came since");
}

#[tokio::test]
async fn who_constructs_a_call_hears_of_it() {
    let constructed = |_: &_| Ok(Reply::Constructed { call: CallId(7), user_data: None });
    let mut server = Server::start(constructed).await;
    let (one, other) = (server.client().await, server.client().await);
    let (mut first, mut second) = (join(&one, None).await, join(&other, None).await);
    for (client, events) in [(&other, &mut second), (&one, &mut first)] {
        let res_id = client.construct(&construct()).await.unwrap().res_id;
        assert_eq!(res_id, "0.0.0-sys.call-7");
        server.tell(7, true);
        let heard = patient(events.next()).await.unwrap().unwrap();
        assert_eq!(heard.res_id(), Some(&*res_id));
        client.ack(heard.seq).await.unwrap();
    }
}

#[tokio::test]
async fn an_acknowledgement_is_for_groups() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    let _alone = client.subscribe(None, None).await.unwrap();
    assert_eq!(client.ack(0).await.unwrap().subscriptions, 0);
    let (status, body) =
        server.post(r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.ack","params":{"seq":1}}"#).await;
    assert_eq!((status, &body["result"]["subscriptions"]), (200, &serde_json::json!(0)));
}

/// What it has constructed and what it has answered; not what it has only heard of.
#[tokio::test]
async fn a5_calls_are_dropped_whose_application_does_not_come_back() {
    let script = |command: &Command| match command {
        Command::Construct(_) => Ok(Reply::Constructed { call: CallId(7), user_data: None }),
        _ => Ok(Reply::Done),
    };
    let mut server = Server::start(script).await;
    let client = server.client().await;
    let (group, hangup_after_seconds) = (Some("ivr".to_owned()), Some(1));
    let subscribe = Subscribe { group, hangup_after_seconds, ..Default::default() };
    let mut events = client.subscribe_as(&subscribe).await.unwrap();
    for call in [3, 4] {
        server.tell(call, false);
    }
    seqs(&mut events, 2).await;
    client.answer("0.0.0-sys.call-4", 60).await.unwrap();
    client.construct(&construct()).await.unwrap();
    drop((events, client));

    let mut dropped = Vec::new();
    while dropped.len() < 2 {
        if let Asked::Command(Command::Drop { call, cause }) = server.asked().await {
            dropped.push((call.0, cause));
        }
    }
    assert_eq!(dropped, [(4, 480), (7, 480)]);
}

/// The connection ends before the answer is there, and with it what the library waits for.
#[tokio::test]
async fn a5_what_an_application_has_asked_for_last_is_dropped_too() {
    let mut server = Server::start(|_| Ok(Reply::Done)).await;
    let mut application = RawWebSocket::connect(&server).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.subscribe",
        "params":{"group":"ivr","hangup_after_seconds":1}}"#;
    application.send(subscribe).await;
    application.read_until(r#""id":1"#).await;
    server.answers.forget_permits(Semaphore::MAX_PERMITS);
    application
        .send(r#"{"jsonrpc":"2.0","id":2,"method":"sys.call.answer","params":["0.0.0-sys.call-4",60]}"#)
        .await;
    while !matches!(server.asked().await, Asked::Command(Command::Answer { .. })) {}
    application.leave().await;
    server.answers.add_permits(2);
    while !matches!(server.asked().await, Asked::Command(Command::Drop { call: CallId(4), cause: 480 })) {}
}

#[tokio::test]
async fn calls_are_dropped_for_want_of_a_group_only() {
    let server = Server::start_unasked().await;
    let client = server.client().await;
    let subscribe = Subscribe { hangup_after_seconds: Some(1), ..Default::default() };
    let refused = client.subscribe_as(&subscribe).await.unwrap_err();
    let Error::Rpc { data, .. } = refused else { panic!("{refused:?}") };
    assert_eq!((&data["reason"], &data["param"]), (&"invalid_params".into(), &"hangup_after_seconds".into()));
}
