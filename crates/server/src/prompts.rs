//! The prompt cache: each file is decoded and encoded once per codec and gain, and shared by every leg that plays it.
//!
//! ```text
//!   play ─▶ open, identity ─┬─ kept ──────────────────────────▶ answer
//!                           └─ not ─▶ header read ─▶ kept as it is ─▶ answer ─▶ decoded to its end, while it is heard
//! ```
//! Keyed by the identity of the file, not by its name: a file that was changed is another one at the next play. The answer
//! comes when the headers of all files are read, so what is wrong with a file is said at once; their audio follows, faster
//! than it can be heard (`prompts/loaders.rs`). What is only found later, in the middle, ends the prompt there, and is told
//! when that has been heard.

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use offhook_call::error::FileFault;
use offhook_call::{PromptFault, PromptSource, Sound, Speech};
use offhook_media::event::{Codec, Country, Prompt};
use offhook_media::file::{PromptError, PromptReader, PromptWriter};
use offhook_media::progress::{Progress, ProgressTone};

use crate::call_log::{Names, line};
use crate::files::Directory;
use crate::speech::Speaker;
pub use loaders::{Loaders, start};

#[cfg(test)]
mod hostile;
mod loaders;
#[cfg(test)]
mod tests;

/// Prompts of a directory.
#[derive(Debug)]
pub struct Prompts {
    directory: Directory,
    /// Who speaks texts, if anybody does.
    speaker: Option<Arc<Speaker>>,
    cache: DashMap<Key, Kept>,
    /// Ring-back tones: a turn of each country's in each codec at most, some 50 kB.
    tones: DashMap<(&'static str, Codec), Arc<Prompt>>,
    /// Bytes of the prompts that are complete, and how many may be kept.
    bytes: AtomicUsize,
    keep_bytes: usize,
    /// Counts uses, so that those longest ago are known.
    uses: AtomicU64,
}

/// What makes two prompts the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Of the name: it says how a file without a header is coded.
    ending: String,
    codec: Codec,
    gain_db: i8,
}

#[derive(Debug)]
struct Kept {
    prompt: Arc<Prompt>,
    used: AtomicU64,
}

/// A prompt of which the header is read. Its audio comes as it is decoded; dropped, it is cut short.
#[derive(Debug)]
pub struct Cold {
    key: Key,
    /// Who has asked for it first, and is named where something is wrong with it.
    of: Names,
    name: String,
    reader: PromptReader<'static>,
    writer: PromptWriter,
    samples: Vec<i16>,
    /// Why it ends before its file does.
    error: Option<PromptError>,
}

/// How a prompt is wanted, and by whom.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    of: &'a Names,
    codec: Codec,
    gain_db: i8,
}

/// Prompts in the order they were asked for, or the first that is not to be had.
pub type Found = Result<Vec<Arc<Prompt>>, PromptFault>;

impl Prompts {
    /// An empty cache over a directory, of so many bytes of encoded audio.
    pub fn new(directory: Directory, keep_bytes: usize) -> Self {
        Self {
            directory,
            speaker: None,
            cache: DashMap::new(),
            tones: DashMap::new(),
            bytes: AtomicUsize::new(0),
            keep_bytes,
            uses: AtomicU64::new(0),
        }
    }

    /// And texts that are spoken.
    pub fn speaking(self, speaker: Option<Arc<Speaker>>) -> Self {
        Self { speaker, ..self }
    }

    /// Finds prompts in order, or names the first that is not to be had. Those that were not kept are to be decoded, in
    /// order, and then kept ([`Prompts::keep`]), whatever was found: others may have begun to play them. Blocks on the disk.
    pub(crate) fn find(&self, of: &Names, sources: &[PromptSource], codec: Codec) -> (Found, Vec<Cold>) {
        let mut cold = Vec::new();
        let mut find = |source: &PromptSource| {
            let wanted = Wanted { of, codec, gain_db: source.gain_db };
            let found = match &source.sound {
                Sound::File(name) => self.find_file(name, wanted, &mut cold),
                Sound::RingBack(country) => Ok(self.ring_back(*country, codec)),
                Sound::Speech(speech) => self.find_speech(speech, wanted, &mut cold),
            };
            found.map_err(|fault| PromptFault { fault, source: source.clone() })
        };
        let prompts = sources.iter().map(&mut find).collect();
        (prompts, cold)
    }

    fn find_file(
        &self,
        name: &str,
        wanted: Wanted<'_>,
        cold: &mut Vec<Cold>,
    ) -> Result<Arc<Prompt>, FileFault> {
        self.find_open(self.directory.read(name)?, name, wanted, cold)
    }

    fn find_open(
        &self,
        file: File,
        name: &str,
        wanted: Wanted<'_>,
        cold: &mut Vec<Cold>,
    ) -> Result<Arc<Prompt>, FileFault> {
        let data = file.metadata().map_err(|_| FileFault::Unreadable)?;
        let Wanted { of, codec, gain_db } = wanted;
        let key = Key::of(&data, name, codec, gain_db);
        if let Some(kept) = self.cache.get(&key) {
            kept.used.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            return Ok(Arc::clone(&kept.prompt));
        }
        let reader = open(file, name, wanted)?;
        match self.cache.entry(key.clone()) {
            // Somebody else was as fast.
            Entry::Occupied(kept) => Ok(Arc::clone(&kept.get().prompt)),
            Entry::Vacant(place) => {
                let writer = PromptWriter::new(codec);
                let prompt = Arc::clone(writer.prompt());
                let used = AtomicU64::new(self.uses.fetch_add(1, Ordering::Relaxed));
                place.insert(Kept { prompt: Arc::clone(&prompt), used });
                let (samples, error) = (Vec::new(), None);
                let (of, name) = (of.clone(), name.to_owned());
                cold.push(Cold { key, of, name, reader, writer, samples, error });
                Ok(prompt)
            }
        }
    }

