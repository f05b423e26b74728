//! Reading records, beside the server that writes them or without one.

use std::io;
use std::path::Path;

use offhook_client::wire::CallRecord;
use rusqlite::{Connection, OpenFlags};

use super::{BUSY, FILE, fault, row};

/// The records after one, oldest first. A directory without a database has none.
pub(crate) fn page(data_dir: &Path, after: u64, limit: u32) -> io::Result<Vec<CallRecord>> {
    let Some(connection) = open(data_dir)? else { return Ok(Vec::new()) };
    read(&connection, after, limit).map_err(fault)
}

/// Whether there is a database, and it is one.
pub(crate) fn look(data_dir: &Path) -> io::Result<bool> {
    let Some(connection) = open(data_dir)? else { return Ok(false) };
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(true)).map_err(fault)
}

fn open(data_dir: &Path) -> io::Result<Option<Connection>> {
    let path = data_dir.join(FILE);
    if !path.try_exists()? {
        return Ok(None);
    }
    connect(&path).map(Some).map_err(fault)
}

/// A database that is there, to read it.
pub(super) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    Ok(connection)
}

fn read(connection: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<CallRecord>> {
    let page = format!("SELECT {} FROM cdr WHERE id > ?1 ORDER BY id LIMIT ?2", row::COLUMNS);
    let mut statement = connection.prepare(&page)?;
    statement.query_map((after.cast_signed(), limit), row::record)?.collect()
}
