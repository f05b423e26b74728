//! What the calls want done, as lines of text: short enough to read a whole exchange, and all that a test may mean.

use offhook_call::cause::Failure;
use offhook_call::error::Error;
use offhook_call::event::{Event, EventKind, MediaAlarm, Message, NodeEventKind};
use offhook_call::{DiskJob, Output, Reply, conference};
use offhook_media::event::{self as media, Key, Kind, RoomCommand, Voice};
use offhook_sip::event as sip;

/// What a lone line says; a test that expects several compares them all.
pub(crate) fn line(output: &Output) -> String {
    match output {
        Output::Sip(command) => format!("sip {}", sip_line(command)),
        Output::OpenLeg { port, leg, config } => {
            let tones = if config.detect_tones { " tones" } else { "" };
            format!("open {} on {} {}{tones}", leg.0, port.0, config.media.codec.name())
        }
        Output::Media(command) => format!("media {}", media_line(command)),
        Output::Disk { job, request } => format!("disk {} {}", job.0, disk_line(request)),
        Output::Reply { request: _, result: Ok(reply) } => match reply {
            Reply::Recording { file } => format!("reply {file}"),
            Reply::Page(calls) => format!("reply {:?}", calls.iter().map(|call| call.0).collect::<Vec<_>>()),
            Reply::ConferenceConstructed(conference) => format!("reply conference {}", conference.0),
            Reply::Conferences(all) => format!("reply {:?}", all.iter().map(|id| id.0).collect::<Vec<_>>()),
            Reply::Constructed { call, user_data } => format!("reply call {} {user_data:?}", call.0),
            other => format!("reply {other:?}"),
        },
        Output::Reply { request: _, result: Err(error) } => format!("refuse {}", error_line(error)),
        Output::Event(event) => format!("{}: {}", event.call.0, event_line(event)),
        Output::ConferenceEvent(event) => {
            format!("{}: {}", event.conference.0, conference_event_line(&event.kind))
        }
        Output::NodeEvent(event) => format!("node: {}", node_event_line(&event.kind)),
        Output::TurnedAway { session: _, why } => format!("turned away: {}", why.name()),
        Output::PortReleased(port) => format!("free {}", port.0),
    }
}

fn sip_line(command: &sip::Command) -> String {
    match command {
        sip::Command::Invite(invite) => {
            let name = Some(&invite.from_display).filter(|name| !name.is_empty());
            let name = name.map(|name| format!("{name:?} ")).unwrap_or_default();
            format!("invite {} from {name}{}", invite.routes[0].to, invite.from)
        }
        sip::Command::Progress { status, body, .. } => {
            format!("{status}{}", if body.is_some() { " with an answer" } else { "" })
        }
        sip::Command::Answer { .. } => "200".to_owned(),
        sip::Command::Reject { status, headers, .. } => headers
            .iter()
            .fold(status.to_string(), |line, header| format!("{line} {}: {}", header.name, header.value)),
        sip::Command::Cancel { reason, .. } => {
            format!("cancel {:?}", reason.as_ref().map(|reason| reason.cause))
        }
        sip::Command::Bye { reason, .. } => format!("bye {:?}", reason.as_ref().map(|reason| reason.cause)),
        sip::Command::Accept { .. } => "accept".to_owned(),
        sip::Command::Refuse { status, .. } => format!("refuse {status}"),
        sip::Command::Request { request, method, body, .. } => {
            format!("{method:?} {} {}", request.0, String::from_utf8_lossy(&body.bytes))
        }
        sip::Command::Refer { to, .. } => format!("refer {to}"),
        sip::Command::AnswerRefer { status, .. } => format!("answer refer {status}"),
        sip::Command::ReferStatus { status, .. } => format!("refer status {status}"),
        sip::Command::Page(page) => format!("page {} to {} from {}", page.page.0, page.route.to, page.from),
        sip::Command::Register(it) => format!("register {} as {}", it.account, it.aor),
        sip::Command::Unregister { account } => format!("unregister {account}"),
        sip::Command::Ping(ping) => format!("ping {} {}", ping.gateway, ping.route.to),
        sip::Command::Unping { gateway } => format!("unping {gateway}"),
        other => panic!("calls do not ask for {other:?}"),
    }
}

