//! Where the log goes: standard error, for people on a terminal and as JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::Log;
use crate::config::value::{Level, LogFormat};

/// Begins to log, once for the process.
pub(super) fn start(log: &Log) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(log.level)).with_writer(stderr);
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    if human { builder.with_ansi(stderr().is_terminal()).init() } else { builder.json().init() }
}

/// Libraries say no more than warnings, except at `trace`.
fn filter(level: Level) -> EnvFilter {
    let directives = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "warn,offhook=info",
        Level::Debug => "warn,offhook=debug",
        Level::Trace => "trace",
    };
    EnvFilter::new(directives)
}
