//! `proto/examples/`: a request by name, the same by position and its response for every method, and an event of every
//! type. What is written here by hand passes through the contract's types on its way into the files.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_call::cause::{Cause, DroppedBy, Failure};
use offhook_call::error::Direction;
use offhook_call::event::{
    Event, EventKind, MediaAlarm, Message, NodeEventKind, Parties, Released, Span, UnixMs,
};
use offhook_call::id::{CallId, ConferenceId, MessageId, NodeId};
use offhook_call::state::State;
use offhook_call::{RecordedFile, conference};
use offhook_client::wire::{self, Method};
use offhook_media::detect::amd::{Answerer, Reason};
use offhook_media::detect::beep::Beep;
use offhook_media::event::{Codec, Detected, DigitSource, Key, LegStats, Trouble};
use offhook_sip::event::{Body, GatewayName, Header, RegistrationState};
use serde_json::{Value, json};

use super::super::method::{self, Served, Visitor};
use super::super::params;
use super::sorted;
use crate::events::{call_event, conference_event, node_event, recovered_event};
use crate::explain;
use crate::recordings::{Owner, Recovered};

/// File names and contents.
pub(crate) fn examples() -> Vec<(String, Value)> {
    let mut files = Files(Vec::new());
    method::visit(&mut files);
    files.any::<wire::Subscribe>();
    files.any::<wire::Ack>();
    files.any::<wire::Cdr>();
    files.any::<wire::Explain>();
    files.any::<wire::WebhookAdd>();
    files.any::<wire::WebhookRemove>();
    files.any::<wire::WebhookList>();
    files.any::<wire::WebhookTest>();
    files.any::<wire::WebhookRedeliver>();
    files.0.push(("events.json".to_owned(), events()));
    files.0
}

struct Files(Vec<(String, Value)>);

impl Visitor for Files {
    fn method<M: Served>(&mut self) {
        self.any::<M>();
    }
}

impl Files {
    fn any<M: Method>(&mut self) {
        let (given, result) = written(M::NAME);
        let typed: M = serde_json::from_value(given.clone()).unwrap();
        let result: M::Result = serde_json::from_value(result).unwrap();
        let all = serde_json::to_value(&typed).unwrap();
        // By position nothing can be left out before the last that is given.
        let names = params::names::<M>();
        let last = names.iter().rposition(|&name| given.get(name).is_some()).map_or(0, |index| index + 1);
        let by_position: Vec<&Value> = names[..last].iter().map(|&name| &all[name]).collect();
        let request =
            |params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": M::NAME, "params": params });
        let file = json!({
            "by_name": request(given),
            "by_position": request(json!(by_position)),
            "response": { "jsonrpc": "2.0", "id": 1, "result": result },
        });
        self.0.push((format!("{}.json", M::NAME), sorted(file)));
    }
}

const CALL: &str = "0.0.0-sys.call-1";
const OTHER: &str = "0.0.0-sys.call-2";
const CONFERENCE: &str = "0.0.0-sys.conf-3";

