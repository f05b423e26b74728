//! baresip, a telephone of another make: it calls, speaks a file, writes down what it hears, and presses keys.
//!
//! No sound card is needed: `aufile` is the microphone, `aubridge` the (unheard) loudspeaker, and the filter `sndfile`
//! writes each direction to a WAV file. Commands go in through the module `cons`, a key a byte, as if typed.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::server::fixtures;
use crate::wait::{self, PATIENCE};

/// Where Debian puts the modules, and where others do.
const MODULE_DIRS: [&str; 3] =
    ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"];

/// What one may be other than another.
struct Make<'a> {
    /// Its certificate, where it speaks TLS.
    pair: Option<&'a str>,
    /// How its media is protected, where it is.
    protection: Option<&'a str>,
    codec: &'a str,
    module: &'a str,
}

impl Default for Make<'_> {
    fn default() -> Self {
        Self { pair: None, protection: None, codec: "PCMU/8000/1", module: "g711" }
    }
}

/// A running baresip.
#[derive(Debug)]
pub struct Baresip {
    process: Process,
    console: TcpStream,
    recordings: PathBuf,
    sip: SocketAddr,
}

impl Baresip {
    /// Starts it with `voice` (WAV, 8 kHz, mono, 16 bit) as its microphone. It speaks PCMU and accepts every call.
    pub async fn start(voice: &Path, dir: &TestDir) -> Self {
        Self::start_with(voice, dir, &Make::default()).await
    }

    /// The same with another codec than PCMU, by baresip's name of it, e.g. `G722/16000/1`, and of the module that has it.
    /// The voice is at the rate of the codec: baresip's own resampling takes a tenth off the correlation of what it says.
    pub async fn start_speaking(codec: &str, module: &str, voice: &Path, dir: &TestDir) -> Self {
        Self::start_with(voice, dir, &Make { codec, module, ..Make::default() }).await
    }

    /// The same by TLS, with this pair of `fixtures/tls`; it is at the port above [`Baresip::address`] then.
    pub async fn start_secure(voice: &Path, dir: &TestDir, pair: &str) -> Self {
        Self::start_with(voice, dir, &Make { pair: Some(pair), ..Make::default() }).await
    }

    /// The same, with its media protected: `srtp` where the other side can, `srtp-mand` always (RTP/SAVP), `srtp-mandf`
    /// always (RTP/SAVPF).
    pub async fn start_protected(voice: &Path, dir: &TestDir, pair: &str, protection: &str) -> Self {
        let make = Make { pair: Some(pair), protection: Some(protection), ..Make::default() };
        Self::start_with(voice, dir, &make).await
    }

