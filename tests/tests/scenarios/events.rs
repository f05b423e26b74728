//! The event stream over a broken connection (`call-api.md` §2): what was missed is replayed, with no gap and no duplicate.

use std::os::unix::process::ExitStatusExt;

use offhook_client::wire::{self, CallState, EventKind};
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::{self, PATIENCE};

#[tokio::test]
async fn a5_an_application_that_comes_back_gets_what_it_missed() {
    let server = Server::start("reconnect").await;
    // This one sees everything, uninterrupted; what the other one pieces together is measured by it.
    let mut witness = App::connect(&server).await;
    let mut app = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut app).await;
    let call = caller.res_id.clone();
    app.client.play_start(&call, "thank-you.wav", "").await.expect("a play");
    app.played(&call).await;
    let mut pieced: Vec<_> = app.history().to_vec();
    let last = pieced.last().expect("events").seq;
    app::vanish(app).await;

    // The call goes on without its application, and ends.
    assert_eq!(witness.played(&call).await.error, None);
    witness.client.play_start(&call, "goodbye.wav", "").await.expect("a play");
    witness.played(&call).await;
    caller.hang_up().await;
    witness.released(&call).await;

    let mut back = App::connect_after(&server, Some(last)).await;
    back.released(&call).await;
    // Live events follow the replayed ones.
    let next = Caller::answered(&server, &mut back).await;
    next.hang_up().await;
    back.released(&next.res_id).await;
    witness.released(&next.res_id).await;
    pieced.extend_from_slice(back.history());
    assert_eq!(pieced, witness.history());
    back.check_order();
    witness.check_order();
}

/// An application that begins anew is told all that lives, and then what has happened since.
#[tokio::test]
async fn who_begins_anew_is_told_what_lives() {
    let server = Server::start("snapshot").await;
    let mut app = App::connect(&server).await;
    let idle = Caller::answered(&server, &mut app).await;
    let playing = Caller::listening(&server, &mut app).await;
    let member = Caller::answered(&server, &mut app).await;
    let construct =
        wire::ConfConstruct { max_seconds: 60, user_data: Some("weekly".to_owned()), ..Default::default() };
    let conference = app.client.call(&construct).await.expect("a conference").res_id;
    let enter = wire::ConfEnter {
        res_id: member.res_id.clone(),
        conf_res_id: conference.clone(),
        max_seconds: 60,
        ..Default::default()
    };
    app.client.call(&enter).await.expect("a member");

    let snapshot = wire::Subscribe { snapshot: true, ..Default::default() };
    let mut events = app.client.subscribe_as(&snapshot).await.expect("a subscription");
    idle.hang_up().await;
    let mut told = Vec::new();
    loop {
        let event = wait::within("an event", PATIENCE, events.next()).await.expect("more").expect("an event");
        told.push(event);
        if matches!(told.last().expect("one").kind, EventKind::Released(_)) {
            break;
        }
    }
    let EventKind::SyncBegin(begin) = &told[0].kind else { panic!("{:?}", told[0]) };
    assert_eq!((begin.calls, begin.conferences), (3, 1));
    assert!(told[..6].iter().all(|event| event.seq == told[0].seq), "as of one event");
    let states: Vec<(&str, CallState)> = told[1..4]
        .iter()
        .map(|event| match &event.kind {
            EventKind::SyncCall(told) => (told.call.res_id.as_str(), told.call.state),
            _ => panic!("{event:?}"),
        })
        .collect();
    let calls = [(&idle, CallState::Idle), (&playing, CallState::Play), (&member, CallState::Conf)];
    assert_eq!(states, calls.map(|(caller, state)| (caller.res_id.as_str(), state)));
    let EventKind::SyncConference(room) = &told[4].kind else { panic!("{:?}", told[4]) };
    assert_eq!(
        (&room.conference.res_id, room.conference.user_data.as_deref()),
        (&conference, Some("weekly"))
    );
    assert_eq!(room.parts.iter().map(|part| &part.res_id).collect::<Vec<_>>(), [&member.res_id]);
    assert!(matches!(told[5].kind, EventKind::SyncEnd(_)));
    // What follows is what happened since, and no more.
    assert!(told[6..].iter().all(|event| event.seq > told[0].seq));
    assert_eq!(told.last().expect("its end").res_id(), Some(&*idle.res_id));
}

/// What an application has heard is still there when the server was killed and started again, and the numbers go on.
#[tokio::test]
async fn events_survive_a_kill_of_the_server() {
    let mut server = Server::start("events-killed").await;
    let mut app = App::connect(&server).await;
    for _ in 0..5 {
        let caller = Caller::answered(&server, &mut app).await;
        app.client.play_start(&caller.res_id, "thank-you.wav", "").await.expect("a play");
        app.played(&caller.res_id).await;
        caller.hang_up().await;
        app.released(&caller.res_id).await;
    }
    server.kill();
    let status = server.end(PATIENCE).await;
    assert_eq!(status.signal(), Some(9), "{status}");
    let heard = app.history().to_vec();
    let first = heard.first().expect("events").seq;

    server.start_again().await;
    let mut back = App::connect_after(&server, Some(first - 1)).await;
    let mut live = App::connect(&server).await;
    let next = Caller::answered(&server, &mut live).await;
    next.hang_up().await;
    back.released(&next.res_id).await;
    let (again, new) = back.history().split_at(heard.len());
    assert_eq!(again, heard);
    // Some that had to be named may lie between the last that was heard and those of this run.
    let missing = |event: &&offhook_client::Event| matches!(event.kind, EventKind::Gap(_));
    assert_eq!(new.iter().find(missing), None);
    let (last, first) = (heard.last().expect("events").seq, new.first().expect("events").seq);
    assert!(first > last && first < last + 50, "numbers go on: {first} after {last}");
}

#[tokio::test]
async fn all_events_so_far_can_be_had() {
    let server = Server::start("from-zero").await;
    let mut first = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut first).await;
    caller.hang_up().await;
    first.released(&caller.res_id).await;
    let mut late = App::connect_after(&server, Some(0)).await;
    late.released_within(&caller.res_id, PATIENCE).await;
    // The server has told first that it is there, which nobody could have heard; and that there was nothing before.
    let (started, told) = late.history().split_first().expect("events");
    assert!(matches!(started.kind, EventKind::NodeStarted(_)), "{started:?}");
    assert_eq!(told, first.history());
}
