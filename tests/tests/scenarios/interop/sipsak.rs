//! sipsak, which asks and tells from the command line.

use std::path::Path;

use offhook_tests::app::App;
use offhook_tests::process::Process;
use offhook_tests::server::Server;
use offhook_tests::wait::PATIENCE;

use super::events::message;

/// Runs it; gives what it printed. It succeeds only with a 200.
async fn sipsak(server: &Server, arguments: &[&str], succeeds: bool) -> String {
    let uri = format!("sip:service@{}", server.sip());
    let arguments = arguments.iter().copied().chain(["-s", &uri]);
    let mut sipsak = Process::start("sipsak", Path::new("sipsak"), arguments, server.dir().path());
    let status = sipsak.end(PATIENCE).await;
    assert_eq!(status.success(), succeeds, "{}", sipsak.log());
    sipsak.log()
}

#[tokio::test]
async fn sipsak_asks_whether_we_are_there() {
    let server = Server::start("sipsak").await;
    // As an INVITE would be answered (RFC 3261 §11.2): nobody would take the call.
    let log = sipsak(&server, &["-vv"], false).await;
    assert!(log.contains("SIP/2.0 503 Service Unavailable") && log.contains("Retry-After: 10"), "{log}");
    let _app = App::connect(&server).await;
    let log = sipsak(&server, &["-vv"], true).await;
    assert!(log.contains("SIP/2.0 200 OK"), "{log}");
}

#[tokio::test]
async fn sipsak_leaves_a_message() {
    let server = Server::start("sipsak-message").await;
    let mut app = App::connect(&server).await;
    // Its own MESSAGE (`-M`) ends in a fault in Debian's 0.9.8: this one it sends from a file, with a Via that it adds.
    let path = server.dir().join("message.sip");
    let text = "Ring back at noon";
    let request = format!(
        "MESSAGE sip:service@{} SIP/2.0\nMax-Forwards: 70\nFrom: <sip:operator@127.0.0.1>;tag=1\n\
         To: <sip:service@127.0.0.1>\nCall-ID: message@127.0.0.1\nCSeq: 1 MESSAGE\nContent-Type: text/plain\n\
         Content-Length: {}\n\n{text}",
        server.sip(),
        text.len()
    );
    std::fs::write(&path, request).expect("a message");
    sipsak(&server, &["-f", path.to_str().expect("a path in UTF-8")], true).await;
    let message = message(&mut app).await;
    assert_eq!((message.content.as_str(), message.content_type.as_str()), (text, "text/plain"));
    assert_eq!(
        (message.gateway.as_deref(), message.from_uri.as_str()),
        (Some("peers"), "sip:operator@127.0.0.1")
    );
    app.check_order();
}
