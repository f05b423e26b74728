//! Connections that do more than let two callers hear each other: volumes, a recording of both in stereo, a file that both
//! hear over their talk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use offhook_client::wire::{ConnectStart, EventKind};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// One channel of a file, by sox.
fn channel(file: &Path, number: u8) -> Signal {
    let one = file.with_extension(format!("{number}.wav"));
    let mut command = Command::new("sox");
    command.arg(file).arg(&one).args(["remix", &number.to_string()]);
    assert!(command.output().expect("sox").status.success(), "{command:?}");
    Signal::read(&one)
}

async fn completed(app: &mut App, res_id: &str) -> Option<String> {
    let pick = |kind: &EventKind| match kind {
        EventKind::ConnectCompleted(event) if event.res_id == res_id => Some(event.error.clone()),
        _ => None,
    };
    app.event("on_connect_completed", PATIENCE, pick).await.map(|error| error.code)
}

/// `call-api.md` §4, connect_start: each is in its own channel as loud as it said it, and heard by the other as loud as was
/// asked for; the file is there when the end is told, also that of a hang-up.
#[tokio::test]
async fn a_connection_is_recorded_in_stereo_and_heard_as_loud_as_wanted() {
    let server = Server::start("connect-record").await;
    let mut app = App::connect(&server).await;
    for hangs_up in [false, true] {
        let mut first = Caller::answered(&server, &mut app).await;
        let mut second = Caller::answered(&server, &mut app).await;
        let file = format!("both-{hangs_up}.wav");
        let connect = ConnectStart {
            res_id: first.res_id.clone(),
            max_seconds: 60,
            call_res_id: second.res_id.clone(),
            record_file: Some(file.clone()),
            record_format: 7,
            record_stereo: true,
            local_volume: Some(-6),
            remote_volume: Some(-3),
            ..Default::default()
        };
        app.client.call(&connect).await.expect("a connection");
        let (one, other) =
            (Signal::read(&server.prompt("welcome.wav")), Signal::read(&server.prompt("you-entered.wav")));
        let (at_first, at_second) = (first.media, second.media);
        tokio::join!(first.rtp.speak(&one, at_first), second.rtp.speak(&other, at_second));
        tokio::time::sleep(Duration::from_millis(300)).await;
        if hangs_up {
            second.hang_up().await;
            assert_eq!(completed(&mut app, &first.res_id).await.as_deref(), Some("hangup"));
        } else {
            app.client.connect_stop(&first.res_id).await.expect("a stop");
            assert_eq!(completed(&mut app, &first.res_id).await, None);
        }
        let path = server.recording(&file);
        for (number, said, heard, gain) in
            [(1, &one, second.rtp.signal(), -3.0), (2, &other, first.rtp.signal(), -6.0)]
        {
            let found = channel(&path, number).find(said);
            assert!(found.correlation > 0.99 && found.gain_db.abs() < 0.2, "{number}: {found:?}");
            let found = heard.find(said);
            assert!(found.correlation > 0.99 && (found.gain_db - gain).abs() < 0.3, "{number}: {found:?}");
        }
        first.hang_up().await;
        app.released(&first.res_id).await;
        if !hangs_up {
            second.hang_up().await;
        }
        app.released(&second.res_id).await;
    }
    app.check_order();
}

#[tokio::test]
async fn a_file_is_heard_by_both_at_its_time() {
    let server = Server::start("connect-schedule").await;
    let mut app = App::connect(&server).await;
    let first = Caller::answered(&server, &mut app).await;
    let second = Caller::answered(&server, &mut app).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let connect = ConnectStart {
        res_id: first.res_id.clone(),
        max_seconds: 60,
        call_res_id: second.res_id.clone(),
        schedule_play_time: Some(i64::try_from(now.as_secs() + 2).expect("a time")),
        schedule_play_file: Some("thank-you.wav".to_owned()),
        schedule_play_loop: 1,
        ..Default::default()
    };
    app.client.call(&connect).await.expect("a connection");
    assert_eq!((first.rtp.count(), second.rtp.count()), (0, 0));
    let prompt = Signal::read(&server.prompt("thank-you.wav"));
    tokio::time::sleep(Duration::from_millis(2500 + prompt.milliseconds())).await;
    for caller in [&first, &second] {
        let mut heard = caller.rtp.signal();
        heard.0.extend(vec![0.0; 400]);
        let found = heard.find(&prompt);
        assert!(found.correlation > 0.99 && found.gain_db.abs() < 0.2, "{found:?}");
    }
    app.client.connect_stop(&first.res_id).await.expect("a stop");
    assert_eq!(completed(&mut app, &first.res_id).await, None);
    let missing = ConnectStart { schedule_play_file: Some("none.wav".to_owned()), ..connect };
    let error = app.client.call(&missing).await.expect_err("there is no such file").to_string();
    assert!(error.contains("none.wav"), "{error}");
    app.client.nop(&second.res_id).await.expect("the second is free again");
    first.hang_up().await;
    second.hang_up().await;
    app.released(&first.res_id).await;
    app.released(&second.res_id).await;
    app.check_order();
}
