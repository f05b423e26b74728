//! Numbers of calls and events that never repeat, over restarts and clock steps as well: a stale `res_id` can never hit a
//! new call, and a stale `after` is a gap that can be told.
//!
//! They are microseconds of the wall clock at the start, counted up by one a call, and by one an event. A file remembers
//! how far they may have come, so that a clock that was set back does not bring old ones again.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use offhook_call::event::UnixMs;

use crate::files;

/// Numbers that one run may use and a clock that is set back cannot bring again: 23 days of 5,000 events a second. Stays
/// below 2^53, the largest integer that every JSON reader keeps exact, until the year 2255.
const PER_RUN: u64 = 10_000_000_000;

/// Where the numbers of a run begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct First {
    /// The first of them.
    pub number: u64,
    /// Whether there have been none before it: the node runs for the first time.
    pub is_new: bool,
}

/// Reserves the numbers of this run and tells the first.
pub fn reserve(data_dir: &Path, wall: UnixMs) -> io::Result<First> {
    files::make_private(data_dir)?;
    let path = data_dir.join("serial");
    let reserved = match fs::read_to_string(&path) {
        Ok(text) => Some(text.trim().parse::<u64>().map_err(|_| damaged(&path))?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let now = u64::try_from(wall.0).unwrap_or(0).saturating_mul(1000);
    let number = now.max(reserved.unwrap_or(0));
    // Written beside and renamed: a crash leaves the old file or the new one, never a torn one.
    let beside = data_dir.join("serial.new");
    let mut file = fs::File::create(&beside)?;
    writeln!(file, "{}", number + PER_RUN)?;
    file.sync_all()?;
    fs::rename(&beside, &path)?;
    Ok(First { number, is_new: reserved.is_none() })
}

fn damaged(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} holds no number; delete it if no call can still name an old one", path.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_grow_over_restarts_even_when_the_clock_is_set_back() {
        let dir = std::env::temp_dir().join(format!("offhook-serial-{}", std::process::id()));
        let first = reserve(&dir, UnixMs(1_800_000_000_000)).unwrap();
        assert_eq!(first, First { number: 1_800_000_000_000_000, is_new: true });
        let second = reserve(&dir, UnixMs(1_000_000_000_000)).unwrap();
        let repeats = format!("{second:?} could repeat a serial of the first run");
        assert!(second.number >= first.number + PER_RUN && !second.is_new, "{repeats}");
        fs::write(dir.join("serial"), "rubbish").unwrap();
        assert!(reserve(&dir, UnixMs(0)).is_err(), "a damaged file is told, not ignored");
        fs::remove_dir_all(&dir).unwrap();
    }
}
