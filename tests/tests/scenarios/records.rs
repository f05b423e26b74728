//! The records of calls (`call-api.md` §6), and calls that the end of the server cut off (`reliability.md` D5).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use offhook_client::wire::{self, CallRecord, EventKind};
use offhook_client::{Client, Event};
use offhook_tests::agent::{Agent, Dialog, Message};
use offhook_tests::app::{self, App};
use offhook_tests::caller::Caller;
use offhook_tests::peer::Peer;
use offhook_tests::ports;
use offhook_tests::server::{self, Server};
use offhook_tests::sipp::Sipp;
use offhook_tests::wait::PATIENCE;

async fn records(client: &Client) -> Vec<CallRecord> {
    client.call(&wire::Cdr::default()).await.expect("a page of records")
}

fn recording(res_id: &str, file: &str) -> wire::RecordStart {
    let (res_id, record_file) = (res_id.to_owned(), file.to_owned());
    wire::RecordStart { res_id, record_file, max_seconds: 60, ..Default::default() }
}

/// Whoever hears `on_released` finds the record, with all that is known of the call.
#[tokio::test]
async fn a_call_is_recorded_before_its_end_is_told() {
    let server = Server::start("cdr").await;
    let mut app = App::connect(&server).await;
    for number in 0..20 {
        let caller = Caller::answered(&server, &mut app).await;
        let res_id = caller.res_id.clone();
        let record = recording(&res_id, &format!("message-{number}.wav"));
        app.client.call(&record).await.expect("a recording");
        app.client.call(&wire::RecordStop { res_id: res_id.clone() }).await.expect("its end");
        app.recorded(&res_id).await;
        caller.hang_up().await;
        let released = app.released(&res_id).await;
        let found = records(&app.client).await;
        let record = found.iter().find(|record| record.res_id == res_id).expect("its record");
        assert_eq!(found.len(), number + 1);
        assert_eq!((record.cause, record.dropped_by), (released.cause, released.dropped_by));
        assert_eq!(record.begin_time_ms / 1000, released.begin_time);
        assert_eq!(record.end_time_ms / 1000, released.end_time);
        assert_eq!(record.sip_call_id, released.ipsc_info.call_id);
        assert_eq!((record.codec.as_deref(), record.gateway.as_deref()), (Some("PCMU"), Some("peers")));
        assert_eq!(record.recordings, [format!("message-{number}.wav")]);
        assert!(record.talk_ms <= record.duration_ms && record.duration_ms < Some(20_000), "{record:?}");
    }
    // In pages, and by the command line beside the server.
    let all = records(&app.client).await;
    let page = wire::Cdr { after: all[4].id, limit: 3 };
    assert_eq!(app.client.call(&page).await.expect("a page"), all[5..8]);
    let config = server.dir().join("offhook.toml");
    let (config, url) = (config.to_str().expect("a path in UTF-8"), server.rpc_url());
    let export = |format: &str, from: [&str; 2]| {
        let mut command = Command::new(server::binary());
        let output = command.args(["cdr", "export", "--format", format]).args(from).output();
        let output = output.expect("offhook cdr");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let lines: Vec<CallRecord> = export("jsonl", ["--config", config])
        .lines()
        .map(|line| serde_json::from_str(line).expect("a record"))
        .collect();
    assert_eq!(lines, all);
    let csv = export("csv", ["--config", config]);
    assert_eq!(csv.lines().count(), 21, "a line of names and one for each call");
    assert_eq!(export("csv", ["--url", &url]), csv, "by the server the same");
}

/// An answered outbound call's other end: it answers, and says at which address it is.
fn answer(request: &Message) -> Option<(&'static str, String, String)> {
    let uri = request.text.split(' ').nth(1)?;
    let address = uri.split('@').nth(1)?.split(';').next()?;
    match request.text.split(' ').next()? {
        "INVITE" => {
            let headers = format!("Contact: <sip:bob@{address}>\r\nContent-Type: application/sdp\r\n");
            let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
            Some(("200 OK", headers, sdp.to_owned()))
        }
        "BYE" => Some(("200 OK", String::new(), String::new())),
        _ => None,
    }
}

/// Kill −9 with calls in every state: both ends of each hear of its end, exactly once, and it is recorded.
#[tokio::test]
async fn d5_calls_that_the_end_of_the_server_cuts_off_are_hung_up_told_and_recorded() {
    let mut server = Server::start("cut-off").await;
    let mut app = App::connect(&server).await;
    let mut peer = Peer::start(answer).await;
    let finished = Caller::answered(&server, &mut app).await;
    let idle = Caller::answered(&server, &mut app).await;
    let playing = Caller::listening(&server, &mut app).await;
    let construct = wire::Construct { user_data: Some("order 7".to_owned()), ..app::to(peer.address()) };
    let outbound = app.client.call(&construct).await.expect("a call").res_id;
    assert_eq!(app.dialled(&outbound, PATIENCE).await.error, None);
    peer.request("ACK", PATIENCE).await;
    app.client.call(&recording(&idle.res_id, "cut-off.wav")).await.expect("a recording");
    // One that rings, and has no dialog yet.
    let agent = Agent::new(server.sip()).await;
    let dialog = Dialog::new(&agent, "service", 9);
    agent.send(dialog.invite_with(&dialog.offer("0"))).await;
    let ringing = app.incoming().await.res_id;
    finished.hang_up().await;
    app.released(&finished.res_id).await;
    let last = app.history().last().expect("events").seq;

    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    for caller in [&idle, &playing] {
        let bye = caller.is_hung_up_on(PATIENCE).await;
        let reason = bye.header("Reason").unwrap_or_default();
        assert!(reason.starts_with("SIP;cause=500"), "{reason}");
    }
    peer.request("BYE", PATIENCE).await;

    let mut back = App::connect_after(&server, Some(last)).await;
    let calls = [&idle.res_id, &playing.res_id, &outbound, &ringing];
    for res_id in calls {
        let released = back.released(res_id).await;
        assert_eq!((released.cause, released.dropped_by), (500, wire::DroppedBy::System));
        let answered = *res_id != ringing;
        assert_eq!(released.answer_time.is_some(), answered, "{released:?}");
        let mark = (*res_id == outbound).then(|| "order 7".to_owned());
        assert_eq!(released.user_data, mark);
    }
    let recorded = records(&back.client).await;
    let with_files: Vec<_> = recorded.iter().filter(|record| !record.recordings.is_empty()).collect();
    assert_eq!((with_files.len(), &with_files[0].res_id), (1, &idle.res_id));
    assert_eq!(with_files[0].recordings, ["cut-off.wav"]);
    let causes: BTreeMap<String, u16> =
        recorded.into_iter().map(|record| (record.res_id, record.cause)).collect();
    let expected =
        calls.into_iter().map(|res_id| (res_id.clone(), 500)).chain([(finished.res_id.clone(), 200)]);
    assert_eq!(causes, expected.collect());

    // Another kill tells nothing again.
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let mut again = App::connect_after(&server, Some(last)).await;
    let next = Caller::answered(&server, &mut again).await;
    next.hang_up().await;
    again.released(&next.res_id).await;
    again.check_order();
    let released = again.history().iter().filter(|event| matches!(event.kind, EventKind::Released(_)));
    assert_eq!(released.count(), calls.len() + 1);
    // Nor is anybody called a second time.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(records(&again.client).await.len(), calls.len() + 2);
}

/// Callers who hear it ring when the server is killed are refused by the next one, with the tag that they know, and acknowledge that.
#[tokio::test]
async fn d5_callers_who_were_not_answered_yet_are_refused() {
    let mut server = Server::start("rings").await;
    let mut app = App::connect(&server).await;
    let refused = Sipp::new("uac-refused").set("rtp_port", ports::one()).set("status", 500);
    let refused = refused.set("header", "Reason").set("value", "SIP;cause=500");
    let mut callers = refused.load(5, 100).call(server.sip(), server.dir());
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(app.incoming().await.res_id);
    }
    let last = app.history().last().expect("events").seq;
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    callers.succeed(5, PATIENCE).await;
    let messages = callers.messages();
    let with_tags = |status: &str| -> BTreeSet<String> {
        let responses = messages.split("SIP/2.0 ").filter(|response| response.starts_with(status));
        let to = responses.filter_map(|response| response.lines().find(|line| line.starts_with("To:")));
        to.map(|line| line.trim_end().to_owned()).collect()
    };
    assert_eq!(with_tags("180").len(), 5, "{messages}");
    assert_eq!(with_tags("500"), with_tags("180"));
    let mut back = App::connect_after(&server, Some(last)).await;
    for res_id in calls {
        assert_eq!(back.released(&res_id).await.cause, 500);
    }
}

