//! The states of a call as the API names them.

/// Where a call is in its life (`call-api.md` §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// It came in, or is being dialled, and is not answered.
    Initiated,
    /// `answer` has been sent and its ACK is awaited.
    Answer,
    /// Answered, and waiting for the application's next request.
    Idle,
    /// A prompt is being played.
    Play,
    /// The far end is being recorded.
    Record,
    /// Digits are being sent.
    SendDtmf,
    /// Digits are being collected.
    ReceiveDtmf,
    /// It is a party of a two-party connection.
    Connect,
    /// Over. What it was doing is being completed; its events end with `on_released`.
    Released,
}

impl State {
    /// The API's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initiated => "Initiated",
            Self::Answer => "Answer",
            Self::Idle => "Idle",
            Self::Play => "Play",
            Self::Record => "Record",
            Self::SendDtmf => "SendDtmf",
            Self::ReceiveDtmf => "ReceiveDtmf",
            Self::Connect => "Connect",
            Self::Released => "Released",
        }
    }
}
