//! The log lines of calls: a turn of a call on `info`, its steps on `debug`. No digits anywhere, and no whole numbers of
//! people above `debug`: logs travel further than calls. Every line of a call has the same three names (`Names`).

use offhook_call::cause::{DroppedBy, Failure};
use offhook_call::conference;
use offhook_call::event::{Event, EventKind, NodeEventKind};
use offhook_call::id::{CallId, NodeId};
use offhook_exchange::Note;
use offhook_sip::event::RegistrationState;

use crate::trace::TraceId;

/// By what a line names the call that it is of: here, on the wire, and beyond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    pub(crate) node: NodeId,
    pub(crate) call: CallId,
    pub(crate) sip_call_id: Option<&'a str>,
    pub(crate) trace_id: Option<TraceId>,
}

/// A line of a call, its names first.
macro_rules! line {
    ($level:ident, $of:expr, $($rest:tt)+) => {{
        let of: &$crate::call_log::Names<'_> = $of;
        tracing::$level!(
            res_id = of.node.res_id(of.call),
            sip_call_id = of.sip_call_id,
            trace_id = of.trace_id.map(tracing::field::display),
            $($rest)+
        )
    }};
}
pub(crate) use line;

/// Notes what passed between the SIP user agent and the calls; `coming` is the Call-ID of an INVITE that makes no call.
pub fn note_exchange(note: &Note, coming: Option<&str>) {
    match note {
        Note::Rejected { session, status } => {
            tracing::info!(sip_call_id = coming, ?session, status, "inbound call refused");
        }
        // It is of a call, and told with its names.
        Note::Sent { .. } => {}
        Note::Ended(error) => tracing::debug!(%error, "SIP command refused"),
        Note::Refused(error) => tracing::warn!(%error, "SIP command refused"),
        Note::Restless => tracing::error!("SIP and calls do not come to rest; going on with the next input"),
    }
}

/// Notes an event of a call.
pub(crate) fn note(of: &Names<'_>, event: &Event) {
    match &event.kind {
        EventKind::Incoming { from_uri, to_uri, .. } => {
            line!(debug, of, from = %from_uri, to = %to_uri, "incoming call");
            line!(info, of, from = masked(from_uri), to = masked(to_uri), "incoming call");
        }
        EventKind::DialCompleted { error, .. } => line!(info, of, error = code(*error), "dialled"),
        EventKind::Released(call) => {
            let dropped_by = if call.cause.by == DroppedBy::System { "sys" } else { "usr" };
            let seconds = call.answer_time.map_or(0, |answered| (call.end.0 - answered.0) / 1000);
            let cause = call.cause.status;
            line!(info, of, cause, dropped_by, talk_seconds = seconds, "released");
        }
        EventKind::Ringing { .. } => line!(debug, of, "rings"),
        EventKind::AnswerCompleted { error, .. } => line!(debug, of, error = code(*error), "answered"),
        EventKind::PlayCompleted { error, .. } => line!(debug, of, error = code(*error), "played"),
        EventKind::RecordCompleted { error, file, recorded, .. } => {
            line!(debug, of, error = code(*error), file, bytes = recorded.bytes, "recorded");
        }
        EventKind::SendDtmfCompleted { error, .. } => {
            line!(debug, of, error = code(*error), "keys sent")
        }
        EventKind::ReceiveDtmfCompleted { error, .. } => {
            line!(debug, of, error = code(*error), "keys collected");
        }
        EventKind::ConnectCompleted { error, .. } => {
            line!(debug, of, error = code(*error), "connected")
        }
        EventKind::ConfCompleted { error, conference, .. } => {
            let conf_res_id = of.node.conf_res_id(*conference);
            line!(debug, of, conf_res_id, error = code(*error), "was in a conference");
        }
        EventKind::TransferCompleted { error, sip_status, .. } => {
            line!(info, of, error = code(*error), sip_status, "transferred");
        }
        EventKind::TransferRequested { to_uri, .. } => {
            line!(info, of, to = masked(to_uri), "the far end asks for a transfer");
        }
        EventKind::Message(_) => line!(debug, of, "message"),
        EventKind::MessageCompleted { message, error, .. } => {
            line!(debug, of, message = message.0, error = code(*error), "message sent");
        }
        EventKind::Detected(detected) => line!(debug, of, ?detected, "heard"),
        EventKind::DetectCompleted { error, .. } => {
            line!(debug, of, error = code(*error), "listened");
        }
        EventKind::StateChanged { state, .. } => line!(debug, of, state = state.name(), "state"),
        EventKind::Hold { held } => line!(debug, of, held, "hold"),
        EventKind::MediaAlarm(alarm) => line!(warn, of, ?alarm, "media"),
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
            tracing::info!(res_id, seconds, reason = reason.name(), "conference released");
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
            RegistrationState::Unregistered => tracing::info!(%gateway, "no registration is left"),
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
