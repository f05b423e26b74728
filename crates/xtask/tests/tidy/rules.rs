//! The rules on sources and manifests.

use crate::code::{code_of, is_word};

/// The most lines of a file.
const FILE_LINES: usize = 600;
/// The most lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Which of our crates a crate may name, and which of their modules (empty: all).
struct Arrows {
    folder: &'static str,
    may: &'static [(&'static str, &'static [&'static str])],
}

/// `server → exchange → call → {sip::event, media::event}`; `sip` and `media` never meet; nobody imports the server.
const ARROWS: &[Arrows] = &[
    Arrows { folder: "crates/sip/", may: &[] },
    Arrows { folder: "crates/media/", may: &[] },
    Arrows {
        folder: "crates/call/",
        may: &[("offhook_sip", &["event"]), ("offhook_media", &["event", "sdp"]), ("offhook_worlds", &[])],
    },
    Arrows {
        folder: "crates/worlds/",
        may: &[("offhook_sip", &["event"]), ("offhook_media", &["event", "sdp"]), ("offhook_call", &[])],
    },
    Arrows {
        folder: "crates/exchange/tests/",
        may: &[
            ("offhook_sip", &[]),
            ("offhook_media", &[]),
            ("offhook_call", &[]),
            ("offhook_exchange", &[]),
            ("offhook_worlds", &[]),
        ],
    },
    Arrows {
        folder: "crates/exchange/",
        may: &[("offhook_sip", &[]), ("offhook_media", &["event"]), ("offhook_call", &[])],
    },
    Arrows { folder: "crates/client/", may: &[] },
    Arrows {
        folder: "crates/server/",
        may: &[
            ("offhook_sip", &[]),
            ("offhook_media", &[]),
            ("offhook_call", &[]),
            ("offhook_exchange", &[]),
            ("offhook_client", &[]),
            ("offhook", &[]),
        ],
    },
    Arrows { folder: "crates/xtask/", may: &[] },
    Arrows { folder: "fuzz/", may: &[("offhook_sip", &[]), ("offhook_media", &[])] },
    Arrows { folder: "tests/", may: &[("offhook_client", &[]), ("offhook_tests", &[])] },
    Arrows {
        folder: "benches/",
        may: &[
            ("offhook_client", &[]),
            ("offhook_media", &[]),
            ("offhook_sip", &[]),
            ("offhook_tests", &[]),
            ("offhook_benches", &[]),
        ],
    },
];

/// The folders of the cores, which know no serde and no tokio.
const CORES: [&str; 4] = ["crates/sip/", "crates/media/", "crates/call/", "crates/exchange/"];

/// A use of a crate of ours, or of serde or tokio, where the arrows do not allow it. A crate may always name itself.
pub(crate) fn arrows(path: &str, source: &str) -> Vec<String> {
    let Some(arrows) = ARROWS.iter().find(|arrows| path.starts_with(arrows.folder)) else {
        return vec![format!("{path}: in no crate of the house")];
    };
    let own = format!("offhook_{}", arrows.folder.split('/').rev().nth(1).unwrap_or_default());
    let code = code_of(source);
    let mut problems = Vec::new();
    for (line, text) in code.lines().enumerate() {
        let mut complain = |what: &str| problems.push(format!("{path}:{}: may not know {what}", line + 1));
        for (at, name) in words(text) {
            let ours = name.starts_with("offhook_")
                || (name == "offhook" && text[at + name.len()..].starts_with("::"));
            let runtime = CORES.contains(&arrows.folder) && matches!(name, "serde" | "serde_json" | "tokio");
            if runtime {
                complain(name);
            }
            if !ours || name == own {
                continue;
            }
            match arrows.may.iter().find(|(known, _)| *known == name) {
                None => complain(name),
                Some((_, [])) => {}
                Some((_, modules)) => {
                    for module in modules_named(&code, line, at + name.len()) {
                        if !modules.contains(&module.as_str()) {
                            complain(&format!("{name}::{module}"));
                        }
                    }
                }
            }
        }
    }
    problems
}

/// Words that start where no word is before them.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|char| !is_word(char)).filter(|word| !word.is_empty()).map(move |word| {
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        (at, word)
    })
}

