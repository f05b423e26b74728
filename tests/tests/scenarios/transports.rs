//! The ways that SIP takes: UDP, TCP and TLS, by both IP versions, at several listeners at once (RFC 3261 §18, §26.3).
//! SIPp speaks by TCP and IPv6, baresip and OpenSSL by TLS.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use offhook_client::wire::{Construct, RecordStart};
use offhook_tests::app::{self, App};
use offhook_tests::baresip::Baresip;
use offhook_tests::dir::TestDir;
use offhook_tests::ports;
use offhook_tests::process::Process;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup, binary, fixtures};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::{self, PATIENCE};
use offhook_tests::wav::Signal;

use crate::telephone::voice;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// How long the server may take to see that a certificate has been renewed: it looks every 10 s.
const RENEWAL: Duration = Duration::from_secs(25);

/// Everything at once.
pub(crate) fn everywhere() -> Setup {
    let transports = ["udp", "tcp", "tls"];
    let listen = [V4, V6].into_iter().flat_map(|at| transports.map(|transport| (transport, at))).collect();
    let tls = fixtures().join("tls");
    let sections = tls_section(&tls.join("sip.pem"), &tls.join("sip.key"), "");
    Setup { listen, sections, ..Setup::default() }
}

fn tls_section(certificate: &Path, key: &Path, more: &str) -> String {
    let ca = fixtures().join("tls/ca.pem");
    format!("[sip.tls]\ncertificate = {certificate:?}\nkey = {key:?}\nca = {ca:?}\n{more}")
}

/// `t1` is SIPp's name for one connection by TCP.
fn mode(transport: &str) -> &'static str {
    if transport == "tcp" { "t1" } else { "u1" }
}

/// SIPp calls in, hears some packets and hangs up.
async fn calls_in(server: &Server, app: &mut App, transport: &str, address: IpAddr, media: IpAddr) {
    let rtp = RtpPeer::listen_at(media, ports::one()).await;
    let caller = Sipp::new("uac-bye").by(mode(transport), address).media(media);
    let caller = caller.set("rtp_port", rtp.port()).set("talk_ms", 700);
    let mut sipp = caller.call(server.sip_by(transport, address), server.dir());
    let call = app.answer().await;
    app.client.play_start(&call, "welcome.wav", "").await.expect("a play");
    rtp.hear_more(20, PATIENCE).await;
    sipp.succeed(1, PATIENCE).await;
    assert_eq!(app.released(&call).await.cause, 200);
}

/// SIPp is called, hears some packets and is hung up on.
async fn is_called(server: &Server, app: &mut App, transport: &str, address: IpAddr, media: IpAddr) {
    let rtp = RtpPeer::listen_at(media, ports::one()).await;
    let callee = Sipp::new("uas-answer").by(mode(transport), address).media(media);
    let mut sipp = callee.set("rtp_port", rtp.port()).set("ring_ms", 50).listen(server.dir()).await;
    let call = app.dial_with(by(transport, sipp.address())).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.client.play_start(&call, "welcome.wav", "").await.expect("a play");
    rtp.hear_more(20, PATIENCE).await;
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    sipp.succeed(1, PATIENCE).await;
}

/// A call to `callee` by this transport.
fn by(transport: &str, callee: SocketAddr) -> Construct {
    Construct { to_uri: format!("sip:phone@{callee};transport={transport}").into(), ..app::to(callee) }
}

#[tokio::test]
async fn sipp_calls_and_is_called_by_every_listener() {
    let server = Server::start_with("listeners", &everywhere()).await;
    let mut app = App::connect(&server).await;
    for (transport, address) in [("udp", V4), ("tcp", V4), ("udp", V6), ("tcp", V6)] {
        calls_in(&server, &mut app, transport, address, V4).await;
        is_called(&server, &mut app, transport, address, V4).await;
    }
    app.check_order();
}

#[tokio::test]
async fn media_goes_by_ipv6() {
    let setup = Setup { listen: vec![("udp", V6), ("tcp", V6)], rtp_address: V6, ..Setup::default() };
    let server = Server::start_with("ipv6", &setup).await;
    let mut app = App::connect(&server).await;
    calls_in(&server, &mut app, "udp", V6, V6).await;
    is_called(&server, &mut app, "tcp", V6, V6).await;
    app.check_order();
}

