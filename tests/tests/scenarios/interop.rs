//! Peers of other makes, beside SIPp and baresip: linphone as a telephone, Kamailio as outbound proxy, sipsak as the
//! operator's tool.

use offhook_client::wire::{Construct, ReceiveDtmfStart};
use offhook_tests::app::{self, App};
use offhook_tests::dir::TestDir;
use offhook_tests::kamailio::Kamailio;
use offhook_tests::linphone::Linphone;
use offhook_tests::process::Process;
use offhook_tests::server::Server;
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;
use offhook_tests::wav::Signal;
use offhook_tests::{ports, wait};
use std::path::Path;

#[tokio::test]
async fn linphone_hears_the_prompt_and_presses_keys() {
    let server = Server::start("linphone-in").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let uri = format!("sip:service@{}", server.sip());
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());

    app.client.play_start(&call, "welcome.wav|thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    let collect = ReceiveDtmfStart { res_id: call.clone(), max_keys: 5, ..Default::default() };
    app.client.receive_dtmf_start(&collect).await.expect("a collection");
    for key in ["4", "7", "1", "1", "#"] {
        phone.type_in(key).await;
    }
    let collected = app.keys(&call).await;
    assert_eq!((collected.keys.as_str(), collected.finish_key.as_deref()), ("4711", Some("#")));
    phone.type_in("terminate").await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();

    phone.said("ended").await;
    let heard = Signal::read(&phone.quit().await);
    let found = heard.find(&Signal::read(&server.prompt("welcome.wav")));
    assert!(found.correlation > 0.9, "{found:?}");
}

#[tokio::test]
async fn linphone_is_called() {
    let server = Server::start("linphone-out").await;
    let mut app = App::connect(&server).await;
    let mut phone = Linphone::start(server.dir()).await;
    let call = app.dial_with(app::to(phone.address())).await;
    phone.said("Receiving new incoming call").await;
    phone.type_in("answer").await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    phone.said("ended").await;
    app.check_order();
}

/// By way of a proxy that asks for a password and stays in the path (Record-Route): the ACK and the BYE go through it too.
#[tokio::test]
async fn a_call_goes_out_through_kamailio() {
    let server = Server::start("kamailio-out").await;
    let mut app = App::connect(&server).await;
    let proxy = Kamailio::start(server.dir(), 60).await;
    let mut callee =
        Sipp::new("uas-answer").set("rtp_port", ports::one()).set("ring_ms", 50).listen(server.dir()).await;
    let construct = Construct {
        sip_proxy: Some(proxy.address().to_string()),
        sip_auth_username: Some("trunk".into()),
        sip_auth_password: Some("secret".into()),
        ..app::to(callee.address())
    };
    let call = app.dial_with(construct).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    proxy.saw("ACK from offhook").await;
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    callee.succeed(1, PATIENCE).await;
    proxy.saw("BYE from offhook").await;
    assert_eq!(proxy.count("INVITE from offhook"), 2, "the first is challenged");
    app.check_order();
}

#[tokio::test]
async fn sipsak_asks_whether_we_are_there() {
    let server = Server::start("sipsak").await;
    let dir = TestDir::new("sipsak");
    let uri = format!("sip:service@{}", server.sip());
    let mut sipsak = Process::start("sipsak", Path::new("sipsak"), ["-vv", "-s", &uri], dir.path());
    let status = wait::within("sipsak", PATIENCE, sipsak.end(PATIENCE)).await;
    assert!(status.success(), "{}", sipsak.log());
    assert!(sipsak.log().contains("SIP/2.0 200 OK"), "{}", sipsak.log());
}
