//! What an application asks of a call, as its time line has it: the method, and what of the parameters may be shown. No keys and no
//! texts, since either may be what only the caller may know; numbers are masked as in the log.

use std::time::Duration;

use offhook_call::command::{Command, ConnectExtras, Construct, Content, ReceiveDtmf};
use offhook_call::conference;
use offhook_call::id::{CallId, NodeId, Resource};
use offhook_call::prompt::Language;
use offhook_call::{PromptSource, Sound};
use offhook_client::wire::{self, Method};

use super::step::{Asked, Shown, Value};
use crate::call_log::masked;

/// So many sounds of a prompt are named; a list may have hundreds.
const MAX_SOUNDS: usize = 8;

/// Whom a command is about, and what is shown of it; none where it changes nothing, or is of no call.
pub(super) fn of(node: NodeId, command: &Command) -> Option<(CallId, Asked)> {
    let (method, shown) = match command {
        Command::Conference { conference, command } => return of_member(node, *conference, command),
        Command::Exists { .. } | Command::Nop { .. } | Command::Get { .. } => return None,
        command => asked(node, command)?,
    };
    Some((command.call()?, Asked { method, shown }))
}

/// A call to place, which has no name yet.
pub(super) fn construct(node: NodeId, construct: &Construct) -> Asked {
    let to_uri: Vec<String> = construct.to_uris.iter().map(|uri| masked(uri)).collect();
    let parent = construct.parent.as_ref();
    let of_call = parent.and_then(|parent| match parent.of {
        Resource::Call(call) => Some(node.res_id(call)),
        Resource::Conference(_) => None,
    });
    let of_conference = parent.and_then(|parent| match parent.of {
        Resource::Call(_) => None,
        Resource::Conference(conference) => Some(node.conf_res_id(conference)),
    });
    let shown = Shown::default()
        .with("from_uri", masked(&construct.from_uri))
        .with("to_uri", to_uri.join(", "))
        .with("max_answer_seconds", seconds(construct.max_answer))
        .with("max_ring_seconds", seconds(construct.max_ring))
        .with_some("parent_call_res_id", of_call)
        .with_some("parent_conf_res_id", of_conference)
        .with_some("ring_play_file", parent.and_then(|parent| parent.content.as_ref()).map(sounds));
    Asked { method: wire::Construct::NAME, shown }
}

fn asked(node: NodeId, command: &Command) -> Option<(&'static str, Shown)> {
    let shown = Shown::default();
    Some(match command {
        Command::Construct(call) => {
            let Asked { method, shown } = construct(node, call);
            (method, shown)
        }
        Command::Answer { max_answer, codec, .. } => {
            let shown = shown.with("max_answer_seconds", seconds(*max_answer));
            (wire::Answer::NAME, shown.with_some("codec", codec.map(|codec| codec.name())))
        }
        Command::Drop { cause, .. } => (wire::Drop::NAME, shown.with("cause", *cause)),
        Command::Reject { cause, .. } => (wire::Reject::NAME, shown.with("cause", *cause)),
        Command::Redirect { target, .. } => {
            (wire::Redirect::NAME, shown.with("redirect_uri", masked(target)))
        }
        Command::Ring { content, .. } => {
            (wire::Ring::NAME, shown.with_some("ring_play_file", content.as_ref().map(sounds)))
        }
        Command::PlayStart { content, repeat, .. } => {
            (wire::PlayStart::NAME, shown.with("content", sounds(content)).with("repeat", *repeat))
        }
        Command::PlayStop { .. } => (wire::PlayStop::NAME, shown),
        Command::RecordStart { max, beep, file, .. } => {
            let shown = shown.with("record_file", file.clone()).with("beep", *beep);
            (wire::RecordStart::NAME, shown.with("max_seconds", seconds(*max)))
        }
        Command::RecordStop { .. } => (wire::RecordStop::NAME, shown),
        Command::RecordPause { is_paused: true, .. } => (wire::RecordPause::NAME, shown),
        Command::RecordPause { is_paused: false, .. } => (wire::RecordResume::NAME, shown),
        Command::SendDtmfStart { digits, .. } => {
            (wire::SendDtmfStart::NAME, shown.with("count", digits.len()))
        }
        Command::SendDtmfStop { .. } => (wire::SendDtmfStop::NAME, shown),
        Command::ReceiveDtmfStart(receive) => (wire::ReceiveDtmfStart::NAME, receive_dtmf(receive)),
        Command::ReceiveDtmfStop { .. } => (wire::ReceiveDtmfStop::NAME, shown),
        Command::ConnectStart { other, max, extras, .. } => {
            (wire::ConnectStart::NAME, connection(node, (*other, *max), extras))
        }
        Command::ConnectStop { .. } => (wire::ConnectStop::NAME, shown),
        Command::ConfEnter(enter) => {
            let shown = shown.with("conf_res_id", node.conf_res_id(enter.conference));
            let shown = shown.with("max_seconds", seconds(enter.max)).with("volume", i64::from(enter.volume));
            (wire::ConfEnter::NAME, shown.with_some("play_file", enter.welcome.as_ref().map(sounds)))
        }
        Command::ConfExit { conference, .. } => {
            (wire::ConfExit::NAME, shown.with("conf_res_id", node.conf_res_id(*conference)))
        }
        Command::Transfer { to_uri, .. } => (wire::Transfer::NAME, shown.with("to_uri", masked(to_uri))),
        Command::TransferAccept { .. } => (wire::TransferAccept::NAME, shown),
        Command::TransferDecline { cause, .. } => (wire::TransferDecline::NAME, shown.with("cause", *cause)),
        Command::TransferNotify { sip_status, .. } => {
            (wire::TransferNotify::NAME, shown.with("sip_status", *sip_status))
        }
        Command::SendMessage { body, .. } => (wire::SendMessage::NAME, shown.with("bytes", body.bytes.len())),
        Command::DetectStart { max, .. } => {
            (wire::DetectStart::NAME, shown.with("max_seconds", seconds(*max)))
        }
        Command::DetectStop { .. } => (wire::DetectStop::NAME, shown),
        Command::Exists { .. }
        | Command::Nop { .. }
        | Command::Get { .. }
        | Command::List { .. }
        | Command::SendPage(_)
        | Command::Gateways
        | Command::ConferenceConstruct(_)
        | Command::ConferenceList { .. }
        | Command::Conference { .. } => return None,
    })
}

