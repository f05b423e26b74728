//! The event stream over a broken connection (`call-api.md` §2): what was missed is replayed, with no gap and no duplicate.

use std::os::unix::process::ExitStatusExt;

use offhook_client::wire::EventKind;
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;

#[tokio::test]
async fn an_application_that_comes_back_gets_what_it_missed() {
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
async fn all_events_so_far_can_be_had_and_those_of_former_runs_are_a_gap() {
    let server = Server::start("from-zero").await;
    let mut first = App::connect(&server).await;
    let caller = Caller::answered(&server, &mut first).await;
    caller.hang_up().await;
    first.released(&caller.res_id).await;
    let mut late = App::connect_after(&server, Some(0)).await;
    late.released_within(&caller.res_id, PATIENCE).await;
    let (gap, events) = late.history().split_first().expect("events");
    // The server has told first that it is there, which nobody could have heard.
    let (started, told) = events.split_first().expect("events");
    assert!(matches!(started.kind, EventKind::NodeStarted(_)), "{started:?}");
    assert_eq!(told, first.history());
    // The numbers go on over a restart, so whoever asks from 0 is told up to which one nothing is known here.
    let EventKind::Gap(gap) = &gap.kind else { panic!("no gap is told first: {gap:?}") };
    assert_eq!((gap.first, gap.last), (Some(1), Some(events[0].seq - 1)));
}