fn media_line(command: &media::Command) -> String {
    match command {
        media::Command::RemoveLeg { leg } => format!("remove {}", leg.0),
        media::Command::Play { leg, action, prompts, repeat } => {
            format!("play {} on {}: {} prompts, repeat {repeat}", action.0, leg.0, prompts.len())
        }
        media::Command::StopPlay { action, .. } => format!("stop play {}", action.0),
        media::Command::YieldPlay { action, .. } => format!("yield play {}", action.0),
        media::Command::Record { leg, action, recording, beep, max, mute_digits, finish_keys, .. } => {
            let beep = if *beep { " beep" } else { "" };
            let muted = if *mute_digits { " without keys" } else { "" };
            let is_finish = |key: &char| Key::from_char(*key).is_some_and(|key| finish_keys.contains(key));
            let keys: String = "0123456789*#ABCD".chars().filter(is_finish).collect();
            let until = if keys.is_empty() { keys } else { format!(" until {keys}") };
            format!("record {} on {} as {}, {max:?}{beep}{muted}{until}", action.0, leg.0, recording.0)
        }
        media::Command::PauseRecord { action, is_paused, .. } => {
            format!("{} record {}", if *is_paused { "pause" } else { "resume" }, action.0)
        }
        media::Command::StopRecord { action, by_key, .. } => {
            format!("stop record {}{}", action.0, if *by_key { " by a key" } else { "" })
        }
        media::Command::SendDigits { leg, action, digits } => {
            format!("digits {} on {}: {}", action.0, leg.0, digits.len())
        }
        media::Command::StopDigits { action, .. } => format!("stop digits {}", action.0),
        media::Command::Connect { first, second, mode, mute_digits } => {
            let muted = if *mute_digits { " without keys" } else { "" };
            format!("connect {} {} {mode:?}{muted}", first.0, second.0)
        }
        media::Command::SetVolumes { first, second, volumes } => {
            let (of_first, of_second) = (decibels(volumes.first), decibels(volumes.second));
            format!("volumes {} {}: {of_first:.1} {of_second:.1}", first.0, second.0)
        }
        media::Command::RecordConnection { first, second, action, recording, is_stereo, max } => {
            let channels = if *is_stereo { "stereo" } else { "mono" };
            let (first, second) = (first.0, second.0);
            format!("record {} of {first} {second} as {} in {channels}, {max:?}", action.0, recording.0)
        }
        media::Command::PlayConnection { first, second, action, prompts, repeat } => {
            format!("play {} to {} {}: {} +{repeat}", action.0, first.0, second.0, prompts.len())
        }
        media::Command::Disconnect { first, second } => format!("disconnect {} {}", first.0, second.0),
        media::Command::InfoDigit { leg, key, duration } => {
            format!("info {} on {} {duration:?}", key.as_char(), leg.0)
        }
        media::Command::Detect { leg, kinds, country } => {
            let kinds: Vec<_> =
                Kind::ALL.into_iter().filter(|&kind| kinds.contains(kind)).map(Kind::name).collect();
            let country = country.map(|country| format!(" of {}", country.code())).unwrap_or_default();
            format!("detect {} on {}{country}", kinds.join(","), leg.0)
        }
        media::Command::UpdateLeg { leg, config } => {
            let media::Negotiated { codec, remote_rtp, ptime_ms, direction, .. } = &config.media;
            let event =
                config.media.telephone_event.map(|event| format!(" events {}", event.send_payload_type));
            let event = event.unwrap_or_default();
            format!("update {} {} {remote_rtp} {ptime_ms} {direction:?}{event}", leg.0, codec.name())
        }
        media::Command::Room { room, command } => format!("room {} {}", room.0, room_line(command)),
        media::Command::AddLeg { .. } => panic!("not sent by calls: {command:?}"),
    }
}

fn decibels(gain: media::Gain) -> f64 {
    20.0 * (f64::from(gain.of(10_000)) / 10_000.0).log10()
}

