//! What a fresh machine may lack. Debian packages are installed as root or by a sudo that asks nothing; where neither
//! is possible, or it is no Debian, the message names the packages and the command.

use std::path::Path;
use std::process::{Command, Stdio};

/// A program, where it comes from, and what for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// As it is called.
    pub(crate) program: &'static str,
    /// The Debian packages that bring it and what it cannot work without.
    pub(crate) packages: &'static [&'static str],
    /// Said when it is missing.
    pub(crate) why: &'static str,
}

/// What a build needs. `.cargo/linker` sees to the C compiler before the first link, but a cached xtask links nothing.
pub(crate) const BUILD: &[Need] = &[
    Need { program: "cc", packages: &["gcc", "libc6-dev"], why: "links every Rust program" },
    Need { program: "cmake", packages: &["cmake"], why: "builds libopus, with make" },
    Need { program: "make", packages: &["make"], why: "builds libopus for cmake" },
];

/// The peers and judges that the tests drive.
pub(crate) const PEERS: &[Need] = &[
    Need { program: "sipp", packages: &["sip-tester"], why: "calls in and is called by scenario" },
    Need {
        program: "baresip",
        packages: &["baresip-core"],
        why: "a real phone, which hears prompts and sends digits",
    },
    Need { program: "espeak-ng", packages: &["espeak-ng"], why: "speaks to our detectors" },
    Need { program: "sox", packages: &["sox"], why: "judges our recordings" },
    Need { program: "ffprobe", packages: &["ffmpeg"], why: "judges our recordings, and hears them" },
    Need { program: "sndfile-info", packages: &["sndfile-programs"], why: "judges our recordings" },
    Need { program: "python3", packages: &["python3"], why: "judges our recordings, by its module wave" },
    Need { program: "linphonec", packages: &["linphone-cli"], why: "a phone that holds and transfers calls" },
    Need { program: "kamailio", packages: &["kamailio"], why: "an outbound proxy and a registrar" },
    Need { program: "chromium", packages: &["chromium"], why: "opens the console" },
    Need { program: "sipsak", packages: &["sipsak"], why: "asks by OPTIONS and MESSAGE, as operators do" },
    Need {
        program: "openssl",
        packages: &["openssl"],
        why: "speaks TLS to us, and shows what certificate it saw",
    },
    Need { program: "initdb", packages: &["postgresql"], why: "makes databases that records are copied to" },
    Need { program: "faketime", packages: &["faketime"], why: "sets the clock of a server, and no other's" },
];

/// What makes the Debian package and looks at it.
pub(crate) const PACKAGE: &[Need] = &[
    Need {
        program: "dpkg-shlibdeps",
        packages: &["dpkg-dev"],
        why: "says which libraries the package needs",
    },
    Need { program: "systemd-analyze", packages: &["systemd"], why: "judges the unit" },
    Need {
        program: "systemd-nspawn",
        packages: &["systemd-container"],
        why: "boots a system that runs the unit",
    },
];

/// What speaks the prompt packs.
pub(crate) const VOICES: &[Need] = &[
    Need { program: "espeak-ng", packages: &["espeak-ng"], why: "speaks" },
    Need { program: "sox", packages: &["sox"], why: "cuts what is spoken" },
];

/// How this process may install packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Root,
    Sudo,
}

/// Installs what is missing of `needs`. Where nothing is, nothing is asked and nothing is updated.
pub(crate) fn install(needs: &[Need]) -> Result<(), String> {
    let missing = missing(needs, on_path);
    if missing.is_empty() {
        return Ok(());
    }
    if !on_path("apt-get") {
        return Err(message(&missing, "there is no apt-get"));
    }
    let Some(way) = way() else {
        return Err(message(&missing, "this is not root, and sudo would ask for a password"));
    };
    let packages = packages(&missing);
    println!("installing {}", packages.join(" "));
    // A failed update (one mirror of many) need not matter: the installation says whether it did.
    let _ = crate::run(apt_get(way, &["update"]));
    let arguments: Vec<&str> =
        ["install", "--yes", "--no-install-recommends"].into_iter().chain(packages).collect();
    crate::run(apt_get(way, &arguments)).map_err(|error| message(&missing, &error))?;
    match self::missing(needs, on_path).as_slice() {
        [] => Ok(()),
        still => Err(message(still, "apt-get installed the packages, but the programs are not in PATH")),
    }
}

