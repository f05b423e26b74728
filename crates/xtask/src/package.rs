//! The Debian package: built by cargo-deb from `crates/server/Cargo.toml`, and then opened and tried as a fresh machine would.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::need::{BUILD, PACKAGE};
use crate::{cargo, need, root, run, shown};

/// The version of cargo-deb that is installed where there is none. Without optimization that takes half a minute, and what it
/// does takes no time.
const CARGO_DEB: &str = "3.8.0";

/// What has to be in it, from the root of the machine.
const FILES: [&str; 8] = [
    "etc/offhook/offhook.toml",
    "usr/bin/offhook",
    "usr/lib/sysusers.d/offhook.conf",
    "usr/lib/systemd/system/offhook.service",
    "usr/share/doc/offhook/README.md",
    "usr/share/doc/offhook/CHANGELOG.md",
    "usr/share/offhook/prompts/en/1.wav",
    "usr/share/offhook/prompts/zh/1.wav",
];

/// Builds `target/debian/offhook_….deb`; with `--no-build` of the release binary that is there.
pub(crate) fn package(rest: &[&str]) -> Result<PathBuf, String> {
    need::install(BUILD)?;
    need::install(PACKAGE)?;
    if run(cargo(&["deb", "--version"])).is_err() {
        run(cargo(&["install", "--locked", "--profile", "dev", "--version", CARGO_DEB, "cargo-deb"]))?;
    }
    let folder = root().join("target/debian");
    // What is there of another version is not looked into by mistake.
    let _ = std::fs::remove_dir_all(&folder);
    let mut build = cargo(&["deb", "--locked", "--package", "offhook", "--output", "target/debian/"]);
    build.args(rest);
    run(build)?;
    let built = std::fs::read_dir(&folder).map_err(|error| error.to_string())?;
    let mut packages = built.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_package(path));
    let package = packages.next().ok_or("cargo-deb has left no package")?;
    try_out(&package, &folder.join("root"))?;
    println!("{}", package.display());
    Ok(package)
}

/// Builds it of the server that the tests have built, and lets `packaging/try.sh` install it, try it, and take it away, and
/// `packaging/try-systemd.sh` boot a system with it; where that cannot be done, it is said why.
pub(crate) fn test() -> Result<(), String> {
    if !Path::new("/etc/debian_version").exists() {
        println!("no package: this is no Debian");
        return Ok(());
    }
    let package = package(&["--no-build", "--profile", "dev", "--fast", "--no-dbgsym", "--strip"])?;
    if said("id", &["-u"])?.trim() != "0" {
        println!("not installed: this is not root");
    } else if said("dpkg-query", &["--show", "offhook"]).is_ok() {
        println!("not installed: there is an offhook on this machine");
    } else {
        for script in ["packaging/try.sh", "packaging/try-systemd.sh"] {
            let mut command = Command::new(root().join(script));
            command.arg(&package);
            run(command)?;
        }
    }
    Ok(())
}

fn is_package(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "deb")
}

/// Unpacks it below `place`: everything is where it belongs, the server runs with the configuration that comes with it, and systemd
/// understands the unit.
fn try_out(package: &Path, place: &Path) -> Result<(), String> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    said("dpkg-deb", &["--extract", &path(package), &path(place)])?;
    for file in FILES {
        if !place.join(file).is_file() {
            return Err(format!("{} has no {file}", package.display()));
        }
    }
    let conffiles = said("dpkg-deb", &["--info", &path(package), "conffiles"])?;
    if conffiles.trim() != "/etc/offhook/offhook.toml" {
        return Err(format!("an upgrade would not ask before it replaces the configuration: {conffiles:?}"));
    }
    let script = said("dpkg-deb", &["--info", &path(package), "postinst"])?;
    // The user is there before a file is given to it.
    let makes_user = script.split("chown ").next().is_some_and(|before| before.contains("systemd-sysusers"));
    let mut named = script.lines().filter(|line| line.contains("systemd-sysusers"));
    if !makes_user || script.contains("#DEBHELPER#") || !named.all(|line| line.ends_with(" offhook.conf")) {
        return Err(format!("the script after the installation is not whole:\n{script}"));
    }
    let server = path(&place.join("usr/bin/offhook"));
    if said("objdump", &["--section-headers", &server])?.contains(".debug_line") {
        return Err(format!("{server} has what is for debuggers, which is most of it"));
    }
    said(&server, &["check", "--config", &path(&place.join("etc/offhook/offhook.toml"))])?;
    let version = said(&server, &["--version"])?;
    let field = said("dpkg-deb", &["--field", &path(package), "Version"])?;
    if !version.split_whitespace().any(|word| field.trim().starts_with(word)) {
        return Err(format!("the package is of version {field} and the server of {version}"));
    }
    let unit = place.join("usr/lib/systemd/system/offhook.service");
    let text = std::fs::read_to_string(&unit).map_err(|error| error.to_string())?;
    // Its programs are where the package is unpacked, and not yet on this machine.
    let tried = text.replace("=/usr/bin/offhook", &format!("={server}"));
    let copy = place.join("offhook.service");
    std::fs::write(&copy, tried).map_err(|error| error.to_string())?;
    said("systemd-analyze", &["verify", &path(&copy)]).map(drop)
}

/// What a program says on standard output; an error where it fails.
fn said(program: &str, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments);
    let shown = shown(&command);
    let output = command.output().map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{shown}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