    /// A text that was spoken a moment ago, or at any time before.
    fn find_speech(
        &self,
        speech: &Speech,
        wanted: Wanted<'_>,
        cold: &mut Vec<Cold>,
    ) -> Result<Arc<Prompt>, FileFault> {
        let Some(speaker) = &self.speaker else {
            let why = "there is nobody who speaks (speech.provider, speech.command)";
            line!(warn, wanted.of, "a text cannot be spoken: {why}");
            return Err(FileFault::Unspoken);
        };
        self.find_open(speaker.open(speech)?, "speech", wanted, cold)
    }

    /// The tone is made of computation alone, once per country and codec: it is kept for good.
    fn ring_back(&self, country: Country, codec: Codec) -> Arc<Prompt> {
        let key = (country.code(), codec);
        if let Some(tone) = self.tones.get(&key) {
            return Arc::clone(&tone);
        }
        let rate = codec.sample_rate();
        let mut tone = ProgressTone::new(country, Progress::RingBack, rate);
        let turn = tone.period(rate).unwrap_or_default().as_millis() * u128::from(rate) / 1000;
        let mut samples = vec![0; usize::try_from(turn).unwrap_or_default()];
        tone.fill(&mut samples);
        Arc::clone(&self.tones.entry(key).or_insert_with(|| Prompt::encode(&samples, codec)))
    }

    /// Keeps a prompt that has been decoded, to its end or as far as it goes.
    pub fn keep(&self, cold: Cold) {
        let Cold { key, of, name, writer, error, .. } = cold;
        let prompt = Arc::clone(writer.prompt());
        match &error {
            None => drop(writer.finish()),
            Some(_) => drop(writer),
        }
        self.bytes.fetch_add(prompt.bytes(), Ordering::Relaxed);
        if let Some(error) = error {
            line!(warn, &of, name, ?error, "a prompt ends before its file does");
            // A disk may do better the next time, a damaged file will not.
            if matches!(error, PromptError::Unreadable(_)) {
                self.forget(&key);
            }
        }
        self.make_room();
    }

    /// Forgets the prompts that were used longest ago, until what is left is within the bound.
    fn make_room(&self) {
        while self.bytes.load(Ordering::Relaxed) > self.keep_bytes {
            let complete = self.cache.iter().filter(|kept| kept.prompt.is_complete());
            let oldest = complete.min_by_key(|kept| kept.used.load(Ordering::Relaxed));
            let Some(key) = oldest.map(|kept| kept.key().clone()) else { return };
            self.forget(&key);
        }
    }

    fn forget(&self, key: &Key) {
        if let Some((_, kept)) = self.cache.remove(key) {
            self.bytes.fetch_sub(kept.prompt.bytes(), Ordering::Relaxed);
        }
    }
}

impl Cold {
    /// Decodes about so much of it, or to its end. Returns whether there is more. Blocks on the disk, and takes a millisecond
    /// or less for each second of audio that is not encoded as Opus.
    pub fn decode(&mut self, length: Duration) -> bool {
        let rate = u128::from(self.key.codec.sample_rate());
        let enough = usize::try_from(length.as_millis() * rate / 1000).unwrap_or(usize::MAX);
        let mut decoded = 0;
        while decoded < enough {
            self.samples.clear();
            let more = self.reader.read(&mut self.samples);
            self.writer.push(&self.samples);
            decoded += self.samples.len();
            match more {
                Ok(true) => {}
                Ok(false) => return false,
                Err(error) => {
                    self.error = Some(error);
                    return false;
                }
            }
        }
        true
    }

    /// It ends here, since its decoder has a defect.
    fn broken(mut self) -> Self {
        self.error = Some(PromptError::Malformed("its decoder failed".to_owned()));
        self
    }
}

impl Key {
    fn of(data: &Metadata, name: &str, codec: Codec, gain_db: i8) -> Self {
        let ending = Path::new(name).extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        Self {
            device: data.dev(),
            inode: data.ino(),
            length: data.len(),
            modified: (data.mtime(), data.mtime_nsec()),
            ending,
            codec,
            gain_db,
        }
    }
}

fn open(
    file: File,
    name: &str,
    Wanted { of, codec, gain_db }: Wanted<'_>,
) -> Result<PromptReader<'static>, FileFault> {
    let source = std::io::BufReader::with_capacity(64 * 1024, file);
    PromptReader::open(source, name, codec.sample_rate(), gain_db).map_err(|error| {
        line!(debug, of, name, ?error, "no prompt");
        match error {
            PromptError::Unreadable(_) => FileFault::Unreadable,
            PromptError::Empty => FileFault::Empty,
            _ => FileFault::Unsupported,
        }
    })
}