/// Where a baresip by TLS is.
pub(crate) fn secure(phone: &Baresip) -> SocketAddr {
    SocketAddr::new(V4, phone.address().port() + 1)
}

#[tokio::test]
async fn baresip_calls_by_tls_and_hears_the_prompt() {
    let server = Server::start_with("tls-in", &everywhere()).await;
    let mut app = App::connect(&server).await;
    let (_, microphone) = voice(&server, "thank-you.wav");
    let mut phone = Baresip::start_secure(&microphone, server.dir(), "sip").await;
    let uri = format!("sip:service@{};transport=tls", server.sip_by("tls", V4));
    let ((), call) = tokio::join!(phone.call(&uri), app.answer());
    // The second sentence pushes the end of the first out of baresip's jitter buffer.
    app.client.play_start(&call, "welcome.wav|thank-you.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.error, None);
    // Our BYE goes to its Contact, by TLS.
    app.hang_up(&call).await;
    assert_eq!(app.released(&call).await.cause, 200);
    app.check_order();
    phone.said("terminated").await;
    let heard = Signal::read(&phone.heard().expect("a recording"));
    let found = heard.find(&Signal::read(&server.prompt("welcome.wav")));
    assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "{found:?}");
}

#[tokio::test]
async fn baresip_is_called_by_tls_and_recorded() {
    let server = Server::start_with("tls-out", &everywhere()).await;
    let mut app = App::connect(&server).await;
    let (said, microphone) = voice(&server, "record-after-beep.wav");
    let mut phone = Baresip::start_secure(&microphone, server.dir(), "sip").await;
    let call = app.dial_with(by("tls", secure(&phone))).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    let record_file = "phone.wav".into();
    let start = RecordStart { res_id: call.clone(), max_seconds: 3, record_file, ..Default::default() };
    app.client.record_start(&start).await.expect("a recording");
    app.recorded(&call).await;
    phone.hang_up().await;
    assert_eq!(app.released(&call).await.cause, 200);
    let found = Signal::read(&server.recording("phone.wav")).find(&said);
    assert!(found.correlation > 0.98 && found.gain_db.abs() < 0.5, "{found:?}");
    app.check_order();
}

#[tokio::test]
async fn a_callee_with_a_certificate_of_another_authority_is_not_called() {
    let mut setup = everywhere();
    setup.sections += "\n[log]\nlevel = \"debug\"";
    let server = Server::start_with("tls-foreign", &setup).await;
    let mut app = App::connect(&server).await;
    let (_, microphone) = voice(&server, "thank-you.wav");
    let phone = Baresip::start_secure(&microphone, server.dir(), "foreign").await;
    let call = app.dial_with(by("tls", secure(&phone))).await;
    let error = app.dialled(&call, PATIENCE).await.error.expect("nobody to be trusted");
    assert_eq!((error.code.as_str(), error.sip_status), ("rejected", Some(503)), "{error:?}");
    assert!(server.log().contains("UnknownIssuer"), "{}", server.log());
    app.released(&call).await;
    assert!(!phone.log().contains("ncoming call"), "{}", phone.log());
    app.check_order();
}

/// OpenSSL as a client by TLS that trusts our authority; `pair` is the certificate that it shows, if any.
async fn openssl(server: &Server, at: SocketAddr, pair: Option<&str>) -> Process {
    let tls = fixtures().join("tls");
    let path = |name: &str| tls.join(name).display().to_string();
    let mut line: Vec<String> =
        ["s_client", "-showcerts", "-ign_eof", "-verify_return_error"].map(String::from).into();
    line.extend(["-connect".into(), at.to_string(), "-CAfile".into(), path("ca.pem")]);
    line.extend(["-verify_ip".into(), at.ip().to_string()]);
    if let Some(pair) = pair {
        let (certificate, key) = (path(&format!("{pair}.pem")), path(&format!("{pair}.key")));
        line.extend(["-cert".into(), certificate, "-key".into(), key]);
    }
    let name = format!("openssl-{}", ports::one());
    let mut openssl = Process::start_typed(&name, Path::new("openssl"), &line, server.dir().path());
    openssl.type_in(&options(at)).await;
    openssl
}

