//! What the scripts of the demo stand on: a connection, and a stream of events that is printed as it happens.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use offhook_client::wire::{ActionError, EventKind};
use offhook_client::{Client, Error, Events};

use crate::clock;

/// The longest wait for one event: the slowest step takes 5 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// One script's connection to its server.
pub(super) struct Script {
    name: &'static str,
    /// To ask the server.
    pub(super) client: Client,
    events: Events,
    began: Instant,
    /// Events heard so far.
    pub(super) heard: u64,
    /// The number of the last one.
    pub(super) last_seq: u64,
}

impl Script {
    /// Connects and subscribes.
    pub(super) async fn connect(name: &'static str, rpc: SocketAddr) -> Result<Self, ScriptError> {
        let client = Client::connect(&format!("ws://{rpc}/rpc"), None).await?;
        let events = client.subscribe(None, None).await?;
        Ok(Self { name, client, events, began: clock::now().mono, heard: 0, last_seq: 0 })
    }

    /// Says what the script is about to ask.
    pub(super) fn say(&self, what: &str) {
        println!("{:>8.3} s  {:<5} > {what}", self.began.elapsed().as_secs_f64(), self.name);
    }

    /// Waits for the next event that `pick` picks; prints each that comes.
    pub(super) async fn until<T>(
        &mut self,
        what: &'static str,
        mut pick: impl FnMut(EventKind) -> Option<T>,
    ) -> Result<T, ScriptError> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.events.next());
            let event =
                next.await.map_err(|_| ScriptError::Missing(what))?.ok_or(ScriptError::Missing(what))??;
            self.heard += 1;
            self.last_seq = event.seq;
            let params = &event.raw["params"];
            println!(
                "{:>8.3} s  {:<5} < {} {params}",
                self.began.elapsed().as_secs_f64(),
                self.name,
                event.type_name()
            );
            if let Some(found) = pick(event.kind) {
                return Ok(found);
            }
        }
    }
}

/// An event's `error` must be this one, or none.
pub(super) fn expect(
    what: &'static str,
    error: Option<&ActionError>,
    expected: Option<&str>,
) -> Result<(), ScriptError> {
    let code = error.map(|error| error.code.as_str());
    if code == expected {
        Ok(())
    } else {
        Err(ScriptError::Unexpected(format!("{what} ended with {code:?}")))
    }
}

/// Why a script did not come to its end.
#[derive(Debug)]
pub(super) enum ScriptError {
    /// The server refused a request, or the connection broke.
    Client(Error),
    /// An event did not come.
    Missing(&'static str),
    /// Something else happened than should have.
    Unexpected(String),
}

impl From<Error> for ScriptError {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Missing(what) => write!(f, "{what} did not come"),
            Self::Unexpected(what) => f.write_str(what),
        }
    }
}
