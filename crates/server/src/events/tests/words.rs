use std::time::Duration;

use offhook_call::cause::{Cause, DroppedBy, Failure, Unagreed};
use offhook_call::error::Direction;
use offhook_call::event::{Event, EventKind as CallEvent, Message, NodeEventKind, Released, Span, UnixMs};
use offhook_call::id::{CallId, NodeId};
use offhook_client::wire::{EventKind, OnStateChanged};
use offhook_media::detect::amd::{Answerer, Reason};
use offhook_media::detect::beep::Beep;
use offhook_media::detect::fax::FaxTone;
use offhook_media::detect::progress::NetworkTone;
use offhook_media::detect::vad::TalkEvent;
use offhook_media::event::{Detected, LegStats};
use offhook_media::progress::Progress;
use offhook_sip::event::{Body, GatewayName, Header, RegistrationState};
use serde_json::{Value, json};

use crate::events::{call_event, node_event};

#[track_caller]
fn converted(user_data: Option<&str>, kind: CallEvent, type_name: &str, params: Value) {
    let user_data = user_data.map(str::to_owned);
    let event = Event { call: CallId(42), time: UnixMs(1_700_000_009_999), user_data, kind };
    let kind = call_event(NodeId([1, 2, 3]), 99, event);
    assert_eq!(serde_json::to_value(kind).unwrap(), json!({ "type": type_name, "params": params }));
}

#[test]
fn an_incoming_call_in_the_apis_words() {
    let kind = CallEvent::Incoming {
        from_uri: "sip:a@h".to_owned(),
        from_name: Some("A".to_owned()),
        to_uri: "sip:b@h".to_owned(),
        begin: UnixMs(1_700_000_009_999),
        codecs: vec!["PCMA".to_owned(), "opus".to_owned()],
        gateway: "carrier".into(),
        headers: [("X-A", "1"), ("Privacy", "id"), ("x-a", "2")]
            .map(|(name, value)| Header { name: name.to_owned(), value: value.to_owned() })
            .to_vec(),
    };
    let params = json!({
        "res_id": "1.2.3-sys.call-42", "from_uri": "sip:a@h", "from_name": "A", "to_uri": "sip:b@h",
        "begin_time": 1_700_000_009,
        "user_data": null, "ipsc_info": { "process_id": 99 }, "codecs": ["PCMA", "opus"],
        "gateway": "carrier", "headers": { "Privacy": ["id"], "X-A": ["1", "2"] }
    });
    converted(None, kind, "sys.call.on_incoming", params);
}

#[test]
fn a_released_call_in_the_apis_words() {
    let released = Released {
        direction: Direction::Outbound,
        from_uri: "sip:a@h".to_owned(),
        to_uri: "sip:b@h".to_owned(),
        begin: UnixMs(1_700_000_000_000),
        answer_time: None,
        end: UnixMs(1_700_000_009_999),
        cause: Cause { by: DroppedBy::System, status: 487 },
        reason: Some("Q.850;cause=41".to_owned()),
        sip_call_id: "id@h".to_owned(),
        gateway: Some("carrier".into()),
        lasted: Duration::from_millis(9_999),
        talked: None,
        codec: None,
        recordings: Vec::new(),
        stats: LegStats::default(),
    };
    let params = json!({
        "res_id": "1.2.3-sys.call-42", "call_dir": "outbound", "from_uri": "sip:a@h", "to_uri": "sip:b@h",
        "begin_time": 1_700_000_000, "answer_time": null, "end_time": 1_700_000_009, "dropped_by": "sys", "cause": 487,
        "reason": "Q.850;cause=41", "user_data": "mark", "ipsc_info": { "process_id": 99, "call_id": "id@h" }
    });
    converted(Some("mark"), CallEvent::Released(Box::new(released)), "sys.call.on_released", params);
}

