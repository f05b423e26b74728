//! `offhook recording repair DIR`: recordings that a machine without power has left, made to tell all that they have. What the server
//! knows to have been open when it was killed it repairs itself at its next start.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use offhook_media::file::{repair, spec_of};

use super::exit::Failure;
use super::print;

/// The longest head of a WAV file of ours.
const MAX_HEAD: u64 = 128;
/// How deep folders are looked into. Names of recordings have a few parts.
const DEPTH: usize = 16;

/// Repairs what is below `dir`, and tells each file that was.
pub(super) fn run(dir: &Path) -> Result<(), Failure> {
    let failed = |path: &Path, error: &io::Error| Failure::io(&path.display().to_string(), error);
    let mut files = Vec::new();
    collect(dir, DEPTH, &mut files).map_err(|error| failed(dir, &error))?;
    files.sort();
    let (mut text, mut repaired) = (String::new(), 0);
    for path in &files {
        if let Some(length) = mend(path).map_err(|error| failed(path, &error))? {
            repaired += 1;
            let _ = writeln!(text, "{}: {length} bytes", path.display());
        }
    }
    let _ = writeln!(text, "{repaired} of {} WAV files repaired", files.len());
    print(&text)
}

/// Links are not followed: what they lead to may be anywhere.
fn collect(dir: &Path, depth: usize, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() && depth > 0 {
            collect(&path, depth - 1, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("wav"))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Its new length, where it needed one.
fn mend(path: &Path) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    File::open(path)?.take(MAX_HEAD).read_to_end(&mut head)?;
    let Some(spec) = spec_of(&head) else { return Ok(None) };
    let length = path.metadata()?.len();
    let Some((head, length)) = repair(spec, &head, length) else { return Ok(None) };
    let file = OpenOptions::new().write(true).open(path)?;
    file.set_len(length)?;
    file.write_all_at(&head, 0)?;
    file.sync_data()?;
    Ok(Some(length))
}
