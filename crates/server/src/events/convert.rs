//! From the calls' events to those of the API, by hand: a renamed field there is no change here.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use offhook_call::RecordedFile;
use offhook_call::cause::{DroppedBy, Failure};
use offhook_call::event::{Event, EventKind, MediaAlarm, Message, NodeEventKind, Released, Span, UnixMs};
use offhook_call::id::NodeId;
use offhook_client::wire;
use offhook_media::event::{Detected, DigitSource, Key, Trouble};
use offhook_sip::event::{Header, RegistrationState};

use super::EventWriter;
use super::heard::{Heard, heard};
use crate::recordings::{Owner, Recovered};
use crate::rpc::names;

/// Appends what was found of recordings that were open when the server died.
pub fn append_recovered(log: &mut EventWriter, time: UnixMs, recovered: Vec<Recovered>) {
    for recovered in recovered {
        let Recovered { owner, file, parts, bytes, repaired } = &recovered;
        let [res_id, sip_call_id, trace_id] = Owner::names(owner.as_ref());
        let what = "a recording was cut off by the end of the server";
        tracing::warn!(res_id, sip_call_id, trace_id, %file, parts, bytes, repaired, "{what}");
        log.append(time.0, recovered_event(recovered));
    }
}

/// A recording that was cut off.
pub(crate) fn recovered_event(recovered: Recovered) -> wire::EventKind {
    let Recovered { owner, file, parts, bytes, repaired } = recovered;
    let owner_res_id = owner.map(|owner| owner.res_id);
    let event = wire::OnRecordingRecovered { owner_res_id, record_file: file, parts, bytes, repaired };
    wire::EventKind::RecordingRecovered(event)
}

/// An event of a call.
pub(crate) fn call_event(node: NodeId, process_id: u64, event: Event) -> wire::EventKind {
    use wire::EventKind as Wire;
    let call = Of { res_id: node.res_id(event.call), user_data: event.user_data };
    match event.kind {
        EventKind::Incoming { from_uri, from_name, to_uri, begin, codecs, gateway, headers } => {
            Wire::Incoming(wire::OnIncoming {
                res_id: call.res_id,
                from_uri,
                from_name,
                to_uri,
                begin_time: seconds(begin),
                user_data: call.user_data,
                ipsc_info: wire::IpscInfo { process_id, call_id: None },
                codecs,
                gateway: gateway.to_string(),
                headers: by_name(headers),
            })
        }
        EventKind::Ringing { time } => Wire::Ringing(call.ringing(time)),
        EventKind::AnswerCompleted { error, span } => Wire::AnswerCompleted(call.answered(error, span)),
        EventKind::DialCompleted { error, span, answer_time, contacts, also_rang } => {
            Wire::DialCompleted(call.dialled(error, span, answer_time, (contacts, also_rang)))
        }
        EventKind::PlayCompleted { error, span, finish_key, file, played } => {
            Wire::PlayCompleted(call.played(error, span, finish_key, file, played))
        }
        EventKind::RecordCompleted { error, span, finish_key, file, duration, recorded } => {
            let file = (file, duration, recorded);
            Wire::RecordCompleted(call.recorded(error, span, finish_key, file))
        }
        EventKind::SendDtmfCompleted { error, span } => Wire::SendDtmfCompleted(call.sent(error, span)),
        EventKind::ReceiveDtmfCompleted { error, span, keys, finish_key } => {
            Wire::ReceiveDtmfCompleted(call.received(error, span, keys, finish_key))
        }
        EventKind::ConnectCompleted { error, span, hangup } => {
            Wire::ConnectCompleted(call.connected(error, span, hangup.map(|call| node.res_id(call))))
        }
        EventKind::ConfCompleted { error, conference, span } => {
            Wire::ConfCompleted(call.left_conference(error, span, node.conf_res_id(conference)))
        }
        EventKind::TransferCompleted { error, span, sip_status } => {
            Wire::TransferCompleted(call.transferred(error, span, sip_status))
        }
        EventKind::TransferRequested { to_uri, referred_by } => {
            Wire::TransferRequested(call.transfer_requested(to_uri, referred_by))
        }
        EventKind::Message(message) => Wire::Message(call.message(message)),
        EventKind::MessageCompleted { message, error, sip_status } => {
            Wire::MessageCompleted(call.message_completed(message.0, error, sip_status))
        }
        EventKind::Detected(detected) => Wire::Detected(call.detected(&detected)),
        EventKind::DetectCompleted { error, span } => {
            Wire::DetectCompleted(call.detection_completed(error, span))
        }
        EventKind::Released(released) => Wire::Released(call.released(process_id, *released)),
        EventKind::Dtmf { key, source, duration } => Wire::Dtmf(call.pressed(key, source, duration)),
        EventKind::Hold { held } => Wire::Hold(wire::OnHold { res_id: call.res_id, held }),
        EventKind::MediaAlarm(alarm) => Wire::MediaAlarm(call.alarm(alarm)),
        EventKind::StateChanged { state, prior, parties } => Wire::StateChanged(wire::OnStateChanged {
            res_id: call.res_id,
            state: names::state(state),
            prior_state: prior.map(names::state),
            call_dir: names::direction(parties.direction),
            from_uri: parties.from_uri,
            from_name: parties.from_name,
            to_uri: parties.to_uri,
            gateway: parties.gateway.map(|name| name.to_string()),
        }),
    }
}

