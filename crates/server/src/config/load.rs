//! From a file and the environment to a [`Config`], and, where that fails, a sentence that names the key, where it
//! stands, and the nearest right one.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;

use serde_path_to_error::{Path as KeyPath, Segment};
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::{Config, Webhook, environment};

/// The lists of tables, as `[[sip.gateway]]`.
pub(super) const LISTS: [&str; 2] = ["sip.gateway", "webhook"];

/// The largest file that is read; the default one has two thousand bytes, a thousand gateways have a hundred thousand.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// What is wrong with a configuration: `place: key: problem`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, or the variable.
    pub place: String,
    /// The line of the file, where it is known.
    pub line: Option<usize>,
    /// `section.key`; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// The configuration of this process: `file` over the defaults, the environment over both.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let (text, place) = match file {
            Some(path) => (read(path)?, path.display().to_string()),
            None => (String::new(), "built-in defaults".to_owned()),
        };
        Self::from_parts(&text, &place, std::env::vars_os())
    }

    /// The configuration of a file's text, which errors call `place`, and of variables; those of other programs are
    /// passed over.
    pub fn from_parts(
        text: &str,
        place: &str,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut config = from_text(text, place)?;
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| syntax(&error, text, place))?;
        let (mut place, mut is_overridden) = (place.to_owned(), false);
        for (name, value) in variables {
            if let Some(variable) = name.to_str().filter(|name| environment::is_key(name, &value)) {
                config = environment::override_by(&mut table, variable, value)?;
                is_overridden = true;
                place.push_str(", ");
                place.push_str(variable);
            }
        }
        config.check().map_err(|(key, problem)| {
            // A variable has no line, and which of several it is that something else does not agree with is not known.
            let line = if is_overridden { None } else { line_of_key(text, &key) };
            ConfigError { place, line, key, problem }
        })?;
        Ok(config)
    }
}

fn read(path: &Path) -> Result<String, ConfigError> {
    let failed_at =
        |line, problem| ConfigError { place: path.display().to_string(), line, key: String::new(), problem };
    let failed = |problem: String| failed_at(None, problem);
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(failed(format!("{size} bytes are more than a configuration has ({MAX_FILE_BYTES})")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| {
        let (good, rest) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let good = String::from_utf8_lossy(good);
        let before = good.rsplit('\n').next().unwrap_or_default();
        let problem = format!("not UTF-8: byte 0x{:02x} at column {}", rest[0], before.chars().count() + 1);
        failed_at(Some(1 + good.matches('\n').count()), problem)
    })
}

fn from_text(text: &str, place: &str) -> Result<Config, ConfigError> {
    let deserializer = toml::Deserializer::parse(text).map_err(|error| syntax(&error, text, place))?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let (key, problem) = explain(error.path(), error.inner());
        ConfigError { place: place.into(), line: line_of(error.inner(), text), key, problem }
    })
}

fn syntax(error: &toml::de::Error, text: &str, place: &str) -> ConfigError {
    let problem = format!("not TOML: {}", error.message());
    ConfigError { place: place.into(), line: line_of(error, text), key: String::new(), problem }
}

fn line_of(error: &toml::de::Error, text: &str) -> Option<usize> {
    let before = text.get(..error.span()?.start)?;
    Some(1 + before.matches('\n').count())
}

/// Where a key stands, `section.key` or `section[1].key`; where it is left out, the table that it belongs in. Of several tables of one
/// name it must say which.
fn line_of_key(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let (mut table, mut start) = (root.get_ref(), None);
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        let (name, index) = part.split_once('[').unwrap_or((part, ""));
        let Some((key, mut value)) = table.iter().find(|(key, _)| key.get_ref() == name) else { break };
        start = Some(key.span().start);
        if let DeValue::Array(items) = value.get_ref()
            && parts.peek().is_some()
        {
            let index = index.strip_suffix(']').and_then(|index| index.parse().ok());
            value = items.get(index.or((items.len() == 1).then_some(0))?)?;
            start = Some(value.span().start);
        }
        let DeValue::Table(inner) = value.get_ref() else { break };
        table = inner;
    }
    Some(1 + text.get(..start?)?.matches('\n').count())
}

/// Every key there is, with its default.
pub(super) fn known_keys() -> Table {
    // A list that is empty by default has one all the same, so that its keys are known.
    let config = Config { webhook: vec![Webhook::default()], ..Config::default() };
    Table::try_from(config).expect("the defaults are tables of strings, numbers and lists")
}

/// `section.key` and what is wrong with it.
pub(super) fn explain(path: &KeyPath, error: &toml::de::Error) -> (String, String) {
    let key = path.to_string();
    let key = if key == "." { String::new() } else { key };
    let message = error.message();
    if LISTS.contains(&key.as_str()) && message.starts_with("invalid type: map") {
        let problem = format!("there may be several: each begins with [[{key}]]");
        return (key, problem);
    }
    if !message.starts_with("unknown field") {
        return (key, message.trim().to_owned());
    }
    let hint = nearest(path, &known_keys()).map(|right| format!("; is {right} meant?")).unwrap_or_default();
    (key, format!("no such key{hint}"))
}

/// The key that was most likely meant: one beside it with a similar name, or one of the same name elsewhere.
fn nearest(path: &KeyPath, known: &Table) -> Option<String> {
    let segments: Vec<&str> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        })
        .collect();
    let (&wrong, parents) = segments.split_last()?;
    let mut beside = known;
    for parent in parents {
        beside = match beside.get(*parent)? {
            Value::Table(table) => table,
            Value::Array(items) => items.first()?.as_table()?,
            _ => return None,
        };
    }
    let prefix: String = parents.iter().map(|parent| format!("{parent}.")).collect();
    if let Some(right) = closest(wrong, beside.keys().map(String::as_str)) {
        return Some(format!("{prefix}{right}"));
    }
    let elsewhere =
        known.iter().find(|(_, section)| section.as_table().is_some_and(|keys| keys.contains_key(wrong)));
    elsewhere.map(|(section, _)| format!("{section}.{wrong}"))
}

/// The nearest of `names`, if it is near: no more than a third of the letters differ.
pub(super) fn closest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, name) = names.map(|name| (edit_distance(wrong, name), name)).min()?;
    (distance <= (wrong.len() / 3).max(1)).then_some(name)
}

/// How many letters have to be put in, taken out, changed, or swapped with their neighbour (optimal string alignment).
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (i, &a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let mut best = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == right[j - 1] && left[i - 1] == b {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}
