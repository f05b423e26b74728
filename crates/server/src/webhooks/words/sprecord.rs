//! The words of SpRecord: a few kinds of events, each with a small payload, the same by POST and by Server-Sent Events.

use std::time::{Duration, SystemTime};

use offhook_client::wire::{
    CallDir, CallState, DroppedBy, EventKind, OnDialCompleted, OnRecordingRecovered, OnReleased,
};
use serde_json::{Value, json};

use super::calls::Calls;
use super::number;
use crate::events::Entry;

/// Its kinds of events, but for the one that verifies a hook.
pub(in super::super) const KINDS: [&str; 7] = [
    "startup",
    "incoming_call",
    "outgoing_call",
    "start_talk",
    "call_end",
    "incoming_sms",
    "answer_elsewhere",
];

/// The events that say something of those.
const EVENTS: [&str; 7] = [
    "sys.node.on_started",
    "sys.node.on_recording_recovered",
    "sys.call.on_state_changed",
    "sys.call.on_dial_completed",
    "sys.call.on_record_completed",
    "sys.call.on_released",
    "sys.node.on_message",
];

/// Events in its words.
#[derive(Debug)]
pub(crate) struct SpRecord {
    /// What it calls the node.
    device_id: String,
    /// The last recording of each call that has one: the number of the event that told of it.
    records: Calls<u64>,
}

/// An event in its words.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) kind: &'static str,
    /// One line of JSON.
    pub(crate) body: String,
}

impl SpRecord {
    /// For a node.
    pub(crate) fn new(device_id: String) -> Self {
        Self { device_id, records: Calls::default() }
    }

    /// What an event of the log is there, in the order in which it is told.
    pub(crate) fn of_entry(&mut self, entry: &Entry) -> Vec<Told> {
        let event = EVENTS.contains(&entry.type_name).then(|| super::parsed(entry)).flatten();
        event.map(|event| self.of((entry.seq, entry.time_ms), &event)).unwrap_or_default()
    }

    fn of(&mut self, (seq, time_ms): (u64, i64), event: &EventKind) -> Vec<Told> {
        match event {
            EventKind::NodeStarted(_) => {
                // The calls of the last run are over.
                self.records = Calls::default();
                vec![self.told("startup", json!({}))]
            }
            EventKind::StateChanged(changed) => {
                let kind = match (changed.prior_state, changed.call_dir, changed.state) {
                    (None, CallDir::Inbound, _) => "incoming_call",
                    (None, CallDir::Outbound, _) => "outgoing_call",
                    (Some(CallState::Initiated | CallState::Answer), _, CallState::Idle) => "start_talk",
                    _ => return Vec::new(),
                };
                let payload = json!({
                    "call_id": changed.res_id, "call_src": number(&changed.from_uri),
                    "call_dst": number(&changed.to_uri), "trunk": changed.gateway.as_deref().unwrap_or_default(),
                });
                vec![self.told(kind, payload)]
            }
            // The call goes on with one of the telephones that it rang at, and with none of the others.
            EventKind::DialCompleted(OnDialCompleted { res_id, also_rang, .. }) => {
                also_rang.iter().map(|uri| self.elsewhere(res_id, uri)).collect()
            }
            EventKind::RecordCompleted(completed) => {
                self.records.begin(&completed.res_id, seq, seq);
                Vec::new()
            }
            // That of a call which the end of the server cut off is told instead, before the end of the call.
            EventKind::RecordingRecovered(OnRecordingRecovered { owner_res_id: Some(call), .. }) => {
                self.records.begin(call, seq, seq);
                Vec::new()
            }
            EventKind::Released(released) => self.released(released),
            EventKind::NodeMessage(message)
                if message.content_encoding.is_none() && is_plain(&message.content_type) =>
            {
                let at =
                    SystemTime::UNIX_EPOCH + Duration::from_millis(time_ms.try_into().unwrap_or_default());
                let payload = json!({
                    "sms_src": number(&message.from_uri), "text": message.content,
                    "trunk": message.gateway.as_deref().unwrap_or_default(), "date": rfc3339(at),
                });
                vec![self.told("incoming_sms", payload)]
            }
            _ => Vec::new(),
        }
    }

