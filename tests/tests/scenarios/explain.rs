//! What a call has been through (`operations.md`, Observability): the ladder is that which SIPp has logged at its end, the
//! applications' side is what the test has asked, and nothing in it is anybody's secret.

use std::process::Command;

use offhook_client::Client;
use offhook_client::wire::{
    CallState, EventKind, Explain, Explained, MediaStep, ReceiveDtmfStart, Step, Way,
};
use offhook_tests::agent::{Agent, Dialog};
use offhook_tests::app::{self, App};
use offhook_tests::ports;
use offhook_tests::rtp::RtpPeer;
use offhook_tests::server::{Server, Setup, binary};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::{self, PATIENCE};

async fn explain(client: &Client, res_id: &str) -> Explained {
    client.call(&Explain { res_id: res_id.to_owned() }).await.expect("a time line")
}

/// `>INVITE`, `<200 INVITE`: what has come, and what has gone.
fn ladder(explained: &Explained) -> Vec<String> {
    let sip = explained.steps.iter().filter_map(|timed| match &timed.step {
        Step::Sip(sip) => Some(sip),
        _ => None,
    });
    let rung = sip.map(|sip| {
        let way = if sip.way == Way::In { '>' } else { '<' };
        match sip.status {
            Some(status) => format!("{way}{status} {}", sip.method),
            None => format!("{way}{}", sip.method),
        }
    });
    rung.collect()
}

/// The same, as SIPp has logged it: what it sent has come to the server.
fn logged(messages: &str) -> Vec<String> {
    let mut rungs = Vec::new();
    for message in messages.split("-----------------------------------------------").skip(1) {
        let Some(first) = message.lines().find(|line| line.contains("SIP/2.0")) else { continue };
        let way = if message.contains("message sent") { '>' } else { '<' };
        let cseq = message.lines().find_map(|line| line.strip_prefix("CSeq:")).expect("a CSeq");
        let method = cseq.split_whitespace().nth(1).expect("its method");
        rungs.push(match first.strip_prefix("SIP/2.0 ") {
            Some(status) => format!("{way}{} {method}", &status[..3]),
            None => format!("{way}{method}"),
        });
    }
    rungs
}

#[tokio::test]
async fn a_call_that_came_in_is_explained_as_its_caller_saw_it() {
    let server = Server::start("explain-in").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let sipp = Sipp::new("uac-bye").user("00491511234567").set("rtp_port", rtp.port()).set("talk_ms", 1500);
    let mut sipp = sipp.call(server.sip(), server.dir());
    let call = app.answer().await;
    let receive = ReceiveDtmfStart {
        res_id: call.clone(),
        max_keys: 9,
        valid_keys: "0123456789".into(),
        ..serde_json::from_value(serde_json::json!({ "res_id": call, "max_keys": 9 })).expect("defaults")
    };
    app.client.call(&receive).await.expect("keys");
    assert!(app.client.play_stop(&call).await.is_err(), "nothing is played");
    let living = explain(&app.client, &call).await;
    assert_eq!(living.state, CallState::ReceiveDtmf);

    sipp.succeed(1, PATIENCE).await;
    app.released(&call).await;
    let over = explain(&app.client, &call).await;
    assert_eq!(ladder(&over), logged(&sipp.messages()));
    assert_eq!(ladder(&over), [">INVITE", "<180 INVITE", "<200 INVITE", ">ACK", ">BYE", "<200 BYE"]);
    assert_eq!((over.state, over.left_out), (CallState::Released, 0));
    assert!(sipp.messages().contains(over.sip_call_id.as_deref().expect("a Call-ID")));
    assert_eq!(over.to_uri, format!("sip:************67@{}", server.sip()));

    let states = over.steps.iter().filter_map(|timed| match &timed.step {
        Step::State { state, .. } => Some(*state),
        _ => None,
    });
    use CallState::{Answer, Idle, Initiated, ReceiveDtmf, Released};
    assert_eq!(states.collect::<Vec<_>>(), [Initiated, Answer, Idle, ReceiveDtmf, Idle, Released]);
    let asked = over.steps.iter().filter_map(|timed| match &timed.step {
        Step::Command { method, .. } => Some((method.as_str(), None)),
        Step::Reply { method, error } => Some((method.as_str(), Some(error.as_deref()))),
        _ => None,
    });
    let (answer, keys, stop) = ("sys.call.answer", "sys.call.receive_dtmf_start", "sys.call.play_stop");
    let refused = Some(Some("invalid_state"));
    assert_eq!(
        asked.collect::<Vec<_>>(),
        [
            (answer, None),
            (answer, Some(None)),
            (keys, None),
            (keys, Some(None)),
            (stop, None),
            (stop, refused)
        ]
    );

    let invite = over.steps.iter().find_map(|timed| match &timed.step {
        Step::Sip(sip) => sip.sdp.clone(),
        _ => None,
    });
    let invite = invite.expect("an offer");
    assert_eq!((invite.codecs.join(" "), invite.port), ("PCMU PCMA".to_owned(), rtp.port()));
    let agreed = over.steps.iter().find_map(|timed| match &timed.step {
        Step::Media(media) => Some(media.clone()),
        _ => None,
    });
    let MediaStep { codec, remote, direction, telephone_events, .. } = agreed.expect("media");
    assert_eq!((&*codec, &*direction, telephone_events), ("PCMU", "sendrecv", true));
    assert_eq!(remote, format!("127.0.0.1:{}", rtp.port()));
    assert!(over.steps.is_sorted_by_key(|timed| timed.time_ms));
}