fn written(method: &str) -> (Value, Value) {
    match method {
        "sys.call.construct" => (
            json!({
                "from_uri": "1000@192.0.2.10", "to_uri": ["2000@carrier", "sip:2000@192.0.2.20:5070"], "max_answer_seconds": 3600,
                "max_ring_seconds": 30, "user_data": "order 17", "codecs": ["PCMA", "G711_ULAW_20MS"],
                "headers": { "X-Account": "4711" }, "from_name": "Order desk"
            }),
            json!({ "res_id": CALL, "ipsc_info": { "process_id": 7 }, "user_data": "order 17" }),
        ),
        "sys.call.answer" => {
            (json!({ "res_id": CALL, "max_answer_seconds": 3600, "user_data": "ivr" }), Value::Null)
        }
        "sys.call.drop" => (json!({ "res_id": CALL }), Value::Null),
        "sys.call.reject" => (json!({ "res_id": CALL, "cause": 486 }), Value::Null),
        "sys.call.redirect" => {
            (json!({ "res_id": CALL, "redirect_uri": "sip:[2001:db8::1]:5070" }), Value::Null)
        }
        "sys.call.ring" => (json!({ "res_id": CALL, "ring_play_file": "ringing.wav" }), Value::Null),
        "sys.call.exists" => (json!({ "res_id": CALL }), json!(true)),
        "sys.call.get" => (json!({ "res_id": CALL }), snapshot()),
        "sys.call.list" => (json!({ "state": "Idle", "after": CALL, "limit": 10 }), json!([OTHER])),
        "sys.call.play_start" => (
            json!({ "res_id": CALL, "content": [["you-owe.wav"], ["12.50", 3, "lang=en"], ["menu.wav|choose.wav", 7]], "finish_keys": "#" }),
            Value::Null,
        ),
        "sys.call.record_start" => (
            json!({ "res_id": CALL, "max_seconds": 60, "beep": true, "record_file": "2026/message.wav", "finish_keys": "#" }),
            json!({ "record_file": "2026/message.wav" }),
        ),
        "sys.call.send_dtmf_start" => (json!({ "res_id": CALL, "keys": "12,34#" }), Value::Null),
        "sys.call.receive_dtmf_start" => (
            json!({ "res_id": CALL, "max_keys": 4, "first_key_timeout": 10, "play_content": "enter.wav", "play_repeat": 1 }),
            Value::Null,
        ),
        "sys.call.connect_start" => (
            json!({ "res_id": CALL, "max_seconds": 1800, "call_res_id": OTHER, "schedule_play_time": 1_800_000_000, "schedule_play_file": "minute.wav", "schedule_play_loop": 1 }),
            Value::Null,
        ),
        "sys.call.conf_enter" => (
            json!({ "res_id": CALL, "conf_res_id": CONFERENCE, "max_seconds": 3600, "volume": 3, "play_file": "ding.wav" }),
            Value::Null,
        ),
        "sys.call.conf_exit" => (json!({ "res_id": CALL, "conf_res_id": CONFERENCE }), Value::Null),
        conference if conference.starts_with("sys.conf.") => of_conferences(conference),
        "sys.call.detect_start" => (
            json!({ "res_id": CALL, "kinds": ["amd", "beep"], "max_seconds": 30, "country": "gb" }),
            Value::Null,
        ),
        "sys.call.transfer" => (json!({ "res_id": CALL, "to_uri": "sip:3000@192.0.2.30" }), Value::Null),
        "sys.call.transfer_notify" => (json!({ "res_id": CALL, "sip_status": 200 }), Value::Null),
        "sys.call.send_message" => {
            (json!({ "res_id": CALL, "content": "Ring back at noon" }), json!({ "message_id": 8 }))
        }
        "sys.node.send_message" => (
            json!({ "from_uri": "2000@192.0.2.20", "to_uri": "1000@carrier", "content": "Ring back at noon" }),
            json!({ "message_id": 9 }),
        ),
        "sys.node.gateways" => (
            json!({}),
            json!([{
                "name": "carrier", "addresses": ["sip.example.com", "192.0.2.20:5070;transport=tcp"], "pinged": true, "up": true,
                "registered": true, "calls": 3, "max_calls": 30, "calls_per_second": 0, "rest_seconds": 5
            }]),
        ),
        "sys.call.cdr" | "sys.call.explain" => of_the_past(method),
        event if event.starts_with("sys.event.") => of_events(event),
        _ => (json!({ "res_id": CALL }), Value::Null),
    }
}

