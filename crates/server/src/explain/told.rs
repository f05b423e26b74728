//! What applications are told of a call, as its time line has it: the type of the event, its error, and what of its parameters may
//! be shown, under the names that they have in the API. No keys, no texts, and numbers masked as in the log.

use std::time::Duration;

use offhook_call::cause::{DroppedBy, Failure};
use offhook_call::event::{EventKind, MediaAlarm, Released};
use offhook_call::id::NodeId;
use offhook_media::event::{DigitSource, Trouble};

use super::step::{Shown, Step, Value};
use crate::call_log::masked;

/// The step that an event is.
pub(super) fn of(node: NodeId, kind: &EventKind) -> Step {
    if let EventKind::StateChanged { state, prior, .. } = *kind {
        return Step::State { state, prior };
    }
    Step::Event { name: name(kind), error: error(kind), shown: shown(node, kind) }
}

fn name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Incoming { .. } => "sys.call.on_incoming",
        EventKind::Ringing { .. } => "sys.call.on_ringing",
        EventKind::AnswerCompleted { .. } => "sys.call.on_answer_completed",
        EventKind::DialCompleted { .. } => "sys.call.on_dial_completed",
        EventKind::PlayCompleted { .. } => "sys.call.on_play_completed",
        EventKind::RecordCompleted { .. } => "sys.call.on_record_completed",
        EventKind::SendDtmfCompleted { .. } => "sys.call.on_send_dtmf_completed",
        EventKind::ReceiveDtmfCompleted { .. } => "sys.call.on_receive_dtmf_completed",
        EventKind::ConnectCompleted { .. } => "sys.call.on_connect_completed",
        EventKind::ConfCompleted { .. } => "sys.call.on_conf_completed",
        EventKind::TransferCompleted { .. } => "sys.call.on_transfer_completed",
        EventKind::TransferRequested { .. } => "sys.call.on_transfer_requested",
        EventKind::Message(_) => "sys.call.on_message",
        EventKind::MessageCompleted { .. } => "sys.call.on_message_completed",
        EventKind::Detected(_) => "sys.call.on_detected",
        EventKind::DetectCompleted { .. } => "sys.call.on_detect_completed",
        EventKind::Released(_) => "sys.call.on_released",
        EventKind::Dtmf { .. } => "sys.call.on_dtmf",
        EventKind::Hold { .. } => "sys.call.on_hold",
        EventKind::MediaAlarm(_) => "sys.call.on_media_alarm",
        EventKind::StateChanged { .. } => "sys.call.on_state_changed",
    }
}

fn error(kind: &EventKind) -> Option<Failure> {
    match *kind {
        EventKind::AnswerCompleted { error, .. }
        | EventKind::DialCompleted { error, .. }
        | EventKind::PlayCompleted { error, .. }
        | EventKind::RecordCompleted { error, .. }
        | EventKind::SendDtmfCompleted { error, .. }
        | EventKind::ReceiveDtmfCompleted { error, .. }
        | EventKind::ConnectCompleted { error, .. }
        | EventKind::ConfCompleted { error, .. }
        | EventKind::TransferCompleted { error, .. }
        | EventKind::MessageCompleted { error, .. }
        | EventKind::DetectCompleted { error, .. } => error,
        EventKind::Incoming { .. }
        | EventKind::Ringing { .. }
        | EventKind::TransferRequested { .. }
        | EventKind::Message(_)
        | EventKind::Detected(_)
        | EventKind::Released(_)
        | EventKind::Dtmf { .. }
        | EventKind::Hold { .. }
        | EventKind::MediaAlarm(_)
        | EventKind::StateChanged { .. } => None,
    }
}

