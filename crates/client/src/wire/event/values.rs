//! The values that events have beside strings and numbers.

use serde::{Deserialize, Serialize};

/// Why an action ended other than well: the `error` of its completion event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ActionError {
    /// A stable snake_case code, such as `hangup`, `timeout`, `max_seconds`.
    pub code: String,
    /// In English, for people.
    pub message: String,
    /// The SIP status behind it, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_status: Option<u16>,
}

/// How a key was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum DigitSource {
    /// A telephone-event.
    Rfc4733,
    /// A tone in the audio.
    Inband,
    /// SIP INFO.
    Info,
}

/// What is wrong with the media of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum MediaAlarm {
    /// Nothing comes from a far end that has agreed to send. If it stays so the call is hung up (408).
    NoRtpIn,
    /// Its media comes from another address than its description names: it is found there and spoken to there
    /// (`rtp.symmetric`), or packets of somebody else are not taken.
    SourceChanged,
    /// Its media comes, but by its reports (RTCP) it has received nothing of ours for `rtp.one_way_seconds`.
    OneWay,
    /// `rtp.loss_alarm_percent` of the packets are lost, on their way to us or, by its reports, to it.
    HighLoss,
}

/// Why events are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// They are older than what is kept, or from before the node's last start. Not every number of the range need have
    /// been an event: a start skips some.
    Expired,
    /// They cannot be read any more, though they are not too old: their place on the disk is damaged or was taken away, or
    /// they had not got there when the power failed or the disk was full. Every event around them is told. Numbers that were
    /// left free, lest they come twice, are among them.
    Damaged,
    /// The node has lost its numbers, or the `after` that was asked for is another node's; what is missing cannot be
    /// told.
    Restarted,
}

/// Why the server ended a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// The subscriber did not read for too long.
    SlowReader,
    /// The subscriber did not answer a ping.
    NoPong,
    /// The token that its connection has shown is good no more, or reaches less far. The connection is closed with 1008 a second later.
    TokenRevoked,
    /// The node ends.
    ShuttingDown,
    /// The node cannot read its event log from the disk; nothing is lost, try again.
    LogUnreadable,
}
