//! Names of calls, conferences and requests.

use std::fmt;

/// The serial of a call, unique over restarts of the node. In the API it is part of `res_id`, see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

/// The serial of a conference, out of the same row as those of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConferenceId(pub u64);

/// What has a `res_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// A call.
    Call(CallId),
    /// A conference.
    Conference(ConferenceId),
}

impl From<CallId> for Resource {
    fn from(call: CallId) -> Self {
        Self::Call(call)
    }
}

impl From<ConferenceId> for Resource {
    fn from(conference: ConferenceId) -> Self {
        Self::Conference(conference)
    }
}

/// One request of an application, numbered by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// A message that an application sends, unique over restarts of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub u64);

/// The three numbers of a node, which begin every `res_id`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeId(pub [u32; 3]);

impl NodeId {
    /// The API's name of a call: `"<a>.<b>.<c>-sys.call-<serial>"`.
    pub fn res_id(self, call: CallId) -> String {
        format!("{self}-sys.call-{}", call.0)
    }

    /// The call that `res_id` names, if it is a call's name and of this node.
    pub fn parse_res_id(self, res_id: &str) -> Option<CallId> {
        self.serial(res_id, "-sys.call-").map(CallId)
    }

    /// The API's name of a conference: `"<a>.<b>.<c>-sys.conf-<serial>"`.
    pub fn conf_res_id(self, conference: ConferenceId) -> String {
        format!("{self}-sys.conf-{}", conference.0)
    }

    /// The conference that `res_id` names, if it is a conference's name and of this node.
    pub fn parse_conf_res_id(self, res_id: &str) -> Option<ConferenceId> {
        self.serial(res_id, "-sys.conf-").map(ConferenceId)
    }

    fn serial(self, res_id: &str, kind: &str) -> Option<u64> {
        let serial = res_id.strip_prefix(&self.to_string())?.strip_prefix(kind)?;
        let canonical =
            serial == "0" || (!serial.starts_with('0') && serial.bytes().all(|b| b.is_ascii_digit()));
        if canonical { serial.parse().ok() } else { None }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0[0], self.0[1], self.0[2])
    }
}
