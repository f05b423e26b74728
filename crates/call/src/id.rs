//! Names of calls and requests.

use std::fmt;

/// The serial of a call, unique over restarts of the node. In the API it is part of `res_id`, see [`NodeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(pub u64);

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
        let serial = res_id.strip_prefix(&self.to_string())?.strip_prefix("-sys.call-")?;
        let canonical =
            serial == "0" || (!serial.starts_with('0') && serial.bytes().all(|b| b.is_ascii_digit()));
        if canonical { serial.parse().ok().map(CallId) } else { None }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0[0], self.0[1], self.0[2])
    }
}
