//! Where the log goes: standard error, for people on a terminal and as JSON lines otherwise.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use crate::config::Log;
use crate::config::value::{Level, LogFormat};

/// How much is logged, to be changed.
pub(super) struct LevelHandle(reload::Handle<Targets, Registry>);

impl LevelHandle {
    /// From now on so much.
    pub(super) fn set(&self, level: Level) {
        // It fails where nobody logs any more.
        let _ = self.0.reload(filter(level));
    }
}

/// Begins to log, once for the process.
pub(super) fn start(log: &Log) -> LevelHandle {
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    let layer = fmt::layer().with_writer(stderr);
    let layer = if human {
        layer.with_ansi(stderr().is_terminal()).boxed()
    } else {
        layer.json().flatten_event(true).boxed()
    };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    registry().with(layer.with_filter(filter)).init();
    LevelHandle(handle)
}

/// Libraries say no more than warnings, except at `trace`. Symphonia warns of each oddity of a prompt file without its name;
/// whether the file can be played is for us to say.
fn filter(level: Level) -> Targets {
    let own = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    let others = if level == Level::Trace { own } else { own.min(LevelFilter::WARN) };
    let of_files = if level == Level::Trace { own } else { own.min(LevelFilter::ERROR) };
    Targets::new().with_target("offhook", own).with_target("symphonia", of_files).with_default(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_say_no_more_than_warnings() {
        let enables = |level, target, what| filter(level).would_enable(target, &what);
        assert!(enables(Level::Debug, "offhook::control", tracing::Level::DEBUG));
        assert!(enables(Level::Debug, "offhook_client", tracing::Level::DEBUG));
        assert!(!enables(Level::Info, "offhook::control", tracing::Level::DEBUG));
        assert!(!enables(Level::Debug, "hyper::proto", tracing::Level::INFO));
        assert!(enables(Level::Debug, "hyper::proto", tracing::Level::WARN));
        assert!(!enables(Level::Error, "hyper::proto", tracing::Level::WARN));
        assert!(enables(Level::Trace, "hyper::proto", tracing::Level::TRACE));
        assert!(!enables(Level::Debug, "symphonia_format_ogg::page", tracing::Level::WARN));
        assert!(enables(Level::Trace, "symphonia_format_ogg::page", tracing::Level::WARN));
    }
}
