//! The steps of a call as they are kept: values, a few dozen bytes each, which are put into words when somebody asks.

use std::mem::size_of;
use std::net::SocketAddr;

use offhook_call::cause::Failure;
use offhook_call::error::Error;
use offhook_call::event::UnixMs;
use offhook_call::state::State;
use offhook_media::event::{Codec, LegConfig};
use offhook_media::sdp::{Direction, Suite};
use offhook_sip::event::{Flow, Transport};
use offhook_sip::{First, Glance};

/// The longest session description that is kept, in bytes; ours have 300, those of telephones with video 2,000. Of a longer one it
/// is only known that it was there.
const MAX_SDP: usize = 4_096;
/// The longest method and phrase, in characters; a phrase may be any text of the far end's.
const MAX_WORD: usize = 64;

/// A step, and when it was taken.
#[derive(Clone, Debug)]
pub(super) struct Timed {
    pub(super) at: UnixMs,
    pub(super) step: Step,
}

impl Timed {
    /// About how many bytes it takes.
    pub(super) fn cost(&self) -> usize {
        let beside = match &self.step {
            Step::Sip(message) => message.cost(),
            Step::Command(asked) => asked.shown.cost(),
            Step::Event { shown, .. } => shown.cost(),
            Step::Reply { error, .. } => error.as_ref().map_or(0, |_| size_of::<Error>()),
            Step::Media(_) => size_of::<Media>(),
            Step::State { .. } => 0,
        };
        size_of::<Self>() + beside
    }
}

/// A step of a call.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Sip(Box<Message>),
    Command(Asked),
    Reply { method: &'static str, error: Option<Box<Error>> },
    State { state: State, prior: Option<State> },
    Event { name: &'static str, error: Option<Failure>, shown: Shown },
    Media(Box<Media>),
}

/// What an application asked for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) method: &'static str,
    pub(super) shown: Shown,
}

/// Parameters that may be shown, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shown(pub(super) Vec<(&'static str, Value)>);

impl Shown {
    /// The same, and another one.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.push((name, value.into()));
        self
    }

    /// The same, and another one where there is one.
    pub(super) fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    fn cost(&self) -> usize {
        let text = |value: &Value| if let Value::Text(text) = value { text.len() } else { 0 };
        let texts: usize = self.0.iter().map(|(_, value)| text(value)).sum();
        self.0.capacity() * size_of::<(&str, Value)>() + texts
    }
}

/// The value of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(i64),
    Yes(bool),
    Word(&'static str),
    Text(Box<str>),
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(yes: bool) -> Self {
        Self::Yes(yes)
    }
}

impl From<&'static str> for Value {
    fn from(word: &'static str) -> Self {
        Self::Word(word)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

/// A SIP message.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) is_out: bool,
    pub(super) transport: Transport,
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
    /// That of CSeq.
    pub(super) method: Box<str>,
    pub(super) cseq: u32,
    /// Of a response.
    pub(super) status: Option<(u16, Box<str>)>,
    pub(super) sdp: Option<Box<[u8]>>,
}

impl Message {
    pub(super) fn of(is_out: bool, flow: Flow, glance: &Glance<'_>) -> Self {
        let status = match &glance.first {
            First::Request(_) => None,
            First::Response(status, phrase) => Some((*status, short(phrase.clone()))),
        };
        Self {
            is_out,
            transport: flow.transport,
            local: flow.local,
            remote: flow.remote,
            method: short(glance.method.clone()),
            cseq: glance.cseq,
            status,
            sdp: glance.sdp.filter(|sdp| sdp.len() <= MAX_SDP).map(Into::into),
        }
    }

    fn cost(&self) -> usize {
        let phrase = self.status.as_ref().map_or(0, |(_, phrase)| phrase.len());
        size_of::<Self>() + self.method.len() + phrase + self.sdp.as_ref().map_or(0, |sdp| sdp.len())
    }
}

fn short(mut word: String) -> Box<str> {
    if let Some((end, _)) = word.char_indices().nth(MAX_WORD) {
        word.truncate(end);
    }
    word.into()
}

/// What was agreed on of the media, without its keys.
#[derive(Clone, Copy, Debug)]
pub(super) struct Media {
    pub(super) codec: Codec,
    pub(super) remote: SocketAddr,
    pub(super) direction: Direction,
    pub(super) ptime_ms: u8,
    pub(super) telephone_events: bool,
    pub(super) suite: Option<Suite>,
}

impl Media {
    pub(super) fn of(config: &LegConfig) -> Self {
        let media = &config.media;
        Self {
            codec: media.codec,
            remote: media.remote_rtp,
            direction: media.direction,
            ptime_ms: media.ptime_ms,
            telephone_events: media.telephone_event.is_some(),
            suite: media.keys.map(|keys| keys.ours.suite()),
        }
    }
}
