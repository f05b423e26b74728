//! Kamailio, a proxy and registrar of another make: everybody's password is `secret`, the realm and the domain are
//! `offhook.test`. Calls to those who are registered are let through, calls to elsewhere are challenged. One process, no TCP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// Where Debian puts the modules, on either of its big architectures, and where others do.
const MODULE_DIRS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/kamailio/modules",
    "/usr/lib/aarch64-linux-gnu/kamailio/modules",
    "/usr/lib64/kamailio/modules",
    "/usr/local/lib64/kamailio/modules",
];

/// A running Kamailio.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    sip: SocketAddr,
}

impl Kamailio {
    /// Starts it; it grants registrations for `expires` seconds.
    pub async fn start(dir: &TestDir, expires: u32) -> Self {
        let port = ports::one();
        let folder = dir.folder(&format!("kamailio-{port}"));
        let modules =
            MODULE_DIRS.into_iter().find(|dir| Path::new(dir).is_dir()).expect("Kamailio's modules");
        let config = include_str!("../scenarios/kamailio.cfg")
            .replace("{{port}}", &port.to_string())
            .replace("{{modules}}", modules)
            .replace("{{expires}}", &expires.to_string());
        std::fs::write(folder.join("kamailio.cfg"), config).expect("Kamailio's configuration");
        let work = folder.to_str().expect("a path in UTF-8");
        let arguments = ["-f", "kamailio.cfg", "-D", "-E", "-m", "16", "-w", work];
        // Debian keeps daemons where only root looks for them.
        let program = ["/usr/sbin/kamailio", "/usr/local/sbin/kamailio"].into_iter().map(Path::new);
        let program = program.into_iter().find(|path| path.is_file()).unwrap_or(Path::new("kamailio"));
        let process = Process::start("kamailio", program, arguments, &folder);
        let open = async || ports::is_bound(port).then_some(());
        wait::until("Kamailio's port", PATIENCE, open).await;
        Self { process, sip: SocketAddr::from((Ipv4Addr::LOCALHOST, port)) }
    }

    /// Where it takes SIP, UDP only.
    pub fn address(&self) -> SocketAddr {
        self.sip
    }

    /// Waits until it has logged `text`: it notes every request as `METHOD from USER`.
    pub async fn saw(&self, text: &str) {
        let logged = async || self.process.log().contains(text).then_some(());
        wait::until(&format!("Kamailio to see {text:?}"), PATIENCE, logged).await;
    }

    /// Waits until it has logged `text` more than `count` times.
    pub async fn saw_more_than(&self, count: usize, text: &str, patience: Duration) {
        let logged = async || (self.count(text) > count).then_some(());
        wait::until(&format!("Kamailio to see {text:?} again"), patience, logged).await;
    }

    /// How often it has logged `text`.
    pub fn count(&self, text: &str) -> usize {
        self.process.log().matches(text).count()
    }
}
