//! Answers as lines and columns, for people.

use std::fmt::Write as _;

use offhook_call::event::UnixMs;
use serde_json::Value;

use crate::clock;

/// A head and rows below it, each column as wide as its widest.
pub(super) fn columns(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let rows: Vec<Vec<String>> =
        std::iter::once(head).chain(rows.map(|row| row.iter().map(|c| shown(c)).collect())).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The members of an object one to a line, those of objects in it by their paths. Times are seconds of Unix time in the API, by
/// its names, and are shown as such.
pub(super) fn members(value: &Value) -> String {
    let mut rows = Vec::new();
    walk(String::new(), value, &mut rows);
    let width = rows.iter().map(|(key, _): &(String, String)| key.chars().count()).max().unwrap_or(0);
    rows.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key:<width$}  {value}");
        text
    })
}

fn walk(path: String, value: &Value, rows: &mut Vec<(String, String)>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| walk(below(key), value, rows)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| walk(below(&at.to_string()), value, rows));
        }
        Value::String(text) => rows.push((path, shown(text))),
        Value::Null => rows.push((path, "-".to_owned())),
        Value::Number(number) if path.ends_with("_time") => {
            let time = number.as_i64().and_then(|seconds| seconds.checked_mul(1000));
            rows.push((path, time.map_or_else(|| number.to_string(), |time| clock::rfc3339(UnixMs(time)))));
        }
        other => rows.push((path, other.to_string())),
    }
}

/// What a far end wrote must not move the cursor of a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest() {
        let rows = [vec!["1".to_owned(), "Idle".to_owned()], vec!["23456".to_owned(), "\x1b[2J".to_owned()]];
        assert_eq!(
            columns(&["ID", "STATE"], rows.into_iter()),
            "ID     STATE\n1      Idle\n23456  \u{fffd}[2J\n"
        );
    }

    #[test]
    fn members_have_their_paths() {
        let value = json!({ "a": { "b": 1, "c": null }, "d": ["x"] });
        assert_eq!(members(&value), "a.b  1\na.c  -\nd.0  x\n");
        // By `date --utc --date=@1800000000 +%FT%TZ`.
        let times = json!({ "begin_time": 1_800_000_000, "answer_time": null, "times": 7 });
        assert_eq!(members(&times), "answer_time  -\nbegin_time   2027-01-15T08:00:00Z\ntimes        7\n");
    }
}
