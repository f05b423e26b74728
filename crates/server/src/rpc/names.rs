//! The small vocabularies that the calls and the API both have, from one to the other.

use offhook_call::command::RingMode;
use offhook_call::error::Direction;
use offhook_call::state::State;
use offhook_client::wire::{CallDir, CallState, DetectKind};
use offhook_media::event::{Codec, ConnectMode, Kind, VoiceMode};

/// A call's state as the API names it.
pub(crate) fn state(state: State) -> CallState {
    match state {
        State::Initiated => CallState::Initiated,
        State::Answer => CallState::Answer,
        State::Idle => CallState::Idle,
        State::Play => CallState::Play,
        State::Record => CallState::Record,
        State::SendDtmf => CallState::SendDtmf,
        State::ReceiveDtmf => CallState::ReceiveDtmf,
        State::Dial => CallState::Dial,
        State::Connect => CallState::Connect,
        State::Conf => CallState::Conf,
        State::Released => CallState::Released,
    }
}

/// The state that the API names.
pub(crate) fn state_of(state: CallState) -> State {
    match state {
        CallState::Initiated => State::Initiated,
        CallState::Answer => State::Answer,
        CallState::Idle => State::Idle,
        CallState::Play => State::Play,
        CallState::Record => State::Record,
        CallState::SendDtmf => State::SendDtmf,
        CallState::ReceiveDtmf => State::ReceiveDtmf,
        CallState::Dial => State::Dial,
        CallState::Connect => State::Connect,
        CallState::Conf => State::Conf,
        CallState::Released => State::Released,
    }
}

/// A call's direction as the API names it.
pub(crate) fn direction(direction: Direction) -> CallDir {
    match direction {
        Direction::Inbound => CallDir::Inbound,
        Direction::Outbound => CallDir::Outbound,
    }
}

/// The codec of a name: its encoding name, or one of the original's names.
pub(crate) fn codec(name: &str) -> Option<Codec> {
    match name {
        "G711_ALAW_20MS" => Some(Codec::Pcma),
        "G711_ULAW_20MS" => Some(Codec::Pcmu),
        _ => Codec::from_name(name),
    }
}

/// The mode of a number of the document.
pub(crate) fn connect_mode(number: u32) -> Option<ConnectMode> {
    Some(match number {
        1 => ConnectMode::Both,
        2 => ConnectMode::SecondHears,
        3 => ConnectMode::FirstHears,
        _ => return None,
    })
}

/// The voice mode of a number of the document.
pub(crate) fn voice_mode(number: u32) -> Option<VoiceMode> {
    Some(match number {
        1 => VoiceMode::HearAndSpeak,
        2 => VoiceMode::SpeakOnly,
        3 => VoiceMode::HearOnly,
        4 => VoiceMode::Neither,
        _ => return None,
    })
}

/// The document's number of a voice mode.
pub(crate) fn number_of_voice_mode(mode: VoiceMode) -> u32 {
    match mode {
        VoiceMode::HearAndSpeak => 1,
        VoiceMode::SpeakOnly => 2,
        VoiceMode::HearOnly => 3,
        VoiceMode::Neither => 4,
    }
}

/// When a call hears the file, of a number of the API.
pub(crate) fn ring_mode(number: u32) -> Option<RingMode> {
    Some(match number {
        0 => RingMode::WhileRinging,
        1 => RingMode::UntilRinging,
        2 => RingMode::UntilAnswer,
        3 => RingMode::Before,
        _ => return None,
    })
}

/// What the API can listen for.
pub(crate) fn detect_kind(kind: DetectKind) -> Kind {
    match kind {
        DetectKind::Voice => Kind::Voice,
        DetectKind::Amd => Kind::Amd,
        DetectKind::Beep => Kind::Beep,
        DetectKind::Tones => Kind::Tones,
        DetectKind::Fax => Kind::Fax,
    }
}
