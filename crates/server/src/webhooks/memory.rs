//! What is known of web hooks over a restart: a file each in `node.data_dir`, `webhooks/ID.json`, for nobody else to read.
//! It is written beside and renamed, so that a crash leaves the old one or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Definition;
use super::delivery::Saved;
use crate::files;

/// The largest file that is read: the most pending messages and dead letters have a tenth of it.
const FILE_MAX: u64 = 1 << 20;

/// What a file has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Of one that an application has added; that of others is in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) definition: Option<Definition>,
    /// How far it is.
    pub(super) saved: Saved,
}

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    dir: PathBuf,
}

impl Memory {
    /// Opens the folder, and makes it where there is none.
    pub(super) fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("webhooks");
        files::make_private(&dir)?;
        Ok(Self { dir })
    }

    /// The ids of all that is remembered.
    pub(super) fn ids(&self) -> io::Result<Vec<String>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            ids.extend(name.to_str().and_then(|name| name.strip_suffix(".json")).map(str::to_owned));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// What is remembered of a hook; none where it is a new one.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(super) fn read(&self, id: &str) -> io::Result<Option<Remembered>> {
        let file = match File::open(self.path(id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(serde_json::from_reader(io::BufReader::new(io::Read::take(file, FILE_MAX)))?))
    }

    /// Remembers it; blocks until it is on the disk.
    pub(super) fn write(&self, id: &str, remembered: &Remembered) -> io::Result<()> {
        let beside = self.dir.join(format!("{id}.new"));
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&serde_json::to_vec(remembered)?)?;
        file.sync_data()?;
        fs::rename(&beside, self.path(id))
    }

    /// Forgets it.
    pub(super) fn forget(&self, id: &str) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }
}
