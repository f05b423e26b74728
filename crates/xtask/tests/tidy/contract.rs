//! The contract's table (`crates/call/CONTRACT.md`): every method, event and transition has a row, every row names tests, and
//! every test that is named is there.

/// What must have a row: the names that begin its first column.
pub(crate) struct Promised {
    pub(crate) methods: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) transitions: Vec<String>,
}

/// What the table does not say, or says wrongly.
pub(crate) fn check(table: &str, promised: &Promised, tests: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
    let first = |row: &&str| row.split('|').nth(1).unwrap_or_default().trim().trim_matches('`').to_owned();
    let named: Vec<String> = rows.iter().map(first).collect();
    for (what, names) in
        [("method", &promised.methods), ("event", &promised.events), ("transition", &promised.transitions)]
    {
        problems.extend(
            names
                .iter()
                .filter(|name| !named.contains(name))
                .map(|name| format!("the {what} {name} has no row")),
        );
    }
    let known = promised.methods.iter().chain(&promised.events).chain(&promised.transitions);
    let known: Vec<&String> = known.collect();
    let gone = |name: &&String| name.starts_with("sys.") && !known.contains(name);
    problems.extend(named.iter().filter(gone).map(|name| format!("there is no {name}")));
    for row in rows.iter().filter(|row| !is_head(row)) {
        let cell = row.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        let tests_of_row: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if tests_of_row.is_empty() {
            problems.push(format!("no test in: {row}"));
        }
        let missing = tests_of_row.iter().filter(|name| !tests.iter().any(|test| test == *name));
        problems.extend(missing.map(|name| format!("there is no test {name}")));
    }
    problems
}

/// The first two lines of a table.
fn is_head(row: &str) -> bool {
    row.starts_with("|---") || row.trim_end().ends_with("| tests |")
}

/// The functions of a source that are tests: those below an attribute that ends in `test]`.
pub(crate) fn tests(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some(rest) =
            line.trim_start_matches("pub ").trim_start_matches("async ").strip_prefix("fn ")
        {
            if std::mem::take(&mut is_test) {
                found.push(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    found
}

/// The names that a document of `proto/` has at the beginning of its methods or messages. Its lines are as `serde_json` writes
/// them: one member each.
pub(crate) fn names(document: &str, prefix: &str) -> Vec<String> {
    let values = document.lines().filter_map(|line| line.trim().strip_prefix("\"name\": \""));
    let names = values.filter_map(|rest| rest.split('"').next());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).map(str::to_owned).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The transitions that the test of the table lists, `A-B C-D …` in one string.
pub(crate) fn transitions(source: &str) -> Vec<String> {
    let list =
        source.split("let ways = \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
    list.split_whitespace().filter(|word| word.contains('-')).map(str::to_owned).collect()
}

#[cfg(test)]
mod sample {
    use super::*;

    const TABLE: &str = "| method | what | tests |\n|---|---|---|\n| `sys.a` | x | `one` |\n| `sys.on_b` | y | `one`, `two` |\n\
                         | A-B | z | `two` |\n";

    fn problems(table: &str, tests: &[&str]) -> Vec<String> {
        let promised = Promised {
            methods: vec!["sys.a".to_owned()],
            events: vec!["sys.on_b".to_owned()],
            transitions: vec!["A-B".to_owned()],
        };
        check(table, &promised, &tests.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn a_table_and_sources_that_differ_are_seen() {
        assert_eq!(problems(TABLE, &["one", "two"]), Vec::<String>::new());
        assert_eq!(problems(TABLE, &["one"]), ["there is no test two", "there is no test two"]);
        assert_eq!(problems(&TABLE.replace("sys.a", "sys.c"), &["one", "two"]).len(), 2);
        assert_eq!(
            problems(&TABLE.replace("A-B", "A-C"), &["one", "two"]),
            ["the transition A-B has no row"]
        );
        assert_eq!(problems(&TABLE.replace("x | `one`", "x | none"), &["one", "two"]).len(), 1);
    }

    #[test]
    fn what_there_is_is_read_from_the_sources() {
        let source = "#[test]\nfn one() {}\nfn helper() {}\n    #[tokio::test(flavor = \"x\")]\n    #[allow(y)]\n    async fn two() {\n#[cfg(test)]\nmod a {";
        assert_eq!(tests(source), ["one", "two"]);
        assert_eq!(
            names("  \"name\": \"sys.call.b\",\n\"name\": \"res_id\",\n \"name\": \"sys.call.a\"", "sys."),
            ["sys.call.a", "sys.call.b"]
        );
        assert_eq!(transitions("let ways = \"A-B A-C \\\n   B-C\";"), ["A-B", "A-C", "B-C"]);
    }
}