    /// What proves that a hook wants to be one.
    pub(crate) fn verification(&self, text: &str) -> String {
        self.told("verification", json!(text)).body
    }

    /// What a test sends.
    pub(in super::super) fn test(&self) -> String {
        self.told("test", json!({})).body
    }

    /// Since which event something is known of calls that are not over.
    pub(super) fn since(&self) -> Option<u64> {
        self.records.since()
    }

    fn released(&mut self, released: &OnReleased) -> Vec<Told> {
        let record = self.records.end(&released.res_id);
        let duration = released.answer_time.map(|answered| released.end_time.saturating_sub(answered));
        let payload = json!({
            "call_id": released.res_id, "record_id": record, "duration": duration, "status": status(released),
        });
        let end = self.told("call_end", payload);
        let elsewhere = is_elsewhere(released).then(|| self.elsewhere(&released.res_id, &released.to_uri));
        elsewhere.into_iter().chain([end]).collect()
    }

    /// A telephone has rung, and the call is answered by another.
    fn elsewhere(&self, res_id: &str, uri: &str) -> Told {
        self.told("answer_elsewhere", json!({ "call_id": res_id, "number": number(uri) }))
    }

    fn told(&self, kind: &'static str, payload: Value) -> Told {
        let body = json!({ "device_id": self.device_id, "event_type": kind, "payload": payload });
        Told { kind, body: body.to_string() }
    }
}

/// Whether a ringing call goes on at another telephone: we have sent it there, or the far end, which let several ring, says by its
/// CANCEL that another has answered.
fn is_elsewhere(released: &OnReleased) -> bool {
    let rang = released.answer_time.is_none() && released.call_dir == CallDir::Inbound;
    rang && match (released.dropped_by, released.cause) {
        (DroppedBy::System, 302) => true,
        (DroppedBy::User, 487) => released.reason.as_deref().is_some_and(is_answered_elsewhere),
        _ => false,
    }
}

/// Whether Reason headers say so: as in the example of RFC 3326 §3.1, or by Q.850, where cause 26 is that another user was chosen.
fn is_answered_elsewhere(reasons: &str) -> bool {
    between(reasons, ',').any(|reason| {
        let mut parts = between(reason, ';').map(str::trim);
        let protocol = parts.next().unwrap_or_default();
        let value = |part: &str| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("cause").then(|| value.trim().parse::<u16>().ok()).flatten()
        };
        let cause = parts.find_map(value);
        (protocol.eq_ignore_ascii_case("SIP") && cause == Some(200))
            || (protocol.eq_ignore_ascii_case("Q.850") && cause == Some(26))
    })
}

/// The parts of a header between separators, those within quotes not counted.
fn between(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        let escaped = is_escaped;
        is_escaped = is_quoted && !escaped && character == '\\';
        is_quoted ^= character == '"' && !escaped;
        !is_quoted && character == separator
    })
}

/// How a call went, by its last status.
fn status(released: &OnReleased) -> &'static str {
    match released.cause {
        // A defect of ours, or the end of a server that could not tell.
        500 => "error",
        _ if released.answer_time.is_some() => "success",
        486 | 600 => "busy",
        408 | 480 | 487 | 603 => "no_answer",
        503 => "overload",
        400..700 => "error",
        _ => "not_def",
    }
}

fn is_plain(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim().eq_ignore_ascii_case("text/plain")
}

