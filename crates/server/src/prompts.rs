//! The prompt cache: each file is read, decoded and encoded once per codec, and shared by every leg that plays it.
//!
//! Keyed by name and codec, and checked against the file's identity at each use, so a changed file is picked up.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use offhook_call::error::FileFault;
use offhook_media::codec::SAMPLE_RATE;
use offhook_media::codec::resample::resample_all;
use offhook_media::event::{Codec, Prompt};
use offhook_media::file::{self, PromptError};

use crate::files::Directory;

/// Encoded prompts kept in memory: four and a half hours of G.711. When it is full, prompts make room in no particular
/// order, and are read again when they are wanted.
const KEEP_BYTES: usize = 128 << 20;

/// Prompts of a directory.
#[derive(Debug)]
pub struct Prompts {
    directory: Directory,
    cache: DashMap<(String, Codec), (Identity, Arc<Prompt>)>,
    bytes: AtomicUsize,
}

/// What tells a changed file from the one that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl Identity {
    fn of(data: &Metadata) -> Self {
        Self {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
        }
    }
}

impl Prompts {
    /// An empty cache over a directory.
    pub fn new(directory: Directory) -> Self {
        Self { directory, cache: DashMap::new(), bytes: AtomicUsize::new(0) }
    }

    /// Loads prompts in order, or names the first that is not to be had. Blocks on the disk.
    pub fn load(&self, files: &[String], codec: Codec) -> Result<Vec<Arc<Prompt>>, (FileFault, String)> {
        files.iter().map(|name| self.load_one(name, codec).map_err(|fault| (fault, name.clone()))).collect()
    }

    fn load_one(&self, name: &str, codec: Codec) -> Result<Arc<Prompt>, FileFault> {
        let file = self.directory.read(name)?;
        let identity = Identity::of(&file.metadata().map_err(|_| FileFault::Unreadable)?);
        let key = (name.to_owned(), codec);
        if let Some(kept) = self.cache.get(&key).filter(|kept| kept.0 == identity) {
            return Ok(Arc::clone(&kept.1));
        }
        let prompt = read(file, name, codec)?;
        self.keep(key, identity, &prompt);
        Ok(prompt)
    }

    fn keep(&self, key: (String, Codec), identity: Identity, prompt: &Arc<Prompt>) {
        self.bytes.fetch_add(prompt.bytes(), Ordering::Relaxed);
        if let Some((_, old)) = self.cache.insert(key.clone(), (identity, Arc::clone(prompt))) {
            self.bytes.fetch_sub(old.bytes(), Ordering::Relaxed);
        }
        while self.bytes.load(Ordering::Relaxed) > KEEP_BYTES {
            let Some(other) = self.cache.iter().map(|entry| entry.key().clone()).find(|other| *other != key)
            else {
                return;
            };
            if let Some((_, (_, old))) = self.cache.remove(&other) {
                self.bytes.fetch_sub(old.bytes(), Ordering::Relaxed);
            }
        }
    }
}

fn read(file: File, name: &str, codec: Codec) -> Result<Arc<Prompt>, FileFault> {
    let pcm = file::decode(file, name).map_err(|error| match error {
        PromptError::Unreadable(_) => FileFault::Unreadable,
        _ => FileFault::Unsupported,
    })?;
    let pcm = resample_all(&pcm, SAMPLE_RATE, codec.sample_rate()).ok_or(FileFault::Unsupported)?;
    Ok(Prompt::encode(&pcm, codec))
}
