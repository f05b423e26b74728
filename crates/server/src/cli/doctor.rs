//! `offhook doctor`: whether this machine can do what the configuration asks of it. It opens what the server would open, and leaves
//! nothing behind; so it is for a node that does not run.

mod elsewhere;

use std::fmt::{self, Write as _};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use offhook_call::event::UnixMs;
use offhook_media::codec::{Decoder, Encoder};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::exit::Failure;
use super::remote::Output;
use super::{pretty, print, try_writing};
use crate::clock;
use crate::config::Config;
use crate::config::value::Listener;
use crate::net::udp;
use crate::ports::{DESCRIPTORS_OF_A_CALL, OTHER_DESCRIPTORS, Ports};
use crate::serve;

/// What is found of one matter.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    Good(String),
    /// The server starts, and will be sorry later.
    Doubtful(String),
    /// The server does not start, or calls do not work.
    Bad(String),
}
use Finding::{Bad, Doubtful, Good};

impl Finding {
    /// The word for it, and what was found.
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Good(what) => ("ok", what),
            Doubtful(what) => ("warn", what),
            Bad(what) => ("bad", what),
        }
    }
}

/// What a disk should have for events, beside what is configured for recordings.
const FREE_BYTES: u64 = 256 << 20;
/// A clock that shows less has not been set: 2026-01-01.
const CLOCK_IS_SET_MS: i64 = 1_767_225_600_000;

/// Looks at everything and tells; a failure where something is bad.
pub(super) fn run(config: &Config, others: Vec<String>, output: Output) -> Result<(), Failure> {
    let mut findings = vec![
        ("rpc port", port("rpc.listen", &config.rpc.listen, bind_stream(config.rpc.listen))),
        ("RTP ports", rtp_ports(config)),
        ("advertised", advertised(config)),
        ("descriptors", descriptors(config, getrlimit(Resource::Nofile).maximum)),
        ("UDP buffers", buffers(std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok())),
        ("clock", clock_is_set(clock::now().wall.0)),
        ("data disk", disk("node.data_dir", &config.node.data_dir, FREE_BYTES)),
        ("recordings disk", recordings(config)),
        ("codecs", codecs(config)),
    ];
    findings.extend(serve::runtime()?.block_on(elsewhere::findings(config)));
    for listener in &config.sip.listen {
        let address = listener.address();
        let bound = match listener {
            Listener::Udp(_) => udp::Listener::bind(address).map(drop),
            Listener::Tcp(_) | Listener::Tls(_) => bind_stream(address),
        };
        findings.push(("SIP port", port("sip.listen", listener, bound)));
    }
    findings.extend(others.into_iter().map(|warning| ("configuration", Doubtful(warning))));
    print(&match output {
        Output::Table => told(&findings),
        Output::Json => pretty(&as_json(&findings))?,
    })?;
    match findings.iter().filter(|(_, finding)| matches!(finding, Bad(_))).count() {
        0 => Ok(()),
        bad => Err(Failure::Failed(format!("{bad} of {} things are not as they must be", findings.len()))),
    }
}

fn told(findings: &[(&str, Finding)]) -> String {
    findings.iter().fold(String::new(), |mut text, (matter, finding)| {
        let (status, what) = finding.parts();
        let _ = writeln!(text, "{status:<5}{matter}: {what}");
        text
    })
}

fn as_json(findings: &[(&str, Finding)]) -> Value {
    let one = |(matter, finding): &(&str, Finding)| {
        let (status, what) = finding.parts();
        json!({ "matter": matter, "status": status, "finding": what })
    };
    findings.iter().map(one).collect()
}

fn bind_stream(address: SocketAddr) -> io::Result<()> {
    crate::net::stream::bind(address).map(drop)
}

fn port(key: &str, address: &impl fmt::Display, bound: io::Result<()>) -> Finding {
    match bound {
        Ok(()) => Good(format!("{address} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            Bad(format!("{key}: {address} is in use; does the server run already?"))
        }
        Err(error) => Bad(format!("{key}: {address}: {error}")),
    }
}

fn rtp_ports(config: &Config) -> Finding {
    let range = config.rtp.ports;
    let pairs = range.rtp_ports().count();
    let mut ports = Ports::new(config.rtp.address, range.rtp_ports(), 0, 1);
    if ports.lease(clock::now().mono).is_none() {
        return Bad(format!("rtp.ports: none of {range} can be opened at {}", config.rtp.address));
    }
    if pairs < config.limits.calls {
        return Doubtful(format!(
            "rtp.ports: {range} is enough for {pairs} calls, and limits.calls is {}",
            config.limits.calls
        ));
    }
    Good(format!("{range} at {}, enough for {pairs} calls", config.rtp.address))
}

fn advertised(config: &Config) -> Finding {
    let address = config.sip.advertise.address.unwrap_or(config.rtp.address);
    let canonical: IpAddr = address.to_canonical();
    if canonical.is_loopback() {
        return Doubtful(format!("{address} is told to peers, which only this machine can reach"));
    }
    Good(format!("{address} is told to peers"))
}

fn descriptors(config: &Config, maximum: Option<u64>) -> Finding {
    let needed = config.limits.calls as u64 * DESCRIPTORS_OF_A_CALL + OTHER_DESCRIPTORS;
    match maximum {
        Some(maximum) if maximum < needed => Doubtful(format!(
            "at most {maximum} (ulimit -Hn); limits.calls = {} recorded calls need {needed}",
            config.limits.calls
        )),
        Some(maximum) => Good(format!("at most {maximum}, and {needed} are needed")),
        None => Good("without a limit".to_owned()),
    }
}

fn buffers(rmem_max: Option<String>) -> Finding {
    let wanted = udp::RECEIVE_BUFFER as u64;
    match rmem_max.and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(most) if most < wanted => Doubtful(format!(
            "net.core.rmem_max is {most}: bursts of SIP are lost sooner than with {wanted}, and sent again"
        )),
        Some(most) => Good(format!("net.core.rmem_max is {most}")),
        None => Doubtful("net.core.rmem_max cannot be read".to_owned()),
    }
}

