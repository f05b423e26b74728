//! The conferences that are there and who is in them, so that the next server can tell of their ends where this one cannot.
//!
//! An end is not taken out when it happens but once its event is known to be in the log: what is found here at a start with an
//! event above the last one of the log is told (again), and what has none is told for the first time.

use offhook_call::conference::{Event, EventKind, Snapshot};
use offhook_call::id::NodeId;
use offhook_client::wire::{self, ConferenceOver};
use rusqlite::{Connection, Transaction, params};

use super::Note;
use crate::events::conference_over;

/// What happened to a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Which.
    pub(crate) res_id: String,
    /// What.
    pub(crate) kind: Kind,
}

/// What may happen to a conference. The numbers are those of the events that tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is there. The answer to whoever opened it tells so, and no event.
    Opened { begin_ms: i64, user_data: Option<String> },
    /// A call is in.
    Entered { call: String, seq: u64 },
    /// A call is out.
    Exited { call: String, parts: u64, seq: u64 },
    /// It is over.
    Over { end_ms: i64, reason: ConferenceOver, seq: u64 },
}

/// A conference whose end has not been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Untold {
    res_id: String,
    begin_ms: i64,
    user_data: Option<String>,
    over: Option<(i64, ConferenceOver)>,
    /// Those whose leaving has not been told, in the order of that; how many were left, where they had left.
    parts: Vec<(String, Option<u64>)>,
}

/// That a conference has been opened.
pub(crate) fn opened(node: NodeId, opened: Snapshot) -> Note {
    let kind = Kind::Opened { begin_ms: opened.begin.0, user_data: opened.user_data };
    Note::Conference(Box::new(Change { res_id: node.conf_res_id(opened.conference), kind }))
}

/// What is to be written before an event is shown that has this number.
pub(crate) fn change(node: NodeId, seq: u64, event: &Event) -> Option<Note> {
    let kind = match &event.kind {
        EventKind::PartEntered { call, .. } => Kind::Entered { call: node.res_id(*call), seq },
        EventKind::PartExited { call, parts } => {
            Kind::Exited { call: node.res_id(*call), parts: *parts as u64, seq }
        }
        EventKind::Released { span, reason } => {
            Kind::Over { end_ms: span.end.0, reason: conference_over(*reason), seq }
        }
        _ => return None,
    };
    Some(Note::Conference(Box::new(Change { res_id: node.conf_res_id(event.conference), kind })))
}

impl Change {
    pub(super) fn write(&self, transaction: &Transaction<'_>) -> rusqlite::Result<()> {
        let res_id = &self.res_id;
        match &self.kind {
            Kind::Opened { begin_ms, user_data } => {
                let insert =
                    "INSERT OR REPLACE INTO conf (res_id, begin_time_ms, user_data) VALUES (?1, ?2, ?3)";
                transaction.prepare_cached(insert)?.execute(params![res_id, begin_ms, user_data])?
            }
            Kind::Entered { call, seq } => {
                let insert = "INSERT OR REPLACE INTO part (res_id, call_res_id, entered) VALUES (?1, ?2, ?3)";
                transaction.prepare_cached(insert)?.execute(params![res_id, call, seq.cast_signed()])?
            }
            Kind::Exited { call, parts, seq } => {
                let update = "UPDATE part SET parts = ?3, seq = ?4 WHERE res_id = ?1 AND call_res_id = ?2";
                let values = params![res_id, call, parts.cast_signed(), seq.cast_signed()];
                transaction.prepare_cached(update)?.execute(values)?
            }
            Kind::Over { end_ms, reason, seq } => {
                let reason = serde_json::to_string(reason).expect("a word");
                let update = "UPDATE conf SET end_time_ms = ?2, reason = ?3, seq = ?4 WHERE res_id = ?1";
                let values = params![res_id, end_ms, reason, seq.cast_signed()];
                transaction.prepare_cached(update)?.execute(values)?;
                // Who was not heard to come, before a kill, has no end to be told.
                let unheard = "DELETE FROM part WHERE res_id = ?1 AND seq IS NULL";
                transaction.prepare_cached(unheard)?.execute([res_id])?
            }
        };
        Ok(())
    }

