//! The harness of the scenarios: the real server, real peers, real sockets.
//!
//! ```text
//!   test ── offhook-client ──▶ offhook serve ◀── SIP/RTP ──▶ SIPp · baresip · Agent (SIP by hand) · RtpPeer
//!     └──────────── waits for events and conditions, each with a deadline; never sleeps for luck ───────────┘
//! ```
//!
//! Everything here is an outside view: nothing of the server's own crates is used but the RPC client, so that what is
//! judged is what an application and a gateway see. Each [`Server`](server::Server) has its own ports, folders and
//! log, so tests run side by side.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the harness is an outside world: it owns sockets, processes and the clock"
)]

pub mod agent;
pub mod app;
pub mod baresip;
pub mod browser;
pub mod caller;
pub mod dir;
pub mod judge;
pub mod kamailio;
pub mod line;
pub mod linphone;
pub mod peer;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod rtp;
pub mod server;
pub mod sipp;
pub mod stalled;
pub mod wait;
pub mod wav;