fn room_line(command: &RoomCommand) -> String {
    let voice_line = |voice: &Voice| format!("{:?} {:.1}", voice.mode, decibels(voice.says));
    match command {
        RoomCommand::Open { tells_talking } => format!("open, tells talking {tells_talking}"),
        RoomCommand::Close => "close".to_owned(),
        RoomCommand::Join { leg, voice } => format!("join {} {}", leg.0, voice_line(voice)),
        RoomCommand::Leave { leg } => format!("leave {}", leg.0),
        RoomCommand::SetVoice { leg, voice } => format!("voice {} {}", leg.0, voice_line(voice)),
        RoomCommand::Play { action, prompts, repeat, gain } => {
            format!("play {}: {} +{repeat} {:.1}", action.0, prompts.len(), decibels(*gain))
        }
        RoomCommand::StopPlay { action } => format!("stop play {}", action.0),
        RoomCommand::Record { action, recording, max } => {
            format!("record {} as {}, {max:?}", action.0, recording.0)
        }
        RoomCommand::StopRecord { action } => format!("stop record {}", action.0),
    }
}

fn disk_line(request: &DiskJob) -> String {
    match request {
        DiskJob::LoadPrompts { sources, codec } => {
            let names: Vec<&str> = sources.iter().map(|source| source.sound.name()).collect();
            format!("load {} {}", names.join("|"), codec.name())
        }
        DiskJob::OpenRecording { file, overwrite, recording, spec } => {
            let overwrite = if *overwrite { " over it" } else { "" };
            let channels = if spec.channels == 2 { " in stereo" } else { "" };
            format!("open {file} as {}{overwrite}{channels}", recording.0)
        }
        DiskJob::AbandonPrompts { job } => format!("let be {}", job.0),
        DiskJob::AbandonRecording { recording } => format!("abandon {}", recording.0),
        DiskJob::DiscardRecording { recording } => format!("discard {}", recording.0),
    }
}

fn error_line(error: &Error) -> String {
    match error {
        // No state would do; why is in the tests of admission.
        Error::NotNow { call, state, .. } => format!("{}: {} []", call.0, state.name()),
        Error::InvalidState { call, state, allowed } => format!("{}: {} {allowed:?}", call.0, state.name()),
        other => format!("{other:?}"),
    }
}

/// All of them, each after the same words.
fn each(words: &str, uris: &[String]) -> String {
    uris.iter().map(|uri| format!("{words} {uri}")).collect()
}

/// Why something failed, or that it did not.
fn code(error: &Option<Failure>) -> String {
    match error {
        Some(Failure::NotNegotiated(why)) => format!("not_negotiated ({why})"),
        Some(error) => error.code().to_owned(),
        None => "ok".to_owned(),
    }
}

