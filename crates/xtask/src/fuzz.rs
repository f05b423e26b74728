//! Fuzzing by libFuzzer, on a nightly toolchain, which alone can count what is covered. The targets are a workspace of their
//! own in `fuzz/`; what they find is written to `fuzz/artifacts`, what they learn to `fuzz/corpus`.

use std::fs;
use std::process::Command;

use crate::{root, run as run_command};

/// What says which targets there are.
const MANIFEST: &str = include_str!("../../../fuzz/Cargo.toml");

/// The names of the targets.
pub(crate) fn targets() -> impl Iterator<Item = &'static str> {
    MANIFEST.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1))
}

/// Where a target has its first inputs.
fn seeds(target: &str) -> &'static [&'static str] {
    match target {
        "message" => &["fixtures/sip/rfc4475", "fixtures/sip/rfc5118", "fixtures/fuzz/message"],
        "stream" => &["fixtures/sip/rfc4475", "fixtures/sip/rfc5118"],
        "sdp" => &["fixtures/sdp"],
        "endpoint" => &["fixtures/fuzz/endpoint"],
        "wav" => &["fixtures/wav", "fixtures/audio", "fixtures/codec"],
        _ => &[],
    }
}

/// What makes a program tell libFuzzer where it has been.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// Fuzzes one target for so many seconds, or until it finds something.
pub(crate) fn run(target: &str, seconds: &str) -> Result<(), String> {
    if !targets().any(|name| name == target) {
        return Err(format!("there is no fuzz target {target}"));
    }
    let corpus = format!("fuzz/corpus/{target}");
    for folder in [&*corpus, "fuzz/artifacts"] {
        fs::create_dir_all(root().join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    }
    // Named, so that the flags are for what is fuzzed and not for build scripts.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut command = Command::new("rustup");
    command
        .current_dir(root())
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    command.args(["run", "nightly", "cargo", "run", "--release", "--manifest-path", "fuzz/Cargo.toml"]);
    command.args(["--target", &host, "--bin", target, "--", &corpus]).args(seeds(target));
    command.args(["-dict=fuzz/sip.dict", "-max_len=4096", "-timeout=10", "-print_final_stats=1"]);
    command
        .arg(format!("-artifact_prefix=fuzz/artifacts/{target}-"))
        .arg(format!("-max_total_time={seconds}"));
    run_command(command)
}
