//! The rules of the house that no compiler checks: who may know whom, how long things may get, that nothing unfinished
//! is left behind, and that the documents say what is there.
//!
//! Each rule is a pure function from a text to the sentences that are wrong with it, and has samples that it must
//! refuse: a check that cannot fail guards nothing.

mod code;
mod contract;
mod documents;
mod packaging;
mod reliability;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

/// Files and functions that may be longer than the rule, each with its length today and the reason. It may only get
/// shorter: an entry that is not needed as it stands is an error.
const EXCEPTIONS: &[rules::Exception] = &[];

/// A file of the workspace.
struct File {
    /// Relative to the root, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// Every file of the workspace whose name ends with `end`, in order.
fn files(end: &str) -> Vec<File> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // What a server leaves where it was started from.
            let is_left = folder == root && matches!(name.as_str(), "data" | "recordings");
            let ours = !name.starts_with('.') && name != "target" && !is_left;
            if path.is_dir() && ours {
                folders.push(path);
            } else if path.is_file() && name.ends_with(end) {
                let relative =
                    path.strip_prefix(&root).expect("inside the root").to_string_lossy().into_owned();
                found.push(File { path: relative, text: fs::read_to_string(&path).expect("a text") });
            }
        }
    }
    assert!(!found.is_empty(), "no file ends with {end}");
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found
}

fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
}

#[test]
fn modules_know_only_whom_they_may() {
    none(files(".rs").iter().flat_map(|file| rules::arrows(&file.path, &file.text)).collect());
}

#[test]
fn manifests_name_only_what_they_may() {
    none(files("Cargo.toml").iter().flat_map(|file| rules::manifest(&file.path, &file.text)).collect());
}

#[test]
fn files_and_functions_are_short() {
    let lengths = files(".rs").iter().flat_map(|file| rules::too_long(&file.path, &file.text)).collect();
    none(rules::ratchet(lengths, EXCEPTIONS));
}

#[test]
fn nothing_is_left_unfinished() {
    none(files(".rs").iter().flat_map(|file| rules::unfinished(&file.path, &file.text)).collect());
}

#[test]
fn every_file_says_why_it_is_there() {
    none(files(".rs").iter().filter_map(|file| rules::undocumented(&file.path, &file.text)).collect());
}

#[test]
fn documents_name_what_is_there() {
    let known = documents::Known {
        exists: &|path| root().join(path).exists(),
        chores: documents::chores(
            &fs::read_to_string(root().join("crates/xtask/src/main.rs")).expect("xtask"),
        ),
        subcommands: [("enum Command {", "mod"), ("enum Ask {", "remote")]
            .map(|(name, file)| {
                let path = root().join(format!("crates/server/src/cli/{file}.rs"));
                documents::subcommands(name, &fs::read_to_string(path).expect("the command line"))
            })
            .concat(),
    };
    let texts = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        documents::check(name, &text, &known)
    });
    none(texts.concat());
}

#[test]
fn the_package_finds_what_it_is_made_of() {
    let manifest = fs::read_to_string(root().join("crates/server/Cargo.toml")).expect("the server");
    none(packaging::missing(&root(), &manifest));
    let broken = manifest.replace("src/config/default.toml", "src/config/defaults.toml");
    assert_eq!(packaging::missing(&root(), &broken).len(), 1);
}

#[test]
fn fuzz_targets_and_ignored_tests_are_listed() {
    let read =
        |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let listed = read("CONTRIBUTING.md");
    let mut problems = documents::fuzz_targets(&read("fuzz/Cargo.toml"), &listed);
    problems.extend(files(".rs").iter().flat_map(|file| documents::ignored(&file.path, &file.text, &listed)));
    none(problems);
}

#[test]
fn every_threat_has_its_tests() {
    let tables = ["crates/sip/README.md", "crates/media/README.md", "crates/call/CONTRACT.md"];
    let table = tables.map(|name| fs::read_to_string(root().join(name)).expect("a table")).concat();
    let sources = files(".rs");
    let texts: Vec<&str> = sources.iter().map(|file| file.text.as_str()).collect();
    none(reliability::check(&table, &texts));
}

#[test]
fn every_promise_has_its_tests() {
    let read =
        |name: &str| fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut methods = contract::names(&read("proto/openrpc.json"), "sys.");
    methods.extend(contract::names(&read("proto/openrpc.json"), "rpc."));
    let promised = contract::Promised {
        methods,
        events: contract::names(&read("proto/asyncapi.json"), "sys."),
        transitions: contract::transitions(&read("crates/call/tests/calls/admission.rs")),
    };
    assert!(promised.methods.len() > 40 && promised.events.len() > 30 && promised.transitions.len() > 20);
    let tests: Vec<String> = files(".rs").iter().flat_map(|file| contract::tests(&file.text)).collect();
    none(contract::check(&read("crates/call/CONTRACT.md"), &promised, &tests));
}
