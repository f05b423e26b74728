//! From the events of conferences to those of the API.

use offhook_call::conference::{Event, EventKind, Over};
use offhook_call::id::NodeId;
use offhook_client::wire;

use super::convert::{millis, outcome, seconds};

/// An event of a conference.
pub(crate) fn conference_event(node: NodeId, event: Event) -> wire::EventKind {
    use wire::EventKind as Wire;
    let (res_id, user_data) = (node.conf_res_id(event.conference), event.user_data);
    match event.kind {
        EventKind::PartEntered { call, parts } => {
            let (call_res_id, parts) = (node.res_id(call), parts as u64);
            Wire::PartEntered(wire::OnPartEntered { res_id, call_res_id, parts, user_data })
        }
        EventKind::PartExited { call, parts } => {
            let (call_res_id, parts) = (node.res_id(call), parts as u64);
            Wire::PartExited(wire::OnPartExited { res_id, call_res_id, parts, user_data })
        }
        EventKind::PlayCompleted { error, span, file, played } => {
            let (error, begin_time, end_time) = outcome(error, span);
            let played_ms = millis(played);
            Wire::ConferencePlayCompleted(wire::OnConferencePlayCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                user_data,
                played_ms,
                file,
            })
        }
        EventKind::RecordCompleted { error, span, file, duration, recorded } => {
            let (error, begin_time, end_time) = outcome(error, span);
            Wire::ConferenceRecordCompleted(wire::OnConferenceRecordCompleted {
                res_id,
                error,
                begin_time,
                end_time,
                user_data,
                record_file: file,
                duration_ms: millis(duration),
                bytes: recorded.bytes,
                parts: recorded.parts,
                gap_ms: millis(recorded.gaps),
            })
        }
        EventKind::Talking { call, talking } => {
            Wire::Talking(wire::OnTalking { res_id, call_res_id: node.res_id(call), talking })
        }
        EventKind::Released { span, reason } => {
            let (begin_time, end_time, reason) =
                (seconds(span.begin), seconds(span.end), conference_over(reason));
            Wire::ConferenceReleased(wire::OnConferenceReleased {
                res_id,
                begin_time,
                end_time,
                user_data,
                reason,
            })
        }
    }
}

/// Why a conference is over.
pub(crate) fn conference_over(reason: Over) -> wire::ConferenceOver {
    match reason {
        Over::Released => wire::ConferenceOver::Released,
        Over::PartsThreshold => wire::ConferenceOver::PartsThreshold,
        Over::MaxSeconds => wire::ConferenceOver::MaxSeconds,
        Over::Empty => wire::ConferenceOver::Empty,
        Over::ShuttingDown => wire::ConferenceOver::ShuttingDown,
    }
}
