//! The rules on documents: what they link to and name must be there, and the commands they show must exist.

/// What there is.
pub(crate) struct Known<'a> {
    /// Whether a path of the workspace exists.
    pub(crate) exists: &'a dyn Fn(&str) -> bool,
    /// `cargo xtask …`.
    pub(crate) chores: Vec<String>,
    /// `offhook …`.
    pub(crate) subcommands: Vec<String>,
}

/// What a backticked word must begin with to be taken as a path of the workspace.
const FOLDERS: [&str; 7] = ["crates/", "tests/", "benches/", "proto/", "fixtures/", ".ci/", ".cargo/"];

/// What the document `name` says that is not so.
pub(crate) fn check(name: &str, text: &str, known: &Known<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut fenced = false;
    for (number, line) in text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        let mut complain = |what: String| problems.push(format!("{name}:{}: {what}", number + 1));
        for path in links(line).into_iter().chain(paths(line)) {
            if !(known.exists)(path) {
                complain(format!("there is no {path}"));
            }
        }
        for (chore, list) in [("cargo xtask ", &known.chores), ("offhook ", &known.subcommands)] {
            for word in commands(line, fenced, chore) {
                if !list.iter().any(|there| there == word) {
                    complain(format!("there is no `{chore}{word}`"));
                }
            }
        }
    }
    problems
}

/// The targets of `[text](target)` that are files here.
fn links(line: &str) -> Vec<&str> {
    let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    local.filter_map(|target| target.split('#').next()).collect()
}

/// Backticked paths of the workspace. `…`, `*`, `{…}` and `<…>` stand for many, and are checked up to there.
fn paths(line: &str) -> Vec<&str> {
    let words = line.split('`').skip(1).step_by(2);
    let paths =
        words.filter(|word| !word.contains(' ') && FOLDERS.iter().any(|folder| word.starts_with(folder)));
    paths
        .map(|path| match path.find(['…', '*', '{', '<', ':']) {
            Some(end) => path[..end].rsplit_once('/').map_or("", |(folder, _)| folder),
            None => path,
        })
        .collect()
}

/// The word behind each `command` that begins a line of a fenced block or stands in backticks: options are passed over.
fn commands<'a>(line: &'a str, fenced: bool, command: &str) -> Vec<&'a str> {
    let shown = fenced.then(|| line.trim_start().trim_start_matches("$ "));
    let backticked = line.split('`').skip(1).step_by(2);
    let behind = shown.into_iter().chain(backticked).filter_map(|text| text.strip_prefix(command));
    let words = behind.filter_map(|text| text.split_whitespace().next());
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_lowercase())).collect()
}

/// The fuzz targets of a manifest that a document does not name.
pub(crate) fn fuzz_targets(manifest: &str, document: &str) -> Vec<String> {
    let targets = manifest.split("[[bin]]").skip(1).filter_map(|bin| bin.split('"').nth(1));
    let unnamed = targets.filter(|target| !document.contains(&format!("`{target}`")));
    unnamed.map(|target| format!("CONTRIBUTING.md: does not name the fuzz target {target}")).collect()
}

/// Tests that are left out without a reason which ends in the command that runs them, or by one that the document does not
/// show. (Put together here, so that this file has no such attribute itself.)
pub(crate) fn ignored(path: &str, source: &str, document: &str) -> Vec<String> {
    let attribute = concat!("#[", "ignore");
    let mut problems = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let Some(rest) = line.trim_start().strip_prefix(attribute) else { continue };
        let command = rest.find("cargo test").and_then(|at| rest[at..].split('"').next());
        if !command.is_some_and(|command| document.lines().any(|line| line == command)) {
            let line = number + 1;
            problems.push(format!("{path}:{line}: ignored without a command that CONTRIBUTING.md shows"));
        }
    }
    problems
}

/// The chores that xtask's own usage names.
pub(crate) fn chores(source: &str) -> Vec<String> {
    let lines = source.lines().filter_map(|line| line.trim_start().strip_prefix("cargo xtask "));
    lines.filter_map(|rest| rest.split_whitespace().next()).map(str::to_owned).collect()
}

/// The subcommands of the server: the variants of `enum Command`, as clap spells them.
pub(crate) fn subcommands(name: &str, source: &str) -> Vec<String> {
    let body = source.split(name).nth(1).and_then(|rest| rest.split("\n}").next()).unwrap_or_default();
    let variants = body
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase));
    variants.map(|line| kebab(line.split(['(', '{', ',', ' ']).next().unwrap_or(line))).collect()
}

fn kebab(name: &str) -> String {
    let mut out = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known<'static> {
        Known {
            exists: &|path| matches!(path, "README.md" | "crates/sip/src" | "crates/sip/src/lib.rs"),
            chores: vec!["demo".into()],
            subcommands: vec!["serve".into(), "print-config".into()],
        }
    }

    #[test]
    fn what_is_not_there_is_seen() {
        for line in [
            "see [this](missing.md)",
            "`crates/sip/src/gone.rs` does it",
            "`crates/gone/*.rs`",
            "```\ncargo xtask dance\n```",
            "run `cargo xtask dance`",
            "```sh\n$ offhook sing --loud",
            "`offhook print-confg`",
        ] {
            assert_eq!(check("a.md", line, &known()).len(), 1, "{line}");
        }
    }

    #[test]
    fn what_is_there_passes() {
        let text = "[a](README.md#x) [b](https://example.com/x) [c](#here) `crates/sip/src/lib.rs` `crates/sip/src/*`\n\
                    `offhook print-config` `offhook --version`\noffhook is a server\n\
                    ```\ncargo xtask demo\n$ offhook serve --config x\n```\noffhook and so on";
        assert_eq!(check("a.md", text, &known()), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_listed_is_seen() {
        let manifest = "[[bin]]\nname = \"sdp\"\npath = \"x\"\n\n[[bin]]\nname = \"wav\"\npath = \"y\"";
        assert_eq!(fuzz_targets(manifest, "`sdp` and `wav`"), Vec::<String>::new());
        assert_eq!(fuzz_targets(manifest, "`sdp` and wav").len(), 1);
        let document = "so:\ncargo test long -- --ignored\n";
        for (reason, problems) in [
            ("", 1),
            (" = \"slow\"", 1),
            (" = \"slow: cargo test other -- --ignored\"", 1),
            (" = \"slow: cargo test long -- --ignored\"", 0),
        ] {
            let source = format!("#[test]\n    #[{}{reason}]\nfn f() {{}}", "ignore");
            assert_eq!(ignored("a.rs", &source, document).len(), problems, "{reason}");
        }
    }

    #[test]
    fn commands_are_read_from_the_sources() {
        assert_eq!(
            chores("const USAGE: &str = \"\\\ncargo xtask demo   x\ncargo xtask bench [A]  y\";"),
            ["demo", "bench"]
        );
        let source = "enum Command {\n    /// A.\n    #[default]\n    Serve,\n    PrintConfig {\n        format: X,\n    },\n}\nenum B { C }";
        assert_eq!(subcommands("enum Command {", source), ["serve", "print-config"]);
    }
}