fn options(at: SocketAddr) -> String {
    format!(
        "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/TLS {at};rport;branch=z9hG4bKtls\r\nMax-Forwards: 70\r\n\
         From: <sip:openssl@{at}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: {at}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn is_answered(openssl: &Process) {
    let answered = async || openssl.log().contains("SIP/2.0 200 OK").then_some(());
    wait::until("an answer by TLS", PATIENCE, answered).await;
}

#[tokio::test]
async fn tls_is_spoken_by_both_ip_versions() {
    let server = Server::start_with("tls-ipv6", &everywhere()).await;
    let _app = App::connect(&server).await;
    for address in [V4, V6] {
        is_answered(&openssl(&server, server.sip_by("tls", address), None).await).await;
    }
}

#[tokio::test]
async fn who_must_show_a_certificate_and_has_none_or_another_authoritys_is_not_heard() {
    let tls = fixtures().join("tls");
    let sections = tls_section(&tls.join("sip.pem"), &tls.join("sip.key"), "verify_client = true");
    let setup = Setup { sections, ..everywhere() };
    let server = Server::start_with("tls-verify", &setup).await;
    let _app = App::connect(&server).await;
    let at = server.sip_by("tls", V4);
    is_answered(&openssl(&server, at, Some("sip")).await).await;
    for pair in [None, Some("foreign")] {
        let mut refused = openssl(&server, at, pair).await;
        refused.end(PATIENCE).await;
        assert!(!refused.log().contains("SIP/2.0 200 OK"), "{pair:?}: {}", refused.log());
        assert!(refused.log().contains("alert"), "{pair:?}: {}", refused.log());
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (tls, dir) = (fixtures().join("tls"), TestDir::new("tls-renewed"));
    let put = |from: &str, to: &str| {
        std::fs::copy(tls.join(from), dir.join(to)).expect("a file copied");
    };
    put("sip.pem", "now.pem");
    put("sip.key", "now.key");
    let sections = tls_section(&dir.join("now.pem"), &dir.join("now.key"), "");
    let server = Server::start_with("tls-renewed", &Setup { sections, ..everywhere() }).await;
    let _app = App::connect(&server).await;
    let at = server.sip_by("tls", V4);
    let before = openssl(&server, at, None).await;
    is_answered(&before).await;
    let base64 = |name: &str| {
        let pem = std::fs::read_to_string(tls.join(name)).expect("a certificate");
        pem.lines().nth(1).expect("a line of base64").to_owned()
    };
    // The beginning of a certificate is its serial number, which differs.
    assert_ne!(base64("sip.pem"), base64("renewed.pem"));
    assert!(before.log().contains(&base64("sip.pem")), "{}", before.log());
    put("renewed.pem", "now.pem");
    put("renewed.key", "now.key");
    let told = async || server.log().contains("read anew").then_some(());
    wait::until("the new certificate to be read", RENEWAL, told).await;
    let after = openssl(&server, at, None).await;
    is_answered(&after).await;
    assert!(after.log().contains(&base64("renewed.pem")), "{}", after.log());
}

#[tokio::test]
async fn a_missing_key_file_is_named_before_the_start() {
    let dir = TestDir::new("tls-check");
    let tls = fixtures().join("tls");
    let missing = dir.join("nowhere.key");
    let text =
        format!("[sip]\nlisten = [\"tls:127.0.0.1:0\"]\n{}", tls_section(&tls.join("sip.pem"), &missing, ""));
    let file = dir.join("offhook.toml");
    std::fs::write(&file, text).expect("the configuration");
    let arguments = ["check".as_ref(), "--config".as_ref(), file.as_os_str()];
    let mut check = Process::start("check", &binary(), arguments, dir.path());
    assert!(!check.end(PATIENCE).await.success());
    let log = check.log();
    assert!(log.contains("sip.tls.key") && log.contains("nowhere.key"), "{log}");
}
