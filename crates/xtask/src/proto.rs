//! `proto/`, the contract as files: written from the binary (`offhook schema …`), and checked against it, so that the
//! Rust types are the only source and a change of the wire is seen in a review.

use std::fs;
use std::path::PathBuf;

/// Each file of `proto/` and the schema it holds.
const FILES: &[(&str, &str)] =
    &[("openrpc.json", "openrpc"), ("asyncapi.json", "asyncapi"), ("config.schema.json", "config")];

/// Writes every file anew.
pub(crate) fn write() -> Result<(), String> {
    for Generated { name, path, text } in generated()? {
        fs::write(&path, text).map_err(|error| format!("proto/{name}: {error}"))?;
        println!("proto/{name}");
    }
    Ok(())
}

/// Says which file is not what the binary says.
pub(crate) fn check() -> Result<(), String> {
    let mut drifted = Vec::new();
    for Generated { name, path, text } in generated()? {
        if fs::read(&path).unwrap_or_default() != text {
            drifted.push(format!("proto/{name}"));
        }
    }
    if drifted.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}: not what the binary says; run `cargo xtask proto` and look at the difference",
        drifted.join(", ")
    ))
}

/// A file of `proto/` as it should be.
struct Generated {
    name: &'static str,
    path: PathBuf,
    text: Vec<u8>,
}

fn generated() -> Result<Vec<Generated>, String> {
    let folder = crate::root().join("proto");
    let file =
        |&(name, schema)| Ok(Generated { name, path: folder.join(name), text: schema_of_binary(schema)? });
    FILES.iter().map(file).collect()
}

fn schema_of_binary(schema: &str) -> Result<Vec<u8>, String> {
    let mut command =
        crate::cargo(&["run", "--quiet", "--package", "offhook", "--bin", "offhook", "--", "schema", schema]);
    let shown = crate::shown(&command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{shown}: {}", output.status)) }
}