    /// The same as an event, of a conference that an earlier run had.
    pub(super) fn event(&self, of: &Untold) -> Option<wire::EventKind> {
        let (res_id, user_data) = (of.res_id.clone(), of.user_data.clone());
        match &self.kind {
            Kind::Opened { .. } | Kind::Entered { .. } => None,
            Kind::Exited { call, parts, .. } => Some(wire::EventKind::PartExited(wire::OnPartExited {
                res_id,
                call_res_id: call.clone(),
                parts: *parts,
                user_data,
            })),
            Kind::Over { end_ms, reason, .. } => {
                let (begin_time, end_time) = (of.begin_ms.div_euclid(1000), end_ms.div_euclid(1000));
                Some(wire::EventKind::ConferenceReleased(wire::OnConferenceReleased {
                    res_id,
                    begin_time,
                    end_time,
                    user_data,
                    reason: *reason,
                }))
            }
        }
    }
}

impl Untold {
    /// What is to be told of it, in order, from this number on. Who did not leave leaves now, and it is over.
    pub(super) fn changes(&self, now_ms: i64, first: u64) -> Vec<Change> {
        let still_in = self.parts.iter().filter(|(_, left)| left.is_none()).count() as u64;
        let mut left_now = (0..still_in).rev();
        let mut numbers = first..;
        let mut next = || numbers.next().unwrap_or(u64::MAX);
        let change = |kind| Change { res_id: self.res_id.clone(), kind };
        let mut changes = Vec::new();
        for (call, parts) in &self.parts {
            let parts = parts.or_else(|| left_now.next()).unwrap_or(0);
            changes.push(change(Kind::Exited { call: call.clone(), parts, seq: next() }));
        }
        let (end_ms, reason) = self.over.unwrap_or((now_ms, ConferenceOver::CutOff));
        changes.push(change(Kind::Over { end_ms, reason, seq: next() }));
        changes
    }
}

/// Forgets the ends that were told under numbers up to this one. Gives whether there is anything left of any conference.
pub(super) fn forget(transaction: &Transaction<'_>, told: u64) -> rusqlite::Result<bool> {
    let mut is_left = false;
    for table in ["part", "conf"] {
        let told_ones = format!("DELETE FROM {table} WHERE seq IS NOT NULL AND seq <= ?1");
        transaction.prepare_cached(&told_ones)?.execute([told.cast_signed()])?;
        is_left |= transaction.prepare_cached(&format!("SELECT 1 FROM {table}"))?.exists([])?;
    }
    Ok(is_left)
}

/// The conferences whose end was not told under a number up to this one. Who was not heard to come is not heard to go.
pub(super) fn untold(connection: &Connection, told: u64) -> rusqlite::Result<Vec<Untold>> {
    let told = told.cast_signed();
    let conferences = "SELECT res_id, begin_time_ms, user_data, end_time_ms, reason FROM conf \
        WHERE seq IS NULL OR seq > ?1 ORDER BY res_id";
    let parts = "SELECT call_res_id, parts FROM part WHERE res_id = ?1 AND entered <= ?2 AND (seq IS NULL OR seq > ?2) \
        ORDER BY seq IS NULL, seq, entered";
    let mut parts = connection.prepare(parts)?;
    let mut conferences = connection.prepare(conferences)?;
    let mut rows = conferences.query([told])?;
    let mut untold = Vec::new();
    while let Some(row) = rows.next()? {
        let res_id: String = row.get(0)?;
        let reason = |text: String| serde_json::from_str(&text).unwrap_or(ConferenceOver::CutOff);
        let over = row.get::<_, Option<i64>>(3)?.zip(row.get::<_, Option<String>>(4)?.map(reason));
        let part = |row: &rusqlite::Row<'_>| {
            Ok((row.get(0)?, row.get::<_, Option<i64>>(1)?.map(i64::cast_unsigned)))
        };
        let parts = parts.query_map(params![res_id, told], part)?.collect::<Result<_, _>>()?;
        untold.push(Untold { res_id, begin_ms: row.get(1)?, user_data: row.get(2)?, over, parts });
    }
    Ok(untold)
}