fn shown(node: NodeId, kind: &EventKind) -> Shown {
    let shown = Shown::default();
    match kind {
        EventKind::Incoming { codecs, gateway, .. } => {
            shown.with("gateway", gateway.to_string()).with("codecs", codecs.join(", "))
        }
        EventKind::PlayCompleted { file, played, .. } => {
            shown.with("played_ms", millis(*played)).with_some("file", file.clone())
        }
        EventKind::RecordCompleted { file, duration, recorded, .. } => shown
            .with("record_file", file.clone())
            .with("duration_ms", millis(*duration))
            .with("bytes", Value::Number(i64::try_from(recorded.bytes).unwrap_or(i64::MAX))),
        EventKind::ReceiveDtmfCompleted { keys, .. } => shown.with("count", keys.len()),
        EventKind::ConnectCompleted { hangup, .. } => {
            shown.with_some("hangup_res_id", hangup.map(|call| node.res_id(call)))
        }
        EventKind::ConfCompleted { conference, .. } => {
            shown.with("conf_res_id", node.conf_res_id(*conference))
        }
        EventKind::TransferCompleted { sip_status, .. } | EventKind::MessageCompleted { sip_status, .. } => {
            shown.with_some("sip_status", *sip_status)
        }
        EventKind::TransferRequested { to_uri, .. } => shown.with("to_uri", masked(to_uri)),
        EventKind::Message(message) => shown.with("bytes", message.body.bytes.len()),
        EventKind::Detected(detected) => shown.with("what", format!("{detected:?}")),
        EventKind::Released(released) => of_the_end(released),
        EventKind::Dtmf { source, duration, .. } => {
            let source = match source {
                DigitSource::Rfc4733 => "rfc4733",
                DigitSource::Inband => "inband",
                DigitSource::Info => "info",
            };
            shown.with("source", source).with("duration_ms", millis(*duration))
        }
        EventKind::Hold { held } => shown.with("held", *held),
        EventKind::MediaAlarm(alarm) => of_the_media(alarm),
        EventKind::AnswerCompleted { error, .. } | EventKind::DialCompleted { error, .. } => {
            let unagreed = error.and_then(Failure::unagreed);
            shown.with_some("far_end", unagreed.map(|why| why.to_string()))
        }
        EventKind::Ringing { .. }
        | EventKind::SendDtmfCompleted { .. }
        | EventKind::DetectCompleted { .. }
        | EventKind::StateChanged { .. } => shown,
    }
}

fn of_the_end(released: &Released) -> Shown {
    let by = if released.cause.by == DroppedBy::System { "sys" } else { "usr" };
    Shown::default()
        .with("cause", released.cause.status)
        .with("dropped_by", by)
        .with_some("talk_ms", released.talked.map(millis))
}

fn of_the_media(alarm: &MediaAlarm) -> Shown {
    let shown = Shown::default();
    match alarm {
        MediaAlarm::NoRtpIn { silent } => shown.with("kind", "no_rtp_in").with("ms", millis(*silent)),
        MediaAlarm::SourceChanged { from, to } => {
            shown.with("kind", "source_changed").with("from", from.to_string()).with("to", to.to_string())
        }
        MediaAlarm::Stranger { address } => {
            shown.with("kind", "source_changed").with("refused", address.to_string())
        }
        MediaAlarm::Trouble(Trouble::OneWay { lasted }) => {
            shown.with("kind", "one_way").with("ms", millis(*lasted))
        }
        MediaAlarm::Trouble(Trouble::LossIn { percent }) => {
            shown.with("kind", "high_loss").with("percent_in", u32::from(*percent))
        }
        MediaAlarm::Trouble(Trouble::LossOut { percent }) => {
            shown.with("kind", "high_loss").with("percent_out", u32::from(*percent))
        }
    }
}

fn millis(duration: Duration) -> Value {
    Value::Number(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use offhook_call::event::{Event, UnixMs};
    use offhook_call::id::CallId;

    use super::*;
    use crate::events::call_event;
    use crate::rpc::schema::examples::call_events;

    /// One event of every kind, against the names that the API has for them, and without what nobody is to read.
    #[test]
    fn every_event_has_its_name_and_no_digit_in_it() {
        for (_, mut kind) in call_events() {
            if let EventKind::ReceiveDtmfCompleted { keys, .. } = &mut kind {
                "90876".clone_into(keys);
            }
            let (call, time) = (CallId(1), UnixMs(0));
            let event = Event { call, time, user_data: None, kind: kind.clone() };
            let wanted = call_event(NodeId::default(), 1, event).type_name();
            assert_eq!(name(&kind), wanted);
            let Step::Event { shown, .. } = of(NodeId::default(), &kind) else { continue };
            let text = format!("{shown:?}");
            for secret in ["90876", "1000@", "2000@", "Ring back at noon"] {
                assert!(!text.contains(secret), "{wanted}: {text}");
            }
        }
    }
}
