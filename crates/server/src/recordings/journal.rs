//! Which recordings are being written, kept on the disk: a process that is killed tells nobody, so the next one does
//! (`reliability.md` D1).
//!
//! ```text
//!   recordings/.open/17     3 8000 1 2            format, rate, channels, part
//!                           inbox/call.wav        name
//!                           0.0.0-sys.call-7      whose it is, by the names of the log: of which
//!                           4bf92f3577b34da6…     a trace there may be none,
//!                           a84b4c76e66710@h      and no Call-ID
//! ```
//! A file in the folder `.open` is made when a recording has been opened, written anew for each further part, and removed
//! when the recording is complete. What is there at the start was cut off.

use std::io::{Read, Write};
use std::os::unix::fs::FileExt;

use offhook_call::error::FileFault;
use offhook_media::event::{RecordFormat, RecordSpec, RecordingId};
use offhook_media::file::repair;

use super::{Name, Recording};
use crate::call_log::line;
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
    /// Whose it was; none where an entry of an earlier version does not say so.
    pub owner: Option<Owner>,
    /// Its file, relative to the recordings directory; of several parts, the first.
    pub file: String,
    /// Its parts.
    pub parts: u32,
    /// Bytes of the last part.
    pub bytes: u64,
    /// Whether its head did not count all that it has, and does now.
    pub repaired: bool,
}

/// Whose a recording was, by the names that the log has for a call or a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// In the API.
    pub res_id: String,
    /// On the wire.
    pub sip_call_id: Option<String>,
    /// And beyond.
    pub trace_id: Option<String>,
}

impl Owner {
    /// The fields of a line of the log, in the order of the names above.
    pub(crate) fn names(owner: Option<&Self>) -> [Option<&str>; 3] {
        let Some(Self { res_id, sip_call_id, trace_id }) = owner else { return [None; 3] };
        [Some(res_id), sip_call_id.as_deref(), trace_id.as_deref()]
    }
}

/// Keeps an entry, in place of one of the same recording.
pub(super) fn write(directory: &Directory, recording: &Recording) -> Result<(), FileFault> {
    let Recording { id, of, name, part, spec, .. } = recording;
    let RecordSpec { format, rate, channels } = spec;
    let entry = format!(
        "{} {rate} {channels} {part}\n{}\n{}\n{}\n{}",
        format.api_number(),
        name.file,
        of.res_id(),
        of.trace_id.map(|trace| trace.to_string()).unwrap_or_default(),
        of.sip_call_id.as_deref().unwrap_or_default(),
    );
    let place = place(*id);
    let mut file = directory.create(&place, true)?;
    file.write_all(entry.as_bytes()).map_err(|error| {
        // Half an entry says nothing to the next start.
        let _ = directory.remove(&place);
        super::fault(&error)
    })
}

/// Forgets an entry. One that stays is told at the next start, which is no harm.
pub(super) fn forget(directory: &Directory, Recording { id, of, .. }: &Recording) {
    if let Err(fault) = directory.remove(&place(*id)) {
        line!(warn, of, recording = id.0, ?fault, "a recording is complete and still noted as open");
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
        let entry = read(directory, &place);
        let owner = entry.as_ref().ok().and_then(|entry| entry.owner.clone());
        let [res_id, sip_call_id, trace_id] = Owner::names(owner.as_ref());
        let found = entry.and_then(|Entry { name, parts, spec, owner }| {
            let (bytes, repaired) = complete(directory, &name.of_part(parts), spec)?;
            Ok(Recovered { owner, file: name.file, parts, bytes, repaired })
        });
        match found {
            Ok(found) => recovered.push(found),
            // It was moved or deleted meanwhile, or the entry itself was cut off: there is nothing to tell.
            Err(fault) => {
                let what = "a recording that was open cannot be looked at";
                tracing::warn!(res_id, sip_call_id, trace_id, %place, ?fault, "{what}");
            }
        }
        if let Err(fault) = directory.remove(&place) {
            tracing::warn!(res_id, sip_call_id, trace_id, %place, ?fault, "it will be told again");
        }
    }
    recovered.sort_by(|one, other| one.file.cmp(&other.file));
    recovered
}

/// What an entry says.
struct Entry {
    name: Name,
    parts: u32,
    spec: RecordSpec,
    owner: Option<Owner>,
}

fn read(directory: &Directory, place: &str) -> Result<Entry, FileFault> {
    let mut text = String::new();
    let read = directory.read(place)?.take(MAX_ENTRY).read_to_string(&mut text);
    read.map_err(|_| FileFault::Unreadable)?;
    parse(&text).ok_or(FileFault::Unreadable)
}

fn parse(text: &str) -> Option<Entry> {
    let mut lines = text.splitn(5, '\n');
    let (numbers, file) = (lines.next()?, lines.next()?);
    let mut line = || lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    let owner = line().map(|res_id| Owner { res_id, trace_id: line(), sip_call_id: line() });
    let mut numbers = numbers.split(' ').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    let (format, rate, channels, parts) = (RecordFormat::from_api(next()?)?, next()?, next()?, next()?);
    let spec = RecordSpec { format, rate, channels: u16::try_from(channels).ok()? };
    let name = Name { file: file.to_owned(), overwrite: false };
    (!file.is_empty()).then_some(Entry { name, parts, spec, owner })
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
