//! Web hooks: where events are sent by POST.

use serde::{Deserialize, Serialize};

use super::Method;
#[cfg(feature = "schema")]
use super::limits::{CREDENTIAL_MAX, SECRETS_LENGTH_MAX, SEQ_MAX, URI_MAX, WEBHOOK_ID};

/// In what words a web hook is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// Each event as it is, signed as Standard Webhooks has it.
    #[default]
    Native,
    /// The states of calls as LinkRTC's notify API tells them, with its headers and, where there is a secret, ours.
    Linkrtc,
    /// The events of SpRecord. The `types` are its own.
    Sprecord,
}

/// Adds a web hook, which is told by POST what happens from now on: at least once, the events of each call and conference in
/// their order, up to eight requests of different ones at a time. It must answer 2xx within ten seconds; otherwise it is
/// asked again after 1 s, 5 s, 30 s, 5 min, 30 min, 2 h and so on for three days (or when it says by `Retry-After`), and
/// after that the event is a dead letter. 410 disables the hook. Where events are not kept any more it is told
/// `sys.event.on_gap`. It is there until it is removed, over restarts of the node. One that is there already, the same in
/// all, stays as it is; of another one with the same URL and format it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookAdd {
    /// `http://…` or `https://…`. Redirections are not followed, and what the name comes to may be in no private network but
    /// those of `webhooks.allow_networks`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "http-url")))]
    pub url: String,
    /// The names of events, or beginnings of names and `*`; null: all but those that must be named.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(schema_with = "super::schema::types"))]
    pub types: Option<Vec<String>>,
    /// What signs the requests: `whsec_` and 24 to 64 bytes as base64. Up to four with a space between: each signs, so that
    /// secrets can be changed without a break. Null where another format has no need of it.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = SECRETS_LENGTH_MAX), extend("format" = "webhook-secret")))]
    pub secret: Option<String>,
    /// In what words it is told.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Of the format `linkrtc`: the project.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CREDENTIAL_MAX), extend("format" = "credential")))]
    pub project_sid: Option<String>,
    /// Of the format `linkrtc`: its secret (AppSecret).
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CREDENTIAL_MAX), extend("format" = "credential")))]
    pub app_secret: Option<String>,
}
method!(WebhookAdd = "sys.event.webhook_add" -> WebhookAdded);

/// The result of `sys.event.webhook_add`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookAdded {
    /// What other methods call it: the same for the same URL and format.
    pub id: String,
}

/// Removes a web hook that was added; those of the configuration are removed there. What it has not been told is forgotten.
/// The result says whether there was one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookRemove {
    /// Which.
    #[cfg_attr(feature = "schema", schemars(length(min = WEBHOOK_ID, max = WEBHOOK_ID), extend("format" = "webhook-id")))]
    pub id: String,
}
method!(WebhookRemove = "sys.event.webhook_remove" -> bool);

/// How all web hooks are, those of the configuration among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookList {}
method!(WebhookList = "sys.event.webhook_list" -> Vec<WebhookInfo>);

/// Sends a web hook one message at once, of the type `sys.event.on_test` with the number 0, and tells what it answers. It
/// is not tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookTest {
    /// Which.
    #[cfg_attr(feature = "schema", schemars(length(min = WEBHOOK_ID, max = WEBHOOK_ID), extend("format" = "webhook-id")))]
    pub id: String,
}
method!(WebhookTest = "sys.event.webhook_test" -> WebhookTested);

/// Has a web hook told again everything after an event, as far as it is kept: dead letters, what waits to be tried again, and
/// what has arrived. One that was disabled is not any more. The result is how many hooks begin again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WebhookRedeliver {
    /// The `seq` of that event; 0 for everything that is kept.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = SEQ_MAX)))]
    pub after: u64,
    /// Which; null for all of them.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(length(min = WEBHOOK_ID, max = WEBHOOK_ID), extend("format" = "webhook-id")))]
    pub id: Option<String>,
}
method!(WebhookRedeliver = "sys.event.webhook_redeliver" -> u64);

/// A web hook in the result of `sys.event.webhook_list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookInfo {
    /// What methods call it.
    pub id: String,
    /// Where it is.
    pub url: String,
    /// In what words it is told.
    pub format: WebhookFormat,
    /// The events that were asked for; null: all but those that must be named.
    pub types: Option<Vec<String>>,
    /// Whether it is of the configuration.
    pub configured: bool,
    /// How it goes.
    pub state: WebhookState,
    /// Why the last attempt failed, where it did.
    pub error: Option<String>,
    /// The last event that was read for it.
    pub read: u64,
    /// Events that it has not been told, those that it does not want among them.
    pub backlog: u64,
    /// Messages that have arrived.
    pub delivered: u64,
    /// Attempts that have failed.
    pub failed: u64,
    /// Messages that have been given up.
    pub dead: u64,
    /// The last of them, a hundred at most, the oldest first.
    pub dead_letters: Vec<WebhookDeadLetter>,
}

/// How it goes with a web hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// Well.
    Active,
    /// The last attempt failed.
    Failing,
    /// It has answered 410, and is told nothing until `webhook_redeliver`.
    Disabled,
}

/// A message that was given up after three days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookDeadLetter {
    /// The number of its event.
    pub seq: u64,
    /// The name of its event.
    #[serde(rename = "type")]
    pub event: String,
    /// When it was given up, Unix time in milliseconds.
    pub time_ms: i64,
    /// Why the last attempt failed.
    pub error: String,
}

/// The result of `sys.event.webhook_test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebhookTested {
    /// Whether it answered 2xx in time.
    pub delivered: bool,
    /// What it answered; null where it did not.
    pub status: Option<u16>,
    /// Why it did not.
    pub error: Option<String>,
}
