//! PostgreSQL: a cluster of its own in the test's folder, over loopback, with one user who has a password and may do everything.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::dir::TestDir;
use crate::ports;
use crate::process::Process;
use crate::server::fixtures;
use crate::wait::{self, PATIENCE};

/// Whom it runs as where the tests run as root, which it refuses: `nobody`.
const NOBODY: u32 = 65_534;

/// A cluster, and its server while that runs.
#[derive(Debug)]
pub struct Postgres {
    place: PathBuf,
    port: u16,
    secure: bool,
    process: Option<Process>,
}

impl Postgres {
    /// Makes one, and starts it.
    pub async fn start(dir: &TestDir) -> Self {
        Self::start_with(dir, false).await
    }

    /// One that takes nobody but by TLS; its certificate is of the authority `tls/ca.pem` of the fixtures, for 127.0.0.1.
    pub async fn start_secure(dir: &TestDir) -> Self {
        Self::start_with(dir, true).await
    }

    async fn start_with(dir: &TestDir, secure: bool) -> Self {
        let port = ports::one();
        let place = dir.folder(&format!("postgres-{port}"));
        fs::write(place.join("password"), "s3cret").expect("a password");
        let data = place.join("data");
        fs::create_dir(&data).expect("a folder for the cluster");
        give(&data);
        let line =
            "--username offhook --auth scram-sha-256 --encoding UTF8 --locale C --no-sync --no-instructions";
        let mut initdb = command("initdb");
        initdb.current_dir(&place).args(line.split(' ')).args(["--pwfile", "password", "--pgdata", "data"]);
        let made = initdb.output().expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        if secure {
            for name in ["sip.pem", "sip.key"] {
                let file = data.join(name);
                fs::copy(fixtures().join("tls").join(name), &file).expect("a copy of the certificate");
                fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("its mode");
                give(&file);
            }
            let rule = "hostssl all all 127.0.0.1/32 scram-sha-256\n";
            fs::write(data.join("pg_hba.conf"), rule).expect("who may come");
        }
        let mut postgres = Self { place, port, secure, process: None };
        postgres.start_again().await;
        postgres
    }

    /// Starts it once more, and waits until it answers.
    pub async fn start_again(&mut self) {
        let mut line = command_line("postgres");
        let mut set = |setting: &str| line.extend(["-c".into(), setting.into()]);
        set(&format!("port={}", self.port));
        set("listen_addresses=127.0.0.1");
        set("unix_socket_directories=");
        // What it was told shall outlive it, not the machine.
        set("fsync=off");
        if self.secure {
            ["ssl=on", "ssl_cert_file=sip.pem", "ssl_key_file=sip.key"].into_iter().for_each(set);
        }
        line.extend(["-D".into(), "data".into()]);
        let program = line.remove(0);
        self.process = Some(Process::start("postgres", Path::new(&program), line, &self.place));
        let answers = async || self.psql("SELECT 1").status.success().then_some(());
        wait::until("PostgreSQL", PATIENCE, answers).await;
    }

    /// Ends it in the middle of whatever it does (SIGKILL), with all its processes.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// How the server is to connect.
    pub fn uri(&self) -> String {
        format!("postgres://offhook:s3cret@127.0.0.1:{}/postgres", self.port)
    }

    /// What it answers to a statement: rows in lines, columns with `|` between.
    pub fn ask(&self, statement: &str) -> String {
        self.try_ask(statement).unwrap_or_else(|| panic!("{statement}: see the log of postgres"))
    }

    /// The same; nothing where it refuses, as long as there is no such table.
    pub fn try_ask(&self, statement: &str) -> Option<String> {
        let output = self.psql(statement);
        let text = String::from_utf8(output.stdout).expect("text");
        output.status.success().then(|| text.trim_end().to_owned())
    }

    fn psql(&self, statement: &str) -> Output {
        let mut psql = Command::new("psql");
        let psql = psql.args(["--no-psqlrc", "--no-align", "--tuples-only", "--set", "ON_ERROR_STOP=1"]);
        psql.args(["--dbname", &self.uri(), "--command", statement]).output().expect("psql")
    }
}

/// The files of the cluster are its owner's.
fn give(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("the right to give files away");
    }
}

fn command(program: &str) -> Command {
    let mut line = command_line(program);
    let mut command = Command::new(line.remove(0));
    command.args(line);
    command
}

/// A program of the server, as nobody where we are root.
fn command_line(program: &str) -> Vec<OsString> {
    let mut line: Vec<OsString> = Vec::new();
    if rustix::process::geteuid().is_root() {
        let drop = ["setpriv", "--clear-groups", "--reuid", "65534", "--regid", "65534"];
        line.extend(drop.map(OsString::from));
    }
    line.push(find(program).into());
    line
}

/// Debian keeps the programs of each version in a folder of its own.
fn find(program: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(program)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().unwrap_or_else(|| program.into())
}
