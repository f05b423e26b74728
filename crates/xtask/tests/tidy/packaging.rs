//! The Debian package: what its description names is there. `cargo xtask package` builds it, which takes a release build and is no part
//! of every change.

use std::path::Path;

/// The files that `assets` of `crates/server/Cargo.toml` names and that are not there.
pub(crate) fn missing(root: &Path, manifest: &str) -> Vec<String> {
    let assets = manifest.split("assets = [").nth(1).and_then(|rest| rest.split("\n]").next());
    let Some(assets) = assets else { return vec!["crates/server/Cargo.toml: no assets".to_owned()] };
    let sources = assets.lines().filter_map(|line| line.split('"').nth(1));
    let built = |source: &&str| !source.starts_with("target/release/");
    let is_there = |source: &str| {
        let path = root.join("crates/server").join(source.trim_end_matches("/*"));
        if source.ends_with("/*") { path.is_dir() } else { path.is_file() }
    };
    let missing = sources.filter(built).filter(|source| !is_there(source));
    missing
        .map(|source| format!("crates/server/Cargo.toml: the package wants {source}, which is not there"))
        .collect()
}
