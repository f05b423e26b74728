//! Reading records, beside the server that writes them or without one.

use std::io::{self, Write};
use std::path::Path;

use offhook_client::wire::CallRecord;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::{BUSY, FILE, fault, row};

/// The records after one, oldest first. A directory without a database has none.
pub(crate) fn page(data_dir: &Path, after: u64, limit: u32) -> io::Result<Vec<CallRecord>> {
    let Some(connection) = open(data_dir)? else { return Ok(Vec::new()) };
    read(&connection, after, limit).map_err(fault)
}

/// Writes all records after one as CSV (RFC 4180), the names of the columns first.
pub(crate) fn csv(data_dir: &Path, after: u64, out: &mut impl Write) -> io::Result<()> {
    let names: Vec<&str> = row::COLUMNS.split(", ").collect();
    write!(out, "{}\r\n", names.join(","))?;
    let Some(connection) = open(data_dir)? else { return Ok(()) };
    let all = format!("SELECT {} FROM cdr WHERE id > ?1 ORDER BY id", row::COLUMNS);
    let mut statement = connection.prepare(&all).map_err(fault)?;
    let mut rows = statement.query([after.cast_signed()]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        for column in 0..names.len() {
            let end = if column + 1 == names.len() { "\r\n" } else { "," };
            write!(out, "{}{end}", field(row.get_ref(column).map_err(fault)?))?;
        }
    }
    Ok(())
}

/// A value as a field of CSV: nothing is nothing, and text is in quotes where it has to be.
fn field(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            match text.contains(['"', ',', '\r', '\n']) {
                true => format!("\"{}\"", text.replace('"', "\"\"")),
                false => text.into_owned(),
            }
        }
    }
}

fn open(data_dir: &Path) -> io::Result<Option<Connection>> {
    let path = data_dir.join(FILE);
    if !path.try_exists()? {
        return Ok(None);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY).map_err(fault)?;
    Ok(Some(connection))
}

fn read(connection: &Connection, after: u64, limit: u32) -> rusqlite::Result<Vec<CallRecord>> {
    let page = format!("SELECT {} FROM cdr WHERE id > ?1 ORDER BY id LIMIT ?2", row::COLUMNS);
    let mut statement = connection.prepare(&page)?;
    statement.query_map((after.cast_signed(), limit), row::record)?.collect()
}
