//! What the events of calls leave in the database, and what it says of calls that an earlier run had.

use offhook_call::event::{Event, EventKind, Released};
use offhook_call::id::CallId;
use offhook_call::state::State;
use offhook_client::wire::{self, CallRecord};
use offhook_exchange::Exchange;
use offhook_sip::event as sip;

use super::live::{Dialog, Received, Sent};
use super::{Live, Note, Over, Remains};
use crate::call_log::Names;
use crate::events::dropped_by;
use crate::rpc::{names, reply};

/// Who writes, and of which call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer<'a> {
    /// The call.
    pub(crate) of: &'a Names,
    /// Whether its trace was named for it.
    pub(crate) trace_is_given: bool,
    /// Our process, as the API names it.
    pub(crate) process_id: u64,
}

/// What is to be written before an event is shown that has this number. Of a call that is over by now there is no more to know
/// than its end.
pub(crate) fn note(writer: Writer<'_>, seq: u64, event: &Event, exchange: &Exchange) -> Option<Note> {
    match &event.kind {
        EventKind::StateChanged { state, prior, .. } if is_told(*state, *prior) => {
            lives(writer, event.call, exchange)
        }
        // From now on there is something to cancel.
        EventKind::Ringing { .. } => lives(writer, event.call, exchange),
        EventKind::Released(released) => {
            let record = record(writer.of.res_id(), event.user_data.clone(), released);
            Some(Note::Over(Box::new(Over { record, process_id: writer.process_id, seq })))
        }
        _ => None,
    }
}

/// Whether a change of state is one that the next run has to know of: a call begins, has a dialog, is answered.
fn is_told(state: State, prior: Option<State>) -> bool {
    match prior {
        None => true,
        Some(State::Initiated) => matches!(state, State::Answer | State::Idle),
        Some(State::Answer) => state == State::Idle,
        Some(_) => false,
    }
}

/// All that the next run has to know of a call that lives.
pub(crate) fn lives(writer: Writer<'_>, id: CallId, exchange: &Exchange) -> Option<Note> {
    let call = exchange.calls().get(id)?;
    let remains = exchange.endpoint().remains(call.session);
    Some(Note::Lives(Box::new(Live {
        res_id: writer.of.res_id(),
        process_id: writer.process_id,
        call_dir: names::direction(call.direction),
        from_uri: call.from_uri,
        to_uri: call.to_uri,
        gateway: call.gateway.map(|name| name.to_string()),
        sip_call_id: call.sip_call_id,
        trace_id: writer.of.trace_id.map(|trace| trace.to_string()),
        trace_is_given: writer.trace_is_given,
        begin_time_ms: call.begin.0,
        answer_time_ms: call.answer_time.map(|time| time.0),
        user_data: call.user_data,
        codec: call.codec.filter(|_| call.answer_time.is_some()).map(|codec| codec.name().to_owned()),
        recordings: call.recordings,
        remains: remains.map(Remains::from),
    })))
}

fn record(res_id: String, user_data: Option<String>, call: &Released) -> CallRecord {
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    CallRecord {
        id: 0,
        res_id,
        call_dir: names::direction(call.direction),
        from_uri: call.from_uri.clone(),
        to_uri: call.to_uri.clone(),
        gateway: call.gateway.as_ref().map(|name| name.to_string()),
        sip_call_id: Some(call.sip_call_id.clone()).filter(|id| !id.is_empty()),
        begin_time_ms: call.begin.0,
        answer_time_ms: call.answer_time.map(|time| time.0),
        end_time_ms: call.end.0,
        duration_ms: Some(millis(call.lasted)),
        talk_ms: call.talked.map(millis),
        cause: call.cause.status,
        reason: call.reason.clone(),
        dropped_by: dropped_by(call.cause.by),
        user_data,
        codec: call.codec.map(|codec| codec.name().to_owned()),
        packets_sent: call.stats.packets_sent,
        packets_received: call.stats.packets_received,
        packets_lost: call.stats.packets_lost,
        jitter_ms: reply::milliseconds(call.stats.jitter_ms),
        round_trip_ms: call.stats.round_trip_ms.map(reply::milliseconds),
        mos: call.stats.mos.map(reply::mos),
        recordings: call.recordings.clone(),
    }
}

/// The last event of a call that an earlier run had.
pub(crate) fn released(over: &Over) -> wire::EventKind {
    let Over { record, process_id, .. } = over;
    let seconds = |ms: i64| ms.div_euclid(1000);
    wire::EventKind::Released(wire::OnReleased {
        res_id: record.res_id.clone(),
        call_dir: record.call_dir,
        from_uri: record.from_uri.clone(),
        to_uri: record.to_uri.clone(),
        begin_time: seconds(record.begin_time_ms),
        answer_time: record.answer_time_ms.map(seconds),
        end_time: seconds(record.end_time_ms),
        dropped_by: record.dropped_by,
        cause: record.cause,
        reason: record.reason.clone(),
        user_data: record.user_data.clone(),
        ipsc_info: wire::IpscInfo { process_id: *process_id, call_id: record.sip_call_id.clone() },
    })
}

impl From<sip::Remains> for Remains {
    fn from(remains: sip::Remains) -> Self {
        match remains {
            sip::Remains::Dialog(dialog) => {
                let sip::DialogState { call_id, local, remote, cseq, target, routes } = dialog;
                Self::Dialog(Dialog { call_id, local, remote, cseq, target, routes })
            }
            sip::Remains::Received(received) => {
                let sip::Received { local, remote, invite, tag } = received;
                Self::Received(Received { local, remote, invite, tag })
            }
            sip::Remains::Sent(sent) => {
                let sip::Sent { session, local, remote, invite } = sent;
                Self::Sent(Sent { session, local, remote, invite })
            }
        }
    }
}

impl From<Remains> for sip::Remains {
    fn from(remains: Remains) -> Self {
        match remains {
            Remains::Dialog(dialog) => {
                let Dialog { call_id, local, remote, cseq, target, routes } = dialog;
                Self::Dialog(sip::DialogState { call_id, local, remote, cseq, target, routes })
            }
            Remains::Received(received) => {
                let Received { local, remote, invite, tag } = received;
                Self::Received(sip::Received { local, remote, invite, tag })
            }
            Remains::Sent(sent) => {
                let Sent { session, local, remote, invite } = sent;
                Self::Sent(sip::Sent { session, local, remote, invite })
            }
        }
    }
}