/// The first names behind a crate's name: `::event::X` is `event`, `::{event, sdp::A}` is `event`, `sdp`. A crate named
/// without a path (`use offhook_sip as x`) gives `*`, which no list has.
fn modules_named(code: &str, line: usize, column: usize) -> Vec<String> {
    let rest: String = code.lines().skip(line).collect::<Vec<_>>().join("\n")[column..].to_owned();
    let Some(rest) = rest.trim_start().strip_prefix("::") else {
        return vec!["*".to_owned()];
    };
    let rest = rest.trim_start();
    let head = |text: &str| text.trim_start().chars().take_while(|&char| is_word(char)).collect::<String>();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![if rest.starts_with('*') { "*".to_owned() } else { head(rest) }];
    };
    let mut modules = Vec::new();
    let mut depth = 0;
    let mut item = String::new();
    for char in group.chars() {
        match char {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => modules.push(head(&std::mem::take(&mut item))),
            _ => {}
        }
        if !(char == ',' && depth == 0) {
            item.push(char);
        }
    }
    modules.push(head(&item));
    modules.retain(|module| !module.is_empty());
    modules
}

/// A manifest that depends on what its crate may not know, or says what only the root may say.
pub(crate) fn manifest(path: &str, text: &str) -> Vec<String> {
    // The fuzz targets are a workspace of their own.
    if matches!(path, "Cargo.toml" | "fuzz/Cargo.toml") {
        return Vec::new();
    }
    let core = CORES.iter().any(|folder| path.starts_with(folder));
    let mut problems = Vec::new();
    let mut section = "";
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
            continue;
        }
        if !section.ends_with("dependencies") || line.is_empty() {
            continue;
        }
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        let mut complain = |what: String| problems.push(format!("{path}:{}: {what}", number + 1));
        if name == "offhook" {
            complain("nobody depends on the server".into());
        }
        if core && (name.starts_with("serde") || name.starts_with("tokio")) {
            complain(format!("{name} stops at the door of the server"));
        }
        if !line.contains(".workspace = true")
            && !line.contains("workspace = true,")
            && !line.contains("workspace = true }")
        {
            complain(format!("{name}: versions are in the root Cargo.toml only"));
        }
    }
    if !text.contains("[lints]\nworkspace = true") {
        problems.push(format!("{path}: does not take the lints of the workspace"));
    }
    problems
}

/// Something longer than its rule allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Length {
    /// `path`, or `path: fn name`.
    pub(crate) what: String,
    pub(crate) lines: usize,
    pub(crate) most: usize,
}

/// Something that may be longer.
#[derive(Clone, Debug)]
pub(crate) struct Exception {
    /// As in [`Length::what`].
    pub(crate) what: &'static str,
    /// How long it is today.
    pub(crate) lines: usize,
    /// Why it may.
    #[expect(dead_code, reason = "for the reader")]
    pub(crate) reason: &'static str,
}

/// The file, if it is too long, and each function of it that is.
pub(crate) fn too_long(path: &str, source: &str) -> Vec<Length> {
    let file = Length { what: path.to_owned(), lines: source.lines().count(), most: FILE_LINES };
    let functions = functions(source).into_iter().map(|(name, lines)| Length {
        what: format!("{path}: fn {name}"),
        lines,
        most: FUNCTION_LINES,
    });
    std::iter::once(file).chain(functions).filter(|length| length.lines > length.most).collect()
}

/// Every function that has a body, and its length from `fn` to its closing brace.
fn functions(source: &str) -> Vec<(String, usize)> {
    let code = code_of(source);
    let mut found = Vec::new();
    for (at, word) in words(&code) {
        let behind = &code[at + word.len()..];
        let name: String = behind.trim_start().chars().take_while(|&char| is_word(char)).collect();
        if word != "fn" || name.is_empty() {
            continue;
        }
        if let Some(length) = body_end(behind) {
            found.push((name, 1 + behind[..length].matches('\n').count()));
        }
    }
    found
}