#[test]
fn a_failed_dialling_in_the_apis_words() {
    let span = Span { begin: UnixMs(1_700_000_000_000), end: UnixMs(1_700_000_009_999) };
    let error = Some(Failure::Rejected { sip_status: 486 });
    let params = json!({
        "res_id": "1.2.3-sys.call-42",
        "error": { "code": "rejected", "message": "the far end refused or could not be reached", "sip_status": 486 },
        "begin_time": 1_700_000_000, "answer_time": null, "end_time": 1_700_000_009, "user_data": null,
        "contacts": ["sip:c@h"], "also_rang": ["sip:d@h"]
    });
    converted(
        None,
        CallEvent::DialCompleted {
            error,
            span,
            answer_time: None,
            contacts: vec!["sip:c@h".to_owned()],
            also_rang: vec!["sip:d@h".to_owned()],
        },
        "sys.call.on_dial_completed",
        params,
    );
}

#[test]
fn what_an_answer_lacks_is_told() {
    for (why, expected) in [
        (Unagreed::Codecs, "the far end accepts none of the codecs"),
        (Unagreed::NoKeys, "the far end has no keys for SRTP, and media has to be protected"),
        (
            Unagreed::Keys("of a tag that was not offered"),
            "the far end answers with a=crypto of a tag that was not offered",
        ),
        (Unagreed::Description, "the far end describes no audio that can be used"),
    ] {
        let params = json!({
            "res_id": "1.2.3-sys.call-42",
            "error": { "code": "not_negotiated", "message": expected, "sip_status": 488 },
            "begin_time": 0, "answer_time": null, "end_time": 0, "user_data": null, "contacts": [], "also_rang": []
        });
        let dialled = CallEvent::DialCompleted {
            error: Some(Failure::NotNegotiated(why)),
            span: Span { begin: UnixMs(0), end: UnixMs(0) },
            answer_time: None,
            contacts: Vec::new(),
            also_rang: Vec::new(),
        };
        converted(None, dialled, "sys.call.on_dial_completed", params);
    }
}

#[test]
fn a_message_in_the_apis_words() {
    let message = |content_type: &str, bytes: &[u8]| Message {
        from_uri: "sip:a@h".to_owned(),
        to_uri: "sip:b@h".to_owned(),
        body: Body { content_type: content_type.to_owned(), bytes: bytes.to_vec() },
    };
    let params = json!({
        "res_id": "1.2.3-sys.call-42", "from_uri": "sip:a@h", "to_uri": "sip:b@h", "content_type": "text/plain",
        "content": "good d\u{e4}y", "content_encoding": null, "user_data": "mark"
    });
    let text = CallEvent::Message(message("text/plain", "good d\u{e4}y".as_bytes()));
    converted(Some("mark"), text, "sys.call.on_message", params);
    // RFC 4648 §10 has no such bytes; these are `printf '\xff\xfe\x00' | base64`.
    let params = json!({
        "res_id": "1.2.3-sys.call-42", "from_uri": "sip:a@h", "to_uri": "sip:b@h", "content_type": "image/x",
        "content": "//4A", "content_encoding": "base64", "user_data": null
    });
    converted(None, CallEvent::Message(message("image/x", b"\xff\xfe\0")), "sys.call.on_message", params);
}

#[test]
fn a_transfer_in_the_apis_words() {
    let span = Span { begin: UnixMs(1_700_000_000_000), end: UnixMs(1_700_000_009_999) };
    let completed = |error, sip_status| CallEvent::TransferCompleted { error, span, sip_status };
    let params = |error: Value, sip_status: Value| {
        json!({
            "res_id": "1.2.3-sys.call-42", "error": error, "begin_time": 1_700_000_000, "end_time": 1_700_000_009,
            "user_data": null, "sip_status": sip_status
        })
    };
    let name = "sys.call.on_transfer_completed";
    converted(None, completed(None, Some(200)), name, params(Value::Null, json!(200)));
    let error = json!({ "code": "refused", "message": "the far end refused it", "sip_status": 603 });
    let refused = Failure::Refused { sip_status: 603 };
    converted(None, completed(Some(refused), Some(603)), name, params(error, json!(603)));
    let error = json!({ "code": "hangup", "message": "the call was hung up" });
    converted(None, completed(Some(Failure::Hangup), None), name, params(error, Value::Null));
}

