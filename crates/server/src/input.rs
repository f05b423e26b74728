//! What the control loop hears from the server's other threads and tasks.

use std::time::Duration;

use offhook_call::DiskEvent;
use offhook_exchange::Reload;
use offhook_media::event as media;
use offhook_sip::event::{Flow, QueryId, Target};

use crate::media::SocketFault;

/// Inputs that may wait. While it is full the senders wait: datagrams in the kernel, the others in their outboxes.
pub const INPUTS: usize = 8_192;

/// Everything that can happen to the server, besides what applications ask.
#[derive(Debug)]
pub enum Input {
    /// A whole SIP message came in.
    Message {
        /// How.
        flow: Flow,
        /// The message.
        bytes: Vec<u8>,
    },
    /// A stream connection ended, or could not be made.
    FlowClosed(Flow),
    /// The name service's answer.
    Resolved {
        /// To this question.
        query: QueryId,
        /// In the order to try.
        targets: Vec<Target>,
    },
    /// A media thread tells.
    Media(media::Event),
    /// A media thread cannot use a socket.
    Socket(SocketFault),
    /// The disk tells.
    Disk(DiskEvent),
    /// Other gateways and limits, and how long calls may go on at the end.
    Reload(Box<Reload>, Duration),
    /// End: the first time after the calls have, the second time at once.
    Shutdown,
}
