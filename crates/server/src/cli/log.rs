//! Where the log goes: standard error, for people on a terminal and as JSON lines otherwise. Where that is the journal of systemd, each
//! line begins with its priority (`sd-daemon(3)`), which the journal takes off: `journalctl --priority warning` shows what it says.

use std::ffi::OsStr;
use std::io::{self, IsTerminal, Write, stderr};
use std::os::fd::AsFd;
use std::sync::LazyLock;

use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, registry, reload};

use super::json;
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
    let layer = if human {
        fmt::layer().with_writer(Lines).with_ansi(stderr().is_terminal()).boxed()
    } else {
        json::layer(Lines).boxed()
    };
    let (filter, handle) = reload::Layer::new(filter(log.level));
    registry().with(layer.with_filter(filter)).init();
    LevelHandle(handle)
}

/// What a line on standard error begins with: nothing, unless the journal reads it.
pub(super) fn priority(level: tracing::Level) -> &'static str {
    static JOURNAL: LazyLock<bool> =
        LazyLock::new(|| is_journal(std::env::var_os("JOURNAL_STREAM").as_deref(), stderr()));
    if *JOURNAL { of_syslog(level) } else { "" }
}

/// The priorities of syslog(3): err, warning, info and debug, which is the last.
fn of_syslog(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "<3>",
        tracing::Level::WARN => "<4>",
        tracing::Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// Whether `stream` is the one that the journal has given, and not what somebody has put in its place: `named` has its device and inode
/// (`systemd.exec(5)`).
fn is_journal(named: Option<&OsStr>, stream: impl AsFd) -> bool {
    let Some((device, inode)) = named.and_then(OsStr::to_str).and_then(|named| named.split_once(':')) else {
        return false;
    };
    rustix::fs::fstat(stream)
        .is_ok_and(|of| device.parse() == Ok(of.st_dev) && inode.parse() == Ok(of.st_ino))
}

/// Standard error, a line at a time.
struct Lines;

/// One line, with what it begins with.
struct Line(&'static str);

impl MakeWriter<'_> for Lines {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(priority(tracing::Level::INFO))
    }

    fn make_writer_for(&self, of: &Metadata<'_>) -> Line {
        Line(priority(*of.level()))
    }
}

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // At once: other threads write lines too, and between a priority and its line nothing may come.
        stderr().write_all(&[self.0.as_bytes(), line].concat())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        stderr().flush()
    }
}

/// Libraries say no more than warnings, except at `trace`. Symphonia warns of each oddity of a prompt file without its name;
/// whether the file can be played is for us to say. jsonrpsee warns of each message that is too long or wrong, as whoever has a token
/// may send them by the thousand; who sent it is told.
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
    Targets::new()
        .with_target("offhook", own)
        .with_target("symphonia", of_files)
        .with_target("jsonrpsee-server", of_files)
        .with_default(others)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// The numbers are those of syslog(3).
    #[test]
    fn levels_are_priorities_of_the_journal() {
        let all = [
            tracing::Level::ERROR,
            tracing::Level::WARN,
            tracing::Level::INFO,
            tracing::Level::DEBUG,
            tracing::Level::TRACE,
        ];
        assert_eq!(all.map(of_syslog), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }

    #[test]
    fn the_journal_is_known_by_its_device_and_inode() {
        let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let of = file.metadata().unwrap();
        let is_named = |name: &str| is_journal(Some(OsStr::new(name)), &file);
        assert!(is_named(&format!("{}:{}", of.dev(), of.ino())));
        assert!(!is_named(&format!("{}:{}", of.dev(), of.ino() + 1)));
        assert!(!is_named(&format!("{}:{}", of.dev() + 1, of.ino())));
        for rubbish in ["", ":", "1", "a:b"] {
            assert!(!is_named(rubbish), "{rubbish:?}");
        }
        assert!(!is_journal(None, &file));
    }

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
        assert!(!enables(Level::Debug, "jsonrpsee-server", tracing::Level::WARN));
        assert!(enables(Level::Debug, "jsonrpsee-server", tracing::Level::ERROR));
    }
}
