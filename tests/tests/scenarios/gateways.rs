//! Gateways of the configuration: the next address, limits, registration, OPTIONS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use offhook_client::wire::{Construct, ErrorData, EventKind, GatewayInfo, Gateways};
use offhook_tests::agent::Message;
use offhook_tests::app::{self, App};
use offhook_tests::peer::Peer;
use offhook_tests::ports;
use offhook_tests::server::{Server, Setup};
use offhook_tests::wait::PATIENCE;

pub(crate) type Answer = Option<(&'static str, String, String)>;

/// Takes every call: 200 with an answer in a-law, and 200 to its end.
pub(crate) fn takes_calls(rtp_port: u16) -> impl Fn(&Message) -> Answer {
    move |request| {
        if request.is_request("INVITE") {
            let sdp = format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio {rtp_port} RTP/AVP 8\r\n"
            );
            let headers = "Contact: <sip:peer@127.0.0.1:9>\r\nContent-Type: application/sdp\r\n";
            return Some(("200 OK", headers.to_owned(), sdp));
        }
        request.is_request("BYE").then(|| ("200 OK", String::new(), String::new()))
    }
}

/// One more gateway, whose calls come from nowhere.
fn setup(gateway: &str) -> Setup {
    Setup {
        sip: "t1_ms = 20\nt2_ms = 80".to_owned(),
        gateway: format!("[[sip.gateway]]\nname = \"carrier\"\nnetworks = []\n{gateway}"),
        ..Setup::default()
    }
}

fn carrier() -> Construct {
    Construct { to_uri: "bob@carrier".into(), ..app::to("127.0.0.1:9".parse().expect("an address")) }
}

async fn state_of_carrier(app: &App) -> GatewayInfo {
    let gateways = app.client.call(&Gateways {}).await.expect("gateways");
    gateways.into_iter().find(|gateway| gateway.name == "carrier").expect("the carrier")
}

/// RFC 3263 §4.3 has it so for the addresses of one name; a list of addresses is no different.
#[tokio::test]
async fn the_second_address_answers_where_the_first_is_dead() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let peer = Peer::start(takes_calls(ports::one())).await;
    let dead = silent.local_addr().expect("an address");
    let address = format!("address = [\"{dead}\", \"{}\"]", peer.address());
    let server = Server::start_with("gw-failover", &setup(&address)).await;
    let mut app = App::connect(&server).await;
    let call = app.dial_with(carrier()).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    let info = app.client.get(&call).await.expect("a call");
    assert_eq!(info.gateway.as_deref(), Some("carrier"));
    assert_eq!(state_of_carrier(&app).await.calls, 1);
    app.hang_up(&call).await;
    app.released(&call).await;
    assert_eq!(state_of_carrier(&app).await.calls, 0);
    app.check_order();
}

#[tokio::test]
async fn a_full_gateway_takes_no_more() {
    let peer = Peer::start(takes_calls(ports::one())).await;
    let address = format!("address = \"{}\"\nmax_calls = 1", peer.address());
    let server = Server::start_with("gw-full", &setup(&address)).await;
    let mut app = App::connect(&server).await;
    let call = app.dial_with(carrier()).await;
    app.dialled(&call, PATIENCE).await;
    let refusal = app.client.construct(&carrier()).await.expect_err("the gateway is full");
    let full = ErrorData::LimitReached { limit: "gateway_calls".to_owned(), value: 1 };
    assert_eq!(refusal.data(), Some(full));
    app.hang_up(&call).await;
    app.released(&call).await;
    let call = app.dial_with(carrier()).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
}

/// RFC 3261 §10.2 and §22.2: challenged, answered, registered for as long as the registrar says.
#[tokio::test]
async fn an_account_is_registered() {
    let registrar = |request: &Message| {
        if !request.is_request("REGISTER") {
            return None;
        }
        if request.header("Authorization").is_none() {
            let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", qop=\"auth\"\r\n";
            return Some(("401 Unauthorized", challenge.to_owned(), String::new()));
        }
        let contact = request.header("Contact").unwrap_or_default();
        let contact = contact.split(';').next().unwrap_or_default();
        Some(("200 OK", format!("Contact: {contact};expires=300\r\n"), String::new()))
    };
    let mut peer = Peer::start(registrar).await;
    let account = format!(
        "address = \"{}\"\nregister = true\nusername = \"alice\"\npassword = \"secret\"",
        peer.address()
    );
    let server = Server::start_with("gw-register", &setup(&account)).await;
    let mut app = App::connect_after(&server, Some(0)).await;
    let pick = |kind: &EventKind| match kind {
        EventKind::RegistrationState(event) if event.gateway == "carrier" => Some(event.clone()),
        _ => None,
    };
    let state = app.event("on_registration_state", PATIENCE, pick).await;
    assert_eq!((state.registered, state.expires, state.error), (true, Some(300), None));
    assert_eq!(state_of_carrier(&app).await.registered, Some(true));
    peer.request("REGISTER", PATIENCE).await;
    let answered = peer.request("REGISTER", PATIENCE).await;
    assert!(answered.header("Authorization").is_some_and(|value| value.contains("username=\"alice\"")));
    // At its end the server takes its address back.
    server.terminate();
    let last = peer.request("REGISTER", PATIENCE).await;
    let zero = |name: &str| last.header(name).is_some_and(|value| value.contains('0'));
    assert!(
        zero("Expires") || last.header("Contact").is_some_and(|it| it.contains("expires=0")),
        "{}",
        last.text
    );
}

#[tokio::test]
async fn a_gateway_goes_down_and_comes_up() {
    let there = Arc::new(AtomicBool::new(true));
    let answers = there.clone();
    let options = move |request: &Message| {
        let answers = request.is_request("OPTIONS") && answers.load(Ordering::Relaxed);
        answers.then(|| ("200 OK", String::new(), String::new()))
    };
    let peer = Peer::start(options).await;
    let address = format!("address = \"{}\"\noptions_ping_seconds = 5", peer.address());
    let server = Server::start_with("gw-ping", &setup(&address)).await;
    let mut app = App::connect_after(&server, Some(0)).await;
    let pick = |kind: &EventKind| match kind {
        EventKind::GatewayState(event) if event.gateway == "carrier" => Some((event.up, event.sip_status)),
        _ => None,
    };
    assert_eq!(app.event("on_gateway_state", PATIENCE, pick).await, (true, 200));
    there.store(false, Ordering::Relaxed);
    let patience = PATIENCE + Duration::from_secs(10);
    assert_eq!(app.event("on_gateway_state", patience, pick).await, (false, 408));
    let refusal = app.client.construct(&carrier()).await.expect_err("the gateway is down");
    let down = ErrorData::GatewayUnavailable { gateway: "carrier".to_owned(), retry_in: None };
    assert_eq!(refusal.data(), Some(down));
    there.store(true, Ordering::Relaxed);
    assert_eq!(app.event("on_gateway_state", patience, pick).await, (true, 200));
}
