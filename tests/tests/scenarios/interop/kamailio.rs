//! Kamailio, as the proxy on our way out and as the registrar of a trunk.

use std::time::Duration;

use offhook_client::wire::{Construct, EventKind, GatewayInfo, Gateways};
use offhook_tests::app::{self, App};
use offhook_tests::dir::TestDir;
use offhook_tests::kamailio::Kamailio;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;

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

/// A gateway at Kamailio.
fn trunk(kamailio: &Kamailio, keys: &str) -> Setup {
    let address = kamailio.address();
    let gateway =
        format!("[[sip.gateway]]\nname = \"trunk\"\naddress = \"{address}\"\nnetworks = []\n{keys}");
    Setup { gateway, ..Setup::default() }
}

async fn state_of_trunk(app: &App) -> GatewayInfo {
    let gateways = app.client.call(&Gateways {}).await.expect("gateways");
    gateways.into_iter().find(|gateway| gateway.name == "trunk").expect("the trunk")
}

/// RFC 3261 §10: with a password, again before it is over, and until the server ends; meanwhile calls to us arrive.
#[tokio::test]
async fn we_are_called_where_we_are_registered() {
    /// Kamailio grants no more: a refresh comes within three quarters of it.
    const EXPIRES: u32 = 10;
    let dir = TestDir::new("kamailio-registrar");
    let registrar = Kamailio::start(&dir, EXPIRES).await;
    let account = "register = true\nregister_aor = \"sip:alice@offhook.test\"\nusername = \"alice\"\npassword = \"secret\"";
    let mut server = Server::start_with("kamailio-in", &trunk(&registrar, account)).await;
    let mut app = App::connect_after(&server, Some(0)).await;
    let pick = |kind: &EventKind| match kind {
        EventKind::RegistrationState(event) => Some(event.clone()),
        _ => None,
    };
    let state = app.event("on_registration_state", PATIENCE, pick).await;
    assert_eq!((state.registered, state.expires, state.error), (true, Some(EXPIRES.into()), None));
    assert_eq!(state_of_trunk(&app).await.registered, Some(true));
    assert_eq!(registrar.count("REGISTER from alice"), 2, "the first is challenged");

    let caller = Sipp::new("uac-bye").set("rtp_port", ports::one()).set("talk_ms", 200).user("alice");
    let mut caller = caller.call(registrar.address(), &dir);
    let call = app.answer().await;
    caller.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
    registrar.saw("BYE from caller").await;

    let refresh = Duration::from_secs(EXPIRES.into()) + PATIENCE;
    registrar.saw_more_than(2, "REGISTER from alice", refresh).await;
    assert_eq!(state_of_trunk(&app).await.registered, Some(true));
    let before = registrar.count("REGISTER from alice");
    server.terminate();
    registrar.saw_more_than(before, "REGISTER from alice", PATIENCE).await;
    assert!(server.end(PATIENCE).await.success());
    // Nobody is called there any more: not even by the way of before.
    let gone = Sipp::new("uac-refused").set("rtp_port", ports::one()).set("status", 404);
    let gone = gone.set("header", "CSeq").set("value", "1 INVITE").user("alice");
    gone.call(registrar.address(), &dir).succeed(1, PATIENCE).await;
    app.check_order();
}

#[tokio::test]
async fn a_trunk_answers_to_options() {
    let dir = TestDir::new("kamailio-ping");
    let proxy = Kamailio::start(&dir, 60).await;
    let server = Server::start_with("kamailio-options", &trunk(&proxy, "options_ping_seconds = 5")).await;
    let mut app = App::connect_after(&server, Some(0)).await;
    let pick = |kind: &EventKind| match kind {
        EventKind::GatewayState(event) if event.gateway == "trunk" => Some((event.up, event.sip_status)),
        _ => None,
    };
    assert_eq!(app.event("on_gateway_state", PATIENCE, pick).await, (true, 200));
    assert_eq!(state_of_trunk(&app).await.up, Some(true));
}