/// Sees to the parts of the Rust toolchain that not every profile of rustup brings.
pub(crate) fn components() -> Result<(), String> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if succeeds(&mut crate::cargo(&[subcommand, "--version"])) {
            continue;
        }
        if !on_path("rustup") {
            return Err(format!(
                "cargo {subcommand} is missing; install {component} (Debian package or rustup component)"
            ));
        }
        let mut command = Command::new("rustup");
        command.args(["component", "add", component]).current_dir(crate::root());
        crate::run(command)?;
    }
    Ok(())
}

fn missing(needs: &[Need], there: impl Fn(&str) -> bool) -> Vec<Need> {
    needs.iter().copied().filter(|need| !there(need.program)).collect()
}

fn packages(needs: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<&str> = needs.iter().flat_map(|need| need.packages).copied().collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn message(missing: &[Need], problem: &str) -> String {
    let mut text = String::from("missing on this machine:\n");
    for need in missing {
        text.push_str(&format!(
            "  {}: {} (Debian package {})\n",
            need.program,
            need.why,
            need.packages.join(", ")
        ));
    }
    let packages = packages(missing).join(" ");
    text.push_str(&format!("they cannot be installed from here: {problem}\n"));
    text.push_str(&format!("install them with: sudo apt-get install --no-install-recommends {packages}"));
    text
}

fn way() -> Option<Way> {
    let id = Command::new("id").arg("-u").output().ok()?;
    if id.stdout.trim_ascii() == b"0" {
        return Some(Way::Root);
    }
    (on_path("sudo") && succeeds(Command::new("sudo").args(["-n", "true"]))).then_some(Way::Sudo)
}

fn apt_get(way: Way, arguments: &[&str]) -> Command {
    let mut command = match way {
        Way::Root => Command::new("env"),
        Way::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "env"]);
            sudo
        }
    };
    // Another apt may be at work, as on a machine that has just booted: wait for it.
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120"])
        .args(arguments);
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Daemons lie where Debian's users do not look for programs, PostgreSQL in a folder for each version.
fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|version| version.path().join("bin"));
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]).chain(versions);
    folders.map(|folder| folder.join(program)).any(|file| is_executable(&file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing(PEERS, |_| true), []);
        let programs: Vec<&str> =
            missing(PEERS, |program| program == "sox").iter().map(|need| need.program).collect();
        assert_eq!(
            programs,
            [
                "sipp",
                "baresip",
                "espeak-ng",
                "ffprobe",
                "sndfile-info",
                "python3",
                "linphonec",
                "kamailio",
                "chromium",
                "sipsak",
                "openssl",
                "initdb",
                "faketime"
            ]
        );
    }

    #[test]
    fn a_package_is_named_once() {
        let need = |program| Need { program, packages: &["b", "a"], why: "" };
        assert_eq!(packages(&[need("x"), need("y")]), ["a", "b"]);
    }

    #[test]
    fn the_message_names_programs_packages_and_the_command() {
        assert_eq!(
            message(&PEERS[..2], "this is not root, and sudo would ask for a password"),
            "missing on this machine:\n\
             \x20 sipp: calls in and is called by scenario (Debian package sip-tester)\n\
             \x20 baresip: a real phone, which hears prompts and sends digits (Debian package baresip-core)\n\
             they cannot be installed from here: this is not root, and sudo would ask for a password\n\
             install them with: sudo apt-get install --no-install-recommends baresip-core sip-tester"
        );
    }

    #[test]
    fn apt_get_asks_nothing() {
        let shown = crate::shown(&apt_get(Way::Sudo, &["update"]));
        assert_eq!(
            shown,
            "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120 update"
        );
        assert!(
            crate::shown(&apt_get(Way::Root, &["update"]))
                .starts_with("env DEBIAN_FRONTEND=noninteractive apt-get")
        );
    }

    #[test]
    fn a_program_is_found_by_its_name_and_its_permission() {
        assert!(on_path("sh"));
        assert!(!on_path("no-such-program-of-offhook"));
        assert!(!is_executable(Path::new("/etc/passwd")));
        assert!(!is_executable(Path::new("/etc")));
    }
}