    async fn start_with(voice: &Path, dir: &TestDir, make: &Make<'_>) -> Self {
        let Make { pair, protection, codec, module } = *make;
        let ports = ports::block(24);
        let folder = dir.folder(&format!("baresip-{ports}"));
        let recordings = dir.folder(&format!("baresip-{ports}/heard"));
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, ports));
        let console = SocketAddr::from((Ipv4Addr::LOCALHOST, ports + 2));
        let rate = codec.split('/').nth(1).expect("a codec with its rate");
        let mut config = config(sip, console, (voice, rate), &recordings);
        writeln!(config, "module {module}.so").expect("a string grows");
        if let Some(pair) = pair {
            let tls = fixtures().join("tls");
            let read = |suffix| std::fs::read_to_string(tls.join(pair).with_extension(suffix));
            let both = read("pem").and_then(|certificate| Ok(certificate + &read("key")?));
            std::fs::write(folder.join("both.pem"), both.expect("a pair")).expect("baresip's certificate");
            writeln!(config, "sip_certificate both.pem\nsip_cafile {}", tls.join("ca.pem").display())
                .expect("a string grows");
        }
        if protection.is_some() {
            writeln!(config, "module srtp.so").expect("a string grows");
        }
        std::fs::write(folder.join("config"), config).expect("baresip's configuration");
        let transport = if pair.is_some() { ";transport=tls" } else { "" };
        let protection = protection.map(|name| format!(";mediaenc={name}")).unwrap_or_default();
        let account = format!(
            "<sip:phone@{sip}{transport}>;regint=0;answermode=auto;audio_codecs={codec}{protection}\n"
        );
        std::fs::write(folder.join("accounts"), account).expect("baresip's account");
        std::fs::write(folder.join("contacts"), "").expect("baresip's contacts");
        let process = Process::start("baresip", Path::new("baresip"), ["-4", "-f", "."], &folder);
        let connect = async || TcpStream::connect(console).await.ok();
        let console = wait::until("baresip's console", PATIENCE, connect).await;
        Self { process, console, recordings, sip }
    }

    /// Where it can be called.
    pub fn address(&self) -> SocketAddr {
        self.sip
    }

    /// Calls `uri` (with its scheme) and waits until the call is established.
    pub async fn call(&mut self, uri: &str) {
        self.command(&format!("dial {uri}")).await;
        self.said("Call established").await;
    }

    /// Presses one key and lets it go; RFC 4733 where the far end takes it.
    pub async fn press(&mut self, key: char) {
        // EOT is how the console says that a key is up again; until then baresip goes on sending it.
        self.type_in(&format!("{key}\u{4}")).await;
    }

    /// Gives a long command, e.g. `hold`, `resume` or `transfer URI`.
    pub async fn command(&mut self, command: &str) {
        self.type_in(&format!("/{command}\n")).await;
    }

    /// Hangs up.
    pub async fn hang_up(&mut self) {
        self.type_in("b").await;
    }

    /// Waits until it has printed `text`.
    pub async fn said(&self, text: &str) {
        let printed = async || self.process.log().contains(text).then_some(());
        wait::until(&format!("baresip to say {text:?}"), PATIENCE, printed).await;
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What it heard in its last call, if anything: a WAV file, complete once the call is over.
    pub fn heard(&self) -> Option<PathBuf> {
        let files = std::fs::read_dir(&self.recordings).expect("baresip's recordings");
        let paths = files.map(|file| file.expect("a recording").path());
        let mut heard: Vec<PathBuf> =
            paths.filter(|path| path.to_string_lossy().ends_with("-dec.wav")).collect();
        heard.sort();
        heard.pop()
    }

    async fn type_in(&mut self, keys: &str) {
        self.console.write_all(keys.as_bytes()).await.expect("baresip's console");
    }
}

fn config(sip: SocketAddr, console: SocketAddr, (voice, rate): (&Path, &str), recordings: &Path) -> String {
    let modules = MODULE_DIRS.into_iter().find(|dir| Path::new(dir).is_dir()).expect("baresip's modules");
    let mut config = String::new();
    let mut line = |name: &str, value: &str| writeln!(config, "{name} {value}").expect("a string grows");
    line("sip_listen", &sip.to_string());
    line("rtp_ports", &format!("{}-{}", sip.port() + 4, sip.port() + 22));
    // Or it takes the first address of the machine.
    line("net_interface", "127.0.0.1");
    line("audio_source", &format!("aufile,{}", voice.display()));
    line("audio_player", "aubridge,ear");
    line("audio_alert", "aubridge,ear");
    line("ausrc_srate", rate);
    line("auplay_srate", rate);
    for channels in ["ausrc_channels", "auplay_channels"] {
        line(channels, "1");
    }
    line("rtp_stats", "yes");
    line("snd_path", &recordings.display().to_string());
    line("cons_listen", &console.to_string());
    line("module_path", modules);
    for module in ["sndfile", "aufile", "aubridge"] {
        line("module", &format!("{module}.so"));
    }
    line("module_tmp", "account.so");
    for module in ["menu", "cons"] {
        line("module_app", &format!("{module}.so"));
    }
    config
}
