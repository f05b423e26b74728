//! The offhook server: the only home of threads, sockets, clocks, tokio and serde.

pub mod cli;
pub mod config;