#[tokio::test]
async fn a_call_that_was_placed_is_explained_and_drawn_without_anybodys_secret() {
    let server = Server::start("explain-out").await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let callee = Sipp::new("uas-answer").set("rtp_port", rtp.port()).set("ring_ms", 100);
    let mut sipp = callee.listen(server.dir()).await;
    let construct = offhook_client::wire::Construct {
        to_uri: format!("0049151987654@{}", sipp.address()).as_str().into(),
        sip_auth_username: Some("nobody".to_owned()),
        sip_auth_password: Some("a-good-secret".to_owned()),
        ..app::to(sipp.address())
    };
    let call = app.dial_with(construct).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.client.send_dtmf_start(&call, "8086").await.expect("keys on their way");
    rtp.hear_more(20, PATIENCE).await;
    app.event("on_send_dtmf_completed", PATIENCE, |kind| {
        matches!(kind, EventKind::SendDtmfCompleted(_)).then_some(())
    })
    .await;
    let whole = std::fs::read(server.prompt("welcome.wav")).expect("a prompt");
    std::fs::write(server.prompt("half.wav"), &whole[..whole.len() / 2]).expect("half of it");
    app.client.play_start(&call, "half.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.file.as_deref(), Some("half.wav"));
    app.hang_up(&call).await;
    app.released(&call).await;
    sipp.succeed(1, PATIENCE).await;
    // The last response may still be on its way to the server.
    let whole = async || {
        let explained = explain(&app.client, &call).await;
        (ladder(&explained) == logged(&sipp.messages())).then_some(explained)
    };
    let over = wait::until("the same ladder as SIPp's", PATIENCE, whole).await;
    assert_eq!(ladder(&over), ["<INVITE", ">180 INVITE", ">200 INVITE", "<ACK", "<BYE", ">200 BYE"]);
    assert!(matches!(&over.steps[0].step, Step::Command { method, .. } if method == "sys.call.construct"));
    assert!(over.media.packets_sent > 0);

    let drawn = Command::new(binary()).args(["call", "explain", &call, "--url", &server.rpc_url()]).output();
    let drawn = String::from_utf8(drawn.expect("offhook call explain").stdout).expect("text");
    let text = serde_json::to_string(&over).expect("JSON");
    for secret in ["a-good-secret", "8086", "0049151987654"] {
        assert!(!text.contains(secret) && !drawn.contains(secret), "{secret}: {text}\n{drawn}");
    }
    let rungs: Vec<&str> = drawn.lines().filter(|line| line.contains('|')).collect();
    for (part, count) in
        [("|<- INVITE (", 1), ("|- 180 Ringing ", 1), ("|- 200 OK (PCMU, PCMA) ", 1), ("|<- ACK ", 1)]
    {
        assert_eq!(rungs.iter().filter(|rung| rung.contains(part)).count(), count, "{part}:\n{drawn}");
    }
    assert!(app.client.call(&Explain { res_id: "0.0.0-sys.call-1".to_owned() }).await.is_err());
}

/// What W3C Trace Context has for an example.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// From the INVITE to what applications are told, and to every line of the log; and one that makes no call has its Call-ID there.
#[tokio::test]
async fn the_trace_of_an_invite_goes_through() {
    let server = Server::start("explain-trace").await;
    let agent = Agent::new(server.sip()).await;
    let invite = |dialog: &Dialog| {
        let headers =
            format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\nContent-Type: application/sdp\r\n");
        dialog.request_with("INVITE", 1, "invite", None, &headers, &dialog.offer("0 8 101"))
    };
    // Nobody is there to hear of it.
    let refused = Dialog::new(&agent, "service", 4_000);
    agent.send(invite(&refused)).await;
    let refusal = agent.final_response("INVITE").await;
    assert_eq!(refusal.status(), Some(503));
    agent.send(refused.ack_refusal(&refusal)).await;

    let mut app = App::connect(&server).await;
    let dialog = Dialog::new(&agent, "service", 4_000);
    agent.send(invite(&dialog)).await;
    let call = app.incoming().await.res_id;
    app.client.drop_call(&call, 486).await.expect("a drop");
    let busy = agent.final_response("INVITE").await;
    agent.send(dialog.ack_refusal(&busy)).await;
    app.released(&call).await;
    assert_eq!(explain(&app.client, &call).await.trace_id, TRACE);
    let of_call: Vec<_> = app.history().iter().filter(|event| event.res_id() == Some(&*call)).collect();
    assert!(of_call.len() >= 2, "{of_call:?}");
    assert!(of_call.iter().all(|event| event.raw["trace_id"] == TRACE), "{of_call:#?}");

    let log = server.log();
    let lines: Vec<_> =
        log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()).collect();
    let of_call: Vec<_> = lines.iter().filter(|line| line["res_id"] == call.as_str()).collect();
    assert!(of_call.len() >= 2 && of_call.iter().all(|line| line["trace_id"] == TRACE), "{log}");
    // The end of a call that is there tells how it was refused.
    let mut refused = lines.iter().filter(|line| line["message"] == "inbound call refused");
    let (line, None) = (refused.next().expect("a line"), refused.next()) else { panic!("{log}") };
    let call_id = refusal.header("Call-ID").expect("a Call-ID");
    assert_eq!((&line["sip_call_id"], &line["trace_id"]), (&call_id.as_str().into(), &TRACE.into()));
    assert_eq!(line["reason"], "no_application");
}

