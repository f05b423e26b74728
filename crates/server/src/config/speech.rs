//! `[speech]`: who speaks texts (type 10 of play content).

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret::{self, Secret};
use super::value;

/// `[speech]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Speech {
    /// Who speaks.
    pub provider: SpeechProvider,
    /// The program and its arguments, without a shell. The text comes to its standard input; `{voice}`, `{lang}` and `{file}`
    /// stand for the voice, the language and the file that the audio belongs in. Without `{file}` it is what the program
    /// writes to its standard output.
    pub command: Vec<String>,
    /// `http://…` or `https://…`: sent `{"text", "lang", "voice"}` as JSON by POST, it answers with the audio.
    #[serde(serialize_with = "secret::serialize_url")]
    pub url: String,
    /// What it wants to hear as `Authorization: Bearer …`; empty for nothing.
    #[serde(with = "secret::optional_secret")]
    #[schemars(with = "String")]
    pub token: Option<Secret>,
    /// The voice of each language, where an item asks for none.
    pub voices: Voices,
    /// How long a text may take to be spoken, from when that begins. The request ends after 30 s in any case.
    #[serde(deserialize_with = "value::between::<_, _, 1, 25>")]
    pub timeout_seconds: u64,
    /// Texts that are spoken at a time: each is a process, or a connection to another server. Others wait.
    #[serde(deserialize_with = "value::between::<_, _, 1, 64>")]
    pub at_once: usize,
    /// Where what was said is kept; empty for `speech` in `node.data_dir`.
    pub cache_dir: PathBuf,
    /// Bytes that it may take; what was said first goes first.
    #[serde(deserialize_with = "value::between::<_, _, 0, 1_099_511_627_776>")]
    pub cache_bytes: u64,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SpeechProvider {
    /// A program on this machine.
    #[default]
    Command,
    /// Another server.
    Http,
    /// Nobody.
    Off,
}

/// The voice of each language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Voices {
    /// Of Chinese.
    pub zh: String,
    /// Of English.
    pub en: String,
}

impl Default for Voices {
    fn default() -> Self {
        Self { zh: "cmn".to_owned(), en: "en-us".to_owned() }
    }
}

impl Default for Speech {
    fn default() -> Self {
        let command = ["espeak-ng", "--stdin", "-v", "{voice}", "-w", "{file}"];
        Self {
            provider: SpeechProvider::default(),
            command: command.map(str::to_owned).to_vec(),
            url: String::new(),
            token: None,
            voices: Voices::default(),
            timeout_seconds: 8,
            at_once: 4,
            cache_dir: PathBuf::new(),
            cache_bytes: 1 << 30,
        }
    }
}