/// What is asked of a conference about one of its members.
fn of_member(
    node: NodeId,
    conference: offhook_call::id::ConferenceId,
    command: &conference::Command,
) -> Option<(CallId, Asked)> {
    use conference::Command;
    let shown = Shown::default().with("res_id", node.conf_res_id(conference));
    let (call, method, shown) = match *command {
        Command::Kick { call, cause } => (call, wire::Kick::NAME, shown.with("cause", cause)),
        Command::SetVolume { call, volume } => {
            (call, wire::SetPartVolume::NAME, shown.with("volume", i64::from(volume)))
        }
        Command::SetVoiceMode { call, mode } => {
            let mode = crate::rpc::names::number_of_voice_mode(mode);
            (call, wire::SetPartVoiceMode::NAME, shown.with("mode", mode))
        }
        _ => return None,
    };
    Some((call, Asked { method, shown }))
}

fn receive_dtmf(receive: &ReceiveDtmf) -> Shown {
    Shown::default()
        .with("max_keys", receive.max_keys)
        .with("first_key_timeout", seconds(receive.first_key_timeout))
        .with("continues_keys_timeout", seconds(receive.next_key_timeout))
        .with_some("play_content", receive.prompt.as_ref().map(sounds))
        .with("play_repeat", receive.repeat)
}

fn connection(node: NodeId, (other, max): (CallId, Duration), extras: &ConnectExtras) -> Shown {
    let file = extras.record.as_ref().map(|record| record.file.clone());
    let scheduled = extras.schedule.as_ref().map(|schedule| sound(&schedule.source).to_owned());
    Shown::default()
        .with("call_res_id", node.res_id(other))
        .with("max_seconds", seconds(max))
        .with_some("record_file", file)
        .with_some("schedule_play_file", scheduled)
}

fn seconds(duration: Duration) -> Value {
    Value::Number(i64::try_from(duration.as_secs()).unwrap_or(i64::MAX))
}

/// Files by their names, and what values and texts come to by what it is; the same again is told once.
fn sounds(content: &Content) -> String {
    let mut names: Vec<&str> = Vec::new();
    for source in &content.sources {
        let name = sound(source);
        if names.last() != Some(&name) {
            names.push(name);
        }
        if names.len() > MAX_SOUNDS {
            names[MAX_SOUNDS] = "…";
            break;
        }
    }
    names.join("|")
}

/// A file of a language's pack is a word of a value, which may be a number that is read out.
fn sound(source: &PromptSource) -> &str {
    match &source.sound {
        Sound::RingBack(_) => "(tone)",
        Sound::Speech(_) => "(text)",
        Sound::File(name) => match name.split_once('/') {
            Some((folder, _)) if Language::from_code(folder).is_some() => "(words)",
            _ => name,
        },
    }
}

#[cfg(test)]
mod tests {
    use offhook_call::command::KeySet;
    use offhook_media::event::Dial;

    use super::*;

    fn text(command: &Command) -> String {
        format!("{:?}", of(NodeId::default(), command).expect("something of a call").1)
    }

    #[test]
    fn neither_keys_nor_values_are_shown() {
        let digits = "4711".chars().map(|key| Dial::Key(offhook_media::event::Key::from_char(key).unwrap()));
        let send = Command::SendDtmfStart { call: CallId(1), digits: digits.collect() };
        assert!(text(&send).contains("Number(4)") && !text(&send).contains("47"), "{}", text(&send));
        let sources = ["your-pin.wav", "en/4.wav", "en/7.wav", "en/1.wav", "thanks.wav"];
        let content = Content { sources: sources.map(PromptSource::from).into() };
        let play = Command::PlayStart { call: CallId(1), content, finish_keys: KeySet::default(), repeat: 0 };
        assert!(text(&play).contains("your-pin.wav|(words)|thanks.wav"), "{}", text(&play));
    }

    #[test]
    fn what_changes_nothing_is_no_step() {
        for command in [Command::Get { call: CallId(1) }, Command::Nop { call: CallId(1) }, Command::Gateways]
        {
            assert!(of(NodeId::default(), &command).is_none(), "{command:?}");
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        let sources = (0..500).map(|n| PromptSource::from(format!("{n}.wav").as_str())).collect();
        let named = sounds(&Content { sources });
        assert!(named.starts_with("0.wav|1.wav|") && named.ends_with("7.wav|…"), "{named}");
    }
}
