//! The log lines of calls: a turn of a call on `info`, its steps on `debug`. No digits anywhere, and no whole numbers of
//! people above `debug`: logs travel further than calls. Every line of a call has the same three names (`Names`), also those of other
//! threads, which keep them with what they do for it.

use std::sync::Arc;

use offhook_call::cause::{DroppedBy, Failure, Unagreed};
use offhook_call::conference;
use offhook_call::event::{Event, EventKind, NodeEventKind};
use offhook_call::id::{NodeId, Resource};
use offhook_exchange::Note;
use offhook_sip::event::RegistrationState;

use crate::explain::Timelines;
use crate::media::{SocketFault, Tried};
use crate::trace::TraceId;

/// By what a line names the call that it is of: here, on the wire, and beyond. A conference is known here alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub(crate) node: NodeId,
    pub(crate) of: Resource,
    pub(crate) sip_call_id: Option<Arc<str>>,
    pub(crate) trace_id: Option<TraceId>,
}

impl Names {
    /// The name in the API.
    pub(crate) fn res_id(&self) -> String {
        match self.of {
            Resource::Call(call) => self.node.res_id(call),
            Resource::Conference(conference) => self.node.conf_res_id(conference),
        }
    }
}

/// A line of a call, its names first.
macro_rules! line {
    ($level:ident, $of:expr, $($rest:tt)+) => {{
        let of: &$crate::call_log::Names = $of;
        tracing::$level!(
            res_id = of.res_id(),
            sip_call_id = of.sip_call_id.as_deref(),
            trace_id = of.trace_id.map(tracing::field::display),
            $($rest)+
        )
    }};
}
pub(crate) use line;

/// Notes what passed between the SIP user agent and the calls.
pub(crate) fn note_exchange(note: &Note, timelines: &Timelines) {
    match note {
        Note::TurnedAway { session, why } => {
            let (sip_call_id, trace_id) = timelines.coming().unzip();
            let trace_id = trace_id.flatten().map(tracing::field::display);
            let (status, reason) = (why.status(), why.name());
            tracing::info!(sip_call_id, trace_id, ?session, status, reason, "inbound call refused");
        }
        Note::Sent { call, .. } => line!(debug, &timelines.names(*call), "INVITE"),
        Note::Ended { call: Some(call), error } => {
            line!(debug, &timelines.names(*call), %error, "SIP command refused");
        }
        Note::Refused { call: Some(call), error } => {
            line!(warn, &timelines.names(*call), %error, "SIP command refused");
        }
        Note::Ended { call: None, error } => tracing::debug!(%error, "SIP command refused"),
        Note::Refused { call: None, error } => tracing::warn!(%error, "SIP command refused"),
        Note::Restless => tracing::error!("SIP and calls do not come to rest; going on with the next input"),
    }
}

/// Notes what a media thread could not do with a socket of a call. An address that cannot be reached shows as packets that are not
/// sent.
pub(crate) fn note_socket(of: &Names, SocketFault { channel, what, error, .. }: &SocketFault) {
    match what {
        Tried::Tie(peer) => line!(debug, of, ?channel, ?peer, %error, "media address refused"),
        Tried::Listen => line!(error, of, ?channel, %error, "a media socket cannot be listened to"),
    }
}

/// Notes an event of a call.
pub(crate) fn note(of: &Names, event: &Event) {
    match &event.kind {
        EventKind::Incoming { from_uri, to_uri, .. } => {
            line!(debug, of, from = %from_uri, to = %to_uri, "incoming call");
            line!(info, of, from = masked(from_uri), to = masked(to_uri), "incoming call");
        }
        EventKind::DialCompleted { error, .. } => {
            line!(info, of, error = code(*error), far_end = unagreed(*error), "dialled");
        }
        EventKind::Released(call) => {
            let dropped_by = if call.cause.by == DroppedBy::System { "sys" } else { "usr" };
            let seconds = call.answer_time.map_or(0, |answered| (call.end.0 - answered.0) / 1000);
            let cause = call.cause.status;
            line!(info, of, cause, dropped_by, talk_seconds = seconds, "released");
        }
        EventKind::Ringing { .. } => line!(debug, of, "rings"),
        EventKind::AnswerCompleted { error, .. } => {
            line!(debug, of, error = code(*error), far_end = unagreed(*error), "answered");
        }
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

/// What of the far end's answer cannot be used.
fn unagreed(error: Option<Failure>) -> Option<tracing::field::DisplayValue<Unagreed>> {
    error.and_then(Failure::unagreed).map(tracing::field::display)
}

/// A URI with all but the last two characters of its user part hidden.
pub(crate) fn masked(uri: &str) -> String {
    let (scheme, rest) = uri.split_once(':').unwrap_or(("", uri));
    let Some((user, host)) = rest.rsplit_once('@') else { return uri.to_owned() };
    let hidden = user.chars().count().saturating_sub(2);
    let shown: String = user.chars().skip(hidden).collect();
    format!("{scheme}:{}{shown}@{host}", "*".repeat(hidden))
}

/// What other tests need of it.
#[cfg(test)]
pub(crate) mod testing {
    use std::io::{self, Write};
    use std::sync::mpsc::{Sender, channel};

    use offhook_call::id::CallId;
    use serde_json::Value;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    /// The names of a call.
    pub(crate) fn whose() -> Names {
        Names {
            node: NodeId::default(),
            of: CallId(7).into(),
            sip_call_id: Some("a84b4c76e66710@192.0.2.10".into()),
            trace_id: TraceId::parse(TRACE),
        }
    }

    /// Each write is a line.
    struct Lines(Sender<Vec<u8>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that this thread logs meanwhile.
    pub(crate) fn lines_of(work: impl FnOnce()) -> Vec<Value> {
        let (sender, lines) = channel();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || Lines(sender.clone()))
            .finish();
        tracing::subscriber::with_default(subscriber, work);
        lines.iter().map(|line| serde_json::from_slice(&line).expect("a line of JSON")).collect()
    }

    /// The same, each with the names of that call: their levels, and what they say.
    #[track_caller]
    pub(crate) fn said(work: impl FnOnce()) -> Vec<String> {
        let said = lines_of(work).into_iter().map(|line| {
            let text = |field: &str| line[field].as_str().unwrap_or_default();
            let names = ["res_id", "sip_call_id", "trace_id"].map(text);
            assert_eq!(names, ["0.0.0-sys.call-7", "a84b4c76e66710@192.0.2.10", TRACE], "{line}");
            format!("{} {}", text("level"), text("message"))
        });
        said.collect()
    }
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
