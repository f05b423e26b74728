//! Phones whose media comes from another address than their descriptions name (symmetric RTP, reliability R1, R2).

use offhook_client::wire::{EventKind, MediaAlarm, RecordStart};
use offhook_tests::app::App;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;

/// What it says is recorded, and what it is told comes back to where it sends from, once it has sent a few packets. A
/// stranger who sprays packets from then on is sent nothing, and neither is the address that was named.
#[tokio::test]
async fn a_phone_behind_a_nat_hears_and_is_heard() {
    let setup = Setup { gateway: "symmetric = \"on\"\n".to_owned(), ..Setup::default() };
    let server = Server::start_with("nat", &setup).await;
    let mut app = App::connect(&server).await;
    let caller = Caller::listening(&server, &mut app).await;
    let mut phone = RtpPeer::listen(ports::one()).await;
    phone.speak(&Signal::sine(400.0, 0.3, 200), caller.media).await;
    phone.hear_more(10, PATIENCE).await;
    let alarm = |kind: &EventKind| match kind {
        EventKind::MediaAlarm(alarm) => Some(alarm.clone()),
        _ => None,
    };
    let alarm = app.event("on_media_alarm", PATIENCE, alarm).await;
    assert_eq!(alarm.kind, MediaAlarm::SourceChanged);
    assert!(alarm.detail.contains(&phone.port().to_string()), "{}", alarm.detail);

    app.client.play_stop(&caller.res_id).await.expect("a stop");
    app.played(&caller.res_id).await;
    let stranger = RtpPeer::listen(ports::one()).await;
    let named = caller.rtp.count();
    let said = Signal::read(&server.prompt("you-entered.wav"));
    let record = RecordStart {
        res_id: caller.res_id.clone(),
        max_seconds: 20,
        record_file: "nat.wav".into(),
        record_format: 7,
        ..Default::default()
    };
    app.client.record_start(&record).await.expect("a recording");
    let spray = async {
        let mut voice = [0x2a; 172];
        voice[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 160, 1, 2, 3, 4]);
        for sequence in 0..100 {
            voice[3] = sequence;
            stranger.send_raw(&voice, caller.media).await;
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::join!(phone.speak(&said, caller.media), spray);
    app.client.record_stop(&caller.res_id).await.expect("a stop");
    app.recorded(&caller.res_id).await;
    let found = Signal::read(&server.recording("nat.wav")).find(&said);
    assert!(found.correlation > 0.99, "{found:?}");
    assert_eq!((stranger.count(), caller.rtp.count()), (0, named));

    caller.hang_up().await;
    assert_eq!(app.released(&caller.res_id).await.cause, 200);
    app.check_order();
}

/// As it comes, nothing is learnt from who sends.
#[tokio::test]
async fn without_configuration_media_goes_where_it_was_asked_to() {
    let server = Server::start("no-nat").await;
    let mut app = App::connect(&server).await;
    let caller = Caller::listening(&server, &mut app).await;
    let mut phone = RtpPeer::listen(ports::one()).await;
    phone.speak(&Signal::sine(400.0, 0.3, 400), caller.media).await;
    caller.rtp.hear_more(10, PATIENCE).await;
    assert_eq!(phone.count(), 0);
    caller.hang_up().await;
    app.released(&caller.res_id).await;
}
