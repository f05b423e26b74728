//! The command line: what is asked for, with which configuration, and what the shell is told at the end.

mod cdr;
mod doctor;
pub mod exit;
mod json;
mod ladder;
mod log;
mod remote;
mod repair;
mod sheet;
mod table;
mod tail;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::config::value::{Level, Listener};
use crate::config::{Config, Log, Speech};
use crate::files::Directory;
use crate::net::tls;
use crate::{demo, rpc, serve, speech};
use exit::Failure;

/// A CTI server: JSON-RPC for applications, SIP and RTP for the gateway.
#[derive(Debug, Parser)]
#[command(name = "offhook", version, after_help = EXIT_CODES)]
struct Cli {
    /// A configuration file; without one the built-in defaults hold, on 127.0.0.1
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    remote: remote::Remote,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 failed, 2 usage, 69 unavailable (port in use, server not reachable), \
                          75 try later, 77 not permitted, 78 bad configuration, 130 interrupted.";

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Run the server until SIGTERM or SIGINT; the default
    Serve,
    /// A first call with no phone, no gateway and no configuration
    Demo,
    /// Say whether the configuration is good, and what of it is not on this machine
    Check,
    /// Show the effective configuration, secrets redacted
    PrintConfig {
        /// In which notation
        #[arg(long, value_enum, default_value_t)]
        format: Notation,
    },
    /// The records of calls
    Cdr {
        #[command(subcommand)]
        command: cdr::Cdr,
    },
    /// Say whether this machine can do what the configuration asks of it; for a server that does not run
    Doctor,
    #[command(flatten)]
    Ask(remote::Ask),
    /// Recordings as files
    #[command(subcommand)]
    Recording(RecordingCommand),
    /// Print what completes this command line, for a shell to read
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Show the contract, from the binary itself
    Schema {
        /// Of what
        #[arg(value_enum)]
        contract: Contract,
    },
}

#[derive(Clone, Debug, Subcommand)]
enum RecordingCommand {
    /// Let WAV files that were cut off tell all that they have
    Repair {
        /// Where they are
        dir: PathBuf,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Notation {
    /// As the configuration file
    #[default]
    Toml,
    /// For programs
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Contract {
    /// The methods, as an OpenRPC document
    Openrpc,
    /// The events, as an AsyncAPI document
    Asyncapi,
    /// The configuration file, as a JSON Schema
    Config,
}

/// The whole process, from its arguments to its exit code.
pub fn main() -> ExitCode {
    let cli = Cli::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit());
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{}offhook: {failure}", log::priority(tracing::Level::ERROR));
            ExitCode::from(&failure)
        }
    }
}

/// The whole command line. What names a server is not told by the help of subcommands that ask none.
fn command() -> clap::Command {
    let command = Cli::command();
    let asks = |arg: &&Arg| ["url", "token", "output"].contains(&arg.get_id().as_str());
    let hidden: Vec<Arg> = command.get_arguments().filter(asks).map(|arg| arg.clone().hide(true)).collect();
    let alone = ["serve", "demo", "check", "print-config", "recording", "completions", "schema"];
    alone.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |subcommand| subcommand.args(hidden.clone()))
    })
}

