//! What tests ask for, where nothing else matters to them.

use std::time::Duration;

use offhook_call::command::{Command, ConfEnter, Construct, Content, KeySet, ReceiveDtmf};
use offhook_call::conference;
use offhook_call::id::{CallId, ConferenceId};
use offhook_call::prompt::Language;
use offhook_call::{PromptSource, Sound, Speech};
use offhook_media::event::{Key, VoiceMode};
use offhook_sip::event::Body;

/// A call of ten minutes to a far end that may ring for 50 s.
pub fn construct() -> Construct {
    Construct {
        from_uri: "sip:1000@192.0.2.1".to_owned(),
        from_name: None,
        to_uris: vec!["sip:100@192.0.2.9:5060".to_owned()],
        max_answer: Duration::from_secs(600),
        max_ring: Duration::from_secs(50),
        user_data: Some("mark".to_owned()),
        codecs: Vec::new(),
        proxy: None,
        credentials: None,
        headers: Vec::new(),
        parent: None,
    }
}

/// A body of plain text.
pub fn text(text: &str) -> Body {
    Body { content_type: "text/plain".to_owned(), bytes: text.as_bytes().to_vec() }
}

/// A set of keys.
pub fn keys(keys: &str) -> KeySet {
    KeySet::parse(keys).expect("keys of a test")
}

/// A key.
pub fn key(char: char) -> Key {
    Key::from_char(char).expect("a key of a test")
}

/// Files, one after the other.
pub fn files(names: &[&str]) -> Content {
    Content { sources: names.iter().map(|&name| name.into()).collect() }
}

/// A text that is spoken.
pub fn spoken(text: &str) -> PromptSource {
    let (text, language, voice) = (text.to_owned(), Language::En, None);
    Sound::Speech(Speech { text, language, voice }).into()
}

/// A conference of an hour that ends when so many members are left.
pub fn conference_of(threshold: i32) -> conference::Construct {
    let (max, user_data) = (Duration::from_secs(3600), Some("room".to_owned()));
    conference::Construct { max, threshold, user_data, background: None, record: None }
}

/// What is asked of a conference.
pub fn of_conference(conference: ConferenceId, command: conference::Command) -> Command {
    Command::Conference { conference, command }
}

/// For five minutes, hearing and heard.
pub fn conf_enter(call: CallId, conference: ConferenceId) -> ConfEnter {
    let (max, mode) = (Duration::from_secs(300), VoiceMode::HearAndSpeak);
    ConfEnter { call, conference, max, mode, volume: 0, welcome: None }
}

/// Four keys at most, `#` ends, three seconds for the first and one for each other.
pub fn receive(call: CallId, prompt: Option<&str>) -> ReceiveDtmf {
    ReceiveDtmf {
        call,
        valid_keys: keys("0123456789#"),
        max_keys: 4,
        finish_keys: keys("#"),
        first_key_timeout: Duration::from_secs(3),
        next_key_timeout: Duration::from_secs(1),
        prompt: prompt.map(|file| Content { sources: vec![file.into()] }),
        repeat: 0,
        break_on_key: true,
        include_finish_key: false,
        flush: false,
    }
}
