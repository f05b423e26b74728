//! A subscription, as a stream of typed events.

use jsonrpsee_core::client::{Subscription, SubscriptionCloseReason};
use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;
use crate::wire::EventKind;

/// An event of the server.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number, rising by one per event of the node; what to resume with. [`EventKind::Gap`] and
    /// [`EventKind::Closed`] are no events of the node and repeat the number of the last event before them.
    pub seq: u64,
    /// When it happened, Unix time in milliseconds.
    pub time_ms: i64,
    /// What happened.
    pub kind: EventKind,
    /// All of it as it came.
    pub raw: Value,
}

impl Event {
    /// Reads an event as it came.
    pub(crate) fn parse(raw: Value) -> Result<Self, Error> {
        let bad = |why: String| Error::Protocol(format!("event {raw}: {why}"));
        let head = Head::deserialize(&raw).map_err(|error| bad(error.to_string()))?;
        let kind = if crate::wire::EVENT_TYPES.contains(&head.kind) {
            EventKind::deserialize(&raw).map_err(|error| bad(error.to_string()))?
        } else {
            EventKind::Other
        };
        Ok(Self { seq: head.seq, time_ms: head.time_ms, kind, raw })
    }

    /// Its `type`, also where this version of the client does not know it.
    pub fn type_name(&self) -> &str {
        self.raw["type"].as_str().unwrap_or_default()
    }

    /// The call that it is of, if any.
    pub fn res_id(&self) -> Option<&str> {
        self.raw["params"]["res_id"].as_str()
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    seq: u64,
    time_ms: i64,
    #[serde(rename = "type")]
    kind: &'a str,
}

/// A stream of events; dropping it ends the subscription.
#[derive(Debug)]
pub struct Events {
    subscription: Subscription<Value>,
    ended: bool,
}

impl Events {
    pub(crate) fn new(subscription: Subscription<Value>) -> Self {
        Self { subscription, ended: false }
    }

    /// The next event; none after [`EventKind::Closed`], by which the server ends the subscription; an error, and then
    /// none, when the connection is lost. A future that is dropped loses no event.
    pub async fn next(&mut self) -> Option<Result<Event, Error>> {
        if self.ended {
            return None;
        }
        match self.subscription.next().await {
            Some(Ok(raw)) => {
                let event = Event::parse(raw);
                // Nothing follows it, not even a word that nothing follows.
                self.ended = matches!(&event, Ok(Event { kind: EventKind::Closed(_), .. }));
                Some(event)
            }
            Some(Err(error)) => Some(Err(Error::Protocol(error.to_string()))),
            None => {
                self.ended = true;
                Some(Err(match self.subscription.close_reason() {
                    Some(SubscriptionCloseReason::Lagged) => Error::Lagged,
                    _ => Error::Connection("the subscription is over".to_owned()),
                }))
            }
        }
    }

    /// Ends the subscription and waits until the client has forgotten it.
    pub async fn unsubscribe(self) -> Result<(), Error> {
        self.subscription.unsubscribe().await.map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_known_event_is_typed_and_keeps_what_it_does_not_know() {
        let raw = json!({
            "seq": 7, "time_ms": 1_700_000_000_123_i64, "type": "sys.call.on_ringing",
            "params": { "res_id": "0.0.0-sys.call-1", "ring_time": 1_700_000_000, "user_data": null, "new": 1 }
        });
        let event = Event::parse(raw.clone()).unwrap();
        assert_eq!((event.seq, event.time_ms), (7, 1_700_000_000_123));
        assert_eq!(event.kind.res_id(), Some("0.0.0-sys.call-1"));
        assert!(matches!(event.kind, EventKind::Ringing(ref ringing) if ringing.ring_time == 1_700_000_000));
        assert_eq!(event.raw, raw);
    }

    #[test]
    fn an_unknown_event_is_no_error() {
        let event =
            Event::parse(json!({ "seq": 1, "time_ms": 2, "type": "sys.fax.on_page", "params": {} })).unwrap();
        assert_eq!(event.kind, EventKind::Other);
        assert_eq!(event.type_name(), "sys.fax.on_page");
    }

    #[test]
    fn an_event_that_breaks_the_contract_is_an_error() {
        let raw = json!({ "seq": 1, "time_ms": 2, "type": "sys.call.on_ringing", "params": {} });
        assert!(matches!(Event::parse(raw), Err(Error::Protocol(_))));
        assert!(matches!(Event::parse(json!(5)), Err(Error::Protocol(_))));
    }
}
