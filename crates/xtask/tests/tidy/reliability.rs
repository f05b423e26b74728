//! The tables of threats and faults in the READMEs of `crates/sip` and `crates/media` and in the contract of `crates/call`, and the tests that are named after
//! their rows: every row has a test, every test that is named there exists, and every test that is named after a row
//! stands there.

use std::ops::RangeInclusive;

/// The rows: P1 to P9 are of the parser, S1 to S18 of dialogs, transactions and authentication, R1 to R11 of media, A1 to
/// A10 of applications, D1 to D5 of recordings and storage; G12, G13 and G19 to G22 are figures of a whole server.
const ROWS: [(char, RangeInclusive<u32>); 7] =
    [('P', 1..=9), ('S', 1..=18), ('R', 1..=11), ('A', 1..=10), ('D', 1..=5), ('G', 12..=13), ('G', 19..=22)];

/// Their names.
fn rows() -> impl Iterator<Item = String> {
    ROWS.into_iter().flat_map(|(letter, numbers)| numbers.map(move |n| format!("{letter}{n}")))
}

/// What the table says that the sources do not, and the other way round.
pub(crate) fn check(table: &str, sources: &[&str]) -> Vec<String> {
    let mut problems = Vec::new();
    let there: Vec<&str> = sources.iter().flat_map(|source| named_after_rows(source)).collect();
    let mut listed = Vec::new();
    for row in rows() {
        let line = table.lines().find(|line| line.starts_with(&format!("| {row} |")));
        let tests = line.map_or(Vec::new(), |line| tests_of(line, &row));
        if tests.is_empty() {
            problems.push(format!("{row} has no test"));
        }
        listed.extend(tests);
    }
    problems.extend(listed.iter().filter(|test| !there.contains(test)).map(|test| format!("no {test}")));
    problems.extend(
        there.iter().filter(|test| !listed.contains(test)).map(|test| format!("{test} is not listed")),
    );
    problems
}

/// The tests in a line of the table that are named after its row.
fn tests_of<'a>(line: &'a str, row: &str) -> Vec<&'a str> {
    let prefix = format!("{}_", row.to_lowercase());
    line.split('`').skip(1).step_by(2).filter(|word| word.starts_with(&prefix)).collect()
}

/// The functions of a source that are named after a row.
fn named_after_rows(source: &str) -> Vec<&str> {
    let names = source.lines().filter_map(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")?.split(['(', '<']).next()
    });
    names.filter(|name| is_of_a_row(name)).collect()
}

fn is_of_a_row(name: &str) -> bool {
    let Some((row, _)) = name.split_once('_') else { return false };
    ROWS.iter().any(|(letter, numbers)| {
        let number = row.strip_prefix(letter.to_ascii_lowercase()).and_then(|number| number.parse().ok());
        number.is_some_and(|number: u32| numbers.contains(&number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_and_sources_that_differ() {
        let row = |row: &str| format!("| {row} | what | `{}_a_test` |\n", row.to_lowercase());
        let rows: Vec<String> = rows().collect();
        let table: String = rows.iter().map(|name| row(name)).collect();
        let source: String =
            rows.iter().map(|row| format!("    fn {}_a_test() {{\n", row.to_lowercase())).collect();
        assert_eq!(check(&table, &[&source]), Vec::<String>::new());
        let more = format!("{source}async fn s18_another() {{\nfn s19_of_no_row() {{\nfn p_no() {{\n");
        assert_eq!(check(&table, &[&more]), ["s18_another is not listed"]);
        assert_eq!(
            check(&table, &[&source.replace("p7_a_test", "p7_b")]),
            ["no p7_a_test", "p7_b is not listed"]
        );
        assert_eq!(
            check(&table.replace(&row("S9"), ""), &[&source]),
            ["S9 has no test", "s9_a_test is not listed"]
        );
    }
}