/// A call with media, as JSON lines: each line of it has its names, whichever thread writes it, and no key and no whole number above
/// `debug`.
#[tokio::test]
async fn every_line_of_a_call_has_its_names_and_its_trace() {
    let setup = Setup { sections: "[log]\nlevel = \"debug\"".into(), ..Setup::default() };
    let server = Server::start_with("explain-log", &setup).await;
    let mut app = App::connect(&server).await;
    let rtp = RtpPeer::listen(ports::one()).await;
    let callee = Sipp::new("uas-answer").set("rtp_port", rtp.port()).set("ring_ms", 100);
    let mut sipp = callee.listen(server.dir()).await;
    let construct = offhook_client::wire::Construct {
        to_uri: format!("0049151987654@{}", sipp.address()).as_str().into(),
        traceparent: Some(format!("00-{TRACE}-b7ad6b7169203331-01")),
        ..app::to(sipp.address())
    };
    let call = app.dial_with(construct).await;
    assert_eq!(app.dialled(&call, PATIENCE).await.error, None);
    app.client.send_dtmf_start(&call, "8086").await.expect("keys on their way");
    rtp.hear_more(20, PATIENCE).await;
    app.event("on_send_dtmf_completed", PATIENCE, |kind| {
        matches!(kind, EventKind::SendDtmfCompleted(_)).then_some(())
    })
    .await;
    let whole = std::fs::read(server.prompt("welcome.wav")).expect("a prompt");
    std::fs::write(server.prompt("half.wav"), &whole[..whole.len() / 2]).expect("half of it");
    app.client.play_start(&call, "half.wav", "").await.expect("a play");
    assert_eq!(app.played(&call).await.file.as_deref(), Some("half.wav"));
    app.hang_up(&call).await;
    app.released(&call).await;
    sipp.succeed(1, PATIENCE).await;
    let header = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01");
    assert!(sipp.messages().contains(&header), "{}", sipp.messages());
    let explained = explain(&app.client, &call).await;
    assert_eq!(explained.trace_id, TRACE);
    let call_id = explained.sip_call_id.expect("a Call-ID");

    let log = server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_call: Vec<_> = lines.filter(|line| line.to_string().contains(&call)).collect();
    for message in
        ["INVITE", "dialled", "state", "keys sent", "a prompt ends before its file does", "released"]
    {
        assert!(
            of_call.iter().any(|line| line["message"] == message),
            "no line {message:?} of the call in\n{log}"
        );
    }
    let mut has_call_id = false;
    for line in &of_call {
        assert_eq!((&line["res_id"], &line["trace_id"]), (&call.as_str().into(), &TRACE.into()), "{line}");
        // Before the INVITE goes out there is none.
        has_call_id |= line["message"] == "INVITE";
        assert_eq!(line["sip_call_id"] == call_id.as_str(), has_call_id, "{line}");
        let text = line.to_string();
        assert!(
            !text.contains("8086") && (line["level"] == "DEBUG" || !text.contains("0049151987654")),
            "{line}"
        );
    }
    assert!(of_call.len() >= 8, "{of_call:#?}");
}
