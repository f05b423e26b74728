//! Where records are copied from, and how far that is.

use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::super::progress::Progress;
use super::super::{FILE, Over, fault, read, row};

/// The records of one transaction: some hundred kilobytes.
const BATCH: u32 = 500;

/// How far the copy is, in a file of `node.data_dir`: the `seq` of the last record. Without it all is copied again, which changes
/// nothing at a PostgreSQL that has it, and fills one that is new.
#[derive(Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self(data_dir.join("cdr-postgres"))
    }

    /// 0 where there is nothing, or nothing that makes sense: rather twice than never.
    pub(super) fn read(&self) -> io::Result<u64> {
        match fs::read_to_string(&self.0) {
            Ok(text) => Ok(text.trim().parse().unwrap_or(0)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                Ok(0)
            }
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", self.0.display()))),
        }
    }

    /// Written beside and renamed. A machine that goes down may forget it: see [`Self::read`].
    pub(super) fn write(&self, seq: u64) -> io::Result<()> {
        let beside = self.0.with_extension("new");
        writeln!(File::create(&beside)?, "{seq}")?;
        fs::rename(&beside, &self.0)
    }
}

/// The database, read beside the thread that writes it.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    connection: Connection,
    /// Which file it is.
    inode: (u64, u64),
    /// The last record that is copied.
    after: u64,
}

impl Source {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self { path: data_dir.join(FILE), open: None }
    }

    /// The next records, in their order.
    pub(super) fn next(&mut self, progress: &Progress) -> io::Result<Vec<Over>> {
        let inode = match fs::metadata(&self.path) {
            Ok(metadata) => inode(&metadata),
            // It has been taken away, and is made anew with the next record.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let open = match &mut self.open {
            Some(open) if open.inode == inode => open,
            _ => {
                let connection = read::connect(&self.path).map_err(fault)?;
                let after = row::last_until(&connection, progress.seq()).map_err(fault)?;
                progress.begin(after);
                self.open.insert(Open { connection, inode, after })
            }
        };
        row::after(&open.connection, open.after, BATCH).map_err(fault)
    }

    /// All up to this one are copied.
    pub(super) fn done(&mut self, last: &Over) {
        if let Some(open) = &mut self.open {
            open.after = last.record.id;
        }
    }
}

fn inode(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Ledger;
    use crate::store::tests::{dir, over};

    fn copy(source: &mut Source, progress: &Progress) -> Vec<u64> {
        let batch = source.next(progress).unwrap();
        if let Some(last) = batch.last() {
            source.done(last);
            progress.copied(batch.len(), last);
        }
        batch.iter().map(|over| over.seq).collect()
    }

    /// The numbers of records begin anew in another database; those of the ends of calls do not.
    #[test]
    fn a_database_that_is_taken_away_hides_nothing() {
        let dir = dir();
        let mut ledger = Ledger::open(&dir.0, None).unwrap();
        let (mut source, progress) = (Source::of(&dir.0), Progress::from(10));
        ledger.write(&[over(1, 0, 10), over(2, 0, 11), over(3, 0, 12)], 0, 0).unwrap();
        assert_eq!(copy(&mut source, &progress), [11, 12], "the first was copied by an earlier run");
        assert_eq!(copy(&mut source, &progress), [0; 0]);
        fs::remove_file(dir.0.join(FILE)).unwrap();
        assert_eq!(copy(&mut source, &progress), [0; 0]);
        ledger.write(&[over(4, 0, 13)], 0, 0).unwrap();
        assert_eq!(copy(&mut source, &progress), [13]);
        assert_eq!((progress.seq(), progress.status().copied), (13, 3));
    }

    #[test]
    fn how_far_it_was_is_remembered() {
        let dir = dir();
        fs::create_dir_all(&dir.0).unwrap();
        let place = Place::of(&dir.0);
        assert_eq!(place.read().unwrap(), 0);
        place.write(1_800_000_000_000_017).unwrap();
        assert_eq!(Place::of(&dir.0).read().unwrap(), 1_800_000_000_000_017);
        for damaged in [&b""[..], b"\xff\0", b"12 monkeys"] {
            fs::write(&place.0, damaged).unwrap();
            assert_eq!(place.read().unwrap(), 0);
        }
    }
}
