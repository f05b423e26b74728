//! The offhook server: the only home of threads, sockets, clocks, tokio and serde.

pub mod call_log;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod control_handle;
pub mod demo;
pub mod events;
pub mod files;
mod gateways;
pub mod http;
pub mod input;
pub mod media;
pub mod metrics;
pub mod net;
mod notify;
pub mod outbox;
pub mod ports;
pub mod prompts;
pub mod recordings;
mod reload;
pub mod request_keys;
pub mod rpc;
pub mod serial;
pub mod serve;
pub mod speech;
pub mod webhooks;
