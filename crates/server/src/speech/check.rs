//! `offhook check`: whether those who shall speak are there, and can.

use std::time::Duration;

use offhook_call::prompt::Language;

use super::command::Command;
use super::{Ask, Part};
use crate::config::{Speech as Config, SpeechProvider};

/// What will be missing, as far as this machine can tell: the program, and each voice, which says a word. Another server is not
/// asked, since who checks a configuration need not be where it is reached.
pub async fn faults(config: &Config) -> Vec<String> {
    if config.provider != SpeechProvider::Command {
        return Vec::new();
    }
    let Some(command) = Command::find(&config.command) else {
        let program = config.command.first().map(String::as_str).unwrap_or_default();
        return vec![format!(
            "speech.command: {program:?} is not on this machine: there is no text-to-speech"
        )];
    };
    let mut faults = Vec::new();
    for (key, language, voice, text) in
        [("zh", Language::Zh, &config.voices.zh, "一"), ("en", Language::En, &config.voices.en, "one")]
    {
        let name = format!("offhook-check-{}-{key}.part", std::process::id());
        let part = Part(std::env::temp_dir().join(name));
        let said = async {
            command.say(Ask { text, language, voice }, &part.0).await?;
            super::playable(&part.0).map(|_| ())
        };
        let within = Duration::from_secs(config.timeout_seconds);
        let said = tokio::time::timeout(within, said).await;
        if let Err(why) = said.unwrap_or_else(|_| Err(format!("nothing within {} s", within.as_secs()))) {
            faults.push(format!("speech.voices.{key}: {voice:?} cannot be spoken: {why}"));
        }
    }
    faults
}
