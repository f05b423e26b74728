//! After the end of a server that could not tell: the calls and conferences that it had are over, and now that is told and recorded.

use std::io;

use offhook_call::event::UnixMs;
use offhook_sip::event::Remains;

use super::note::released;
use super::{Ledger, Note, Over};
use crate::events::{BEFORE_ALL, EventWriter};
use crate::trace::TraceId;

/// Appends the `on_released` of every call that has none, given the last event that was found in the log: each call has exactly one,
/// over the end of the server too. Gives what is not over yet at their other ends, first those who wait for an answer.
pub(crate) fn recover(
    ledger: &mut Ledger,
    log: &mut EventWriter,
    last_found: u64,
    time: UnixMs,
) -> io::Result<Vec<Remains>> {
    recover_conferences(ledger, log, last_found, time)?;
    // They are younger than any that the database has, which is in the order of their numbers.
    ledger.write(&ledger.unrecorded(), BEFORE_ALL, last_found)?;
    for over in ledger.untold(last_found)? {
        // The number is written down before the event is: where this is cut off too, the event is told the next time.
        ledger.told(&over.record.res_id, log.next())?;
        log.append(time.0, released(&over));
    }
    let lost = ledger.lost()?;
    let mut remains = Vec::new();
    let (mut notes, mut traces) = (Vec::new(), Vec::new());
    for (live, seq) in lost.into_iter().zip(log.next()..) {
        tracing::warn!(
            res_id = live.res_id,
            sip_call_id = live.sip_call_id,
            trace_id = live.trace_id,
            "a call was cut off by the end of the server"
        );
        remains.extend(live.remains.clone().map(Remains::from));
        traces.push(live.trace_id.as_deref().filter(|_| live.trace_is_given).and_then(TraceId::parse));
        let process_id = live.process_id;
        notes.push(Note::Over(Box::new(Over { record: live.cut_off(time.0), process_id, seq })));
    }
    ledger.write(&notes, BEFORE_ALL, last_found)?;
    for (note, trace) in notes.iter().zip(traces) {
        if let Note::Over(over) = note {
            log.append_of(time.0, released(over), trace);
        }
    }
    remains.sort_by_key(|remains| matches!(remains, Remains::Dialog(_)));
    Ok(remains)
}

/// The same for conferences: who was in leaves, and each is over. As with calls, the numbers are written down before the events are.
fn recover_conferences(
    ledger: &mut Ledger,
    log: &mut EventWriter,
    last_found: u64,
    time: UnixMs,
) -> io::Result<()> {
    let (mut notes, mut events, mut next) = (Vec::new(), Vec::new(), log.next());
    for untold in ledger.conferences(last_found)? {
        let changes = untold.changes(time.0, next);
        next += changes.len() as u64;
        events.extend(changes.iter().filter_map(|change| change.event(&untold)));
        notes.extend(changes.into_iter().map(|change| Note::Conference(Box::new(change))));
    }
    ledger.write(&notes, BEFORE_ALL, last_found)?;
    for event in events {
        log.append(time.0, event);
    }
    Ok(())
}
