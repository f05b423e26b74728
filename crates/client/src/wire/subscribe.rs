//! Subscriptions to events, over WebSocket.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::limits::{GROUP_NAME_MAX, HANGUP_AFTER_MAX, SEQ_MAX};
use super::{Acked, Method};

/// Opens a subscription to events, over WebSocket; each comes as a notification `sys.event.on_event`. The result names
/// the subscription, and `sys.event.unsubscribe` with that name ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// First everything after this `seq` that is still kept; null: only what happens from now on. Where something after
    /// it is not kept, `sys.event.on_gap` comes first.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = SEQ_MAX)))]
    pub after: Option<u64>,
    /// Share the work with the other subscribers of this name: each call and each conference goes to one of them, with all
    /// its events; what was constructed over a connection goes to the subscriber there. When one leaves, its calls go to the
    /// others, again from the last event that it has acknowledged with `sys.event.ack`. When all have left, the next one
    /// goes on there; `after` is for the first one of all. Events of no call or conference go to all.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = GROUP_NAME_MAX), extend("format" = "group")))]
    pub group: Option<String>,
    /// Names of events, or beginnings of names with `*`; null: all but those that must be named.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::types"))]
    pub types: Option<Vec<String>>,
    /// First all calls and conferences that live, whatever `types` says: `sys.event.on_sync_begin`, one notice for each, and
    /// `sys.event.on_sync_end`; then what has happened since. Only where `after` and `group` are null.
    #[serde(default)]
    pub snapshot: bool,
    /// How long calls may go on that the group has constructed or answered over its connections, when nobody is subscribed with its
    /// name any more: then they are dropped with the cause 480. Who subscribes with it in time has them as they are. Where they
    /// say different times it is that of the last one to leave. Null: they go on. Only where there is a `group`.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = HANGUP_AFTER_MAX)))]
    pub hangup_after_seconds: Option<u32>,
}
method!(Subscribe = "sys.event.subscribe" -> SubscriptionId);

/// Tells that everything up to an event is done with, for the subscriptions of this connection that have a `group`: who takes over
/// their calls begins after it. Without it all events of a call are told again. Of events that were taken over themselves it counts
/// when it acknowledges one that came after them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ack {
    /// The `seq` of the event.
    #[cfg_attr(feature = "schema", schemars(range(max = SEQ_MAX)))]
    pub seq: u64,
}
method!(Ack = "sys.event.ack" -> Acked);

/// The name of a subscription, a number or a string.
pub type SubscriptionId = serde_json::Value;

/// The name of the method that ends a subscription; its only parameter, `subscription`, is the subscription's name.
pub const UNSUBSCRIBE: &str = "sys.event.unsubscribe";
