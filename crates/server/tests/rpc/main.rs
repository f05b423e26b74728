//! RPC over real sockets on loopback, with a control loop that answers from a script.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad;
mod conferences;
mod configured;
mod document;
mod events;
mod groups;
mod hostile;
mod http;
mod keys;
mod methods;
mod notifications;
mod receiver;
mod scopes;
mod server;
mod webhooks;
mod words;