/// A telephone that rings when the server is killed is told that it need not once the next one is there.
#[tokio::test]
async fn d5_telephones_that_ring_are_cancelled() {
    fn ring(request: &Message) -> Option<(&'static str, String, String)> {
        let status = match request.text.split(' ').next()? {
            "INVITE" => "180 Ringing",
            "CANCEL" => "200 OK",
            _ => return None,
        };
        Some((status, String::new(), String::new()))
    }
    let mut server = Server::start("rings-there").await;
    let mut app = App::connect(&server).await;
    let mut peer = Peer::start(ring).await;
    let call = app.client.call(&app::to(peer.address())).await.expect("a call").res_id;
    let invite = peer.request("INVITE", PATIENCE).await;
    let rings = |kind: &EventKind| matches!(kind, EventKind::Ringing(_)).then_some(());
    app.event("on_ringing", PATIENCE, rings).await;
    let last = app.history().last().expect("events").seq;
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let cancel = peer.request("CANCEL", PATIENCE).await;
    for name in ["Via", "From", "To", "Call-ID"] {
        assert_eq!(cancel.header(name), invite.header(name), "{name}");
    }
    assert_eq!(cancel.header("CSeq").as_deref(), Some("1 CANCEL"));
    let mut back = App::connect_after(&server, Some(last)).await;
    assert_eq!(back.released(&call).await.cause, 500);
    back.check_order();
}

