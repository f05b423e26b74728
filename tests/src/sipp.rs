//! SIPp as a caller or a callee. The scenarios lie in `tests/scenarios/*.xml`; a `{{name}}` in them is filled in by the
//! test, so that one file serves a family of cases. What counts is SIPp's own statistics file, not its mood.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::wait;

/// SIPp gives up after this much time without the message that it waits for.
const RECEIVE_PATIENCE: Duration = Duration::from_secs(20);

/// From so many calls on a run is a load: its messages would be too many to log.
const LOAD: u32 = 10;

/// Room in SIPp's sockets under load, in bytes, so that a burst of the server is not lost there.
const LOAD_BUFFER: u32 = 4 << 20;

/// At one call per second SIPp waits a second for the first.
const START_AT_ONCE: u32 = 20;

/// A SIPp run to be started.
#[derive(Debug)]
pub struct Sipp {
    scenario: String,
    name: String,
    calls: u32,
    rate: u32,
    address: SocketAddr,
    mode: &'static str,
    media: IpAddr,
    user: String,
    remote: Option<SocketAddr>,
}

impl Sipp {
    /// The scenario `tests/scenarios/<name>.xml`, one call.
    pub fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name).with_extension("xml");
        let scenario =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self {
            scenario,
            name: name.to_owned(),
            calls: 1,
            rate: START_AT_ONCE,
            address: (Ipv4Addr::LOCALHOST, ports::one()).into(),
            mode: "u1",
            media: Ipv4Addr::LOCALHOST.into(),
            user: "service".into(),
            remote: None,
        }
    }

    /// Fills in `{{name}}`.
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        let hole = format!("{{{{{name}}}}}");
        assert!(self.scenario.contains(&hole), "{} has no {hole}", self.name);
        self.scenario = self.scenario.replace(&hole, &value.to_string());
        self
    }

    /// So many calls, so many of them each second.
    pub fn load(mut self, calls: u32, rate: u32) -> Self {
        (self.calls, self.rate) = (calls, rate);
        self
    }

    /// The called user of a caller's scenario.
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.user);
        self
    }

    /// By way of this transport (`-t`: `t1` is TCP by one connection), from this address.
    pub fn by(mut self, mode: &'static str, address: IpAddr) -> Self {
        self.mode = mode;
        self.address.set_ip(address);
        self
    }

    /// The address that its SDP names, of whatever IP version.
    pub fn media(mut self, address: IpAddr) -> Self {
        self.media = address;
        self
    }

    /// The port it will listen and send on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Calls `server`.
    pub fn call(mut self, server: SocketAddr, dir: &TestDir) -> RunningSipp {
        self.remote = Some(server);
        self.start(dir)
    }

    /// Waits to be called; returns when its port is open.
    pub async fn listen(self, dir: &TestDir) -> RunningSipp {
        let running = self.start(dir);
        let open = async || ports::is_bound(running.address.port()).then_some(());
        wait::until("SIPp's port", wait::PATIENCE, open).await;
        running
    }

    fn start(self, dir: &TestDir) -> RunningSipp {
        assert!(!self.scenario.contains("{{"), "{}: a hole was not filled in:\n{}", self.name, self.scenario);
        // Several runs of one scenario may share a folder.
        let folder = dir.folder(&format!("sipp-{}-{}", self.name, self.port()));
        let file = folder.join("scenario.xml");
        std::fs::write(&file, &self.scenario).expect("the scenario's copy");
        let process = Process::start("sipp", Path::new("sipp"), self.arguments(&file, &folder), &folder);
        RunningSipp { process, folder, name: self.name, address: self.address }
    }

    fn arguments(&self, file: &Path, folder: &Path) -> Vec<String> {
        let text = |path: PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let mut arguments: Vec<String> =
            ["-nostdin", "-trace_stat", "-fd", "1", "-trace_err"].map(String::from).into();
        let mut pair = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        pair("-sf", text(file.to_owned()));
        pair("-i", self.address.ip().to_string());
        pair("-p", self.port().to_string());
        pair("-t", self.mode.to_owned());
        pair("-mi", self.media.to_string());
        pair("-m", self.calls.to_string());
        pair("-r", self.rate.to_string());
        pair("-s", self.user.clone());
        pair("-recv_timeout", RECEIVE_PATIENCE.as_millis().to_string());
        pair("-stf", text(folder.join("statistics.csv")));
        pair("-error_file", text(folder.join("errors.log")));
        if self.calls < LOAD {
            // They help after a failure.
            arguments.push("-trace_msg".into());
            arguments.extend(["-message_file".to_owned(), text(folder.join("messages.log"))]);
        } else {
            let calls = self.calls.to_string();
            // SIPp would call more slowly than it is told to where calls take longer than it thinks.
            arguments.extend(["-l".to_owned(), calls, "-buff_size".to_owned(), LOAD_BUFFER.to_string()]);
        }
        arguments.extend(self.remote.map(|remote| remote.to_string()));
        arguments
    }
}

