//! RPC over real sockets on loopback, with a control loop that answers from a script.

#![allow(clippy::unwrap_used, reason = "tests")]

mod conferences;
mod events;
mod http;
mod methods;
mod server;
mod words;
