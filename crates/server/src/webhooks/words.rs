//! From events to messages, in the words of a hook's format, and the headers that go with a message.

mod calls;
mod linkrtc;
mod sprecord;
#[cfg(test)]
mod testing;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use offhook_call::id::NodeId;
use offhook_client::wire::{Envelope, EventKind, OnGap, WebhookFormat};
use serde_json::json;

use self::linkrtc::LinkRtc;
use super::delivery::{Hole, Id, Message};
use super::{Definition, sign};
use crate::events::{Entry, Types};
use crate::trace::{TRACEPARENT, TraceId};
pub(super) use sprecord::KINDS;
pub(crate) use sprecord::{SpRecord, Told};

/// What a hook wants to hear, and how.
#[derive(Debug)]
pub(super) enum Words {
    /// Each event as it is.
    Native(Types),
    LinkRtc(LinkRtc),
    /// The kinds of events that are wanted; none: all.
    SpRecord(SpRecord, Option<Vec<String>>),
}

impl Words {
    /// Of a checked definition.
    pub(super) fn new(definition: &Definition, node: NodeId) -> Self {
        match definition.format {
            WebhookFormat::Native => Self::Native(definition.patterns().unwrap_or_else(|_| Types::usual())),
            WebhookFormat::Linkrtc => Self::LinkRtc(LinkRtc::default()),
            WebhookFormat::Sprecord => {
                Self::SpRecord(SpRecord::new(node.to_string()), definition.types.clone())
            }
        }
    }

    /// What an event is to the hook.
    pub(super) fn of(&mut self, entry: &Entry) -> Vec<Message> {
        let (seq, type_name) = (entry.seq, entry.type_name);
        let bodies: Vec<Bytes> = match self {
            Self::Native(types) if types.contains(type_name) => vec![entry.json.get().to_owned().into()],
            Self::Native(_) => Vec::new(),
            Self::LinkRtc(words) => {
                let told = linkrtc::EVENTS.contains(&type_name).then(|| parsed(entry)).flatten();
                let told = told.map(|event| words.of(seq, &event)).unwrap_or_default();
                told.into_iter().map(|told| told.to_string().into()).collect()
            }
            Self::SpRecord(words, kinds) => {
                let is_wanted =
                    |kind: &str| kinds.as_ref().is_none_or(|kinds| kinds.iter().any(|own| own == kind));
                let told = words.of_entry(entry).into_iter();
                told.filter(|told| is_wanted(told.kind)).map(|told| told.body.into()).collect()
            }
        };
        if bodies.is_empty() {
            return Vec::new();
        }
        let resource = entry.res_id().unwrap_or_default().into_owned();
        let trace = entry.trace_id();
        let message = |(part, body)| Message {
            id: Id { seq, part },
            resource: resource.clone(),
            type_name,
            body,
            trace,
            hole: None,
        };
        (0..).zip(bodies).map(message).collect()
    }

    /// What is said where events are missing; only our own words have one for it.
    pub(super) fn of_hole(&self, hole: Hole) -> Option<Message> {
        let Self::Native(_) = self else { return None };
        let Hole { reason, first, last, time_ms } = hole;
        let kind = EventKind::Gap(OnGap { reason, first, last: first.map(|_| last) });
        let type_name = kind.type_name();
        let envelope = Envelope { seq: last, time_ms, kind, trace_id: None };
        let body = serde_json::to_vec(&envelope).ok()?.into();
        let (id, resource) = (Id::notice(last), String::new());
        Some(Message { id, resource, type_name, body, trace: None, hole: Some(hole) })
    }

    /// What a test sends: no event of the log, and no number of one.
    pub(super) fn of_test(&self, time_ms: i64) -> Bytes {
        let test = match self {
            Self::Native(_) => {
                json!({ "seq": 0, "time_ms": time_ms, "type": "sys.event.on_test", "params": {} }).to_string()
            }
            Self::LinkRtc(_) => json!({ "type": "event.Test", "data": {} }).to_string(),
            Self::SpRecord(words, _) => words.test(),
        };
        test.into()
    }

