//! From the calls' events to those of the API, by hand: a renamed field there is no change here.

use std::time::Duration;

use offhook_call::cause::{DroppedBy, Failure};
use offhook_call::event::{Event, EventKind, Released, Span, UnixMs};
use offhook_call::id::NodeId;
use offhook_client::wire;
use offhook_media::event::{DigitSource, Key};

use super::EventWriter;
use crate::rpc::names;

/// Appends an event of a call; returns its number.
pub fn append_call_event(log: &mut EventWriter, node: NodeId, process_id: u64, event: Event) -> u64 {
    let time = event.time.0;
    log.append(time, call_event(node, process_id, event))
}

fn call_event(node: NodeId, process_id: u64, event: Event) -> wire::EventKind {
    use wire::EventKind as Wire;
    let (res_id, user_data) = (node.res_id(event.call), event.user_data);
    match event.kind {
        EventKind::Incoming { from_uri, to_uri, begin, codecs } => {
            let (begin_time, ipsc_info) = (seconds(begin), wire::IpscInfo { process_id, call_id: None });
            Wire::Incoming(wire::OnIncoming {
                res_id,
                from_uri,
                to_uri,
                begin_time,
                user_data,
                ipsc_info,
                codecs,
            })
        }
        EventKind::Ringing { time } => {
            Wire::Ringing(wire::OnRinging { res_id, ring_time: seconds(time), user_data })
        }
        EventKind::AnswerCompleted { error, span } => {
            let (error, begin_time, end_time) = outcome(error, span);
            Wire::AnswerCompleted(wire::OnAnswerCompleted { res_id, error, begin_time, end_time, user_data })
        }
        EventKind::DialCompleted { error, span, answer_time } => {
            let ((error, begin_time, end_time), answer_time) =
                (outcome(error, span), answer_time.map(seconds));
            let params =
                wire::OnDialCompleted { res_id, error, begin_time, answer_time, end_time, user_data };
            Wire::DialCompleted(params)
        }
        EventKind::PlayCompleted { error, span, finish_key, played } => {
            let (error, begin_time, end_time) = outcome(error, span);
            let (finish_key, played_ms) = (finish_key.map(key_name), millis(played));
            let params = wire::OnPlayCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                finish_key,
                user_data,
                played_ms,
            };
            Wire::PlayCompleted(params)
        }
        EventKind::RecordCompleted { error, span, finish_key, file, duration, bytes } => {
            let ((error, begin_time, end_time), finish_key) =
                (outcome(error, span), finish_key.map(key_name));
            let (record_file, duration_ms) = (file, millis(duration));
            Wire::RecordCompleted(wire::OnRecordCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                finish_key,
                user_data,
                record_file,
                duration_ms,
                bytes,
            })
        }
        EventKind::SendDtmfCompleted { error, span } => {
            let (error, begin_time, end_time) = outcome(error, span);
            Wire::SendDtmfCompleted(wire::OnSendDtmfCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                user_data,
            })
        }
        EventKind::ReceiveDtmfCompleted { error, span, keys, finish_key } => {
            let ((error, begin_time, end_time), finish_key) =
                (outcome(error, span), finish_key.map(key_name));
            let params = wire::OnReceiveDtmfCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                keys,
                user_data,
                finish_key,
            };
            Wire::ReceiveDtmfCompleted(params)
        }
        EventKind::ConnectCompleted { error, span, hangup } => {
            let (error, begin_time, end_time) = outcome(error, span);
            let hangup_res_id = hangup.map(|call| node.res_id(call));
            let params =
                wire::OnConnectCompleted { res_id, error, begin_time, end_time, user_data, hangup_res_id };
            Wire::ConnectCompleted(params)
        }
        EventKind::Released(call) => Wire::Released(on_released(res_id, process_id, user_data, *call)),
        EventKind::Dtmf { key, source, duration } => {
            let (key, source, duration_ms) = (key_name(key), digit_source(source), millis(duration));
            Wire::Dtmf(wire::OnDtmf { res_id, key, source, duration_ms })
        }
        EventKind::StateChanged { state, prior } => {
            let (state, prior_state) = (names::state(state), prior.map(names::state));
            Wire::StateChanged(wire::OnStateChanged { res_id, state, prior_state })
        }
    }
}

fn on_released(
    res_id: String,
    process_id: u64,
    user_data: Option<String>,
    call: Released,
) -> wire::OnReleased {
    // The document promises a call_id; a call whose INVITE could not be sent has none.
    let call_id = Some(call.sip_call_id).filter(|id| !id.is_empty());
    wire::OnReleased {
        res_id,
        call_dir: names::direction(call.direction),
        from_uri: call.from_uri,
        to_uri: call.to_uri,
        begin_time: seconds(call.begin),
        answer_time: call.answer_time.map(seconds),
        end_time: seconds(call.end),
        dropped_by: match call.cause.by {
            DroppedBy::System => wire::DroppedBy::System,
            DroppedBy::User => wire::DroppedBy::User,
        },
        cause: call.cause.status,
        user_data,
        ipsc_info: wire::IpscInfo { process_id, call_id },
    }
}

fn outcome(error: Option<Failure>, span: Span) -> (Option<wire::ActionError>, i64, i64) {
    (error.map(action_error), seconds(span.begin), seconds(span.end))
}

fn action_error(failure: Failure) -> wire::ActionError {
    let message = match failure {
        Failure::Hangup => "the call was hung up",
        Failure::Stopped => "stopped by request",
        Failure::MaxSeconds => "the longest duration is reached",
        Failure::MaxAnswerSeconds => "the call's longest duration is reached",
        Failure::Timeout => "no key came in time",
        Failure::RingTimeout => "nobody answered in time",
        Failure::Rejected { .. } => "the far end refused or could not be reached",
        Failure::Dropped => "dropped by request",
        Failure::Cancelled => "the caller gave up",
        Failure::NoAck => "the answer was not acknowledged",
        Failure::NotNegotiated => "the far end accepts none of the codecs",
        Failure::DiskFull => "the disk is full",
        Failure::Io => "the disk does not work",
        Failure::File => "the file could not be read",
        Failure::Internal => "a defect of the server",
    };
    wire::ActionError {
        code: failure.code().to_owned(),
        message: message.to_owned(),
        sip_status: failure.sip_status(),
    }
}

/// Whole seconds of Unix time, rounded down on both sides of 1970.
fn seconds(time: UnixMs) -> i64 {
    time.0.div_euclid(1000)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn key_name(key: Key) -> String {
    key.as_char().to_string()
}

fn digit_source(source: DigitSource) -> wire::DigitSource {
    match source {
        DigitSource::Rfc4733 => wire::DigitSource::Rfc4733,
        DigitSource::Inband => wire::DigitSource::Inband,
        DigitSource::Info => wire::DigitSource::Info,
    }
}