#[test]
fn what_was_heard_in_the_apis_words() {
    let of = |kind: &str, result: &str, more: &[(&str, Value)]| {
        let mut params = json!({
            "res_id": "1.2.3-sys.call-42", "kind": kind, "result": result, "cause": null, "frequency_hz": null,
            "duration_ms": null, "reversals": null, "user_data": null
        });
        for (name, value) in more {
            params[*name] = value.clone();
        }
        params
    };
    let check = |detected, params| {
        converted(None, CallEvent::Detected(detected), "sys.call.on_detected", params);
    };
    let duration = Duration::from_millis(480);
    check(Detected::Voice(TalkEvent::Started), of("voice", "started", &[]));
    check(
        Detected::Voice(TalkEvent::Stopped { duration }),
        of("voice", "stopped", &[("duration_ms", json!(480))]),
    );
    check(
        Detected::Answerer(Answerer::Unsure, Reason::InitialSilence),
        of("amd", "unsure", &[("cause", json!("initial_silence"))]),
    );
    check(
        Detected::Answerer(Answerer::Unsure, Reason::Tone),
        of("amd", "unsure", &[("cause", json!("tone"))]),
    );
    let beep = [("frequency_hz", json!(1000)), ("duration_ms", json!(480))];
    check(Detected::Beep(Beep { frequency: 999.7, duration }), of("beep", "beep", &beep));
    for (tone, result) in [
        (NetworkTone::Progress(Progress::Busy), "busy"),
        (NetworkTone::Progress(Progress::Congestion), "congestion"),
        (NetworkTone::Progress(Progress::RingBack), "ringback"),
        (NetworkTone::Progress(Progress::Dial), "dial"),
        (NetworkTone::SpecialInformation, "sit"),
    ] {
        check(Detected::Tone(tone), of("tones", result, &[]));
    }
    check(Detected::Fax(FaxTone::Cng), of("fax", "cng", &[]));
    let ced = [("reversals", json!(true))];
    check(Detected::Fax(FaxTone::Ced { reversals: true }), of("fax", "ced", &ced));
}

#[track_caller]
fn converted_of_node(kind: NodeEventKind, type_name: &str, params: Value) {
    let kind = serde_json::to_value(node_event(kind)).unwrap();
    assert_eq!(kind, json!({ "type": type_name, "params": params }));
}

#[test]
fn what_becomes_of_gateways_in_the_apis_words() {
    let gateway: GatewayName = "carrier".into();
    let kind = NodeEventKind::GatewayState { gateway: gateway.clone(), up: false, sip_status: 408 };
    let params = json!({ "gateway": "carrier", "up": false, "sip_status": 408 });
    converted_of_node(kind, "sys.node.on_gateway_state", params);
    let registration = |state| NodeEventKind::RegistrationState { gateway: gateway.clone(), state };
    let name = "sys.node.on_registration_state";
    let registered = RegistrationState::Registered { expires: Duration::from_secs(300) };
    let params =
        json!({ "gateway": "carrier", "registered": true, "expires": 300, "error": null, "retry_in": null });
    converted_of_node(registration(registered), name, params);
    let phrase = "Forbidden".to_owned();
    let failed = RegistrationState::Failed { status: 403, phrase, retry_in: Duration::from_secs(60) };
    let params = json!({
        "gateway": "carrier", "registered": false, "expires": null, "retry_in": 60,
        "error": { "code": "refused", "message": "Forbidden", "sip_status": 403 }
    });
    converted_of_node(registration(failed), name, params);
}

#[test]
fn an_event_of_a_state_names_no_user_data() {
    let kind = EventKind::StateChanged(OnStateChanged {
        res_id: "r".to_owned(),
        state: offhook_client::wire::CallState::Idle,
        prior_state: None,
        call_dir: offhook_client::wire::CallDir::Inbound,
        from_uri: "sip:1000@h".to_owned(),
        from_name: Some("Alice".to_owned()),
        to_uri: "sip:2000@h".to_owned(),
        gateway: None,
    });
    assert_eq!(
        serde_json::to_value(kind).unwrap()["params"],
        json!({
            "res_id": "r", "state": "Idle", "prior_state": null, "call_dir": "inbound", "from_uri": "sip:1000@h",
            "from_name": "Alice", "to_uri": "sip:2000@h", "gateway": null
        })
    );
}
