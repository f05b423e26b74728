//! The methods of what goes on beside the state of a call: transfers, messages, gateways.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::limits::{
    CAUSE_MAX, CAUSE_MIN, CONTENT_TYPE_MAX, MESSAGE_MAX, RES_ID_MAX, STATUS_MAX, STATUS_MIN, URI_MAX,
};
use super::params::decline;
use super::{GatewayInfo, MessageSent, Method};

/// Asks the far end to call somebody else instead (REFER); ends with `on_transfer_completed`. The call has to be Idle
/// and stays so: other actions may run meanwhile, since the far end listens on until the other call is answered. A second
/// transfer before the end of the first is `invalid_state`. After a transfer that went well the call is still there: the
/// far end hangs it up, or the application drops it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Transfer {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// Whom the far end shall call; it must be able to reach that host itself.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "sip-uri")))]
    pub to_uri: String,
}
method!(Transfer = "sys.call.transfer" -> ());

/// Declines a transfer that the far end asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferDecline {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// A SIP status.
    #[serde(default = "decline")]
    #[cfg_attr(feature = "schema", schemars(range(min = CAUSE_MIN, max = CAUSE_MAX)))]
    pub cause: u16,
}
method!(TransferDecline = "sys.call.transfer_decline" -> ());

impl Default for TransferDecline {
    fn default() -> Self {
        Self { res_id: String::new(), cause: decline() }
    }
}

/// Tells the far end how the call goes that it asked for, after `transfer_accept`. A status of 200 or more is the last
/// word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TransferNotify {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// 100 to 199 while it goes on, 200 when it was answered, the final response otherwise.
    #[cfg_attr(feature = "schema", schemars(range(min = STATUS_MIN, max = STATUS_MAX)))]
    pub sip_status: u16,
}
method!(TransferNotify = "sys.call.transfer_notify" -> ());

/// Sends a message inside a call (MESSAGE); the result says that it is on its way, `on_message_completed` what came of
/// it. It is no action: allowed in every state of an answered call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendMessage {
    /// The call.
    #[cfg_attr(feature = "schema", schemars(length(max = RES_ID_MAX), extend("format" = "res-id")))]
    pub res_id: String,
    /// The text, at most 16384 bytes.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MESSAGE_MAX), extend("format" = "text")))]
    pub content: String,
    /// Its media type.
    #[serde(default = "plain_text")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CONTENT_TYPE_MAX), extend("format" = "media-type")))]
    pub content_type: String,
}
method!(SendMessage = "sys.call.send_message" -> MessageSent);

impl Default for SendMessage {
    fn default() -> Self {
        Self { res_id: String::new(), content: String::new(), content_type: plain_text() }
    }
}

/// Sends a message outside of any call (MESSAGE); the result says that it is on its way, `sys.node.on_message_completed`
/// what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NodeSendMessage {
    /// The sender: `[[sip:]user@]host[:port]`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "sip-uri")))]
    pub from_uri: String,
    /// The receiver; its host is as that of `construct`.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = URI_MAX), extend("format" = "sip-uri")))]
    pub to_uri: String,
    /// The text, at most 16384 bytes.
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = MESSAGE_MAX), extend("format" = "text")))]
    pub content: String,
    /// Its media type.
    #[serde(default = "plain_text")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = CONTENT_TYPE_MAX), extend("format" = "media-type")))]
    pub content_type: String,
}
method!(NodeSendMessage = "sys.node.send_message" -> MessageSent);

impl Default for NodeSendMessage {
    fn default() -> Self {
        let (from_uri, to_uri, content) = Default::default();
        Self { from_uri, to_uri, content, content_type: plain_text() }
    }
}

/// The gateways of the node, in the order of its configuration, and how each is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Gateways {}
method!(Gateways = "sys.node.gateways" -> Vec<GatewayInfo>);

fn plain_text() -> String {
    "text/plain".to_owned()
}
