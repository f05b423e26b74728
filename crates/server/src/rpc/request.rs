//! One request, from its parameters to its result, and what a `request_key` makes of it.
//!
//! ```text
//!   params ─▶ check ─┬─────────────────────────────────▶ calls ─▶ result
//!                    └ key ─▶ first? ─▶ (disk) ─▶ calls ─▶ (disk) ─▶ result, replayed: false ─▶ kept
//!                             repeat? ───────────────────────────▶ that result, replayed: true
//! ```
//! Parameters are checked before the key is looked at: one that is refused at the door leaves no trace, and the key is
//! free for the request as it was meant.
//!
//! Requests that are pipelined on one WebSocket reach the calls in the order in which they came, which applications rely
//! on (`play_stop` after `play_start`). The library makes a task of every message, in their order. So that no task
//! overtakes another, the runtime is of one thread, which first polls its tasks first come, first served; and nothing from
//! there to the queue of the control loop waits: parameters are read and checked, and the command is queued
//! ([`ControlHandle::request`](crate::control_handle::ControlHandle::request)), all within the first poll. An `await` before
//! that, here or in [`Known`](super::Known), breaks it. Only a request that is first noted on the disk may be overtaken.

use std::future::Future;
use std::sync::Arc;

use jsonrpsee::types::ErrorObjectOwned;
use offhook_client::wire::{ErrorData, REPLAYED, REQUEST_KEY};
use serde::Serialize;
use serde_json::{Map, Value};

use super::method::{Served, Step};
use super::{Context, error, params};
use crate::clock;
use crate::request_keys::journal::NotNoted;
use crate::request_keys::{Begin, Name, Outcome, Print, RequestKeys, Scope, Waiting};

/// A result as it goes out.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(super) enum Answer<R> {
    /// Of a request without a key.
    Plain(R),
    /// Of one with a key.
    Keyed(Value),
}

/// Who is responsible for a call from then on.
#[derive(Clone, Debug)]
struct By {
    /// Where the request came from, unless that was a POST.
    connection: Option<usize>,
    /// The call that it takes on.
    takes_on: Option<String>,
}

/// Serves one request of `scope`, over a connection.
pub(super) async fn serve<M: Served>(
    context: Arc<Context>,
    (scope, connection): (Scope, Option<usize>),
    raw: Option<&str>,
) -> Result<Answer<M::Result>, ErrorObjectOwned> {
    let parsed = if M::CHANGES {
        params::parse_keyed::<M>(raw)
    } else {
        params::parse(raw).map(|params| (params, None))
    };
    let refused = |data: ErrorData| error::object(data);
    let (params, key) = parsed.map_err(|invalid| refused(invalid.into()))?;
    let named = key.map(|key| (Name { scope, key: key.into() }, Print::of(M::NAME, &params)));
    let by = By { connection, takes_on: params.takes_on().map(str::to_owned) };
    let step = params.step(&context.node).map_err(refused)?;
    let Some((name, print)) = named else {
        let result = perform::<M>(&context, by, step);
        let result = if M::TAKES_ON { going_on(result).await } else { result.await };
        return result.map(Answer::Plain).map_err(refused);
    };
    let begin = context.keys.table().begin(clock::now().wall, &name, print);
    match begin {
        Begin::First(waiting) => {
            let first = First { name, print, by, context };
            // The task goes on where the connection ends: what it does must be known to whoever asks again.
            if M::OUTLIVES {
                tokio::spawn(async move { first.run_noted::<M>(step).await });
            } else {
                let result = perform::<M>(&first.context, first.by.clone(), step);
                tokio::spawn(async move { first.run(result).await });
            }
            told(waiting, false).await
        }
        Begin::UnderWay(waiting) => told(waiting, true).await,
        Begin::Known(outcome) => answer(outcome, true),
        Begin::Reused => Err(refused(ErrorData::KeyReused { param: REQUEST_KEY.to_owned() })),
        Begin::Full { limit } => Err(refused(limit_reached(limit))),
    }
    .map(Answer::Keyed)
}

