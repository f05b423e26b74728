//! The console, in a browser: it shows what there is as it happens, does what its buttons say, and takes nothing that calls bring
//! with them for anything but text.

use std::time::Duration;

use offhook_client::Client;
use offhook_client::wire::{self, ConfConstruct, ConfEnter, ConfList, DroppedBy, EventKind, GetParts};
use offhook_tests::app::App;
use offhook_tests::browser::Browser;
use offhook_tests::caller::Caller;
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::{self, PATIENCE};
use serde_json::json;

/// What would run, if it were taken for markup.
const MARKUP: &str = "<img src=x onerror=\"window.hit=1\"><script>window.hit=1</script>";

async fn console(server: &Server) -> Browser {
    let url = server.rpc_url().replace("ws://", "http://").replace("/rpc", "/");
    Browser::open(&url, server.dir()).await
}

const UP: &str = "document.querySelector('#link').className === 'up'";

/// The first words of the ladder's rungs, as they are shown.
const LADDER: &str = "[...document.querySelectorAll('#ladder .sip > text:last-child')].map(text => text.textContent.split(' ')[0]).join(' ')";

#[tokio::test]
async fn a_call_is_seen_explained_and_dropped() {
    let server = Server::start("console-call").await;
    let mut browser = console(&server).await;
    browser.until("the connection", UP).await;
    // It is no application: nobody is there yet who could answer.
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let sipp = Sipp::new("uac-server-bye")
        .set("rtp_port", rtp.port())
        .set("header", "Reason")
        .set("value", "SIP.*603");
    let mut sipp = sipp.call(server.sip(), server.dir());
    let call = app.incoming().await.res_id;
    let row = format!("[data-call=\"{call}\"]");
    let state = |state: &str| format!("document.querySelector('{row} .tag')?.textContent === '{state}'");
    browser.until("a new call", &state("Initiated")).await;
    let answer = wire::Answer {
        res_id: call.clone(),
        max_answer_seconds: 60,
        user_data: Some(MARKUP.to_owned()),
        codec: None,
    };
    app.client.call(&answer).await.expect("an answered call");
    browser.until("its answer", &state("Idle")).await;
    let shown = browser.value(&format!("document.querySelector('{row} .who').textContent")).await;
    assert_eq!(shown, "↘ A caller · caller→ service");
    let whole = browser.value(&format!("document.querySelector('{row} .who').title")).await;
    assert!(
        whole.as_str().is_some_and(|who| who.contains("caller@127.0.0.1") && who.contains("service@")),
        "{whole}"
    );

    browser.click(&format!("{row} .who")).await;
    browser.until("the ladder", &format!("({LADDER}).startsWith('INVITE 180 200 ACK')")).await;
    browser.until("its media", "document.querySelector('#detail').textContent.includes('PCMU')").await;
    browser.click(&format!("{row} .drop")).await;
    let released = app.released(&call).await;
    assert_eq!((released.cause, released.dropped_by), (200, DroppedBy::System));
    sipp.succeed(1, PATIENCE).await;
    browser.until("its end", &state("Released 200")).await;
    browser.until("the whole ladder", &format!("({LADDER}) === 'INVITE 180 200 ACK BYE 200'")).await;

    // The application's mark is shown as it is, and is nothing but text.
    browser.click("#tab-events").await;
    let seen = format!(
        "[...document.querySelectorAll('.event .text')].some(text => text.textContent.includes({}))",
        json!("onerror=")
    );
    browser.until("the mark", &seen).await;
    assert_eq!(browser.value("document.querySelectorAll('main img').length").await, 0);
    // Were it markup, it would not run either.
    let inserted = "new Promise(done => { document.addEventListener('securitypolicyviolation', told => done(told.effectiveDirective), \
                    { once: true }); const script = document.createElement('script'); script.textContent = 'window.hit = 1'; \
                    document.body.append(script); })";
    assert_eq!(browser.value(inserted).await, "script-src-elem");
    assert_eq!(browser.value("typeof window.hit").await, "undefined");
    // What is open is of this view, and goes with it.
    browser.click(".event .type").await;
    browser.until("an event", "!document.querySelector('#detail').hidden").await;
    browser.click("#tab-calls").await;
    browser.until("no event", "document.querySelector('#detail').hidden").await;
    browser.click("#tab-events").await;
    // What is filtered is gone from sight.
    browser.value("document.querySelector('#find-event').value = 'on_released'; document.querySelector('#find-event').oninput()").await;
    browser
        .until("one event", "document.querySelector('#shown-events').textContent.startsWith('1 of ')")
        .await;
}