fn clock_is_set(wall_ms: i64) -> Finding {
    let shown = clock::rfc3339(UnixMs(wall_ms));
    if wall_ms < CLOCK_IS_SET_MS {
        return Bad(format!("it shows {shown}: it has not been set"));
    }
    Good(format!("it shows {shown}"))
}

/// A directory that is there can be written to; nothing is made where there is none.
fn disk(key: &str, path: &Path, wanted: u64) -> Finding {
    let shown = path.display();
    if !path.exists() {
        return Good(format!("{key}: {shown} is not there yet, and will be made"));
    }
    let free = || rustix::fs::statvfs(path).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    match try_writing(path).and_then(|()| Ok(free()?)) {
        Err(why) => Bad(format!("{key}: {shown} cannot be written to: {why}")),
        Ok(free) if free < wanted => {
            Doubtful(format!("{key}: {shown} has {} MiB free; {} are wanted", free >> 20, wanted >> 20))
        }
        Ok(free) => Good(format!("{key}: {shown} has {} MiB free", free >> 20)),
    }
}

fn recordings(config: &Config) -> Finding {
    let wanted = config.media.recordings_min_free_bytes.saturating_add(FREE_BYTES);
    disk("media.recordings_dir", &config.media.recordings_dir, wanted)
}

/// A frame of silence there and back by each: a library that is missing shows here, and not in the first call.
fn codecs(config: &Config) -> Finding {
    let mut names = Vec::new();
    for name in &config.rtp.codecs {
        let codec = name.0;
        let (mut payload, mut samples) = (Vec::new(), Vec::new());
        Encoder::new(codec).encode(&vec![0; codec.frame_samples()], &mut payload);
        Decoder::new(codec).decode(&payload, &mut samples);
        if samples.is_empty() {
            return Bad(format!("rtp.codecs: {} does not work", codec.name()));
        }
        names.push(codec.name());
    }
    Good(names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_found() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let Bad(why) = port("rpc.listen", &address, bind_stream(address)) else { panic!("it is taken") };
        assert!(why.contains("is in use"), "{why}");
        drop(taken);
        assert!(matches!(port("rpc.listen", &address, bind_stream(address)), Good(_)));
    }

    #[test]
    fn limits_of_the_system_are_compared_with_those_of_the_configuration() {
        let config = Config::default();
        assert!(matches!(descriptors(&config, Some(31_999)), Doubtful(_)));
        assert!(matches!(descriptors(&config, Some(32_000)), Good(_)));
        assert!(matches!(descriptors(&config, None), Good(_)));
        assert!(matches!(buffers(Some("212992\n".to_owned())), Doubtful(_)));
        assert!(matches!(buffers(Some("4194304\n".to_owned())), Good(_)));
        assert!(matches!(buffers(None), Doubtful(_)));
        assert!(matches!(clock_is_set(0), Bad(_)));
        assert!(matches!(clock_is_set(1_800_000_000_000), Good(_)));
    }

    #[test]
    fn findings_are_told_to_people_and_to_programs() {
        let all = [
            ("clock", clock_is_set(1_800_000_000_000)),
            ("codecs", Doubtful("few".to_owned())),
            ("SIP port", Bad("it is in use".to_owned())),
        ];
        let text =
            "ok   clock: it shows 2027-01-15T08:00:00Z\nwarn codecs: few\nbad  SIP port: it is in use\n";
        assert_eq!(told(&all), text);
        let json = json!([
            { "matter": "clock", "status": "ok", "finding": "it shows 2027-01-15T08:00:00Z" },
            { "matter": "codecs", "status": "warn", "finding": "few" },
            { "matter": "SIP port", "status": "bad", "finding": "it is in use" },
        ]);
        assert_eq!(as_json(&all), json);
    }

    #[test]
    fn directories_are_looked_at_and_left_as_they_are() {
        let dir = std::env::temp_dir().join(format!("offhook-doctor-{}", std::process::id()));
        assert!(matches!(disk("k", &dir, 0), Good(why) if why.contains("not there yet")));
        assert!(!dir.exists());
        std::fs::create_dir(&dir).unwrap();
        assert!(matches!(disk("k", &dir, 0), Good(_)));
        assert!(matches!(disk("k", &dir, u64::MAX), Doubtful(_)));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir(&dir).unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let Bad(why) = disk("k", &file, 0) else { panic!("it is no directory") };
        assert!(why.contains("File exists (os error 17)"), "{why}");
    }
}
