//! Which recordings are being written, kept on the disk: a process that is killed tells nobody, so the next one does
//! (`reliability.md` D1).
//!
//! ```text
//!   recordings/.open/17     3 8000 1 2            format, rate, channels, part
//!                           inbox/call.wav        name
//! ```
//! A file in the folder `.open` is made when a recording has been opened, written anew for each further part, and removed
//! when the recording is complete. What is there at the start was cut off.

use std::io::{Read, Write};
use std::os::unix::fs::FileExt;

use offhook_call::error::FileFault;
use offhook_media::event::{RecordFormat, RecordSpec, RecordingId};
use offhook_media::file::repair;

use super::Name;
use crate::files::Directory;

/// Where the entries lie. No recording may.
pub(super) const FOLDER: &str = ".open";

/// The longest entry that is read: numbers, and a name that a file system can have.
const MAX_ENTRY: u64 = 8_192;

/// The longest head of a WAV file of ours.
const MAX_HEAD: u64 = 128;

/// A recording that was open when the server died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Its file, relative to the recordings directory; of several parts, the first.
    pub file: String,
    /// Its parts.
    pub parts: u32,
    /// Bytes of the last part.
    pub bytes: u64,
    /// Whether its head did not count all that it has, and does now.
    pub repaired: bool,
}

/// Keeps an entry, in place of one of the same recording.
pub(super) fn write(
    directory: &Directory,
    recording: RecordingId,
    (name, part, spec): (&Name, u32, RecordSpec),
) -> Result<(), FileFault> {
    let RecordSpec { format, rate, channels } = spec;
    let entry = format!("{} {rate} {channels} {part}\n{}", format.api_number(), name.file);
    let mut file = directory.create(&place(recording), true)?;
    file.write_all(entry.as_bytes()).map_err(|error| super::fault(&error))
}

/// Forgets an entry. One that stays is told at the next start, which is no harm.
pub(super) fn forget(directory: &Directory, recording: RecordingId) {
    if let Err(fault) = directory.remove(&place(recording)) {
        tracing::warn!(recording = recording.0, ?fault, "a recording is complete and still noted as open");
    }
}

fn place(recording: RecordingId) -> String {
    format!("{FOLDER}/{}", recording.0)
}

/// Completes what was being written when the server died, as far as it needs it, and forgets the entries.
pub(super) fn recover(directory: &Directory) -> Vec<Recovered> {
    let mut recovered = Vec::new();
    for entry in directory.names(FOLDER).unwrap_or_default() {
        let place = format!("{FOLDER}/{entry}");
        let found = read(directory, &place).and_then(|(name, parts, spec)| {
            let (bytes, repaired) = complete(directory, &name.of_part(parts), spec)?;
            Ok(Recovered { file: name.file, parts, bytes, repaired })
        });
        match found {
            Ok(found) => recovered.push(found),
            // It was moved or deleted meanwhile, or the entry itself was cut off: there is nothing to tell.
            Err(fault) => tracing::warn!(%place, ?fault, "a recording that was open cannot be looked at"),
        }
        if let Err(fault) = directory.remove(&place) {
            tracing::warn!(%place, ?fault, "it will be told again");
        }
    }
    recovered.sort_by(|one, other| one.file.cmp(&other.file));
    recovered
}

fn read(directory: &Directory, place: &str) -> Result<(Name, u32, RecordSpec), FileFault> {
    let mut text = String::new();
    let read = directory.read(place)?.take(MAX_ENTRY).read_to_string(&mut text);
    read.map_err(|_| FileFault::Unreadable)?;
    parse(&text).ok_or(FileFault::Unreadable)
}

fn parse(text: &str) -> Option<(Name, u32, RecordSpec)> {
    let (numbers, file) = text.split_once('\n')?;
    let mut numbers = numbers.split(' ').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let (format, rate, channels, part) = (RecordFormat::from_api(next()?)?, next()?, next()?, next()?);
    let spec = RecordSpec { format, rate, channels: u16::try_from(channels).ok()? };
    let name = Name { file: file.to_owned(), overwrite: false };
    (!file.is_empty()).then_some((name, part, spec))
}

/// Lets a file tell all that it has. Gives its bytes, and whether there was anything to do.
fn complete(directory: &Directory, name: &str, spec: RecordSpec) -> Result<(u64, bool), FileFault> {
    let file = directory.change(name)?;
    let broken = |error: std::io::Error| super::fault(&error);
    let length = file.metadata().map_err(broken)?.len();
    let mut head = Vec::new();
    (&file).take(MAX_HEAD).read_to_end(&mut head).map_err(broken)?;
    let Some((head, length)) = repair(spec, &head, length) else { return Ok((length, false)) };
    file.set_len(length).map_err(broken)?;
    file.write_all_at(&head, 0).map_err(broken)?;
    file.sync_data().map_err(broken)?;
    Ok((length, true))
}
