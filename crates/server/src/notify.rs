//! What the service manager is told (`sd_notify(3)`): that the node is ready, reloads, or ends, and that it is alive. A datagram
//! of `NAME=VALUE` lines to the socket of `NOTIFY_SOCKET`; without one nobody is told.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use crate::control_handle::ControlHandle;

/// Who is told; clones tell the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notify(Option<Arc<(UnixDatagram, SocketAddr)>>);

impl Notify {
    /// The service manager of this process, where it has one.
    pub(crate) fn of_process() -> Self {
        Self::at(std::env::var_os("NOTIFY_SOCKET").as_deref())
    }

    fn at(place: Option<&OsStr>) -> Self {
        let Some(place) = place else { return Self::default() };
        match open(place) {
            Ok(socket) => Self(Some(Arc::new(socket))),
            Err(error) => {
                tracing::warn!(%error, socket = %place.display(), "the service manager cannot be told");
                Self::default()
            }
        }
    }

    /// Tells that the node takes calls.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=takes calls");
    }

    /// Tells that the configuration is read again; [`Self::ready`] follows.
    pub(crate) fn reloading(&self) {
        self.tell("RELOADING=1\nSTATUS=reads its configuration");
    }

    /// Tells that the node ends, which takes `within` at most.
    pub(crate) fn stopping(&self, within: Duration) {
        self.tell(&format!("STOPPING=1\nSTATUS=drains\nEXTEND_TIMEOUT_USEC={}", within.as_micros()));
    }

    /// Tells every so often that the node is alive, as long as the control loop answers: this thread alone says nothing of calls.
    pub(crate) async fn watch(self, control: ControlHandle) {
        let Some(every) = watchdog(std::env::var_os("WATCHDOG_USEC"), std::env::var_os("WATCHDOG_PID"))
        else {
            return;
        };
        // Twice in the time it is given, as sd_watchdog_enabled(3) advises.
        let mut ticks = tokio::time::interval(every / 2);
        loop {
            ticks.tick().await;
            if control.metrics().await.is_some() {
                self.tell("WATCHDOG=1");
            }
        }
    }

    fn tell(&self, state: &str) {
        let Some(socket) = &self.0 else { return };
        if let Err(error) = socket.0.send_to_addr(state.as_bytes(), &socket.1) {
            tracing::warn!(%error, "the service manager cannot be told");
        }
    }
}

/// `@NAME` is in the abstract namespace, everything else a path.
fn open(place: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match place.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(place)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A manager that does not read must not hold up calls.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// How long the node may say nothing before it is taken for dead; none where nobody watches, or another process is meant.
fn watchdog(micros: Option<OsString>, process: Option<OsString>) -> Option<Duration> {
    let number = |text: OsString| text.to_str()?.parse::<u64>().ok();
    let is_ours = process.is_none_or(|text| number(text) == Some(std::process::id().into()));
    let micros = number(micros?)?;
    (is_ours && micros > 1).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[test]
    fn a_path_and_an_abstract_name() {
        let path = std::env::temp_dir().join(format!("offhook-notify-{}", std::process::id()));
        let at_path = UnixDatagram::bind(&path).unwrap();
        Notify::at(Some(path.as_os_str())).ready();
        assert_eq!(received(&at_path), "READY=1\nSTATUS=takes calls");
        std::fs::remove_file(&path).unwrap();
        let name = format!("offhook-notify-{}", std::process::id());
        let abstract_one =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name.as_bytes()).unwrap()).unwrap();
        let notify = Notify::at(Some(OsStr::new(&format!("@{name}"))));
        notify.stopping(Duration::from_secs(15));
        assert_eq!(received(&abstract_one), "STOPPING=1\nSTATUS=drains\nEXTEND_TIMEOUT_USEC=15000000");
    }

    #[test]
    fn a_manager_that_is_not_there_harms_nobody() {
        Notify::at(None).ready();
        Notify::at(Some(OsStr::new("/no/such/socket"))).ready();
        Notify::at(Some(OsStr::new(&"x".repeat(200)))).ready();
    }

    #[test]
    fn whose_watchdog_it_is() {
        let text = |text: &str| Some(OsString::from(text));
        let us = std::process::id().to_string();
        assert_eq!(watchdog(None, None), None);
        assert_eq!(watchdog(text("30000000"), None), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(text("30000000"), text(&us)), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(text("30000000"), text("1")), None);
        assert_eq!(watchdog(text("rubbish"), text(&us)), None);
        assert_eq!(watchdog(text("0"), None), None);
    }
}