/// Events without their times.
fn event_line(event: &Event) -> String {
    let finish = |key: &Option<Key>| key.map(|key| format!(" by {}", key.as_char())).unwrap_or_default();
    match &event.kind {
        EventKind::Incoming { from_uri, from_name, to_uri, codecs, .. } => {
            let name = from_name.as_ref().map(|name| format!("{name:?} ")).unwrap_or_default();
            format!("incoming {name}{from_uri} {to_uri} {}", codecs.join(","))
        }
        EventKind::Ringing { .. } => "ringing".to_owned(),
        EventKind::AnswerCompleted { error, .. } => format!("answer {}", code(error)),
        EventKind::DialCompleted { error, answer_time, contacts, also_rang, .. } => {
            let sip =
                error.and_then(|error| error.sip_status()).map(|sip| format!(" {sip}")).unwrap_or_default();
            let answered = if answer_time.is_some() { " answered" } else { "" };
            let (to, by) = (each(" to", contacts), each(" not by", also_rang));
            format!("dial {}{sip}{answered}{to}{by}", code(error))
        }
        EventKind::PlayCompleted { error, finish_key, file, played, .. } => {
            let file = file.as_ref().map(|file| format!(" {file}")).unwrap_or_default();
            format!("play {}{}{file} {played:?}", code(error), finish(finish_key))
        }
        EventKind::RecordCompleted { error, finish_key, file, duration, recorded, .. } => {
            format!("record {}{} {file} {duration:?} {}", code(error), finish(finish_key), recorded.bytes)
        }
        EventKind::SendDtmfCompleted { error, .. } => format!("send {}", code(error)),
        EventKind::ReceiveDtmfCompleted { error, keys, finish_key, .. } => {
            format!("receive {} {keys:?}{}", code(error), finish(finish_key))
        }
        EventKind::ConnectCompleted { error, hangup, .. } => {
            format!(
                "connect {}{}",
                code(error),
                hangup.map(|call| format!(" by {}", call.0)).unwrap_or_default()
            )
        }
        EventKind::ConfCompleted { error, conference, .. } => {
            let sip =
                error.and_then(|error| error.sip_status()).map(|sip| format!(" {sip}")).unwrap_or_default();
            format!("conf {} {}{sip}", conference.0, code(error))
        }
        EventKind::TransferCompleted { error, sip_status, .. } => {
            format!("transfer {} {sip_status:?}", code(error))
        }
        EventKind::TransferRequested { to_uri, referred_by } => {
            format!("transfer requested to {to_uri} by {}", referred_by.as_deref().unwrap_or("nobody"))
        }
        EventKind::Message(message) => message_line(message),
        EventKind::MessageCompleted { message, error, sip_status } => {
            format!("message {} {} {sip_status:?}", message.0, code(error))
        }
        EventKind::Detected(detected) => format!("detected {detected:?}"),
        EventKind::DetectCompleted { error, .. } => format!("detect {}", code(error)),
        EventKind::Released(released) => {
            let answered = if released.answer_time.is_some() { "answered, " } else { "" };
            format!("released {answered}{} {:?}", released.cause.status, released.cause.by)
        }
        EventKind::Dtmf { key, source, .. } => format!("key {} {source:?}", key.as_char()),
        EventKind::Hold { held } => (if *held { "hold" } else { "resumed" }).to_owned(),
        EventKind::MediaAlarm(alarm) => match alarm {
            MediaAlarm::NoRtpIn { silent } => format!("silent for {silent:?}"),
            MediaAlarm::SourceChanged { from, to } => format!("at {to} instead of {from}"),
            MediaAlarm::Stranger { address } => format!("stranger at {address}"),
            MediaAlarm::Trouble(trouble) => format!("{trouble:?}"),
        },
        EventKind::StateChanged { state, prior, .. } => match prior {
            Some(prior) => format!("{}→{}", prior.name(), state.name()),
            None => format!("→{}", state.name()),
        },
    }
}

fn conference_event_line(kind: &conference::EventKind) -> String {
    match kind {
        conference::EventKind::PartEntered { call, parts } => format!("{} entered, {parts}", call.0),
        conference::EventKind::PartExited { call, parts } => format!("{} exited, {parts}", call.0),
        conference::EventKind::PlayCompleted { error, file, played, .. } => {
            let file = file.as_ref().map(|file| format!(" {file}")).unwrap_or_default();
            format!("play {}{file} {played:?}", error.map_or("ok", |error| error.code()))
        }
        conference::EventKind::RecordCompleted { error, file, duration, recorded, .. } => {
            let code = error.map_or("ok", |error| error.code());
            format!("record {code} {file} {duration:?} {}", recorded.bytes)
        }
        conference::EventKind::Talking { call, talking } => format!("{} talking {talking}", call.0),
        conference::EventKind::Released { .. } => "released".to_owned(),
    }
}

fn message_line(message: &Message) -> String {
    let Message { from_uri, to_uri, body } = message;
    format!("message from {from_uri} to {to_uri}: {}", String::from_utf8_lossy(&body.bytes))
}

fn node_event_line(kind: &NodeEventKind) -> String {
    match kind {
        NodeEventKind::GatewayState { gateway, up, sip_status } => {
            format!("{gateway} is {} {sip_status}", if *up { "up" } else { "down" })
        }
        NodeEventKind::RegistrationState { gateway, state } => format!("{gateway} {state:?}"),
        NodeEventKind::Message { gateway, message } => {
            format!("{} {}", gateway.as_deref().unwrap_or("nobody"), message_line(message))
        }
        NodeEventKind::MessageCompleted { message, error, sip_status } => {
            format!("message {} {} {sip_status}", message.0, error.map_or("ok", |error| error.code()))
        }
    }
}