/// The server that is asked: the one that is named, or that of the file that is named.
fn remote(cli: &Cli) -> Result<remote::Remote, Failure> {
    match &cli.config {
        Some(file) if !cli.remote.is_named() => Ok(cli.remote.of(&Config::load(Some(file))?)),
        _ => Ok(cli.remote.clone()),
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    let load = || Config::load(cli.config.as_deref());
    match cli.command.as_ref().unwrap_or(&Command::Serve) {
        Command::Serve => {
            let config = checked(load()?)?;
            let level = log::start(&config.log);
            serve::run(config, || checked(load()?), |to| level.set(to))
        }
        Command::Demo => {
            let _ = log::start(&Log { level: Level::Warn, ..Log::default() });
            demo::run()
        }
        Command::Check => {
            let config = checked(load()?)?;
            writable("node.data_dir", &config.node.data_dir)?;
            writable("media.recordings_dir", &config.media.recordings_dir)?;
            warnings(&config)?.iter().for_each(|warning| {
                eprintln!("{}offhook: warning: {warning}", log::priority(tracing::Level::WARN))
            });
            let what =
                cli.config.as_ref().map_or("built-in defaults".into(), |file| file.display().to_string());
            print(&format!("{what}: good\n"))
        }
        Command::PrintConfig { format } => print(&written(&load()?, *format)?),
        Command::Doctor => {
            let config = checked(load()?)?;
            let warnings = warnings(&config)?;
            doctor::run(&config, warnings, cli.remote.output)
        }
        Command::Ask(ask) => remote::run(ask, &remote(cli)?),
        Command::Recording(RecordingCommand::Repair { dir }) => repair::run(dir),
        Command::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut command(), "offhook", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
        Command::Cdr { command } => cdr::run(*command, &cli.remote, || Ok(load()?)),
        Command::Schema { contract } => print(&schema(*contract)?),
    }
}

/// What of a configuration is allowed and will be missed.
fn warnings(config: &Config) -> Result<Vec<String>, Failure> {
    let warnings = [config.warnings(), prompts(&config.media.prompts_dir)?, voices(&config.speech)?];
    Ok(warnings.concat())
}

/// A configuration whose files are good too.
fn checked(config: Config) -> Result<Config, Failure> {
    let fault = |(key, problem)| Failure::Config(format!("{key}: {problem}"));
    if config.sip.listen.iter().any(|listener| matches!(listener, Listener::Tls(_))) {
        tls::check(&config.sip.tls).map_err(fault)?;
    }
    if config.cdr.postgres.is_some() {
        tls::authorities("cdr.postgres_ca", &config.cdr.postgres_ca).map_err(fault)?;
    }
    Ok(config)
}

/// The directory of prompts can be read, or could be made; nothing is made here.
fn prompts(path: &Path) -> Result<Vec<String>, Failure> {
    match std::fs::read_dir(path) {
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let path = path.display();
            Ok(vec![format!("media.prompts_dir: {path} is not there: it will be made, and have no prompts")])
        }
        Err(error) => Err(Failure::Config(format!("media.prompts_dir: {}: {error}", path.display()))),
    }
}

/// Files can be made in a directory, or it can be made itself: a file is tried, or only looked whether it would do, since
/// nothing stays that was not there.
fn writable(key: &str, path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::Config(format!("{key}: {} cannot be written: {error}", path.display()));
    try_writing(path).map_err(failed)
}

fn try_writing(path: &Path) -> std::io::Result<()> {
    match std::fs::metadata(path) {
        Ok(_) => {
            let trial = path.join(format!(".offhook-check-{}", std::process::id()));
            // By what the server opens files with, which may be forbidden where writing is not.
            Directory::open(path)
                .and_then(|_| std::fs::write(&trial, "can be written"))
                .and_then(|()| std::fs::remove_file(&trial))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            let above = above.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
            let access = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(above, access).map_err(std::io::Error::from)
        }
        Err(error) => Err(error),
    }
}

/// Whether texts will be spoken.
fn voices(config: &Speech) -> Result<Vec<String>, Failure> {
    Ok(serve::runtime()?.block_on(speech::faults(config)))
}

fn written(config: &Config, format: Notation) -> Result<String, Failure> {
    match format {
        Notation::Toml => toml::to_string(config).map_err(|error| Failure::Failed(error.to_string())),
        Notation::Json => pretty(config),
    }
}

fn schema(contract: Contract) -> Result<String, Failure> {
    match contract {
        Contract::Openrpc => pretty(&rpc::schema::openrpc()),
        Contract::Asyncapi => pretty(&rpc::schema::asyncapi()),
        Contract::Config => pretty(&schemars::schema_for!(Config).to_value()),
    }
}

fn pretty(value: &impl serde::Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(value).map_err(|error| Failure::Failed(error.to_string()))?;
    text.push('\n');
    Ok(text)
}