    /// The event after which the log must be read for what is known of calls that go on.
    pub(super) fn needed(&self) -> Option<u64> {
        let since = match self {
            Self::Native(_) => None,
            Self::LinkRtc(words) => words.since(),
            Self::SpRecord(words, _) => words.since(),
        };
        since.map(|seq| seq.saturating_sub(1))
    }
}

/// The headers of a hook's requests.
#[derive(Debug)]
pub(super) struct Headers {
    content_type: &'static str,
    keys: Vec<Vec<u8>>,
    /// Of LinkRTC: the project and its secret.
    project: Option<(String, String)>,
}

impl Headers {
    /// Of a checked definition.
    pub(super) fn new(definition: &Definition) -> Self {
        let content_type = match definition.format {
            WebhookFormat::Native => "application/json",
            WebhookFormat::Linkrtc | WebhookFormat::Sprecord => "application/json; charset=utf-8",
        };
        Self {
            content_type,
            keys: definition.secrets.iter().filter_map(|secret| sign::key(secret)).collect(),
            project: definition.project_sid.clone().zip(definition.app_secret.clone()),
        }
    }

    /// Those of a request. Every attempt has the same `id` and a time of its own, and a number of its own in the trace.
    pub(super) fn of(&self, id: &str, unix_time: i64, body: &[u8], trace: Option<TraceId>) -> HeaderMap {
        let mut pairs = vec![
            (header::CONTENT_TYPE, self.content_type.to_owned()),
            (HeaderName::from_static("webhook-id"), id.to_owned()),
            (HeaderName::from_static("webhook-timestamp"), unix_time.to_string()),
        ];
        if let Some(trace) = trace {
            pairs.push((HeaderName::from_static(TRACEPARENT), trace.traceparent()));
        }
        if !self.keys.is_empty() {
            let signatures = sign::signatures(&self.keys, id, unix_time, body);
            pairs.push((HeaderName::from_static("webhook-signature"), signatures));
        }
        if let Some((sid, secret)) = &self.project {
            let signature = linkrtc::signature(sid, secret, unix_time);
            pairs.push((HeaderName::from_static("x-linkrtc-timestamp"), unix_time.to_string()));
            pairs.push((HeaderName::from_static("x-linkrtc-signature"), signature));
        }
        let pairs = pairs.into_iter().map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?)));
        pairs.flatten().collect()
    }
}

/// What a message is called for its receiver, who may get it twice: the same then.
pub(super) fn message_id(id: Id) -> String {
    match id {
        Id { seq, part: 0 } => format!("evt_{seq}"),
        Id { seq, .. } if id == Id::notice(seq) => format!("gap_{seq}"),
        Id { seq, part } => format!("evt_{seq}_{part}"),
    }
}

/// An event of the log as it was told; none where a former version told it in another way.
fn parsed(entry: &Entry) -> Option<EventKind> {
    serde_json::from_str(entry.json.get()).ok()
}

/// The number of a URI: its user, or what there is where it has none.
fn number(uri: &str) -> String {
    let rest = uri.split_once(':').filter(|(scheme, _)| matches!(*scheme, "sip" | "sips" | "tel"));
    let rest = rest.map_or(uri, |(_, rest)| rest);
    let user = rest.split('@').next().unwrap_or(rest);
    user.split([';', '?']).next().unwrap_or(user).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_user_of_a_uri() {
        for (uri, expected) in [
            ("sip:1000@192.0.2.10:5060", "1000"),
            ("sips:+49301234;phone-context=x@h", "+49301234"),
            ("tel:+49301234;isub=1", "+49301234"),
            ("1000@h", "1000"),
            ("sip:192.0.2.10:5060", "192.0.2.10:5060"),
            ("", ""),
        ] {
            assert_eq!(number(uri), expected, "{uri}");
        }
    }
}