/// Who was in a conference when the server was killed has left it, and it is over, exactly once; one that nobody was in too.
#[tokio::test]
async fn conferences_that_the_end_of_the_server_cuts_off_are_over() {
    let mut server = Server::start("cut-off-conference").await;
    let mut app = App::connect(&server).await;
    let construct = |mark: &str| {
        let user_data = Some(mark.to_owned());
        wire::ConfConstruct { max_seconds: 600, user_data, ..Default::default() }
    };
    let full = app.client.call(&construct("full")).await.expect("a conference").res_id;
    let empty = app.client.call(&construct("empty")).await.expect("a conference").res_id;
    let mut members = Vec::new();
    for parts in 1..=2 {
        let caller = Caller::answered(&server, &mut app).await;
        let (res_id, conf_res_id) = (caller.res_id.clone(), full.clone());
        let enter = wire::ConfEnter { res_id, conf_res_id, max_seconds: 60, ..Default::default() };
        app.client.call(&enter).await.expect("a member");
        let entered = app.event("a member", PATIENCE, |kind| match kind {
            EventKind::PartEntered(entered) => Some(entered.parts),
            _ => None,
        });
        assert_eq!(entered.await, parts);
        members.push(caller);
    }
    let last = app.history().last().expect("events").seq;
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let mut back = App::connect_after(&server, Some(last)).await;
    for caller in &members {
        caller.is_hung_up_on(PATIENCE).await;
        back.released(&caller.res_id).await;
    }
    let told = |app: &App| {
        let told = |event: &Event| match &event.kind {
            EventKind::PartExited(exited) => Some((exited.res_id.clone(), format!("{} left", exited.parts))),
            EventKind::ConferenceReleased(over) => {
                let mark = over.user_data.as_deref().unwrap_or_default();
                Some((over.res_id.clone(), format!("{mark}: {:?}", over.reason)))
            }
            _ => None,
        };
        let mut told: Vec<(String, String)> = app.history().iter().filter_map(told).collect();
        // Of each conference in its order.
        told.sort_by(|one, other| one.0.cmp(&other.0));
        told
    };
    let expected = [(&full, "1 left"), (&full, "0 left"), (&full, "full: CutOff"), (&empty, "empty: CutOff")];
    let expected = expected.map(|(res_id, what)| (res_id.clone(), what.to_owned()));
    assert_eq!(told(&back), expected);
    // Another kill tells nothing again.
    server.kill();
    server.end(PATIENCE).await;
    server.start_again().await;
    let mut again = App::connect_after(&server, Some(last)).await;
    let next = Caller::answered(&server, &mut again).await;
    next.hang_up().await;
    again.released(&next.res_id).await;
    assert_eq!(told(&again), expected);
}
