//! The files of the log: segments of lines, each named by the number of its first event.
//!
//! ```text
//!   events/00001764493200000001.log     # offhook events 1, boot 1b6c…
//!                                       5d1c9a07 {"seq":1764493200000001,…}
//!                                       …
//!          00001764493200004711.log     the one that is written
//! ```
//! A reader finds its place by halving the file, since numbers rise, and goes on line by line.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Entry, record};

/// Where the search by halves ends and reading begins: what one read of the file brings in any case.
const NEAR: u64 = 8_192;

/// What the first line of a segment begins with.
pub(super) const HEAD: &str = "# offhook events 1";

/// Digits of the number in the name of a segment.
const DIGITS: usize = 20;

/// What stands behind it and a comma: where the run of the machine is told, and what is put there as long as readers may have been
/// shown events that are in no segment. Both are as long, so that a disk that is full takes the one for the other.
const BOOT: &str = "boot";
const MISSING: &str = "miss";

/// The last line of a segment that was closed in order.
pub(super) const CLOSED: &str = "# closed";

/// The file of the segment that begins with event `first`.
pub(super) fn path(dir: &Path, first: u64) -> PathBuf {
    dir.join(format!("{first:0DIGITS$}.log"))
}

/// The first events of all segments, in order; none, where somebody has taken the directory away.
pub(super) fn list(dir: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(segments);
        }
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_suffix(".log")).filter(|name| name.len() == DIGITS);
        segments.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Notes in a segment, in place, whether readers may be shown events that are in no segment.
pub(super) fn mark(dir: &Path, first: u64, missing: bool) -> io::Result<()> {
    let file = File::options().write(true).open(path(dir, first))?;
    let word = if missing { MISSING } else { BOOT };
    file.write_all_at(word.as_bytes(), HEAD.len() as u64 + 2)
}

/// What a segment has when the server starts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contents {
    /// The first line, which is no event.
    pub(super) head: String,
    /// The time of its first event.
    pub(super) begin_ms: Option<i64>,
    /// Its last event, by number and time.
    pub(super) last: Option<(u64, i64)>,
    /// Bytes up to the end of the last line that is whole.
    pub(super) whole: u64,
    /// Whether there are lines that are no events, or no beginning: what was cut off while it was written has no end of a line.
    pub(super) damaged: bool,
    /// Whether readers may have been shown events that are in no segment.
    pub(super) marked: bool,
    /// Whether its last line says that it was closed.
    pub(super) closed: bool,
}

/// Reads a whole segment.
pub(super) fn scan(file: &File) -> io::Result<Contents> {
    let mut reader = BufReader::new(file);
    let mut contents = Contents { damaged: true, ..Contents::default() };
    let (mut line, mut end) = (Vec::new(), 0);
    loop {
        line.clear();
        let length = reader.read_until(b'\n', &mut line)?;
        let Some(whole) = line.strip_suffix(b"\n") else { return Ok(contents) };
        let is_first = end == 0;
        end += length as u64;
        contents.closed = whole == CLOSED.as_bytes();
        if is_first {
            contents.damaged = !whole.starts_with(HEAD.as_bytes());
            contents.head = String::from_utf8_lossy(whole).into_owned();
            let run = contents.head.strip_prefix(HEAD).and_then(|rest| rest.strip_prefix(", "));
            contents.marked = run.is_some_and(|run| run.starts_with(MISSING));
        } else if let Some(entry) = record::parse(whole) {
            contents.begin_ms.get_or_insert(entry.time_ms);
            contents.last = Some((entry.seq, entry.time_ms));
        } else if !contents.closed {
            contents.damaged = true;
            continue;
        }
        contents.whole = end;
    }
}

/// A reader's place in the files.
#[derive(Debug)]
pub(super) struct Place {
    dir: Arc<Path>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    first: u64,
    reader: BufReader<File>,
}

impl Place {
    pub(super) fn new(dir: Arc<Path>) -> Self {
        Self { dir, open: None }
    }

    /// At most `most` events from number `wanted` up to `last`; the first may be a later one than `wanted`, where that is
    /// not there. None, where nothing is.
    pub(super) fn read(&mut self, wanted: u64, last: u64, most: usize) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut line = Vec::new();
        while entries.len() < most {
            let Some(open) = self.at(wanted)? else { break };
            line.clear();
            open.reader.read_until(b'\n', &mut line)?;
            let Some(whole) = line.strip_suffix(b"\n") else {
                // The end of the segment, or of what is written of it: where a next one is, it goes on there.
                let first = open.first;
                if !self.next(first)? {
                    break;
                }
                continue;
            };
            // Damaged lines and remarks are passed over: what is missed shows in the numbers.
            match record::parse(whole) {
                Some(entry) if entry.seq > last => {
                    self.open = None;
                    break;
                }
                Some(entry) if entry.seq >= wanted => entries.push(entry),
                Some(_) | None => {}
            }
        }
        Ok(entries)
    }

    /// The open segment; where none is, the one that has `wanted`, or the first after it.
    fn at(&mut self, wanted: u64) -> io::Result<Option<&mut Open>> {
        if self.open.is_none() {
            let segments = list(&self.dir)?;
            let after = segments.partition_point(|first| *first <= wanted);
            self.open_first(&segments[after.saturating_sub(1)..], wanted)?;
        }
        Ok(self.open.as_mut())
    }

    /// Goes on to the segment after the one that begins with `first`.
    fn next(&mut self, first: u64) -> io::Result<bool> {
        self.open = None;
        let segments = list(&self.dir)?;
        let behind = segments.partition_point(|next| *next <= first);
        self.open_first(&segments[behind..], first + 1)?;
        Ok(self.open.is_some())
    }

    /// Opens the first of these segments that is still there: one may have gone this moment.
    fn open_first(&mut self, segments: &[u64], wanted: u64) -> io::Result<()> {
        for &first in segments {
            match File::open(path(&self.dir, first)) {
                Ok(file) => {
                    let reader = BufReader::new(seek(file, wanted)?);
                    self.open = Some(Open { first, reader });
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Sets a file to the beginning of a line before which there is nothing from `wanted` on, near the first that is.
fn seek(mut file: File, wanted: u64) -> io::Result<File> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    let mut line = Vec::new();
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        file.seek(SeekFrom::Start(middle))?;
        let mut reader = BufReader::new(&mut file);
        let skipped = reader.skip_until(b'\n')? as u64;
        line.clear();
        reader.take(high - middle).read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\n").and_then(record::parse) {
            Some(entry) if entry.seq < wanted => low = middle + skipped,
            Some(_) | None => high = middle,
        }
    }
    file.seek(SeekFrom::Start(low))?;
    Ok(file)
}