#[tokio::test]
async fn members_of_a_conference_are_muted_made_louder_and_taken_out() {
    let server = Server::start("console-conf").await;
    let mut app = App::connect(&server).await;
    let open = ConfConstruct {
        max_seconds: 60,
        parts_threshold: 0,
        user_data: Some(MARKUP.to_owned()),
        ..Default::default()
    };
    let conference = app.client.call(&open).await.expect("a conference").res_id;
    let mut callers = Vec::new();
    for _ in 0..2 {
        let caller = Caller::answered(&server, &mut app).await;
        let enter = json!({ "res_id": caller.res_id, "conf_res_id": conference, "max_seconds": 60 });
        let enter: ConfEnter = serde_json::from_value(enter).expect("parameters");
        app.client.call(&enter).await.expect("a member");
        callers.push(caller);
    }
    // What there was before the page was opened is shown too.
    let mut browser = console(&server).await;
    browser.until("the connection", UP).await;
    browser.click("#tab-confs").await;
    browser.until("two members", "document.querySelectorAll('#pile-confs .member').length === 2").await;
    let change = "const change = (selector, value) => { const e = document.querySelector(selector); e.value = value; e.onchange(); };";
    browser
        .value(&format!(
            "(() => {{ {change} change('.member select', '3'); change('.member input', '-12'); }})()"
        ))
        .await;
    let changed = async || {
        let parts = app.client.call(&GetParts { res_id: conference.clone() }).await.expect("members");
        parts.iter().any(|part| (part.voice_mode, part.volume) == (3, -12)).then_some(parts.len())
    };
    assert_eq!(wait::until("a member that is muted", PATIENCE, changed).await, 2);
    browser.click(".member .bad").await;
    let kicked = |kind: &EventKind| match kind {
        EventKind::ConfCompleted(event) => event.error.clone(),
        _ => None,
    };
    assert_eq!(app.event("on_conf_completed", PATIENCE, kicked).await.code, "kicked");
    browser.until("one member", "document.querySelectorAll('#pile-confs .member').length === 1").await;
    // Ages go on each second: not under somebody's finger.
    browser.press("#pile-confs header .bad", Duration::from_millis(1200)).await;
    browser.until("no conference", "document.querySelector('#count-confs').textContent === '0'").await;
    let all = app.client.call(&ConfList { after: None, limit: 10 }).await.expect("conferences");
    assert!(all.is_empty(), "{all:?}");
    assert_eq!(browser.value("typeof window.hit").await, "undefined");
}

#[tokio::test]
async fn a_token_is_asked_for_and_a_server_that_comes_back_is_heard_again() {
    let setup = Setup { rpc: "tokens = [\"admin:s3cret+token/\"]".into(), ..Setup::default() };
    let mut server = Server::start_with("console-token", &setup).await;
    let mut browser = console(&server).await;
    browser
        .until("the door", "!document.querySelector('#door').hidden && document.activeElement.id === 'token'")
        .await;
    browser.enter("wrong").await;
    browser
        .until("the door again", "sessionStorage.length === 1 && !document.querySelector('#door').hidden")
        .await;
    let why = "document.querySelector('#why').textContent === 'This token is not known'";
    browser.until("why", why).await;
    browser.enter("s3cret+token/").await;
    browser.until("the connection", UP).await;
    browser.click("#tab-gateways").await;
    browser
        .until("the gateway", "document.querySelector('#pile-gateways h2')?.textContent === 'peers'")
        .await;

    server.kill();
    server.end(PATIENCE).await;
    browser.until("that it is gone", "document.querySelector('#link').className === 'down'").await;
    server.start_again().await;
    browser.until("that it is back", UP).await;
    browser.click("#tab-events").await;
    let started =
        "[...document.querySelectorAll('.event .type')].some(type => type.textContent === 'node.on_started')";
    browser.until("what happened meanwhile", started).await;
    assert!(Client::connect(&server.rpc_url(), None).await.is_err(), "there are tokens");
}
