//! The offhook server: the only home of threads, sockets, clocks, tokio and serde.

pub mod cli;
pub mod config;
pub mod control_handle;
pub mod events;
pub mod http;
pub mod rpc;
