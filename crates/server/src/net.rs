//! SIP's sockets and the name service. Each is a small task on the control thread's runtime that turns what it hears
//! into an [`Input`](crate::input::Input).

pub mod dns;
mod srv;
pub mod stream;
pub mod tls;
pub mod udp;
