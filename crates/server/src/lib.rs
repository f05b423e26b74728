//! The offhook server: the only home of threads, sockets, clocks, tokio and serde.

pub mod config;
pub mod failure;
