//! A row of `cdr`.

use offhook_client::wire::{CallDir, CallRecord, DroppedBy};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::Over;

/// Columns as [`record`] reads them.
pub(super) const COLUMNS: &str = "id, res_id, call_dir, from_uri, to_uri, gateway, sip_call_id, begin_time_ms, \
    answer_time_ms, end_time_ms, duration_ms, talk_ms, cause, reason, dropped_by, user_data, codec, packets_sent, \
    packets_received, packets_lost, jitter_ms, round_trip_ms, mos, recordings";

const INSERT: &str = "INSERT OR IGNORE INTO cdr (res_id, call_dir, from_uri, to_uri, gateway, sip_call_id, \
    begin_time_ms, answer_time_ms, end_time_ms, duration_ms, talk_ms, cause, reason, dropped_by, user_data, codec, \
    packets_sent, packets_received, packets_lost, jitter_ms, round_trip_ms, mos, recordings, process_id, seq) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, \
    ?23, ?24, ?25)";

/// Writes the record of a call, once: one that is there stays.
pub(super) fn insert(transaction: &Transaction<'_>, over: &Over) -> rusqlite::Result<()> {
    let Over { record, process_id, seq } = over;
    let recordings = serde_json::to_string(&record.recordings).expect("a list of strings");
    transaction.prepare_cached(INSERT)?.execute(params![
        record.res_id,
        direction(record.call_dir),
        record.from_uri,
        record.to_uri,
        record.gateway,
        record.sip_call_id,
        record.begin_time_ms,
        record.answer_time_ms,
        record.end_time_ms,
        record.duration_ms.map(u64::cast_signed),
        record.talk_ms.map(u64::cast_signed),
        record.cause,
        record.reason,
        party(record.dropped_by),
        record.user_data,
        record.codec,
        record.packets_sent.cast_signed(),
        record.packets_received.cast_signed(),
        record.packets_lost,
        record.jitter_ms,
        record.round_trip_ms,
        record.mos,
        recordings,
        process_id.cast_signed(),
        seq.cast_signed(),
    ])?;
    Ok(())
}

/// Whether a call has a record.
pub(super) fn exists(connection: &Connection, res_id: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM cdr WHERE res_id = ?1")?.exists([res_id])
}

/// A record, from a row with [`COLUMNS`].
pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<CallRecord> {
    let unsigned = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let duration = |column: usize| row.get::<_, Option<i64>>(column).map(|ms| ms.map(i64::cast_unsigned));
    let recordings: String = row.get(23)?;
    let wrong = |column, error: serde_json::Error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    };
    Ok(CallRecord {
        id: unsigned(0)?,
        res_id: row.get(1)?,
        call_dir: if row.get::<_, String>(2)? == "inbound" { CallDir::Inbound } else { CallDir::Outbound },
        from_uri: row.get(3)?,
        to_uri: row.get(4)?,
        gateway: row.get(5)?,
        sip_call_id: row.get(6)?,
        begin_time_ms: row.get(7)?,
        answer_time_ms: row.get(8)?,
        end_time_ms: row.get(9)?,
        duration_ms: duration(10)?,
        talk_ms: duration(11)?,
        cause: row.get(12)?,
        reason: row.get(13)?,
        dropped_by: if row.get::<_, String>(14)? == "usr" { DroppedBy::User } else { DroppedBy::System },
        user_data: row.get(15)?,
        codec: row.get(16)?,
        packets_sent: unsigned(17)?,
        packets_received: unsigned(18)?,
        packets_lost: row.get(19)?,
        jitter_ms: row.get(20)?,
        round_trip_ms: row.get(21)?,
        mos: row.get(22)?,
        recordings: serde_json::from_str(&recordings).map_err(|error| wrong(23, error))?,
    })
}

/// The ends that were told under a number above this one, newest first: records are in the order of those numbers.
pub(super) fn newer(connection: &Connection, seq: u64) -> rusqlite::Result<Vec<Over>> {
    let all = format!("SELECT {COLUMNS}, process_id, seq FROM cdr ORDER BY id DESC");
    let mut statement = connection.prepare(&all)?;
    let mut rows = statement.query([])?;
    let mut newer = Vec::new();
    while let Some(row) = rows.next()? {
        let over = over(row)?;
        if over.seq <= seq {
            break;
        }
        newer.push(over);
    }
    Ok(newer)
}

/// The records after one, oldest first.
pub(super) fn after(connection: &Connection, id: u64, limit: u32) -> rusqlite::Result<Vec<Over>> {
    let next = format!("SELECT {COLUMNS}, process_id, seq FROM cdr WHERE id > ?1 ORDER BY id LIMIT ?2");
    connection.prepare_cached(&next)?.query_map((id.cast_signed(), limit), over)?.collect()
}

/// The last record that was told under a number up to this one; 0 where there is none.
pub(super) fn last_until(connection: &Connection, seq: u64) -> rusqlite::Result<u64> {
    let last = "SELECT id FROM cdr WHERE seq <= ?1 ORDER BY id DESC LIMIT 1";
    let last = connection.query_row(last, [seq.cast_signed()], |row| row.get::<_, i64>(0)).optional()?;
    Ok(last.map_or(0, i64::cast_unsigned))
}

/// An end, from a row with [`COLUMNS`] and what only we need.
fn over(row: &Row<'_>) -> rusqlite::Result<Over> {
    let unsigned = |column: usize| row.get::<_, i64>(column).map(i64::cast_unsigned);
    Ok(Over { record: record(row)?, process_id: unsigned(24)?, seq: unsigned(25)? })
}

fn direction(direction: CallDir) -> &'static str {
    match direction {
        CallDir::Inbound => "inbound",
        CallDir::Outbound => "outbound",
    }
}

fn party(party: DroppedBy) -> &'static str {
    match party {
        DroppedBy::System => "sys",
        DroppedBy::User => "usr",
    }
}