/// A SIPp at work.
#[derive(Debug)]
pub struct RunningSipp {
    process: Process,
    folder: PathBuf,
    name: String,
    address: SocketAddr,
}

/// How a SIPp run ended: its cumulative counters.
#[derive(Clone, Debug)]
pub struct Report {
    /// How the process ended; SIPp says success only if every call succeeded.
    pub status: ExitStatus,
    /// Calls that went through the whole scenario.
    pub successful: u64,
    /// All others.
    pub failed: u64,
    /// Messages that SIPp had to send again.
    pub retransmissions: u64,
    /// Calls per second, over the whole run.
    pub rate: f64,
    /// What SIPp complained about.
    pub errors: String,
}

impl RunningSipp {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All SIP messages so far, as SIPp logged them.
    pub fn messages(&self) -> String {
        std::fs::read_to_string(self.folder.join("messages.log")).unwrap_or_default()
    }

    /// Waits for the end of the run and reads its statistics.
    pub async fn report(&mut self, patience: Duration) -> Report {
        let status = self.process.end(patience).await;
        let errors = std::fs::read_to_string(self.folder.join("errors.log")).unwrap_or_default();
        let statistics =
            std::fs::read_to_string(self.folder.join("statistics.csv")).unwrap_or_else(|error| {
                panic!("{} left no statistics: {error}\n{}", self.name, self.process.log())
            });
        let value = |name| value(&statistics, name).unwrap_or_else(|| panic!("no {name} in\n{statistics}"));
        let counter = |name| value(name).parse().unwrap_or_else(|_| panic!("{name} is no number"));
        Report {
            status,
            successful: counter("SuccessfulCall(C)"),
            failed: counter("FailedCall(C)"),
            retransmissions: counter("Retransmissions(C)"),
            rate: value("CallRate(C)").parse().expect("calls per second"),
            errors,
        }
    }

    /// Waits for the end of the run; panics unless all `calls` went as the scenario says.
    pub async fn succeed(&mut self, calls: u64, patience: Duration) -> Report {
        let report = self.report(patience).await;
        assert!(
            report.status.success() && report.successful == calls && report.failed == 0,
            "{}: {report:#?}\n{}",
            self.name,
            self.messages()
        );
        report
    }
}

/// The last value of a column of SIPp's statistics file (`;` between columns, first line the names).
fn value<'a>(statistics: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = statistics.lines();
    let column = lines.next()?.split(';').position(|column| column == name)?;
    lines.next_back()?.split(';').nth(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_from_the_last_line() {
        let file = "StartTime;FailedCall(P);FailedCall(C);\nx;1;1;\nx;1;2;\n";
        assert_eq!(value(file, "FailedCall(C)"), Some("2"));
        assert_eq!(value(file, "SuccessfulCall(C)"), None);
    }
}