/// Who ended a call, as the API names it.
pub(crate) fn dropped_by(party: DroppedBy) -> wire::DroppedBy {
    match party {
        DroppedBy::System => wire::DroppedBy::System,
        DroppedBy::User => wire::DroppedBy::User,
    }
}

/// The call that an event is of.
struct Of {
    res_id: String,
    user_data: Option<String>,
}

impl Of {
    fn ringing(self, time: UnixMs) -> wire::OnRinging {
        let Self { res_id, user_data } = self;
        wire::OnRinging { res_id, ring_time: seconds(time), user_data }
    }

    fn alarm(self, alarm: MediaAlarm) -> wire::OnMediaAlarm {
        let (kind, detail) = match alarm {
            MediaAlarm::NoRtpIn { silent } => {
                (wire::MediaAlarm::NoRtpIn, format!("nothing has come for {} s", silent.as_secs()))
            }
            MediaAlarm::SourceChanged { from, to } => (
                wire::MediaAlarm::SourceChanged,
                format!("{from} was named; media comes from {to}, and goes there from now on"),
            ),
            MediaAlarm::Stranger { address } => {
                (wire::MediaAlarm::SourceChanged, format!("what {address} sends is not taken"))
            }
            MediaAlarm::Trouble(Trouble::OneWay { lasted }) => {
                (wire::MediaAlarm::OneWay, format!("nothing of ours has arrived for {} s", lasted.as_secs()))
            }
            MediaAlarm::Trouble(Trouble::LossIn { percent }) => {
                (wire::MediaAlarm::HighLoss, format!("{percent} % of what it sent did not come"))
            }
            MediaAlarm::Trouble(Trouble::LossOut { percent }) => {
                (wire::MediaAlarm::HighLoss, format!("{percent} % of what was sent to it did not arrive"))
            }
        };
        wire::OnMediaAlarm { res_id: self.res_id, kind, detail }
    }

    fn detected(self, detected: &Detected) -> wire::OnDetected {
        let Heard { kind, result, cause, frequency_hz, duration, reversals } = heard(detected);
        let (duration_ms, Self { res_id, user_data }) = (duration.map(millis), self);
        wire::OnDetected { res_id, kind, result, cause, frequency_hz, duration_ms, reversals, user_data }
    }

