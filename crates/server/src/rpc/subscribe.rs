//! `sys.event.subscribe`: a reader of the event log that writes to a WebSocket.
//!
//! A subscription is a cursor and a task. What it cannot send yet stays in the log; where the log has moved on, the
//! subscriber is told what it misses. One that does not read is cut off with a reason, and can resume.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::server::{SendTimeoutError, SubscriptionMessage, SubscriptionSink};
use jsonrpsee::types::Params;
use jsonrpsee::{Extensions, PendingSubscriptionSink, RpcModule};
use offhook_client::wire::limits::{PATTERNS_MAX, SEQ_MAX};
use offhook_client::wire::{
    CloseReason, EVENT_NOTIFICATION, Envelope, ErrorData, EventKind, GapReason, Method, OnClosed, OnGap,
    Subscribe, UNSUBSCRIBE,
};
use tokio::sync::watch;

use super::params::{self, Invalid};
use super::{Context, check, error};
use crate::clock;
use crate::events::{Entry, Read, Reader, Types, UnknownPattern};

/// How long the connection may take no event before the subscription is cut off. A reader that is merely behind takes
/// one every now and then.
const SEND_MAX: Duration = Duration::from_secs(10);

/// The most subscriptions at a time: each is a task, and some kilobytes of events on their way.
const SUBSCRIPTIONS_MAX: usize = 1_000;

pub(super) fn register(module: &mut RpcModule<Context>) {
    module
        .register_subscription(Subscribe::NAME, EVENT_NOTIFICATION, UNSUBSCRIBE, run)
        .expect("the names are used once");
}

async fn run(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
    _: Extensions,
) {
    let (after, types) = match admit(&context, params.as_str()) {
        Ok(admitted) => admitted,
        Err(data) => {
            pending.reject(error::object(data)).await;
            return;
        }
    };
    let _counted = Counted::new(&context.subscriptions);
    // From before the reply on: an event that happens in between is not lost.
    let cursor = after.unwrap_or_else(|| context.log.newest());
    // A connection that is gone has nobody to be told.
    let Ok(sink) = pending.accept().await else { return };
    let reader = Reader::new(context.log.clone(), cursor);
    let mut subscription = Subscription { sent: cursor, reader, types, sink, context: context.clone() };
    if let End::Closed(reason) = subscription.run().await
        && let Ok(closed) = subscription.notice(subscription.sent, EventKind::Closed(OnClosed { reason }))
    {
        // Where the subscriber does not read, this waits for it, at most until its connection is cut. It is the last
        // message of the subscription: the library would add one of its own only for an error returned here.
        let _ = subscription.sink.send(closed).await;
    }
}

/// Where to begin, and with which events.
fn admit(context: &Context, params: Option<&str>) -> Result<(Option<u64>, Types), ErrorData> {
    let Subscribe { after, group, types } = params::parse(params)?;
    let after = after.map(|seq| check::between("after", seq, 0, SEQ_MAX)).transpose()?;
    check::only("group", "null", group.is_none())?;
    let types = match types {
        None => Types::usual(),
        Some(patterns) if patterns.is_empty() || patterns.len() > PATTERNS_MAX => {
            return Err(check::invalid("types", format!("null, or a list of 1 to {PATTERNS_MAX} names")));
        }
        Some(patterns) => Types::parse(&patterns).map_err(|UnknownPattern { index }| {
            Invalid::new(format!("types[{index}]"), "the name of an event, or the beginning of one and *")
        })?,
    };
    if *context.subscriptions.borrow() >= SUBSCRIPTIONS_MAX {
        return Err(ErrorData::LimitReached {
            limit: "subscriptions".to_owned(),
            value: SUBSCRIPTIONS_MAX as u64,
        });
    }
    Ok((after, types))
}

/// Counts a subscription as long as it lives.
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Why a subscription is over.
enum End {
    /// The subscriber has gone, or wants no more.
    Gone,
    /// The server ends it.
    Closed(CloseReason),
}

struct Subscription {
    /// The last event that was sent or passed over.
    sent: u64,
    reader: Reader,
    types: Types,
    sink: SubscriptionSink,
    context: Arc<Context>,
}

impl Subscription {
    async fn run(&mut self) -> End {
        let mut closing = self.context.closing.clone();
        loop {
            let sent = match self.reader.read().await {
                Ok(Read::Batch(batch)) if batch.is_empty() => {
                    tokio::select! {
                        () = self.reader.wait() => {}
                        () = self.sink.closed() => return End::Gone,
                        _ = closing.wait_for(|closing| *closing) => {
                            if self.context.log.shown() == self.sent {
                                return End::Closed(CloseReason::ShuttingDown);
                            }
                        }
                    }
                    Ok(())
                }
                Ok(Read::Batch(batch)) => self.send_batch(batch).await,
                Ok(Read::Gap { first, last }) => self.send_gap(GapReason::Expired, Some(first), last).await,
                Ok(Read::Restarted { resume }) => self.send_gap(GapReason::Restarted, None, resume).await,
                Err(error) => {
                    tracing::error!(%error, "the event log cannot be read");
                    return End::Closed(CloseReason::LogUnreadable);
                }
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }

    async fn send_batch(&mut self, batch: Vec<Entry>) -> Result<(), End> {
        for entry in batch {
            if self.types.contains(entry.type_name) {
                self.send(self.message(&&*entry.json)).await?;
            }
            self.sent = entry.seq;
        }
        Ok(())
    }

    async fn send_gap(&mut self, reason: GapReason, first: Option<u64>, last: u64) -> Result<(), End> {
        let gap = EventKind::Gap(OnGap { reason, first, last: first.map(|_| last) });
        self.send(self.notice(last, gap)).await?;
        self.sent = last;
        Ok(())
    }

    async fn send(&self, message: Result<SubscriptionMessage, serde_json::Error>) -> Result<(), End> {
        let message = message.map_err(|_| End::Gone)?;
        match self.sink.send_timeout(message, SEND_MAX).await {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(End::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(End::Closed(CloseReason::SlowReader)),
        }
    }

    /// What is told to this subscriber alone and is no event of the log: it is numbered as the event before it.
    fn notice(&self, seq: u64, kind: EventKind) -> Result<SubscriptionMessage, serde_json::Error> {
        self.message(&Envelope { seq, time_ms: clock::now().wall.0, kind })
    }

    fn message(&self, event: &impl serde::Serialize) -> Result<SubscriptionMessage, serde_json::Error> {
        SubscriptionMessage::new(self.sink.method_name(), self.sink.subscription_id(), event)
    }
}
