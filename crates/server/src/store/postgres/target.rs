//! Where records are copied to: one connection, one table, one statement for many records.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use offhook_client::wire::CallRecord;
use serde_json::Value;
use tokio_postgres::{Client, Config, Error, Statement};

use super::super::Over;
use super::tls::Tls;
use crate::config;

/// How long PostgreSQL may take for a connection with all that is asked at its beginning, and for one batch.
const PATIENCE: Duration = Duration::from_secs(30);

/// The table, which is `cdr` of `calls.db` but for what only we need of it. It may have other columns that have a default.
const TABLE: &str = "offhook_cdr";
const COLUMNS: [(&str, &str); 23] = [
    ("res_id", "text PRIMARY KEY"),
    ("call_dir", "text NOT NULL"),
    ("from_uri", "text NOT NULL"),
    ("to_uri", "text NOT NULL"),
    ("gateway", "text"),
    ("sip_call_id", "text"),
    ("begin_time_ms", "bigint NOT NULL"),
    ("answer_time_ms", "bigint"),
    ("end_time_ms", "bigint NOT NULL"),
    ("duration_ms", "bigint"),
    ("talk_ms", "bigint"),
    ("cause", "integer NOT NULL"),
    ("reason", "text"),
    ("dropped_by", "text NOT NULL"),
    ("user_data", "text"),
    ("codec", "text"),
    ("packets_sent", "bigint NOT NULL"),
    ("packets_received", "bigint NOT NULL"),
    ("packets_lost", "bigint NOT NULL"),
    ("jitter_ms", "double precision NOT NULL"),
    ("round_trip_ms", "double precision"),
    ("mos", "double precision"),
    ("recordings", "jsonb NOT NULL"),
];

/// How PostgreSQL is reached.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    config: Config,
    tls: Tls,
}

impl Settings {
    pub(super) fn of(cdr: &config::Cdr) -> io::Result<Option<Self>> {
        let Some(uri) = &cdr.postgres else { return Ok(None) };
        let config = super::parse(uri.expose()).map_err(io::Error::other)?;
        Ok(Some(Self { config, tls: Tls::trusting(&cdr.postgres_ca)? }))
    }

    /// Connects, and is content with that.
    pub(super) async fn reach(&self) -> Result<(), Fault> {
        in_time(async { self.open().await.map_err(Fault::from) }).await.map(drop)
    }

    async fn open(&self) -> Result<Client, Error> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        // It ends with the client. What ends it otherwise, the client is told too.
        tokio::spawn(async move { drop(connection.await) });
        Ok(client)
    }
}

/// A connection.
pub(super) struct Target {
    client: Client,
    insert: Statement,
}

/// Why nothing is copied.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file that is read or written here.
    Here(io::Error),
    /// PostgreSQL, or the way to it.
    There(Error),
    /// It did not answer in time.
    Silent,
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Here(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::There(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Here(error) => error.fmt(f),
            Self::Silent => write!(f, "no answer within {} s", PATIENCE.as_secs()),
            Self::There(error) => match error.as_db_error() {
                // Its details may be the numbers of a call.
                Some(error) => write!(f, "{} ({})", error.message(), error.code().code()),
                None => match error.source() {
                    Some(source) => write!(f, "{error}: {source}"),
                    None => error.fmt(f),
                },
            },
        }
    }
}

impl Target {
    /// Connects, and makes the table where there is none.
    pub(super) async fn connect(settings: &Settings) -> Result<Self, Fault> {
        in_time(async {
            let client = settings.open().await?;
            // Looked for first: who may write it need not be allowed to make it.
            let found = client.query_one("SELECT to_regclass($1) IS NULL", &[&TABLE]).await?;
            if found.get(0) {
                client.batch_execute(&definition()).await?;
            }
            let insert = client.prepare(&insertion()).await?;
            Ok(Self { client, insert })
        })
        .await
    }

    /// Writes records, all of them or none: how many it took for wrong, which are told in the log and passed over.
    pub(super) async fn insert(&self, batch: &[Over]) -> Result<usize, Fault> {
        match self.write(batch).await {
            Err(Fault::There(error)) if is_of_the_data(&error) => {}
            written => return written.map(|()| 0),
        }
        // One of them is the culprit, and shall not hold up the others.
        let mut refused = 0;
        for over in batch {
            match self.write(std::slice::from_ref(over)).await {
                Err(Fault::There(error)) if is_of_the_data(&error) => {
                    let CallRecord { res_id, sip_call_id, .. } = &over.record;
                    let fault = Fault::There(error);
                    tracing::error!(res_id, sip_call_id, %fault, "PostgreSQL refuses the record of a call, which stays in calls.db only");
                    refused += 1;
                }
                written => written?,
            }
        }
        Ok(refused)
    }

    async fn write(&self, batch: &[Over]) -> Result<(), Fault> {
        let records = Value::Array(batch.iter().map(record).collect()).to_string();
        in_time(async { Ok(self.client.execute(&self.insert, &[&records]).await.map(drop)?) }).await
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(Fault::Silent))
}

/// Whether the same would be wrong the next time too: classes 22 and 23 of SQLSTATE, a value or a constraint of the table.
fn is_of_the_data(error: &Error) -> bool {
    error.code().is_some_and(|state| matches!(state.code().get(..2), Some("22" | "23")))
}

fn record(over: &Over) -> Value {
    let mut record = serde_json::to_value(&over.record).expect("a record is strings and numbers");
    without_nul(&mut record);
    record
}

/// U+0000 is no character to PostgreSQL.
fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(values) => values.iter_mut().for_each(without_nul),
        Value::Object(values) => values.values_mut().for_each(without_nul),
        _ => {}
    }
}

fn definition() -> String {
    let columns = COLUMNS.map(|(name, kind)| format!("{name} {kind}"));
    // Another node may make it at the same moment.
    format!("CREATE TABLE IF NOT EXISTS {TABLE} ({})", columns.join(", "))
}

/// One text for all records, so that there is one statement for any number of them.
fn insertion() -> String {
    let names = COLUMNS.map(|(name, _)| name).join(", ");
    format!(
        "INSERT INTO {TABLE} ({names}) SELECT {names} FROM jsonb_populate_recordset(null::{TABLE}, $1::text::jsonb) \
         ON CONFLICT DO NOTHING"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Note;
    use crate::store::tests::over;

    #[test]
    fn every_part_of_a_record_has_its_column() {
        let Note::Over(over) = over(1, 0, 1) else { panic!() };
        let record = record(&over);
        let mut parts: Vec<&str> = record.as_object().unwrap().keys().map(String::as_str).collect();
        parts.retain(|name| *name != "id");
        let mut columns = COLUMNS.map(|(name, _)| name);
        parts.sort_unstable();
        columns.sort_unstable();
        assert_eq!(parts, columns);
    }
}
