//! Events to put into other words.

use offhook_client::wire::{
    CallDir, CallState, DroppedBy, EventKind, IpscInfo, OnNodeMessage, OnNodeStarted, OnRecordCompleted,
    OnReleased, OnRinging, OnStateChanged,
};

const FROM: &str = "sip:1000@192.0.2.10:5060";
const TO: &str = "sip:2000@192.0.2.20";

pub(super) fn started() -> EventKind {
    EventKind::NodeStarted(OnNodeStarted { process_id: 7, version: "1".to_owned() })
}

pub(super) fn changed(
    res_id: &str,
    call_dir: CallDir,
    state: CallState,
    prior_state: Option<CallState>,
) -> EventKind {
    EventKind::StateChanged(OnStateChanged {
        res_id: res_id.to_owned(),
        state,
        prior_state,
        call_dir,
        from_uri: FROM.to_owned(),
        from_name: None,
        to_uri: TO.to_owned(),
        gateway: Some("carrier".to_owned()),
    })
}

pub(super) fn ringing(res_id: &str) -> EventKind {
    EventKind::Ringing(OnRinging { res_id: res_id.to_owned(), ring_time: 1, user_data: None })
}

pub(super) fn recorded(res_id: &str) -> EventKind {
    EventKind::RecordCompleted(OnRecordCompleted {
        res_id: res_id.to_owned(),
        error: None,
        begin_time: 10,
        end_time: 20,
        finish_key: None,
        user_data: None,
        record_file: "a.wav".to_owned(),
        duration_ms: 10_000,
        bytes: 160_044,
        parts: 1,
        gap_ms: 0,
    })
}

/// One that ends at second 30.
pub(super) fn released(res_id: &str, call_dir: CallDir, cause: u16, answer_time: Option<i64>) -> EventKind {
    EventKind::Released(OnReleased {
        res_id: res_id.to_owned(),
        call_dir,
        from_uri: FROM.to_owned(),
        to_uri: TO.to_owned(),
        begin_time: 1,
        answer_time,
        end_time: 30,
        dropped_by: DroppedBy::System,
        cause,
        reason: None,
        user_data: None,
        ipsc_info: IpscInfo { process_id: 7, call_id: None },
    })
}

pub(super) fn message(content_type: &str) -> EventKind {
    EventKind::NodeMessage(OnNodeMessage {
        gateway: Some("carrier".to_owned()),
        from_uri: FROM.to_owned(),
        to_uri: TO.to_owned(),
        content_type: content_type.to_owned(),
        content: "Ring back".to_owned(),
        content_encoding: None,
    })
}