/// The date and time of the world (RFC 3339), to the second.
fn rfc3339(at: SystemTime) -> String {
    // `Mon, 30 Nov 2026 12:00:00 GMT`: the same calendar in other words.
    let date = httpdate::fmt_http_date(at);
    let words: Vec<&str> = date.split(' ').collect();
    let [_, day, month, year, time, _] = words[..] else { return date };
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let month = MONTHS.find(month).map_or(1, |at| at / 3 + 1);
    format!("{year}-{month:02}-{day}T{time}Z")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{changed, message, recorded, released, started};
    use super::*;

    /// Kinds and payloads of what is told of these events, numbered from 1.
    #[track_caller]
    fn check(events: &[EventKind], expected: &[(&str, Value)]) {
        let mut words = SpRecord::new("1.2.3".to_owned());
        let mut told = Vec::new();
        for (seq, event) in (1..).zip(events) {
            told.extend(words.of((seq, 1_796_040_000_000), event));
        }
        let bodies: Vec<Value> = told.iter().map(|told| serde_json::from_str(&told.body).unwrap()).collect();
        let expected: Vec<Value> = expected
            .iter()
            .map(|(kind, payload)| json!({ "device_id": "1.2.3", "event_type": kind, "payload": payload }))
            .collect();
        assert_eq!(bodies, expected);
        assert!(told.iter().all(|told| KINDS.contains(&told.kind) && !told.body.contains('\n')));
    }

    fn of_call() -> Value {
        json!({ "call_id": "r", "call_src": "1000", "call_dst": "2000", "trunk": "carrier" })
    }

    fn end(record: Option<u64>, duration: Option<i64>, status: &str) -> Value {
        json!({ "call_id": "r", "record_id": record, "duration": duration, "status": status })
    }

    #[test]
    fn a_call_begins_is_talked_in_and_ends() {
        use CallState::{Answer, Idle, Initiated, Record};
        let inbound = |state, prior| changed("r", CallDir::Inbound, state, prior);
        check(
            &[
                started(),
                inbound(Initiated, None),
                inbound(Answer, Some(Initiated)),
                inbound(Idle, Some(Answer)),
                inbound(Record, Some(Idle)),
                inbound(Idle, Some(Record)),
                recorded("r"),
                released("r", CallDir::Inbound, 200, Some(10)),
            ],
            &[
                ("startup", json!({})),
                ("incoming_call", of_call()),
                ("start_talk", of_call()),
                ("call_end", end(Some(7), Some(20), "success")),
            ],
        );
        let outbound = |state, prior| changed("r", CallDir::Outbound, state, prior);
        check(
            &[
                outbound(Initiated, None),
                outbound(Idle, Some(Initiated)),
                outbound(Idle, Some(CallState::Play)),
            ],
            &[("outgoing_call", of_call()), ("start_talk", of_call())],
        );
    }

    /// The rows of `notifications.md`.
    #[test]
    fn every_status_has_its_word() {
        for (causes, word) in [
            (&[486, 600][..], "busy"),
            (&[408, 480, 487, 603], "no_answer"),
            (&[503], "overload"),
            (&[400, 404, 410, 488, 500, 504, 604, 699], "error"),
            (&[200, 301], "not_def"),
        ] {
            for cause in causes {
                check(
                    &[released("r", CallDir::Outbound, *cause, None)],
                    &[("call_end", end(None, None, word))],
                );
            }
        }
    }

    /// Nobody could say how it would have gone on.
    #[test]
    fn a_talk_that_the_end_of_the_server_cut_off_is_no_success() {
        check(
            &[released("r", CallDir::Inbound, 500, Some(10))],
            &[("call_end", end(None, Some(20), "error"))],
        );
    }

    /// Its recording was never completed, and has the number of the event that tells of it.
    #[test]
    fn the_recording_of_a_call_that_was_cut_off_is_told_with_its_end() {
        let recovered = |call: Option<&str>| {
            EventKind::RecordingRecovered(OnRecordingRecovered {
                owner_res_id: call.map(str::to_owned),
                record_file: "inbox/open.wav".to_owned(),
                parts: 1,
                bytes: 638,
                repaired: true,
            })
        };
        let cut_off = || released("r", CallDir::Inbound, 500, Some(10));
        let ended = |record| ("call_end", end(record, Some(20), "error"));
        check(
            &[recovered(None), recovered(Some("r")), recovered(Some("other")), cut_off(), started()],
            &[ended(Some(2)), ("startup", json!({}))],
        );
        // What nobody has ended by then nobody will end.
        let mut words = SpRecord::new("1.2.3".to_owned());
        for (seq, event) in (1..).zip([recovered(Some("r")), recovered(Some("other")), cut_off()]) {
            words.of((seq, 0), &event);
        }
        assert_eq!(words.since(), Some(2));
        words.of((4, 0), &started());
        assert_eq!(words.since(), None);
    }

    #[test]
    fn a_ringing_call_that_is_sent_on_is_answered_elsewhere() {
        let elsewhere = json!({ "call_id": "r", "number": "2000" });
        check(
            &[released("r", CallDir::Inbound, 302, None)],
            &[("answer_elsewhere", elsewhere), ("call_end", end(None, None, "not_def"))],
        );
        check(&[released("r", CallDir::Outbound, 302, None)], &[("call_end", end(None, None, "not_def"))]);
    }

    /// RFC 3326 §3.1 has the first one, for the forks that ring when one has answered.
    #[test]
    fn a_call_that_another_telephone_has_answered_is_answered_elsewhere() {
        let cancelled = |direction, cause, answered, reason: Option<&str>| {
            let EventKind::Released(end) = released("r", direction, cause, answered) else { panic!() };
            let (reason, dropped_by) = (reason.map(str::to_owned), DroppedBy::User);
            EventKind::Released(OnReleased { reason, dropped_by, ..end })
        };
        let told = |event: EventKind| {
            let told = SpRecord::new("1.2.3".to_owned()).of((1, 0), &event);
            told.iter().map(|told| told.kind).collect::<Vec<_>>()
        };
        let (yes, no) = (&["answer_elsewhere", "call_end"][..], &["call_end"][..]);
        for (reason, expected) in [
            ("SIP ;cause=200 ;text=\"Call completed elsewhere\"", yes),
            ("sip;text=\"a, b; cause=486 \\\" c\";CAUSE=200", yes),
            ("Q.850;cause=16, SIP;cause=200", yes),
            ("Q.850;cause=26;text=\"Non-selected user clearing\"", yes),
            ("SIP;cause=600;text=\"Busy Everywhere\"", no),
            ("SIP;text=\"x, SIP;cause=200\"", no),
            ("Q.850;cause=200", no),
            ("SIP;cause=", no),
            ("", no),
        ] {
            let event = cancelled(CallDir::Inbound, 487, None, Some(reason));
            assert_eq!(told(event), expected, "{reason}");
        }
        let reason = Some("SIP;cause=200");
        assert_eq!(told(cancelled(CallDir::Inbound, 487, None, None)), no, "the caller gave up");
        assert_eq!(told(cancelled(CallDir::Inbound, 200, Some(10), reason)), no, "it was answered here");
        assert_eq!(told(cancelled(CallDir::Outbound, 487, None, reason)), no, "it rang at the far end");
    }

    /// As an outbound call that a proxy lets ring at three telephones.
    #[test]
    fn telephones_that_rang_until_another_answered_are_told() {
        let dialled = |also_rang: &[&str]| {
            EventKind::DialCompleted(OnDialCompleted {
                res_id: "r".to_owned(),
                error: None,
                begin_time: 1,
                answer_time: Some(5),
                end_time: 5,
                user_data: None,
                contacts: vec!["sip:209@192.0.2.39".to_owned()],
                also_rang: also_rang.iter().map(|&uri| uri.to_owned()).collect(),
            })
        };
        let elsewhere = |number: &str| ("answer_elsewhere", json!({ "call_id": "r", "number": number }));
        let uris = ["sip:201@192.0.2.31", "sip:202@192.0.2.32:5070;transport=udp"];
        check(&[dialled(&uris)], &[elsewhere("201"), elsewhere("202")]);
        check(&[dialled(&[])], &[]);
    }

    /// `date --utc --date @1796040000 --iso-8601=seconds`: 2026-11-30T12:00:00+00:00.
    #[test]
    fn a_text_is_a_message() {
        let sms = json!({ "sms_src": "1000", "text": "Ring back", "trunk": "carrier", "date": "2026-11-30T12:00:00Z" });
        check(
            &[message("text/plain"), message("Text/Plain; charset=utf-8")],
            &[("incoming_sms", sms.clone()), ("incoming_sms", sms)],
        );
        check(&[message("application/json")], &[]);
    }
}
