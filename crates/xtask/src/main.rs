//! Development chores: `cargo xtask demo | test | proto | prompts | bench | fuzz | package`. Next to no dependencies (none), so that the
//! first command on a fresh clone begins within seconds.

mod fuzz;
mod need;
mod package;
mod prompts;
mod step;

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use need::{BUILD, PEERS, VOICES};
use step::Steps;

const USAGE: &str = "\
cargo xtask demo           build the server and hear of a first call: no phone, no gateway, no configuration
cargo xtask test           all that must be good before a change lands (what .ci/run calls)
cargo xtask proto          write proto/ anew from the types
cargo xtask prompts        speak fixtures/prompts/zh and en anew
cargo xtask bench [ARGS]   the load generator; without ARGS it says what it can do
cargo xtask package        the Debian package, in target/debian, opened and tried
cargo xtask package test   the same of the binary that the tests have built, installed, tried and taken away
cargo xtask fuzz [TARGET [SECONDS]]   arbitrary bytes for a target, five minutes if not said; without one it lists them";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo", rest @ ..] => demo(rest),
        ["test"] => test(),
        ["proto"] => proto(),
        ["prompts"] => need::install(VOICES).and_then(|()| prompts::run()),
        ["bench", rest @ ..] => bench(rest),
        ["package", "test"] => package::test(),
        ["package", rest @ ..] => package::package(rest).map(drop),
        ["fuzz"] => {
            fuzz::targets().for_each(|target| println!("{target}"));
            Ok(())
        }
        ["fuzz", target] => fuzz::run(target, "300"),
        ["fuzz", target, seconds] => fuzz::run(target, seconds),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace; every command runs there.
fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The cargo that runs us.
fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs to the end, with our own standard streams.
fn run(mut command: Command) -> Result<(), String> {
    let shown = shown(&command);
    let status = command.status().map_err(|error| format!("{shown}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{shown}: {status}")) }
}

fn shown(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

fn demo(rest: &[&str]) -> Result<(), String> {
    need::install(BUILD)?;
    let mut command = cargo(&["run", "--package", "offhook", "--bin", "offhook", "--", "demo"]);
    command.args(rest);
    run(command)
}

fn test() -> Result<(), String> {
    let mut steps = Steps::default();
    steps.run("programs that a build and the tests need", || {
        need::install(BUILD)?;
        need::install(PEERS)?;
        need::components()
    });
    steps.run("formatting", || run(cargo(&["fmt", "--all", "--check"])));
    steps.run("clippy, warnings are errors", || {
        run(cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]))
    });
    steps.run("documentation, warnings are errors", || {
        let mut command = cargo(&["doc", "--workspace", "--no-deps"]);
        command.env("RUSTDOCFLAGS", "--deny warnings");
        run(command)
    });
    steps.run("the server binary, which the scenarios start", || {
        run(cargo(&["build", "--package", "offhook", "--bin", "offhook"]))
    });
    // Among them: the drift of `proto/`, and the rules of the house.
    steps.run("all tests, drift of proto/ and the rules of the house included", || {
        run(cargo(&["test", "--workspace"]))
    });
    steps.run("the Debian package, installed, tried and taken away", package::test);
    steps.finish()
}

/// The test that compares `proto/` with the types is what writes it, so that there is one idea of how it should be.
fn proto() -> Result<(), String> {
    need::install(BUILD)?;
    let mut command =
        cargo(&["test", "--quiet", "--package", "offhook", "--lib", "--", "proto_is_what_the_types_say"]);
    command.env("OFFHOOK_WRITE_PROTO", "1");
    run(command)
}

fn bench(rest: &[&str]) -> Result<(), String> {
    need::install(BUILD)?;
    run(cargo(&["build", "--release", "--package", "offhook", "--bin", "offhook"]))?;
    let mut command = cargo(&["run", "--release", "--package", "offhook-benches", "--"]);
    command.args(if rest.is_empty() { &["--help"][..] } else { rest });
    run(command)
}
