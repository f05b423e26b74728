//! linphone, a telephone of a third make, driven by what one would type into `linphonec`. It puts calls on hold by
//! re-INVITE and transfers them by REFER, which the others here do not.
//!
//! It has no sound card: it speaks nothing but what a file says, and writes what it hears into another.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// A running linphonec.
#[derive(Debug)]
pub struct Linphone {
    process: Process,
    folder: PathBuf,
    sip: SocketAddr,
}

impl Linphone {
    /// Starts it, with a file to be written instead of a loudspeaker. It speaks PCMU and answers no call by itself.
    pub async fn start(dir: &TestDir) -> Self {
        let ports = ports::block(8);
        let folder = dir.folder(&format!("linphone-{ports}"));
        // Its data base has to be openable before it takes the network for reachable.
        std::fs::create_dir_all(folder.join(".local/share/linphone")).expect("linphone's data folder");
        let sip = SocketAddr::from((Ipv4Addr::LOCALHOST, ports));
        std::fs::write(folder.join("linphonerc"), config(sip)).expect("linphone's configuration");
        let arguments =
            ["HOME=.", "XDG_DATA_HOME=.", "linphonec", "-c", "linphonerc", "-d", "6", "-l", "debug.log"];
        let process = Process::start_typed("linphone", Path::new("env"), arguments, &folder);
        let mut phone = Self { process, folder, sip };
        phone.noted("SIP network reachability state is now [UP]").await;
        phone.type_in("soundcard use files").await;
        phone.type_in("record heard.wav").await;
        phone
    }

    /// Where it can be called.
    pub fn address(&self) -> SocketAddr {
        self.sip
    }

    /// Calls `uri` (with its scheme) and waits until the call is answered.
    pub async fn call(&mut self, uri: &str) {
        self.type_in(&format!("call {uri}")).await;
        self.said("connected").await;
    }

    /// Types a line: a command, or keys to press.
    pub async fn type_in(&mut self, line: &str) {
        self.process.type_in(&format!("{line}\n")).await;
    }

    /// Waits until it has printed `text`.
    pub async fn said(&self, text: &str) {
        let printed = async || self.process.log().contains(text).then_some(());
        wait::until(&format!("linphone to say {text:?}"), PATIENCE, printed).await;
    }

    /// Ends it; gives what it heard, a WAV file.
    pub async fn quit(mut self) -> PathBuf {
        self.type_in("quit").await;
        self.process.end(PATIENCE).await;
        let heard = self.folder.join("heard.wav");
        let mut bytes = std::fs::read(&heard).expect("linphone's recording");
        // It counts the header as sound.
        let length = u32::try_from(bytes.len() - 44).expect("a short recording");
        bytes[40..44].copy_from_slice(&length.to_le_bytes());
        std::fs::write(&heard, bytes).expect("linphone's recording, mended");
        heard
    }

    /// Waits until it has written `text` into its log.
    async fn noted(&self, text: &str) {
        let log = self.folder.join("debug.log");
        let noted = async || {
            let bytes = std::fs::read(&log).unwrap_or_default();
            String::from_utf8_lossy(&bytes).contains(text).then_some(())
        };
        wait::until(&format!("linphone to note {text:?}"), PATIENCE, noted).await;
    }
}

fn config(sip: SocketAddr) -> String {
    let (port, media) = (sip.port(), sip.port() + 2);
    let mut config = format!(
        "[sip]\nsip_port={port}\nsip_tcp_port=0\nsip_tls_port=0\nuse_ipv6=0\nipv6_migration_done=1\nbind_address=127.0.0.1\ndefault_proxy=-1\nguess_hostname=0\n\
         contact=\"phone\" <sip:phone@127.0.0.1>\nuse_info=0\nuse_rfc2833=1\n\
         [net]\nfirewall_policy=0\n[rtp]\naudio_rtp_port={media}\nbind_address=127.0.0.1\n[sound]\nechocancellation=0\nagc=0\n"
    );
    config.push_str("[audio_codec_0]\nmime=PCMU\nrate=8000\nchannels=1\nenabled=1\n");
    config
}