    fn detection_completed(self, error: Option<Failure>, span: Span) -> wire::OnDetectCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnDetectCompleted { res_id, error, begin_time, end_time, user_data }
    }

    fn answered(self, error: Option<Failure>, span: Span) -> wire::OnAnswerCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnAnswerCompleted { res_id, error, begin_time, end_time, user_data }
    }

    fn dialled(
        self,
        error: Option<Failure>,
        span: Span,
        answered: Option<UnixMs>,
        (contacts, also_rang): (Vec<String>, Vec<String>),
    ) -> wire::OnDialCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        let answer_time = answered.map(seconds);
        wire::OnDialCompleted {
            res_id,
            error,
            begin_time,
            answer_time,
            end_time,
            user_data,
            contacts,
            also_rang,
        }
    }

    fn played(
        self,
        error: Option<Failure>,
        span: Span,
        key: Option<Key>,
        file: Option<String>,
        played: Duration,
    ) -> wire::OnPlayCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        let (finish_key, played_ms) = (key.map(key_name), millis(played));
        wire::OnPlayCompleted { res_id, error, begin_time, end_time, finish_key, user_data, played_ms, file }
    }

    fn recorded(
        self,
        error: Option<Failure>,
        span: Span,
        key: Option<Key>,
        (record_file, duration, recorded): (String, Duration, RecordedFile),
    ) -> wire::OnRecordCompleted {
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnRecordCompleted {
            res_id: self.res_id,
            error,
            begin_time,
            end_time,
            finish_key: key.map(key_name),
            user_data: self.user_data,
            record_file,
            duration_ms: millis(duration),
            bytes: recorded.bytes,
            parts: recorded.parts,
            gap_ms: millis(recorded.gaps),
        }
    }

    fn sent(self, error: Option<Failure>, span: Span) -> wire::OnSendDtmfCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnSendDtmfCompleted { res_id, error, begin_time, end_time, user_data }
    }

    fn received(
        self,
        error: Option<Failure>,
        span: Span,
        keys: String,
        key: Option<Key>,
    ) -> wire::OnReceiveDtmfCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        let finish_key = key.map(key_name);
        wire::OnReceiveDtmfCompleted { res_id, error, begin_time, end_time, keys, user_data, finish_key }
    }

    fn connected(
        self,
        error: Option<Failure>,
        span: Span,
        hangup_res_id: Option<String>,
    ) -> wire::OnConnectCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnConnectCompleted { res_id, error, begin_time, end_time, user_data, hangup_res_id }
    }

    fn left_conference(
        self,
        error: Option<Failure>,
        span: Span,
        conf_res_id: String,
    ) -> wire::OnConfCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnConfCompleted { res_id, error, conf_res_id, begin_time, end_time, user_data }
    }

    fn transferred(
        self,
        error: Option<Failure>,
        span: Span,
        status: Option<u16>,
    ) -> wire::OnTransferCompleted {
        let Self { res_id, user_data } = self;
        let (error, begin_time, end_time) = outcome(error, span);
        wire::OnTransferCompleted { res_id, error, begin_time, end_time, user_data, sip_status: status }
    }

    fn transfer_requested(self, to_uri: String, referred_by: Option<String>) -> wire::OnTransferRequested {
        let Self { res_id, user_data } = self;
        wire::OnTransferRequested { res_id, to_uri, referred_by, user_data }
    }

    fn message(self, message: Message) -> wire::OnMessage {
        let Self { res_id, user_data } = self;
        let Message { from_uri, to_uri, body } = message;
        let (content, content_encoding) = text(body.bytes);
        let content_type = body.content_type;
        wire::OnMessage { res_id, from_uri, to_uri, content_type, content, content_encoding, user_data }
    }

    fn message_completed(
        self,
        message_id: u64,
        error: Option<Failure>,
        sip_status: Option<u16>,
    ) -> wire::OnMessageCompleted {
        let (Self { res_id, user_data }, error) = (self, error.map(action_error));
        wire::OnMessageCompleted { res_id, message_id, error, sip_status, user_data }
    }

    fn pressed(self, key: Key, source: DigitSource, duration: Duration) -> wire::OnDtmf {
        let source = match source {
            DigitSource::Rfc4733 => wire::DigitSource::Rfc4733,
            DigitSource::Inband => wire::DigitSource::Inband,
            DigitSource::Info => wire::DigitSource::Info,
        };
        wire::OnDtmf { res_id: self.res_id, key: key_name(key), source, duration_ms: millis(duration) }
    }

    fn released(self, process_id: u64, call: Released) -> wire::OnReleased {
        // The document promises a call_id; a call whose INVITE could not be sent has none.
        let call_id = Some(call.sip_call_id).filter(|id| !id.is_empty());
        wire::OnReleased {
            res_id: self.res_id,
            call_dir: names::direction(call.direction),
            from_uri: call.from_uri,
            to_uri: call.to_uri,
            begin_time: seconds(call.begin),
            answer_time: call.answer_time.map(seconds),
            end_time: seconds(call.end),
            dropped_by: dropped_by(call.cause.by),
            cause: call.cause.status,
            reason: call.reason,
            user_data: self.user_data,
            ipsc_info: wire::IpscInfo { process_id, call_id },
        }
    }
}

