//! The server under test: the real binary, with ports, folders and a log of its own.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Once;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// What a test may want otherwise than the default.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Lines for `[sip]`.
    pub sip: String,
    /// Lines for `[[sip.gateway]]`.
    pub gateway: String,
    /// Lines for `[media]`.
    pub media: String,
    /// Lines for `[rpc]`.
    pub rpc: String,
    /// Whole sections.
    pub sections: String,
    /// Transports and addresses to listen on; the first is where [`Server::sip`] is.
    pub listen: Vec<(&'static str, IpAddr)>,
    /// Where its RTP is.
    pub rtp_address: IpAddr,
    /// RTP ports; a call takes an even one and the odd one above it.
    pub rtp_ports: u16,
    /// The first of them, at an address that is nobody else's; none where they are dealt out like all other ports.
    pub rtp_first: Option<u16>,
    /// Whether it has the first core only, for a measure of what one core carries.
    pub one_core: bool,
    /// Bytes of the disk that its recordings are on, where they have one of their own, which only the server sees.
    pub disk: Option<u64>,
    /// Variables of its environment.
    pub variables: Vec<(&'static str, String)>,
    /// A program, and its arguments, that becomes the server: one that sets it a limit, say.
    pub under: Vec<String>,
}

impl Default for Setup {
    fn default() -> Self {
        let (sip, gateway, media, rpc, sections) = Default::default();
        let local = IpAddr::from(Ipv4Addr::LOCALHOST);
        let listen = vec![("udp", local)];
        Self {
            sip,
            gateway,
            media,
            rpc,
            sections,
            listen,
            rtp_address: local,
            rtp_ports: 40,
            rtp_first: None,
            one_core: false,
            disk: None,
            variables: Vec::new(),
            under: Vec::new(),
        }
    }
}

/// A running `offhook serve`; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Process,
    dir: TestDir,
    port: u16,
    sip: SocketAddr,
    rpc: SocketAddr,
}

impl Server {
    /// Starts it as it comes, and waits until it is healthy.
    pub async fn start(name: &str) -> Self {
        Self::start_with(name, &Setup::default()).await
    }

    /// Starts it with a setup, and waits until it is healthy.
    pub async fn start_with(name: &str, setup: &Setup) -> Self {
        let dir = TestDir::new(name);
        let first = ports::block(setup.rtp_first.map_or(setup.rtp_ports, |_| 0) + 4);
        let (transport, address) = setup.listen.first().expect("something to listen on");
        let sip = SocketAddr::new(*address, sip_port(first, transport));
        let rpc = SocketAddr::from((Ipv4Addr::LOCALHOST, first + 2));
        let config = dir.join("offhook.toml");
        copy_files(&fixtures().join("prompts"), &dir.folder("prompts"));
        dir.folder("recordings");
        std::fs::write(&config, configuration(setup, &dir, first, rpc)).expect("the configuration");
        let process = run("offhook", &launcher(setup, &dir), &dir, rpc).await;
        Self { process, dir, port: first, sip, rpc }
    }

    /// Starts it once more after its end, with what it left behind.
    pub async fn start_again(&mut self) {
        self.process = run("offhook-again", &["env".into()], &self.dir, self.rpc).await;
    }

    /// Where it takes SIP.
    pub fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// Where it takes SIP by one of the transports that it was set up with.
    pub fn sip_by(&self, transport: &str, address: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(address.into(), sip_port(self.port, transport))
    }

    /// Where it takes HTTP.
    pub fn rpc(&self) -> SocketAddr {
        self.rpc
    }

    /// Where applications connect.
    pub fn rpc_url(&self) -> String {
        format!("ws://{}/rpc", self.rpc)
    }

    /// Its folder: `prompts`, `recordings`, `data` and logs.
    pub fn dir(&self) -> &TestDir {
        &self.dir
    }

    /// Where a prompt of this name has to be.
    pub fn prompt(&self, name: &str) -> PathBuf {
        self.dir.join("prompts").join(name)
    }

    /// Where a recording of this name will be.
    pub fn recording(&self, name: &str) -> PathBuf {
        self.dir.join("recordings").join(name)
    }