/// Behind the closing brace of the body that follows; `None` for a declaration without one.
fn body_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut brackets = 0usize;
    for (at, char) in text.char_indices() {
        match char {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return None,
            '{' => depth += 1,
            '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// What is too long and no exception, or longer than its exception; and each exception that could be smaller.
pub(crate) fn ratchet(lengths: Vec<Length>, exceptions: &[Exception]) -> Vec<String> {
    let mut problems = Vec::new();
    for Length { what, lines, most } in &lengths {
        let allowed =
            exceptions.iter().find(|exception| exception.what == what).map_or(*most, |found| found.lines);
        if *lines > allowed {
            problems.push(format!("{what}: {lines} lines, {allowed} are allowed"));
        }
    }
    for exception in exceptions {
        let lines = lengths.iter().find(|length| length.what == exception.what).map(|length| length.lines);
        if lines.is_none_or(|lines| lines < exception.lines) {
            let now = lines.map_or("within the rule, or gone".to_owned(), |lines| format!("{lines} lines"));
            problems.push(format!(
                "{}: is {now}: lower or remove its exception ({})",
                exception.what, exception.lines
            ));
        }
    }
    problems
}

/// Marks of unfinished work. (Put together here, so that this file does not carry them itself.)
const MARKS: [&str; 3] = [concat!("FIX", "ME"), concat!("XX", "X"), concat!("TO", "DO")];
const STUBS: [&str; 2] = [concat!("todo", "!"), concat!("unimplemented", "!")];

/// Lines with a mark of unfinished work as a word, in code or comment, or a macro that stands for it.
pub(crate) fn unfinished(path: &str, source: &str) -> Vec<String> {
    let code = code_of(source);
    let marked = |line: &str| words(line).any(|(_, word)| MARKS.contains(&word));
    let stub = |line: &str| STUBS.iter().any(|stub| line.contains(stub));
    let lines = source.lines().zip(code.lines()).enumerate();
    lines
        .filter(|(_, (line, code))| {
            stub(code) || line.split_once("//").is_some_and(|(_, comment)| marked(comment))
        })
        .map(|(number, (line, _))| format!("{path}:{}: unfinished: {}", number + 1, line.trim()))
        .collect()
}

/// A file that does not begin by saying why it is there. The tests of a module need not: their names say it.
pub(crate) fn undocumented(path: &str, source: &str) -> Option<String> {
    let tests = path.ends_with("/tests.rs") || path.contains("/tests/") && !path.ends_with("main.rs");
    let says =
        source.lines().next().and_then(|line| line.strip_prefix("//! ")).is_some_and(|why| why.len() > 10);
    (!tests && !says).then(|| format!("{path}: begins with no `//!` that says why it is there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bad(problems: &[String], count: usize) {
        assert_eq!(problems.len(), count, "{problems:?}");
    }

    #[test]
    fn wrong_arrows_are_seen() {
        bad(&arrows("crates/sip/src/a.rs", "use offhook_media::event;"), 1);
        bad(&arrows("crates/media/src/a.rs", "fn f() { offhook_sip::x() }"), 1);
        bad(&arrows("crates/call/src/a.rs", "use offhook_sip::{event, Endpoint};"), 1);
        bad(&arrows("crates/call/src/a.rs", "use offhook_media::{\n event::{A, B},\n codec::C,\n sdp};"), 1);
        bad(&arrows("crates/call/src/a.rs", "use offhook_media as media;"), 1);
        bad(&arrows("crates/call/src/a.rs", "use offhook_media::*;"), 1);
        bad(&arrows("crates/call/src/a.rs", "#[derive(serde::Serialize)] struct A; use tokio::sync;"), 2);
        bad(&arrows("crates/client/src/a.rs", "use offhook::config;"), 1);
        bad(&arrows("tests/src/a.rs", "use offhook_sip::event;"), 1);
        bad(&arrows("stray/src/a.rs", ""), 1);
    }

    #[test]
    fn right_arrows_pass() {
        bad(
            &arrows(
                "crates/call/src/a.rs",
                "use offhook_sip::event as sip;\nuse offhook_media::{event::{self, A}, sdp};",
            ),
            0,
        );
        bad(
            &arrows(
                "crates/sip/src/a.rs",
                "// offhook_media\nlet x = \"offhook_media\"; let serde_like = 1;",
            ),
            0,
        );
        bad(&arrows("crates/sip/tests/a.rs", "use offhook_sip::Endpoint;"), 0);
        bad(&arrows("crates/server/src/a.rs", "use offhook_call::Calls; offhook::cli::main()"), 0);
        bad(&arrows("crates/client/src/a.rs", "let offhook = 1;"), 0);
    }

    #[test]
    fn manifests() {
        let lints = "[lints]\nworkspace = true\n";
        let check = |path: &str, line: &str, count| {
            bad(&manifest(path, &format!("{lints}[dependencies]\n{line}\n")), count);
        };
        check("crates/call/Cargo.toml", "offhook-sip.workspace = true # why", 0);
        check("crates/call/Cargo.toml", "rand = { workspace = true, features = [] }", 0);
        check("crates/call/Cargo.toml", "serde.workspace = true", 1);
        check("crates/sip/Cargo.toml", "tokio-util.workspace = true", 1);
        check("crates/server/Cargo.toml", "tokio.workspace = true", 0);
        check("crates/server/Cargo.toml", "tokio = \"1\"", 1);
        check("tests/Cargo.toml", "offhook = { path = \"../crates/server\" }", 2);
        bad(&manifest("tests/Cargo.toml", "[dependencies]\n"), 1);
    }

    /// A function of `lines` lines, from `fn` to its brace.
    fn function(lines: usize) -> String {
        format!(
            "impl A {{\n    fn long(a: [u8; 3]) -> u8\n    {{\n{}    }}\n}}\n",
            "        f(\"}\"); // }\n".repeat(lines - 3)
        )
    }

    #[test]
    fn long_functions_and_files_are_seen() {
        assert_eq!(functions(&function(70)), [("long".to_owned(), 70)]);
        assert_eq!(too_long("a.rs", &function(70)), []);
        let length = Length { what: "a.rs: fn long".into(), lines: 71, most: 70 };
        assert_eq!(too_long("a.rs", &function(71)), [length]);
        assert_eq!(too_long("a.rs", &"\n".repeat(600)), []);
        assert_eq!(too_long("a.rs", &"\n".repeat(601)).len(), 1);
    }

    #[test]
    fn what_has_no_body_is_no_function() {
        assert_eq!(functions("trait A { fn a(&self); fn b(&self) -> [u8; 2]; }\ntype F = fn(u8) -> u8;"), []);
        assert_eq!(functions("fn a() {}\nfn b<T>() where T: Fn(u8) { if x { y } }").len(), 2);
    }

    #[test]
    fn the_ratchet_only_goes_down() {
        let length = |lines| Length { what: "a.rs".into(), lines, most: 600 };
        let exception = [Exception { what: "a.rs", lines: 650, reason: "a table" }];
        bad(&ratchet(vec![length(650)], &exception), 0);
        bad(&ratchet(vec![length(651)], &exception), 1);
        bad(&ratchet(vec![length(649)], &exception), 1);
        bad(&ratchet(vec![], &exception), 1);
        bad(&ratchet(vec![length(601)], &[]), 1);
    }

    #[test]
    fn unfinished_work_is_seen() {
        for source in [
            format!("fn f() {{ {}() }}", STUBS[0]),
            format!("x; // {}: later", MARKS[0]),
            format!("/// {}", MARKS[2]),
        ] {
            bad(&unfinished("a.rs", &source), 1);
        }
        bad(&unfinished("a.rs", &format!("let a = \"{}()\"; // done", STUBS[1])), 0);
        bad(&unfinished("a.rs", "// sip:+49-XXXX"), 0);
    }

    #[test]
    fn a_file_without_a_reason_is_seen() {
        assert!(undocumented("crates/a/src/b.rs", "use x;").is_some());
        assert!(undocumented("crates/a/src/b.rs", "//! .\n").is_some());
        assert!(undocumented("crates/a/src/b.rs", "//! Why it is there.\n").is_none());
        assert!(undocumented("crates/a/src/b/tests.rs", "use x;").is_none());
    }
}