/// Asks the calls, at once; what is returned waits for their answer.
fn perform<M: Served>(
    context: &Context,
    by: By,
    step: Step<M::Result>,
) -> impl Future<Output = Result<M::Result, ErrorData>> + Send + use<M> {
    let (node, groups) = (context.node, context.groups.clone());
    let asked = match step {
        Step::Answer(result) => Err(result),
        Step::Ask(command) => Ok(context.control.request(command)),
    };
    async move {
        let reply = match asked {
            Err(result) => return Ok(result),
            Ok(asked) => asked.await.map_err(|error| error::data(node.id, error))?,
        };
        let result = M::result(&node, reply)
            .ok_or_else(|| error::internal(&format!("a reply that is none to {}", M::NAME)))?;
        // The reply is heard before the first event, so that one finds its resource where it belongs.
        let taken_on = M::made(&result).or(by.takes_on.as_deref());
        if let (Some(res_id), Some(connection)) = (taken_on, by.connection) {
            groups.claim(connection, res_id);
        }
        Ok(result)
    }
}

/// Goes on where the connection ends, with which the library drops what it waits for.
async fn going_on<R: Send + 'static>(
    result: impl Future<Output = Result<R, ErrorData>> + Send + 'static,
) -> Result<R, ErrorData> {
    tokio::spawn(result).await.unwrap_or_else(|_| Err(error::internal("a request ended without an outcome")))
}

/// The first request of a key. One that is dropped, as at the end of the server, leaves the key free.
struct First {
    name: Name,
    print: Print,
    by: By,
    context: Arc<Context>,
}

impl First {
    async fn run<R: Serialize>(self, result: impl Future<Output = Result<R, ErrorData>>) {
        let outcome = outcome(result.await);
        self.finish(outcome);
    }

    /// With a note on the disk before anything is done, and one of what it came to before that is told.
    async fn run_noted<M: Served>(self, step: Step<M::Result>) {
        let begun = self.note(None).await;
        if let Err(not_noted) = begun {
            return self.finish(Outcome::Error(of_disk(&not_noted)));
        }
        let outcome = outcome(perform::<M>(&self.context, self.by.clone(), step).await);
        if let Err(not_noted) = self.note(Some(outcome.clone())).await {
            // It is done and must be told; only the next run will not know what it came to.
            tracing::error!(?not_noted, method = M::NAME, "what a keyed request came to is not on the disk");
        }
        self.finish(outcome);
    }

    async fn note(&self, outcome: Option<Outcome>) -> Result<(), NotNoted> {
        self.keys().journal.note(clock::now().wall, &self.name, self.print, outcome).await
    }

    fn finish(&self, outcome: Outcome) {
        self.keys().table().finish(clock::now().wall, &self.name, outcome);
    }

    fn keys(&self) -> &RequestKeys {
        &self.context.keys
    }
}

impl Drop for First {
    fn drop(&mut self) {
        self.keys().table().abandon(&self.name);
    }
}

fn outcome<R: Serialize>(result: Result<R, ErrorData>) -> Outcome {
    match result {
        Ok(result) => {
            let text = serde_json::to_string(&result).expect("a result is strings and numbers");
            Outcome::Result(text.into())
        }
        Err(data) => Outcome::Error(data),
    }
}

async fn told(mut waiting: Waiting, replayed: bool) -> Result<Value, ErrorObjectOwned> {
    let outcome = waiting.wait_for(Option::is_some).await.ok().and_then(|outcome| outcome.clone());
    match outcome {
        Some(outcome) => answer(outcome, replayed),
        None => Err(error::object(error::internal("a request with a key ended without an outcome"))),
    }
}

/// What an outcome is to the application: an object that says whether it is told again.
fn answer(outcome: Outcome, replayed: bool) -> Result<Value, ErrorObjectOwned> {
    match outcome {
        Outcome::Result(text) => {
            let mut result = match serde_json::from_str(&text) {
                Ok(Value::Object(members)) => members,
                // The result of a method that has nothing to say is null.
                _ => Map::new(),
            };
            result.insert(REPLAYED.to_owned(), replayed.into());
            Ok(Value::Object(result))
        }
        Outcome::Error(data) if replayed => Err(error::replayed(data)),
        Outcome::Error(data) => Err(error::object(data)),
    }
}

fn limit_reached(limit: usize) -> ErrorData {
    ErrorData::LimitReached { limit: "request_keys".to_owned(), value: limit as u64 }
}

fn of_disk(not_noted: &NotNoted) -> ErrorData {
    match not_noted {
        NotNoted::Full { limit } => limit_reached(*limit),
        NotNoted::Disk(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            ErrorData::DiskFull { param: REQUEST_KEY.to_owned(), file: "request_keys".to_owned() }
        }
        NotNoted::Disk(error) => error::internal(&format!("request keys cannot be kept: {error}")),
    }
}
