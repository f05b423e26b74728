//! What is known of the calls that live, in a file of `node.data_dir` that is only ever appended to: a call changes a few times, and
//! what it was before is of no use to anybody, so that a table would be much work for little.
//!
//! ```text
//!   5d1c9a07 {"lives":{"res_id":"0.0.0-sys.call-7",…}}              replaces what was known of that call
//!   0e8a31b2 {"ended":{"record":{"res_id":"0.0.0-sys.call-7",…},…}}  the same: its record, which the database does not take
//!   f3b6e0c4 {"over":"0.0.0-sys.call-7"}                            it is in the database
//! ```
//! What has been handed to the kernel survives the end of the process. A file that is mostly of calls that are over is replaced by
//! one of those that live, as is one that somebody has taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Live, Over};
use crate::{files, lines};

/// The file in `node.data_dir`.
pub(super) const FILE: &str = "calls.live";

/// How long a file gets in any case: some thousand calls from beginning to end.
const LENGTH_MIN: u64 = 4 << 20;

/// A line, to be written or read.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<Call, End, ResId> {
    Lives(Call),
    Ended(End),
    Over(ResId),
}

type Written<'a> = Line<&'a Live, &'a Over, &'a str>;
type Found = Line<Live, Over, String>;

/// The file, and what is in it of calls that live.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    length: u64,
    /// The lines of the calls that are not over.
    calls: BTreeMap<String, Vec<u8>>,
    /// How long they are.
    calls_length: u64,
    /// Calls of which something is not in the file yet.
    changed: BTreeSet<String>,
}

/// What a file has of a call that is not over.
pub(super) enum Known {
    /// It lived when the server ended.
    Lives(Box<Live>),
    /// Its record has not got into the database.
    Ended(Box<Over>),
}

impl Journal {
    /// Opens that of a directory, with what the last run has left.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            text => text?,
        };
        let mut calls = BTreeMap::new();
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            match read(line) {
                Some(Line::Lives(call)) => drop(calls.insert(call.res_id, line.to_vec())),
                Some(Line::Ended(over)) => drop(calls.insert(over.record.res_id, line.to_vec())),
                Some(Line::Over(res_id)) => drop(calls.remove(&res_id)),
                None => tracing::warn!("what was known of a call when the server ended cannot be read"),
            }
        }
        let length = calls.values().map(|line| line.len() as u64).sum();
        let file = replace(&path, calls.values())?;
        Ok(Self { path, file, length, calls, calls_length: length, changed: BTreeSet::new() })
    }

    /// The calls that are not over, by their names.
    pub(super) fn all(&self) -> impl Iterator<Item = Known> {
        self.calls.values().filter_map(|line| match read(line)? {
            Line::Lives(call) => Some(Known::Lives(Box::new(call))),
            Line::Ended(over) => Some(Known::Ended(Box::new(over))),
            Line::Over(_) => None,
        })
    }

    /// A call lives; what was known of it is replaced.
    pub(super) fn lives(&mut self, call: &Live) {
        self.put(&call.res_id, &Line::Lives(call));
    }

    /// A call is over, and its record is not in the database.
    pub(super) fn ended(&mut self, over: &Over) {
        self.put(&over.record.res_id, &Line::Ended(over));
    }

    fn put(&mut self, res_id: &str, line: &Written<'_>) {
        let mut text = Vec::new();
        write(&mut text, line);
        self.calls_length += text.len() as u64;
        let before = self.calls.insert(res_id.to_owned(), text);
        self.calls_length -= before.map_or(0, |line| line.len() as u64);
        self.changed.insert(res_id.to_owned());
    }

    /// A call is over, and its record is in the database.
    pub(super) fn over(&mut self, res_id: &str) {
        if let Some(line) = self.calls.remove(res_id) {
            self.calls_length -= line.len() as u64;
            self.changed.insert(res_id.to_owned());
        }
    }

    /// Hands what has changed to the kernel, of each call only the last; what could not be goes the next time.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for res_id in &self.changed {
            match self.calls.get(res_id) {
                Some(line) => text.extend_from_slice(line),
                None => write(&mut text, &Line::Over(res_id)),
            }
        }
        if self.length > LENGTH_MIN.max(self.calls_length * 2) || !self.is_in_place()? {
            self.file = replace(&self.path, self.calls.values())?;
            self.length = self.calls_length;
        } else {
            // What a failure has left is written over.
            self.file.write_all_at(&text, self.length)?;
            self.length += text.len() as u64;
        }
        self.changed.clear();
        Ok(())
    }

    /// Whether the file still has its name: what is written to one that was taken away nobody reads.
    fn is_in_place(&self) -> io::Result<bool> {
        let (ours, there) = (self.file.metadata()?, fs::metadata(&self.path));
        Ok(there.is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())))
    }
}

fn read(line: &[u8]) -> Option<Found> {
    serde_json::from_str(lines::read(line.strip_suffix(b"\n")?)?).ok()
}

fn write(text: &mut Vec<u8>, line: &Written<'_>) {
    lines::write(text, &serde_json::to_vec(line).expect("a call is strings and numbers"));
}

/// Puts a file of these lines in the place of the one that is there, at once: whoever is killed meanwhile leaves the one or the
/// other. A machine that loses its power may lose both, and every call with them.
fn replace<'a>(path: &Path, lines: impl Iterator<Item = &'a Vec<u8>>) -> io::Result<File> {
    let text: Vec<u8> = lines.flatten().copied().collect();
    path.parent().map_or(Ok(()), files::make_private)?;
    let new = path.with_extension("new");
    // Who calls whom is nobody else's business.
    let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all_at(&text, 0)?;
    fs::rename(new, path)?;
    Ok(file)
}
