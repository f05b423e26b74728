//! Text-to-speech: what a provider makes of a text is an audio file, kept on disk under what was asked for.
//!
//! ```text
//!   text, language, voice ─▶ its name, SHA-256 ─┬─ a file of that name ──────────────────────▶ played as any other
//!                                               └─ none ─▶ provider ─▶ read ─▶ renamed to it ──▶ the same
//! ```
//! A prompt thread must not wait for a program or another server, so tasks make what is missing before one is asked
//! (`Speaker::say`). What is asked for again, by whomever, is there. When the files take more than they may, those made
//! first are removed.

mod check;
mod command;
mod http;

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use offhook_call::Speech;
use offhook_call::error::FileFault;
use offhook_call::prompt::Language;
use offhook_media::file::PromptReader;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

use crate::call_log::{Names, line};
use crate::config::{Speech as Config, SpeechProvider, Voices};
use crate::files::Directory;
pub use check::faults;

/// The largest audio that is taken of a provider: half an hour of 16 bits at 8 kHz.
const MOST_BYTES: u64 = 32 << 20;

/// A provider, and what it has said so far.
#[derive(Debug)]
pub struct Speaker {
    provider: Provider,
    voices: Voices,
    timeout: Duration,
    path: PathBuf,
    directory: Directory,
    /// Bytes of all files, and how many there may be.
    bytes: AtomicU64,
    most_bytes: u64,
    at_once: Semaphore,
    serial: AtomicU64,
}

#[derive(Debug)]
enum Provider {
    Command(command::Command),
    Http(http::Service),
}

/// What a provider is asked.
#[derive(Clone, Copy, Debug)]
struct Ask<'a> {
    text: &'a str,
    language: Language,
    voice: &'a str,
}

impl Speaker {
    /// The speaker of a configuration; none where that has none, or where its program is not on this machine, which is
    /// said in the log.
    ///
    /// # Errors
    /// The directory cannot be opened, or the certificates that the system trusts cannot be read.
    pub fn of(config: &Config, data_dir: &Path) -> io::Result<Option<Self>> {
        let provider = match config.provider {
            SpeechProvider::Off => return Ok(None),
            SpeechProvider::Http => Provider::Http(http::Service::new(config)?),
            SpeechProvider::Command => match command::Command::find(&config.command) {
                Some(command) => Provider::Command(command),
                None => {
                    let program = config.command.first().map(String::as_str).unwrap_or_default();
                    tracing::warn!(
                        program,
                        "speech.command is not on this machine: there is no text-to-speech"
                    );
                    return Ok(None);
                }
            },
        };
        let is_given = !config.cache_dir.as_os_str().is_empty();
        let path = if is_given { config.cache_dir.clone() } else { data_dir.join("speech") };
        let directory = Directory::open(&path)?;
        // Texts are balances, names and the like: nobody else's business.
        std::fs::set_permissions(&path, Permissions::from_mode(0o700))?;
        let path = path.canonicalize()?;
        remove_parts(&path)?;
        let bytes = AtomicU64::new(files_of(&path)?.iter().map(|(_, _, bytes)| bytes).sum());
        Ok(Some(Self {
            provider,
            voices: config.voices.clone(),
            timeout: Duration::from_secs(config.timeout_seconds),
            path,
            directory,
            bytes,
            most_bytes: config.cache_bytes,
            at_once: Semaphore::new(config.at_once),
            serial: AtomicU64::new(0),
        }))
    }

    /// What was said, to be read.
    pub fn open(&self, speech: &Speech) -> Result<File, FileFault> {
        self.directory.read(&self.name(self.ask(speech)))
    }

    /// Sees to it that there is a file of it, for a call or a conference.
    pub(crate) async fn say(&self, of: &Names, speech: &Speech) -> Result<(), FileFault> {
        let ask = self.ask(speech);
        let name = self.name(ask);
        if self.directory.read(&name).is_ok() {
            return Ok(());
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        let part = Part(self.path.join(format!("{name}.{serial}.part")));
        let _permit = self.at_once.acquire().await;
        if self.directory.read(&name).is_ok() {
            // It was what was waited for.
            return Ok(());
        }
        let made = async {
            let made = match &self.provider {
                Provider::Command(command) => command.say(ask, &part.0).await,
                Provider::Http(service) => service.say(ask, &part.0).await,
            };
            made.and_then(|()| self.keep(&part.0, &name))
        };
        // What it waited for others to be spoken is none of the provider's time.
        let result = tokio::time::timeout(self.timeout, made).await;
        let late = || Err(format!("nothing within {} s", self.timeout.as_secs()));
        result.unwrap_or_else(|_| late()).map_err(|why| {
            let bytes = ask.text.len();
            line!(warn, of, why, voice = ask.voice, bytes, "a text cannot be spoken");
            FileFault::Unspoken
        })
    }

    fn ask<'a>(&'a self, speech: &'a Speech) -> Ask<'a> {
        let voice = speech.voice.as_deref().unwrap_or(match speech.language {
            Language::Zh => &self.voices.zh,
            Language::En => &self.voices.en,
        });
        Ask { text: &speech.text, language: speech.language, voice }
    }

    /// The name of the file: whatever would sound different has another.
    fn name(&self, ask: Ask<'_>) -> String {
        let provider = match &self.provider {
            Provider::Command(command) => command.identity(),
            Provider::Http(service) => service.identity(),
        };
        let mut hash = Sha256::new();
        for part in [&provider, ask.language.code(), ask.voice, ask.text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut name = String::with_capacity(64 + 6);
        for byte in hash.finalize() {
            name.push_str(&format!("{byte:02x}"));
        }
        name + ".audio"
    }

    /// Gives a part its name, if it is audio that can be played.
    fn keep(&self, part: &Path, name: &str) -> Result<(), String> {
        let length = playable(part)?;
        std::fs::rename(part, self.path.join(name)).map_err(|error| error.to_string())?;
        if self.bytes.fetch_add(length, Ordering::Relaxed) + length > self.most_bytes {
            self.make_room().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Removes the files that were made first, until the others take no more than they may. The last is left in any case.
    fn make_room(&self) -> io::Result<()> {
        let mut files = files_of(&self.path)?;
        files.sort_by_key(|&(_, modified, _)| modified);
        let mut bytes: u64 = files.iter().map(|(_, _, bytes)| bytes).sum();
        let last = files.len().saturating_sub(1);
        for (path, _, length) in &files[..last] {
            if bytes <= self.most_bytes {
                break;
            }
            std::fs::remove_file(path)?;
            bytes -= length;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

/// How long a file is in bytes, if it is audio that can be played.
fn playable(path: &Path) -> Result<u64, String> {
    let file = File::open(path).map_err(|error| format!("there is no audio: {error}"))?;
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    if length > MOST_BYTES {
        return Err(format!("more than {MOST_BYTES} bytes of audio"));
    }
    PromptReader::open(io::BufReader::new(file), "speech", 8000, 0)
        .map_err(|error| format!("no audio that can be played: {error:?}"))?;
    Ok(length)
}

/// A file that is being made. What becomes of it has another name by the time that it is dropped; what does not is removed, also
/// where nobody waits for it any more.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What was said and is complete: the path, when it was made, and its bytes.
fn files_of(path: &Path) -> io::Result<Vec<(PathBuf, SystemTime, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let data = entry.metadata()?;
        if entry.path().extension().is_some_and(|ending| ending == "audio") && data.is_file() {
            files.push((entry.path(), data.modified()?, data.len()));
        }
    }
    Ok(files)
}

/// What a crash has left.
fn remove_parts(path: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "part") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