/// An event that is of no call.
pub(crate) fn node_event(event: NodeEventKind) -> wire::EventKind {
    use wire::EventKind as Wire;
    match event {
        NodeEventKind::GatewayState { gateway, up, sip_status } => {
            Wire::GatewayState(wire::OnGatewayState { gateway: gateway.to_string(), up, sip_status })
        }
        NodeEventKind::RegistrationState { gateway, state } => {
            Wire::RegistrationState(registration(gateway.to_string(), state))
        }
        NodeEventKind::Message { gateway, message } => {
            let Message { from_uri, to_uri, body } = message;
            let (gateway, content_type) = (gateway.map(|name| name.to_string()), body.content_type);
            let (content, content_encoding) = text(body.bytes);
            Wire::NodeMessage(wire::OnNodeMessage {
                gateway,
                from_uri,
                to_uri,
                content_type,
                content,
                content_encoding,
            })
        }
        NodeEventKind::MessageCompleted { message, error, sip_status } => {
            let (message_id, error) = (message.0, error.map(action_error));
            Wire::NodeMessageCompleted(wire::OnNodeMessageCompleted { message_id, error, sip_status })
        }
    }
}

fn registration(gateway: String, state: RegistrationState) -> wire::OnRegistrationState {
    let mut told =
        wire::OnRegistrationState { gateway, registered: false, expires: None, error: None, retry_in: None };
    match state {
        RegistrationState::Registered { expires } => {
            (told.registered, told.expires) = (true, Some(expires.as_secs()));
        }
        RegistrationState::Failed { status, phrase, retry_in } => {
            let code = if status == 408 { "timeout" } else { "refused" }.to_owned();
            told.error = Some(wire::ActionError { code, message: phrase, sip_status: Some(status) });
            told.retry_in = Some(retry_in.as_secs());
        }
        RegistrationState::Unregistered => {}
    }
    told
}

/// A body as JSON can have it, and what was done to it for that.
fn text(bytes: Vec<u8>) -> (String, Option<String>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(binary) => (BASE64.encode(binary.as_bytes()), Some("base64".to_owned())),
    }
}

/// The values of each header, by the name that its first line has.
fn by_name(headers: Vec<Header>) -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Header { name, value } in headers {
        let known = named.keys().find(|known| known.eq_ignore_ascii_case(&name)).cloned();
        named.entry(known.unwrap_or(name)).or_default().push(value);
    }
    named
}

pub(super) fn outcome(error: Option<Failure>, span: Span) -> (Option<wire::ActionError>, i64, i64) {
    (error.map(action_error), seconds(span.begin), seconds(span.end))
}

fn action_error(failure: Failure) -> wire::ActionError {
    let message = match failure {
        Failure::Hangup => "the call was hung up",
        Failure::Stopped => "stopped by request",
        Failure::MaxSeconds => "the longest duration is reached",
        Failure::MaxAnswerSeconds => "the call's longest duration is reached",
        Failure::Timeout => "nothing came in time",
        Failure::RingTimeout => "nobody answered in time",
        Failure::Rejected { .. } => "the far end refused or could not be reached",
        Failure::Unauthorized { .. } => {
            "the far end wants credentials: it was given none for its realm, or refused those"
        }
        Failure::Unresolved => "the name service knows no address of the callee",
        Failure::Refused { .. } => "the far end refused it",
        Failure::Dropped => "dropped by request",
        Failure::Cancelled => "the caller gave up",
        Failure::NoAck => "the answer was not acknowledged",
        Failure::NoPrack => "the ringing was not acknowledged",
        Failure::NotNegotiated(why) => &format!("the far end {why}"),
        Failure::DiskFull => "the disk is full",
        Failure::Io => "the disk does not work",
        Failure::FileUnreadable => "a file could not be read to its end",
        Failure::Kicked { .. } => "taken out of the conference by request",
        Failure::ConferenceReleased => "the conference is over",
        Failure::Internal => "a defect of the server",
    };
    wire::ActionError {
        code: failure.code().to_owned(),
        message: message.to_owned(),
        sip_status: failure.sip_status(),
    }
}

/// Whole seconds of Unix time, rounded down on both sides of 1970.
pub(super) fn seconds(time: UnixMs) -> i64 {
    time.0.div_euclid(1000)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn key_name(key: Key) -> String {
    key.as_char().to_string()
}