fn of_events(method: &str) -> (Value, Value) {
    const ID: &str = "d8e24ff0b0f3a5d1";
    const URL: &str = "https://app.example/hook";
    match method {
        "sys.event.subscribe" => (json!({ "after": 41, "types": ["sys.call.*"] }), json!(6_123_456_789_u64)),
        "sys.event.ack" => (json!({ "seq": 57 }), json!({ "subscriptions": 1 })),
        "sys.event.webhook_add" => (
            json!({ "url": URL, "types": ["sys.call.*"], "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }),
            json!({ "id": ID }),
        ),
        "sys.event.webhook_list" => (
            json!({}),
            json!([{
                "id": ID, "url": URL, "format": "native", "types": ["sys.call.*"], "configured": false, "state": "failing",
                "error": "500 Internal Server Error", "read": 57, "backlog": 2, "delivered": 54, "failed": 13, "dead": 1,
                "dead_letters": [{
                    "seq": 41, "type": "sys.call.on_ringing", "time_ms": 1_764_493_200_123_i64, "error": "no answer within 10 s"
                }]
            }]),
        ),
        "sys.event.webhook_test" => {
            (json!({ "id": ID }), json!({ "delivered": true, "status": 204, "error": null }))
        }
        "sys.event.webhook_redeliver" => (json!({ "after": 40, "id": ID }), json!(1)),
        _ => (json!({ "id": ID }), json!(true)),
    }
}

/// A record of a call.
pub(crate) fn record() -> Value {
    json!({
        "id": 42, "res_id": CALL, "call_dir": "inbound", "from_uri": "sip:1000@192.0.2.10:5060",
        "to_uri": "sip:2000@192.0.2.20:5060", "gateway": "carrier", "sip_call_id": "a84b4c76e66710@192.0.2.10",
        "begin_time_ms": 1_800_000_000_250_i64, "answer_time_ms": 1_800_000_001_150_i64,
        "end_time_ms": 1_800_000_040_250_i64, "duration_ms": 40_000, "talk_ms": 39_100, "cause": 200,
        "reason": "Q.850;cause=16", "dropped_by": "usr", "user_data": "order 7", "codec": "PCMA",
        "packets_sent": 102, "packets_received": 1_955, "packets_lost": 3, "jitter_ms": 1.2,
        "round_trip_ms": 31.5, "mos": 4.2, "recordings": ["2026/message.wav"]
    })
}

/// What is known of calls that may be over.
fn of_the_past(method: &str) -> (Value, Value) {
    match method {
        "sys.call.explain" => (json!({ "res_id": CALL }), explained()),
        _ => (json!({ "after": 41, "limit": 1 }), json!([record()])),
    }
}

fn of_conferences(method: &str) -> (Value, Value) {
    match method {
        "sys.conf.construct" => (
            json!({ "max_seconds": 7200, "bg_file": "rain.wav", "parts_threshold": 0, "user_data": "weekly" }),
            json!({ "res_id": CONFERENCE }),
        ),
        "sys.conf.exists" => (json!({ "res_id": CONFERENCE }), json!(true)),
        "sys.conf.get" => (
            json!({ "res_id": CONFERENCE }),
            json!({
                "res_id": CONFERENCE, "begin_time": 1_800_000_000, "parts": 2, "parts_threshold": 0, "playing": false,
                "record_file": "2026/weekly.wav", "user_data": "weekly"
            }),
        ),
        "sys.conf.list" => (json!({ "after": CONFERENCE, "limit": 10 }), json!(["0.0.0-sys.conf-4"])),
        "sys.conf.get_parts" => (
            json!({ "res_id": CONFERENCE }),
            json!([
                { "res_id": CALL, "voice_mode": 1, "volume": 3, "talking": true, "user_data": "ivr" },
                { "res_id": OTHER, "voice_mode": 3, "volume": 0, "talking": false, "user_data": null }
            ]),
        ),
        "sys.conf.set_part_voice_mode" => {
            (json!({ "res_id": CONFERENCE, "call_res_id": CALL, "mode": 3 }), Value::Null)
        }
        "sys.conf.set_part_volume" => {
            (json!({ "res_id": CONFERENCE, "call_res_id": CALL, "volume": -6 }), Value::Null)
        }
        "sys.conf.set_parts_threshold" => (json!({ "res_id": CONFERENCE, "value": -1 }), Value::Null),
        "sys.conf.kick" => (json!({ "res_id": CONFERENCE, "call_res_id": CALL, "cause": 603 }), Value::Null),
        "sys.conf.play_start" => (
            json!({ "res_id": CONFERENCE, "content": "welcome.wav|rules.wav", "is_loop": true }),
            Value::Null,
        ),
        "sys.conf.record_start" => (
            json!({ "res_id": CONFERENCE, "record_file": "2026/weekly.opus", "record_format": 8, "max_seconds": 3600 }),
            json!({ "record_file": "2026/weekly.opus" }),
        ),
        _ => (json!({ "res_id": CONFERENCE }), Value::Null),
    }
}

fn snapshot() -> Value {
    json!({
        "res_id": CALL, "state": "Idle", "call_dir": "inbound", "from_uri": "sip:1000@192.0.2.10:5060", "from_name": "Alice",
        "to_uri": "sip:2000@192.0.2.20:5060", "gateway": "carrier", "begin_time": 1_800_000_000, "answer_time": 1_800_000_003,
        "user_data": "ivr", "ipsc_info": { "process_id": 7, "call_id": "a84b4c76e66710@192.0.2.10" }, "codec": "PCMA",
        "srtp": "AES_CM_128_HMAC_SHA1_80", "remote_media": "192.0.2.10:30000", "local_port": 20_000, "connected_to": null,
        "conf_res_id": null,
        "media": {
            "packets_sent": 500, "bytes_sent": 80_000, "packets_received": 499, "bytes_received": 79_840,
            "packets_lost": 1, "packets_late": 0, "packets_refused": 0, "packets_not_authentic": 0, "jitter_ms": 0.5,
            "round_trip_ms": 12.5, "remote_lost": 0, "concealed_ms": 20, "mos": 4.38
        }
    })
}

/// One event of every type, in the order in which a call might have them.
fn events() -> Value {
    let mut told = Vec::new();
    let mut calls = call_events();
    calls.extend(beside_events());
    calls.sort_by_key(|&(after_ms, ref kind)| (after_ms, matches!(kind, EventKind::Released(_))));
    for (after_ms, kind) in calls {
        let time = UnixMs(1_800_000_000_250 + after_ms);
        let user_data = (!matches!(kind, EventKind::Incoming { .. })).then(|| "ivr".to_owned());
        let event = Event { call: CallId(1), time, user_data, kind };
        told.push((time.0, call_event(NodeId::default(), 7, event)));
    }
    for (after_ms, kind) in conference_events() {
        let (conference, time) = (ConferenceId(3), UnixMs(1_800_000_000_250 + after_ms));
        let event = conference::Event { conference, time, user_data: Some("weekly".to_owned()), kind };
        told.push((time.0, conference_event(NodeId::default(), event)));
    }
    told.extend(node_events().into_iter().map(|kind| (1_800_000_050_000, node_event(kind))));
    let file = "inbox/call.wav".to_owned();
    let owner = Owner { res_id: NodeId::default().res_id(CallId(1)), sip_call_id: None, trace_id: None };
    let recovered = Recovered { owner: Some(owner), file, parts: 1, bytes: 480_058, repaired: true };
    told.push((1_800_000_090_000, recovered_event(recovered)));
    let started = wire::OnNodeStarted { process_id: 7, version: "0.1.0".to_owned() };
    told.push((1_800_000_090_000, wire::EventKind::NodeStarted(started)));
    let gap = wire::OnGap { reason: wire::GapReason::Expired, first: Some(3), last: Some(9) };
    told.push((1_800_000_099_000, wire::EventKind::Gap(gap)));
    told.extend(sync_notices().into_iter().map(|kind| (1_800_000_099_000, kind)));
    let closed = wire::OnClosed { reason: wire::CloseReason::SlowReader };
    told.push((1_800_000_099_000, wire::EventKind::Closed(closed)));
    let envelope =
        |((time_ms, kind), seq)| serde_json::to_value(wire::Envelope { seq, time_ms, kind, trace_id: None });
    let envelopes = told.into_iter().zip(1..).map(|event| envelope(event).expect("strings and numbers"));
    sorted(envelopes.collect())
}

/// The time line that [`crate::explain::Explanation`] has for examples.
fn explained() -> Value {
    serde_json::to_value(explain::wire(NodeId::default(), &explain::example())).unwrap()
}

fn parties(from_uri: &str, to_uri: &str) -> Box<Parties> {
    let (from_uri, to_uri) = (from_uri.to_owned(), to_uri.to_owned());
    let from_name = Some("Alice".to_owned());
    Box::new(Parties {
        direction: Direction::Inbound,
        from_uri,
        from_name,
        to_uri,
        gateway: Some("carrier".into()),
    })
}

/// What lives, where one call does, in a conference.
fn sync_notices() -> [wire::EventKind; 4] {
    let of = |method, index: Option<usize>| {
        let result = written(method).1;
        index.map_or(result.clone(), |index| result[index].clone())
    };
    let call = serde_json::from_value(of("sys.call.get", None)).unwrap();
    let conference = serde_json::from_value(of("sys.conf.get", None)).unwrap();
    let parts = vec![serde_json::from_value(of("sys.conf.get_parts", Some(0))).unwrap()];
    [
        wire::EventKind::SyncBegin(wire::OnSyncBegin { calls: 1, conferences: 1 }),
        wire::EventKind::SyncCall(wire::OnSyncCall { call }),
        wire::EventKind::SyncConference(wire::OnSyncConference { conference, parts }),
        wire::EventKind::SyncEnd(wire::OnSyncEnd {}),
    ]
}

fn released(from_uri: &str, to_uri: &str, begin: UnixMs, answer: UnixMs, end: UnixMs) -> EventKind {
    EventKind::Released(Box::new(Released {
        direction: Direction::Inbound,
        from_uri: from_uri.to_owned(),
        to_uri: to_uri.to_owned(),
        begin,
        answer_time: Some(answer),
        end,
        cause: Cause { by: DroppedBy::User, status: 200 },
        reason: Some("Q.850;cause=16".to_owned()),
        sip_call_id: "a84b4c76e66710@192.0.2.10".to_owned(),
        gateway: Some("carrier".into()),
        lasted: Duration::from_secs(40),
        talked: Some(Duration::from_millis(39_100)),
        codec: Some(Codec::Pcma),
        recordings: vec!["2026/message.wav".to_owned()],
        stats: LegStats::default(),
    }))
}

fn redirected(span: Span) -> EventKind {
    let error = Some(Failure::Rejected { sip_status: 302 });
    let contacts = vec!["sip:2000@192.0.2.40".to_owned()];
    EventKind::DialCompleted { error, span, answer_time: None, contacts, also_rang: Vec::new() }
}

fn play_completed(span: Span, finish_key: Option<Key>, played: Duration) -> EventKind {
    EventKind::PlayCompleted { error: None, span, finish_key, file: None, played }
}

/// One of every kind, and when.
pub(crate) fn call_events() -> Vec<(i64, EventKind)> {
    let at = |ms: i64| UnixMs(1_800_000_000_250 + ms);
    let span = |begin, end| Span { begin: at(begin), end: at(end) };
    let key = |char| Key::from_char(char).unwrap();
    let (hash, one, file) = (Some(key('#')), key('1'), "2026/message.wav".to_owned());
    let (from_uri, to_uri) = ("sip:1000@192.0.2.10:5060".to_owned(), "sip:2000@192.0.2.20:5060".to_owned());
    let codecs = vec!["PCMA".to_owned(), "PCMU".to_owned()];
    let (played, duration) = (Duration::from_millis(2_040), Duration::from_millis(1_960));
    let recorded = RecordedFile { bytes: 15_738, parts: 1, gaps: Duration::ZERO };
    let released = released(&from_uri, &to_uri, at(0), at(900), at(40_000));
    let from_name = Some("Alice".to_owned());
    let (named, found) =
        (SocketAddr::from(([10, 0, 0, 7], 4000)), SocketAddr::from(([198, 51, 100, 9], 61_000)));
    let (timeout, hangup) = (Some(Failure::Timeout), Some(Failure::Hangup));
    let parties = parties(&from_uri, &to_uri);
    let (gateway, headers) = ("carrier".into(), vec![header("Privacy", "id"), header("X-Account", "4711")]);
    vec![
        (0, EventKind::Incoming { from_uri, from_name, to_uri, begin: at(0), codecs, gateway, headers }),
        (0, EventKind::StateChanged { state: State::Initiated, prior: None, parties: parties.clone() }),
        (500, EventKind::Ringing { time: at(500) }),
        (900, EventKind::AnswerCompleted { error: None, span: span(800, 900) }),
        (900, EventKind::StateChanged { state: State::Idle, prior: Some(State::Answer), parties }),
        (1_000, redirected(span(0, 1_000))),
        (
            4_000,
            EventKind::Dtmf { key: one, source: DigitSource::Rfc4733, duration: Duration::from_millis(100) },
        ),
        (4_000, EventKind::Hold { held: true }),
        (4_000, EventKind::MediaAlarm(MediaAlarm::NoRtpIn { silent: Duration::from_secs(30) })),
        (4_000, EventKind::MediaAlarm(MediaAlarm::SourceChanged { from: named, to: found })),
        (4_000, EventKind::MediaAlarm(MediaAlarm::Trouble(Trouble::LossIn { percent: 12 }))),
        (4_000, play_completed(span(1_000, 4_000), hash, played)),
        (
            8_000,
            EventKind::RecordCompleted {
                error: None,
                span: span(5_000, 8_000),
                finish_key: hash,
                file,
                duration,
                recorded,
            },
        ),
        (9_000, EventKind::SendDtmfCompleted { error: None, span: span(8_000, 9_000) }),
        (
            20_000,
            EventKind::ReceiveDtmfCompleted {
                error: timeout,
                span: span(9_000, 20_000),
                keys: "12".to_owned(),
                finish_key: None,
            },
        ),
        (
            40_000,
            EventKind::ConnectCompleted {
                error: hangup,
                span: span(21_000, 40_000),
                hangup: Some(CallId(1)),
            },
        ),
        (40_000, conf_completed(Failure::Kicked { sip_status: 603 }, span(39_000, 40_000))),
        (40_000, released),
    ]
}

fn conf_completed(failure: Failure, span: Span) -> EventKind {
    EventKind::ConfCompleted { error: Some(failure), conference: ConferenceId(3), span }
}

fn conference_events() -> Vec<(i64, conference::EventKind)> {
    use conference::{EventKind, Over};
    let span = Span { begin: UnixMs(1_800_000_000_250), end: UnixMs(1_800_000_045_250) };
    let (released, file) = (Some(Failure::ConferenceReleased), "2026/weekly.wav".to_owned());
    let (played, duration) = (Duration::from_millis(4_020), Duration::from_millis(44_980));
    let recorded = RecordedFile { bytes: 180_012, parts: 1, gaps: Duration::ZERO };
    vec![
        (39_000, EventKind::PartEntered { call: CallId(1), parts: 1 }),
        (39_500, EventKind::Talking { call: CallId(1), talking: true }),
        (40_000, EventKind::PartExited { call: CallId(1), parts: 0 }),
        (44_000, EventKind::PlayCompleted { error: None, span, file: None, played }),
        (45_000, EventKind::RecordCompleted { error: released, span, file, duration, recorded }),
        (45_000, EventKind::Released { span, reason: Over::PartsThreshold }),
    ]
}

/// What goes on beside the state of a call.
fn beside_events() -> Vec<(i64, EventKind)> {
    let at = |ms: i64| UnixMs(1_800_000_000_250 + ms);
    let span = Span { begin: at(36_000), end: at(39_000) };
    let listened = Span { begin: at(28_000), end: at(33_000) };
    let beep = Beep { frequency: 1000.2, duration: Duration::from_millis(480) };
    vec![
        (
            30_000,
            EventKind::TransferRequested { to_uri: "sip:3000@192.0.2.30".to_owned(), referred_by: None },
        ),
        (31_000, EventKind::Detected(Detected::Answerer(Answerer::Machine, Reason::LongGreeting))),
        (32_000, EventKind::Detected(Detected::Beep(beep))),
        (33_000, EventKind::DetectCompleted { error: None, span: listened }),
        (35_000, EventKind::Message(message())),
        (35_500, EventKind::MessageCompleted { message: MessageId(8), error: None, sip_status: Some(200) }),
        (
            39_000,
            EventKind::TransferCompleted {
                error: Some(Failure::Refused { sip_status: 603 }),
                span,
                sip_status: Some(603),
            },
        ),
    ]
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: value.to_owned() }
}

fn message() -> Message {
    Message {
        from_uri: "sip:1000@192.0.2.10".to_owned(),
        to_uri: "sip:2000@192.0.2.20".to_owned(),
        body: Body { content_type: "text/plain".to_owned(), bytes: b"Ring back at noon".to_vec() },
    }
}

fn node_events() -> Vec<NodeEventKind> {
    let gateway: GatewayName = "carrier".into();
    let expires = Duration::from_secs(3_600);
    vec![
        NodeEventKind::GatewayState { gateway: gateway.clone(), up: true, sip_status: 200 },
        NodeEventKind::RegistrationState {
            gateway: gateway.clone(),
            state: RegistrationState::Registered { expires },
        },
        NodeEventKind::Message { gateway: Some(gateway), message: message() },
        NodeEventKind::MessageCompleted { message: MessageId(9), error: None, sip_status: 200 },
    ]
}
