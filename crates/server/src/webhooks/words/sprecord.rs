//! The words of SpRecord: a few kinds of events, each with a small payload, the same by POST and by Server-Sent Events.

use std::time::{Duration, SystemTime};

use offhook_client::wire::{CallDir, CallState, DroppedBy, EventKind, OnReleased};
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
const EVENTS: [&str; 5] = [
    "sys.node.on_started",
    "sys.call.on_state_changed",
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
            EventKind::NodeStarted(_) => vec![self.told("startup", json!({}))],
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
            EventKind::RecordCompleted(completed) => {
                self.records.begin(&completed.res_id, seq, seq);
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
        // A ringing call that we send elsewhere ends so for us.
        let is_sent_on = released.answer_time.is_none()
            && (released.call_dir, released.dropped_by, released.cause)
                == (CallDir::Inbound, DroppedBy::System, 302);
        let elsewhere = is_sent_on.then(|| {
            let payload = json!({ "call_id": released.res_id, "number": number(&released.to_uri) });
            self.told("answer_elsewhere", payload)
        });
        elsewhere.into_iter().chain([end]).collect()
    }

    fn told(&self, kind: &'static str, payload: Value) -> Told {
        let body = json!({ "device_id": self.device_id, "event_type": kind, "payload": payload });
        Told { kind, body: body.to_string() }
    }
}

/// How a call went, by its last status.
fn status(released: &OnReleased) -> &'static str {
    match released.cause {
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

    #[test]
    fn a_ringing_call_that_is_sent_on_is_answered_elsewhere() {
        let elsewhere = json!({ "call_id": "r", "number": "2000" });
        check(
            &[released("r", CallDir::Inbound, 302, None)],
            &[("answer_elsewhere", elsewhere), ("call_end", end(None, None, "not_def"))],
        );
        check(&[released("r", CallDir::Outbound, 302, None)], &[("call_end", end(None, None, "not_def"))]);
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