/// To standard output. Whoever reads it may have read enough (`offhook print-config | head -3`): that is no failure.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::io("standard output", &error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn what_names_a_server_is_told_where_one_is_asked() {
        let help = |path: &[&str]| {
            let arguments = [&["offhook"], path, &["--help"]].concat();
            command().try_get_matches_from(arguments).unwrap_err().to_string()
        };
        for path in [&["serve"][..], &["demo"], &["check"], &["recording", "repair"]] {
            let shown = help(path);
            assert!(shown.contains("--config"), "{shown}");
            assert!(!["--url", "--token", "--output"].iter().any(|name| shown.contains(name)), "{shown}");
        }
        for path in [&[][..], &["call", "ls"], &["cdr", "export"], &["rpc"]] {
            assert!(help(path).contains("--url"), "{path:?}");
        }
        // A variable for the commands that ask one is no fault of those that do not.
        assert!(command().try_get_matches_from(["offhook", "--output", "json", "call", "ls"]).is_ok());
        assert!(command().try_get_matches_from(["offhook", "serve", "--config", "x"]).is_ok());
    }

    #[test]
    fn a_file_may_be_named_with_or_without_a_subcommand() {
        let cli = Cli::try_parse_from(["offhook", "--config", "x.toml"]).unwrap();
        assert!(cli.command.is_none() && cli.config == Some("x.toml".into()));
        let cli = Cli::try_parse_from(["offhook", "check", "--config", "x.toml"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Check)) && cli.config == Some("x.toml".into()));
    }

    #[test]
    fn a_command_line_without_sense_is_a_usage_error() {
        for arguments in [&["offhook", "serv"][..], &["offhook", "--confg", "x"], &["offhook", "schema"]] {
            assert_eq!(Cli::try_parse_from(arguments).unwrap_err().exit_code(), 2, "{arguments:?}");
        }
    }

    /// What README.md has an operator type is understood.
    #[test]
    fn the_commands_of_the_readme_are_command_lines() {
        let readme = include_str!("../../../../README.md");
        let lines = readme.lines().map(|line| line.strip_prefix("$as ").unwrap_or(line));
        let lines = lines.filter(|line| line.starts_with("offhook "));
        let commands: Vec<&str> =
            lines.map(|line| line.split(" #").next().unwrap_or(line).trim_end()).collect();
        assert!(commands.len() >= 4, "{commands:?}");
        for command in commands {
            if let Err(error) = Cli::try_parse_from(command.split_whitespace()) {
                panic!("{command}: {error}");
            }
        }
    }

    /// The codes of the specification's table, not of the code.
    #[test]
    fn exit_codes() {
        let text = String::new;
        let table = [
            (Failure::Failed(text()), 1),
            (Failure::Unavailable(text()), 69),
            (Failure::TryLater(text()), 75),
            (Failure::NotPermitted(text()), 77),
            (Failure::Config(text()), 78),
            (Failure::Interrupted, 130),
        ];
        for (failure, code) in table {
            assert_eq!(failure.exit_code(), code, "{failure:?}");
        }
    }

    #[test]
    fn prompts_are_looked_for() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(prompts(&file), Err(Failure::Config(_))), "a file is no directory");
        assert_eq!(prompts(file.parent().unwrap()), Ok(Vec::new()));
        let missing = file.with_file_name("no-such-directory");
        assert!(prompts(&missing).unwrap()[0].starts_with("media.prompts_dir: "));
        assert!(!missing.exists());
    }

    #[test]
    fn directories_are_tried() {
        let place = std::env::temp_dir().join(format!("offhook-writable-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        assert_eq!(writable("node.data_dir", &place), Ok(()));
        assert_eq!(std::fs::read_dir(&place).unwrap().count(), 0, "nothing stays");
        assert_eq!(writable("node.data_dir", &place.join("a/b")), Ok(()));
        assert!(!place.join("a").exists(), "nothing is made");
        std::fs::write(place.join("file"), "").unwrap();
        // A disk that takes nothing, and files in the place of directories.
        for bad in [Path::new("/proc"), &place.join("file"), &place.join("file/a")] {
            let refused = writable("node.data_dir", bad);
            assert!(
                matches!(&refused, Err(Failure::Config(text)) if text.starts_with("node.data_dir: ")),
                "{refused:?}"
            );
        }
        std::fs::remove_dir_all(&place).unwrap();
    }

    /// Each section has a title a person can read, and secrets stay strings without a default.
    #[test]
    fn the_schema_of_the_configuration_has_every_section() {
        let schema = serde_json::to_value(schemars::schema_for!(Config)).unwrap();
        for section in ["node", "sip", "rtp", "media", "rpc", "events", "limits", "log"] {
            assert!(schema["properties"][section].is_object(), "{section}: {schema:#}");
        }
        assert_eq!(schema["additionalProperties"], false);
    }
}
