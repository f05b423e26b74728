//! `offhook events tail`: what happens on a server, also over its restarts.

use std::time::Duration;

use offhook_call::event::UnixMs;
use offhook_client::wire::{self, EventKind};
use offhook_client::{Client, Event};

use super::exit::Failure;
use super::print;
use super::remote::{Output, Remote, connect, failure, word};
use super::table::shown;
use crate::clock;

/// How soon a connection that has ended is tried again, and how seldom at most: a server that is replaced is away for seconds.
const AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));

/// What is asked for.
pub(super) struct Wanted<'a> {
    /// The last event that is known, if any.
    pub(super) after: Option<u64>,
    /// Names, or beginnings of some.
    pub(super) types: &'a [String],
    pub(super) output: Output,
}

/// Shows events until somebody ends it, or the server lets it in no more.
pub(super) async fn tail(first: &Client, remote: &Remote, mut wanted: Wanted<'_>) -> Result<(), Failure> {
    let mut why = follow(first, &mut wanted).await?;
    loop {
        eprintln!("offhook: {why}; connecting again");
        why = follow(&again(remote).await?, &mut wanted).await?;
    }
}

/// Until the connection ends: why it did.
async fn follow(client: &Client, wanted: &mut Wanted<'_>) -> Result<String, Failure> {
    let types = (!wanted.types.is_empty()).then(|| wanted.types.to_vec());
    let subscribe = wire::Subscribe { after: wanted.after, types, ..wire::Subscribe::default() };
    let mut events = match client.subscribe_as(&subscribe).await.map_err(failure) {
        // It went away before it could answer.
        Err(Failure::Unavailable(why)) => return Ok(why),
        other => other?,
    };
    loop {
        let event = match events.next().await.map(|event| event.map_err(failure)) {
            Some(Err(Failure::Unavailable(why))) => return Ok(why),
            Some(event) => event?,
            None => return Ok("the connection has ended".to_owned()),
        };
        wanted.after = Some(event.seq);
        print(&match wanted.output {
            Output::Json => format!("{}\n", event.raw),
            Output::Table => line(&event),
        })?;
        if let EventKind::Closed(closed) = event.kind {
            return Ok(format!("the server has ended it: {}", word(&closed.reason)));
        }
    }
}

/// An event for people.
fn line(event: &Event) -> String {
    let time = clock::rfc3339(UnixMs(event.time_ms));
    let milliseconds = event.time_ms.rem_euclid(1000);
    let (seconds, zone) = time.split_at(time.len() - 1);
    let text = format!(
        "{} {seconds}.{milliseconds:03}{zone} {} {}",
        event.seq,
        event.type_name(),
        event.raw["params"]
    );
    format!("{}\n", shown(&text))
}

/// The next connection, however long that takes.
async fn again(remote: &Remote) -> Result<Client, Failure> {
    let (mut rest, most) = AGAIN;
    loop {
        pause(rest).await;
        match connect(remote).await {
            Err(Failure::Unavailable(_)) => rest = (rest * 2).min(most),
            other => return other,
        }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a rest between two connections of the command line, part of no call"
)]
async fn pause(rest: Duration) {
    tokio::time::sleep(rest).await;
}
