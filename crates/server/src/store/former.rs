//! Calls that live as they were kept before there was a file for them: in a table of the database, `live`, a row for each. A server
//! that is upgraded right after a kill finds them there, once.

use rusqlite::Connection;
use serde::Deserialize;

use super::journal::Journal;
use super::live::Dialog;
use super::{Live, Remains};

/// The table, as it was made.
#[cfg(test)]
pub(super) const TABLE: &str =
    "CREATE TABLE live (res_id TEXT PRIMARY KEY NOT NULL, call TEXT NOT NULL) WITHOUT ROWID";

/// What a row has: of how a call is ended, its dialog at most.
#[derive(Deserialize)]
struct Former {
    #[serde(flatten)]
    call: Live,
    dialog: Option<Dialog>,
}

/// Takes what is in the table into the file, and then the table away. Where this is cut off in between, the same calls are taken
/// again.
pub(super) fn take_over(connection: &Connection, journal: &mut Journal) -> std::io::Result<()> {
    if !connection.table_exists(None, "live").map_err(super::fault)? {
        return Ok(());
    }
    for call in calls(connection).map_err(super::fault)? {
        journal.lives(&call);
    }
    journal.write()?;
    connection.execute_batch("DROP TABLE live").map_err(super::fault)
}

fn calls(connection: &Connection) -> rusqlite::Result<Vec<Live>> {
    let mut statement = connection.prepare("SELECT res_id, call FROM live ORDER BY res_id")?;
    let mut rows = statement.query([])?;
    let mut calls = Vec::new();
    while let Some(row) = rows.next()? {
        let res_id: String = row.get(0)?;
        match serde_json::from_str(&row.get::<_, String>(1)?) {
            Ok(Former { call, dialog }) => calls.push(Live { remains: dialog.map(Remains::Dialog), ..call }),
            Err(error) => tracing::warn!(res_id, %error, "a call that was cut off cannot be read"),
        }
    }
    Ok(calls)
}
