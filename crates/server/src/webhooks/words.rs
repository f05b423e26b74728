//! From events to messages, in the words of a hook's format, and the headers that go with a message.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use offhook_client::wire::{Envelope, EventKind, GapReason, OnGap};

use super::delivery::{Hole, Id, Message};
use super::{Definition, sign};
use crate::events::{Entry, Types};

/// What a hook wants to hear, and how.
#[derive(Debug)]
pub(super) struct Words {
    types: Types,
    keys: Vec<Vec<u8>>,
}

impl Words {
    /// Of a checked definition.
    pub(super) fn new(definition: &Definition) -> Self {
        let types = definition.patterns().unwrap_or_else(|_| Types::usual());
        Self { types, keys: definition.secrets.iter().filter_map(|secret| sign::key(secret)).collect() }
    }

    /// What an event is to the hook.
    pub(super) fn of(&self, entry: &Entry) -> Option<Message> {
        self.types.contains(entry.type_name).then(|| Message {
            id: Id { seq: entry.seq, part: 0 },
            resource: entry.res_id().unwrap_or_default().into_owned(),
            type_name: entry.type_name,
            body: entry.json.get().to_owned().into(),
            hole: None,
        })
    }

    /// What is said where events are missing.
    pub(super) fn of_hole(&self, hole: Hole) -> Option<Message> {
        let Hole { first, last, time_ms } = hole;
        let reason = if first.is_some() { GapReason::Expired } else { GapReason::Restarted };
        let kind = EventKind::Gap(OnGap { reason, first, last: first.map(|_| last) });
        let type_name = kind.type_name();
        let body = serde_json::to_vec(&Envelope { seq: last, time_ms, kind }).ok()?.into();
        Some(Message { id: Id::notice(last), resource: String::new(), type_name, body, hole: Some(hole) })
    }

    /// What a test sends: no event of the log, and no number of one.
    pub(super) fn of_test(&self, time_ms: i64) -> Bytes {
        let test =
            serde_json::json!({ "seq": 0, "time_ms": time_ms, "type": "sys.event.on_test", "params": {} });
        test.to_string().into()
    }

    /// The headers of a request. Every attempt has the same `id` and a time of its own.
    pub(super) fn headers(&self, id: &str, unix_time: i64, body: &[u8]) -> HeaderMap {
        let signatures = sign::signatures(&self.keys, id, unix_time, body);
        let pairs = [
            (header::CONTENT_TYPE, "application/json".to_owned()),
            (HeaderName::from_static("webhook-id"), id.to_owned()),
            (HeaderName::from_static("webhook-timestamp"), unix_time.to_string()),
            (HeaderName::from_static("webhook-signature"), signatures),
        ];
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
