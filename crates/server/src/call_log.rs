//! The log lines of calls: a turn of a call on `info`, its steps on `debug`. No digits anywhere, and no whole numbers of
//! people above `debug`: logs travel further than calls.

use offhook_call::cause::{DroppedBy, Failure};
use offhook_call::conference;
use offhook_call::event::{Event, EventKind, NodeEventKind};
use offhook_call::id::NodeId;
use offhook_exchange::Note;
use offhook_sip::event::RegistrationState;

/// Notes what passed between the SIP user agent and the calls.
pub fn note_exchange(note: &Note) {
    match note {
        Note::Rejected { session, status } => tracing::info!(?session, status, "inbound call refused"),
        Note::Sent { sip_call_id, .. } => tracing::debug!(sip_call_id, "INVITE"),
        Note::Ended(error) => tracing::debug!(%error, "SIP command refused"),
        Note::Refused(error) => tracing::warn!(%error, "SIP command refused"),
        Note::Restless => tracing::error!("SIP and calls do not come to rest; going on with the next input"),
    }
}

/// Notes an event of a call.
pub fn note(node: NodeId, event: &Event) {
    let res_id = node.res_id(event.call);
    match &event.kind {
        EventKind::Incoming { from_uri, to_uri, .. } => {
            tracing::debug!(res_id, from = %from_uri, to = %to_uri, "incoming call");
            tracing::info!(res_id, from = masked(from_uri), to = masked(to_uri), "incoming call");
        }
        EventKind::DialCompleted { error, .. } => tracing::info!(res_id, error = code(*error), "dialled"),
        EventKind::Released(call) => {
            let dropped_by = if call.cause.by == DroppedBy::System { "sys" } else { "usr" };
            let seconds = call.answer_time.map_or(0, |answered| (call.end.0 - answered.0) / 1000);
            let (cause, sip_call_id) = (call.cause.status, &call.sip_call_id);
            tracing::info!(res_id, sip_call_id, cause, dropped_by, talk_seconds = seconds, "released");
        }
        EventKind::Ringing { .. } => tracing::debug!(res_id, "rings"),
        EventKind::AnswerCompleted { error, .. } => tracing::debug!(res_id, error = code(*error), "answered"),
        EventKind::PlayCompleted { error, .. } => tracing::debug!(res_id, error = code(*error), "played"),
        EventKind::RecordCompleted { error, file, recorded, .. } => {
            tracing::debug!(res_id, error = code(*error), file, bytes = recorded.bytes, "recorded");
        }
        EventKind::SendDtmfCompleted { error, .. } => {
            tracing::debug!(res_id, error = code(*error), "keys sent")
        }
        EventKind::ReceiveDtmfCompleted { error, .. } => {
            tracing::debug!(res_id, error = code(*error), "keys collected");
        }
        EventKind::ConnectCompleted { error, .. } => {
            tracing::debug!(res_id, error = code(*error), "connected")
        }
        EventKind::ConfCompleted { error, conference, .. } => {
            let conf_res_id = node.conf_res_id(*conference);
            tracing::debug!(res_id, conf_res_id, error = code(*error), "was in a conference");
        }
        EventKind::TransferCompleted { error, sip_status, .. } => {
            tracing::info!(res_id, error = code(*error), sip_status, "transferred");
        }
        EventKind::TransferRequested { to_uri, .. } => {
            tracing::info!(res_id, to = masked(to_uri), "the far end asks for a transfer");
        }
        EventKind::Message(_) => tracing::debug!(res_id, "message"),
        EventKind::MessageCompleted { message, error, .. } => {
            tracing::debug!(res_id, message = message.0, error = code(*error), "message sent");
        }
        EventKind::Detected(detected) => tracing::debug!(res_id, ?detected, "heard"),
        EventKind::DetectCompleted { error, .. } => {
            tracing::debug!(res_id, error = code(*error), "listened");
        }
        EventKind::StateChanged { state, .. } => tracing::debug!(res_id, state = state.name(), "state"),
        EventKind::Hold { held } => tracing::debug!(res_id, held, "hold"),
        EventKind::MediaAlarm(alarm) => tracing::warn!(res_id, ?alarm, "media"),
        EventKind::Dtmf { .. } => {}
    }
}

/// Notes an event of a conference.
pub fn note_conference(node: NodeId, event: &conference::Event) {
    use conference::EventKind;
    let res_id = node.conf_res_id(event.conference);
    match event.kind {
        EventKind::PartEntered { call, parts } => {
            tracing::debug!(res_id, call_res_id = node.res_id(call), parts, "entered");
        }
        EventKind::PartExited { call, parts } => {
            tracing::debug!(res_id, call_res_id = node.res_id(call), parts, "exited");
        }
        EventKind::PlayCompleted { error, .. } => tracing::debug!(res_id, error = code(error), "played"),
        EventKind::RecordCompleted { error, ref file, recorded, .. } => {
            tracing::debug!(res_id, error = code(error), file, bytes = recorded.bytes, "recorded");
        }
        EventKind::Talking { .. } => {}
        EventKind::Released { span, reason } => {
            let seconds = (span.end.0 - span.begin.0) / 1000;
            tracing::info!(res_id, seconds, ?reason, "conference released");
        }
    }
}

/// Notes an event that is of no call.
pub fn note_node(event: &NodeEventKind) {
    match event {
        NodeEventKind::GatewayState { gateway, up: true, .. } => tracing::info!(%gateway, "gateway is up"),
        NodeEventKind::GatewayState { gateway, up: false, sip_status } => {
            tracing::warn!(%gateway, sip_status, "gateway is down");
        }
        NodeEventKind::RegistrationState { gateway, state } => match state {
            RegistrationState::Registered { expires } => {
                tracing::info!(%gateway, seconds = expires.as_secs(), "registered");
            }
            RegistrationState::Failed { status, phrase, retry_in } => {
                tracing::warn!(%gateway, status, phrase, retry_seconds = retry_in.as_secs(), "not registered");
            }
            RegistrationState::Unregistered => tracing::info!(%gateway, "registration removed"),
        },
        NodeEventKind::Message { gateway, .. } => tracing::debug!(gateway = gateway.as_deref(), "message"),
        NodeEventKind::MessageCompleted { message, error, .. } => {
            tracing::debug!(message = message.0, error = code(*error), "message sent");
        }
    }
}

fn code(error: Option<Failure>) -> Option<&'static str> {
    error.map(Failure::code)
}

/// A URI with all but the last two characters of its user part hidden.
pub(crate) fn masked(uri: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let Some((user, host)) = rest.rsplit_once('@') else { return uri.to_owned() };
    let hidden = user.chars().count().saturating_sub(2);
    let shown: String = user.chars().skip(hidden).collect();
    format!("{scheme}:{}{shown}@{host}", "*".repeat(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_masked_and_hosts_are_not() {
        assert_eq!(masked("sip:+4915112345678@gw.example:5060"), "sip:************78@gw.example:5060");
        assert_eq!(masked("sip:gw.example"), "sip:gw.example");
        assert_eq!(masked("sip:7@h"), "sip:7@h");
    }
}
