//! Why the process ends before it was asked to, and what it tells the shell that started it (`sysexits.h`).

use std::fmt;
use std::process::ExitCode;

use crate::config::ConfigError;

/// Why a subcommand did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It ran, and the answer is no. Exit code 1.
    Failed(String),
    /// A port or a directory is in use, a server cannot be reached. Exit code 69.
    Unavailable(String),
    /// Not now: the disk is full, a limit is reached, the server drains, no answer came in time. Exit code 75.
    TryLater(String),
    /// The operating system does not allow it, or the server does not. Exit code 77.
    NotPermitted(String),
    /// The configuration is wrong. Exit code 78.
    Config(String),
    /// Somebody pressed Ctrl-C. Exit code 130.
    Interrupted,
}

impl Failure {
    /// The code of the specification's command line.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Unavailable(_) => 69,
            Self::TryLater(_) => 75,
            Self::NotPermitted(_) => 77,
            Self::Config(_) => 78,
            Self::Interrupted => 130,
        }
    }

    /// The failure to bind a socket, or to open or write a file of ours; `what` says which, e.g. `udp:127.0.0.1:5060`.
    pub fn io(what: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{
            AddrInUse, AddrNotAvailable, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, ResourceBusy,
            StorageFull, Unsupported,
        };
        let text = format!("{what}: {error}");
        match error.kind() {
            // The last two are how the sandbox of a service says no.
            PermissionDenied | ReadOnlyFilesystem | Unsupported => Self::NotPermitted(text),
            AddrInUse | AddrNotAvailable | ResourceBusy => Self::Unavailable(text),
            StorageFull | QuotaExceeded => Self::TryLater(text),
            _ => Self::Failed(text),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Unavailable(text)
            | Self::TryLater(text)
            | Self::NotPermitted(text) => f.write_str(text),
            Self::Config(text) => write!(f, "bad configuration: {text}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Config(error.to_string())
    }
}

impl From<&Failure> for ExitCode {
    fn from(failure: &Failure) -> Self {
        Self::from(failure.exit_code())
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    /// A service manager tries again what may pass, and not what is forbidden.
    #[test]
    fn what_is_forbidden_is_told_from_what_may_pass() {
        for (errno, code) in [
            (Errno::ACCESS, 77),
            (Errno::PERM, 77),
            (Errno::ROFS, 77),
            (Errno::NOSYS, 77),
            (Errno::ADDRINUSE, 69),
            (Errno::ADDRNOTAVAIL, 69),
            (Errno::IO, 1),
            (Errno::BUSY, 69),
            (Errno::NOSPC, 75),
            (Errno::DQUOT, 75),
        ] {
            let failure = Failure::io("node.data_dir", &errno.into());
            assert_eq!(failure.exit_code(), code, "{failure}");
        }
    }
}