    /// Where it is on the [disk](Setup::disk) that only the server sees.
    pub fn recording_on_its_disk(&self, name: &str) -> PathBuf {
        let seen = self.recording(name);
        let seen = seen.strip_prefix("/").expect("an absolute path");
        Path::new("/proc").join(self.id().to_string()).join("root").join(seen)
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its memory that is resident, in KiB.
    pub fn resident_kib(&self) -> u64 {
        self.process.resident_kib()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Whether `/healthz` says 200.
    pub async fn is_healthy(&self) -> bool {
        is_healthy(self.rpc).await
    }

    /// All of `/metrics`.
    pub async fn metrics(&self) -> String {
        get(self.rpc, "/metrics").await.expect("metrics")
    }

    /// A metric without labels, by its name in `/metrics`.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.metrics().await;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{text}"))
    }

    /// The status of a GET.
    pub async fn status(&self, path: &str) -> u16 {
        let response = ask(self.rpc, path).await.unwrap_or_default();
        response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Its configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.dir.join("offhook.toml")
    }

    /// SIGHUP: it reads its configuration again.
    pub fn reload(&self) {
        self.process.hang_up();
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// SIGKILL: it can do nothing about it any more.
    pub fn kill(&self) {
        self.process.kill();
    }

    /// Lets it stand still for so long (SIGSTOP, SIGCONT), like a machine that is moved.
    pub async fn stand_still(&self, time: Duration) {
        self.process.stop();
        tokio::time::sleep(time).await;
        self.process.resume();
    }

    /// Waits for the end of the process.
    pub async fn end(&mut self, patience: Duration) -> ExitStatus {
        self.process.end(patience).await
    }
}

/// The folder of the fixtures.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// `offhook`, built to the same place as the program that runs now: `target/<profile>/` for a bench, and one folder
/// above `target/<profile>/deps/` for a test.
pub fn binary() -> PathBuf {
    let own = std::env::current_exe().expect("the path of this program");
    let places = own.ancestors().skip(1).take(2).map(|dir| dir.join("offhook"));
    let built = places.into_iter().find(|path| path.is_file());
    let built = built.unwrap_or_else(|| {
        panic!("no server beside {}: build it first, `cargo xtask test` does", own.display())
    });
    // Read once, so that no server of the tests stands still in a call while its code comes from the disk.
    static IN_MEMORY: Once = Once::new();
    IN_MEMORY.call_once(|| drop(std::fs::read(&built)));
    built
}

/// TLS has the port above that of the others, as is usual.
fn sip_port(first: u16, transport: &str) -> u16 {
    if transport == "tls" { first + 1 } else { first }
}

/// What starts the server, before its own name.
fn launcher(setup: &Setup, dir: &TestDir) -> Vec<OsString> {
    let words: Vec<OsString> = match setup.disk {
        _ if setup.one_core => ["taskset", "--cpu-list", "0"].map(OsString::from).into(),
        None => {
            let variables = setup.variables.iter().map(|(name, value)| format!("{name}={value}").into());
            let under = setup.under.iter().map(OsString::from);
            std::iter::once("env".into()).chain(variables).chain(under).collect()
        }
        // In a mount namespace of its own, which needs no rights in a user namespace of its own.
        Some(bytes) => {
            let mount = format!("mount -t tmpfs -o size={bytes} tmpfs \"$0\" && exec \"$@\"");
            let recordings = dir.join("recordings").into_os_string();
            ["unshare", "-rm", "sh", "-c", &mount]
                .map(OsString::from)
                .into_iter()
                .chain([recordings])
                .collect()
        }
    };
    words
}

/// Whether this machine lets a server have a disk of its own.
pub fn gives_disks() -> bool {
    let tried =
        std::process::Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Starts the server, and waits until it is healthy.
async fn run(name: &str, launcher: &[OsString], dir: &TestDir, rpc: SocketAddr) -> Process {
    let (binary, config) = (binary().into_os_string(), dir.join("offhook.toml").into_os_string());
    let mut line = launcher.iter().cloned().chain([binary, "serve".into(), "--config".into(), config]);
    let program = line.next().expect("a launcher");
    let mut process = Process::start(name, Path::new(&program), line, dir.path());
    wait::until("a healthy server", PATIENCE, async || {
        if let Some(status) = process.ended() {
            panic!("the server ended at start with {status}:\n{}", process.log());
        }
        is_healthy(rpc).await.then_some(())
    })
    .await;
    process
}

fn configuration(setup: &Setup, dir: &TestDir, first: u16, rpc: SocketAddr) -> String {
    let listener = |&(transport, address): &(&str, IpAddr)| {
        format!("\"{transport}:{}\"", SocketAddr::new(address, sip_port(first, transport)))
    };
    let listen = setup.listen.iter().map(listener).collect::<Vec<_>>().join(", ");
    let rtp_first = setup.rtp_first.unwrap_or(rpc.port() + 2);
    let mut text = String::new();
    let mut section = |section: &str| writeln!(text, "{section}\n").expect("a string grows");
    section(&format!("[node]\ndata_dir = {:?}", dir.join("data")));
    section(&format!("[sip]\nlisten = [{listen}]\n{}", setup.sip));
    section(&format!(
        "[[sip.gateway]]\nname = \"peers\"\naddress = \"127.0.0.1\"\nnetworks = [\"127.0.0.0/8\", \"::1/128\"]\n{}",
        setup.gateway
    ));
    section(&format!(
        "[rtp]\naddress = \"{}\"\nports = \"{rtp_first}-{}\"",
        setup.rtp_address,
        rtp_first + setup.rtp_ports - 1
    ));
    section(&format!(
        "[media]\nprompts_dir = {:?}\nrecordings_dir = {:?}\n{}",
        dir.join("prompts"),
        dir.join("recordings"),
        setup.media
    ));
    section(&format!("[rpc]\nlisten = \"{rpc}\"\n{}", setup.rpc));
    section(&setup.sections);
    text
}

async fn is_healthy(rpc: SocketAddr) -> bool {
    get(rpc, "/healthz").await.is_some()
}

/// The answer to a GET where it is 200, by hand: it is one line, and a client of HTTP would be one more dependency.
async fn get(rpc: SocketAddr, path: &str) -> Option<String> {
    ask(rpc, path).await.filter(|response| response.starts_with("HTTP/1.1 200"))
}

/// The answer to a GET, whatever it is.
async fn ask(rpc: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(rpc).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {rpc}\r\nConnection: close\r\n\r\n");
    let mut response = String::new();
    stream.write_all(request.as_bytes()).await.ok()?;
    stream.read_to_string(&mut response).await.ok()?;
    Some(response)
}

/// Copies a folder with its sub-folders.
fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            std::fs::create_dir_all(&target).expect("a sub-folder");
            copy_files(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("a prompt copied");
        }
    }
}
