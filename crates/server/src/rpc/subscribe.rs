//! `sys.event.subscribe`: a reader of the event log that writes to a WebSocket.
//!
//! A subscription is a cursor and a task. What it cannot send yet stays in the log; where the log has moved on, the
//! subscriber is told what it misses. One that does not read is cut off with a reason, and can resume. One with a `group` asks
//! for each event whether it is its own ([`Membership`]), and says by `sys.event.ack` how far it is done.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::server::ConnectionId;
use jsonrpsee::server::{SendTimeoutError, SubscriptionMessage, SubscriptionSink};
use jsonrpsee::types::{ErrorObjectOwned, Params};
use jsonrpsee::{Extensions, PendingSubscriptionSink, RpcModule};
use offhook_client::wire::limits::{GROUP_NAME_MAX, HANGUP_AFTER_MAX, PATTERNS_MAX, SEQ_MAX};
use offhook_client::wire::{
    Ack, Acked, CloseReason, EVENT_NOTIFICATION, Envelope, ErrorData, EventKind, GapReason, Method, OnClosed,
    OnGap, OnSyncBegin, OnSyncCall, OnSyncConference, OnSyncEnd, Scope, Subscribe, UNSUBSCRIBE,
};
use tokio::sync::watch;

use super::params::{self, Invalid};
use super::{Context, Reach, check, conference, error, reply};
use crate::clock;
use crate::control_handle::Living;
use crate::events::{
    Entry, GROUPS_MAX, Listening, Membership, Read, Reader, Takeover, Types, UnknownPattern,
};

/// What a subscription knows of its connection; the HTTP side puts it with the request.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The other end.
    pub(crate) peer: SocketAddr,
    /// Why its subscriptions are over, once they are.
    pub(crate) fate: watch::Receiver<Option<CloseReason>>,
}

impl Link {
    /// Waits until its subscriptions are over: for ever, where the connection ends otherwise.
    async fn is_over(&self) -> End {
        let mut fate = self.fate.clone();
        let reason = fate.wait_for(Option::is_some).await.ok().and_then(|reason| *reason);
        match reason {
            Some(reason) => End::Closed(reason),
            None => std::future::pending().await,
        }
    }
}

/// How long the connection may take no event before the subscription is cut off. A reader that is merely behind takes
/// one every now and then.
const SEND_MAX: Duration = Duration::from_secs(10);

/// The most subscriptions at a time: each is a task, and some kilobytes of events on their way.
const SUBSCRIPTIONS_MAX: usize = 1_000;

pub(super) fn register(module: &mut RpcModule<Context>) {
    module
        .register_subscription(Subscribe::NAME, EVENT_NOTIFICATION, UNSUBSCRIBE, run)
        .expect("the names are used once");
    module.register_method(Ack::NAME, ack).expect("the name is used once");
}

/// The connection that a request came by.
pub(super) fn connection(extensions: &Extensions) -> Option<usize> {
    extensions.get::<ConnectionId>().map(|connection| connection.0)
}

fn ack(params: Params<'_>, context: &Context, extensions: &Extensions) -> Result<Acked, ErrorObjectOwned> {
    let Ack { seq } = params::parse(params.as_str()).map_err(|invalid| error::object(invalid.into()))?;
    let seq = check::between("seq", seq, 0, SEQ_MAX).map_err(error::object)?;
    let members = connection(extensions).map_or(0, |connection| context.groups.ack(connection, seq));
    Ok(Acked { subscriptions: members as u64 })
}

async fn run(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    context: Arc<Context>,
    extensions: Extensions,
) {
    let Some(link) = extensions.get::<Link>().cloned() else { return };
    let admitted = admit(&context, params.as_str(), pending.connection_id().0).await;
    let Admitted { cursor, types, membership, living } = match admitted {
        Ok(admitted) => admitted,
        Err(data) => {
            pending.reject(error::object(data)).await;
            return;
        }
    };
    let _counted = Counted::new(&context.subscriptions);
    // Who does not hear of inbound calls, or may only read, is no application that they would wait for.
    let can_act = extensions.get().is_some_and(|&Reach(reach)| reach >= Scope::Call);
    let acts = can_act && types.has_calls();
    let acting = acts.then(|| Counted::new(&context.applications));
    // A connection that is gone has nobody to be told.
    let Ok(sink) = pending.accept().await else { return };
    let reader = Reader::new(context.log.clone(), cursor);
    let cursor = reader.cursor();
    let place = Listening::after(context.log.clone(), cursor);
    let mut subscription =
        Subscription { sent: cursor, place, reader, types, membership, sink, link, context: context.clone() };
    let told = match living {
        Some(living) => subscription.send_living(living).await,
        None => Ok(()),
    };
    let end = match told {
        Ok(()) => subscription.run().await,
        Err(end) => end,
    };
    // Who is told that it is over has no calls any more: they go to others now.
    drop((acting, subscription.membership.take()));
    if let End::Closed(reason) = end
        && let Ok(closed) = subscription.notice(subscription.sent, EventKind::Closed(OnClosed { reason }))
    {
        let cut_off = match reason {
            CloseReason::SlowReader => Some("slow_reader"),
            CloseReason::NoPong => Some("no_pong"),
            CloseReason::TokenRevoked => Some("token_revoked"),
            CloseReason::ShuttingDown | CloseReason::LogUnreadable => None,
        };
        if let Some(reason) = cut_off {
            let (peer, after) = (subscription.link.peer, subscription.sent);
            tracing::info!(%peer, after, reason, "a subscriber is cut off");
        }
        // Where the subscriber does not read, this waits for it, at most until its connection is cut. It is the last
        // message of the subscription: the library would add one of its own only for an error returned here.
        let _ = subscription.sink.send(closed).await;
    }
}

/// What a subscription begins with.
struct Admitted {
    /// The event after which it begins.
    cursor: u64,
    types: Types,
    membership: Option<Membership>,
    /// What is told first.
    living: Option<Living>,
}

/// Where to begin, and with which events. From here on, before the reply, no event is lost.
async fn admit(context: &Context, params: Option<&str>, connection: usize) -> Result<Admitted, ErrorData> {
    let Subscribe { after, group, types, snapshot, hangup_after_seconds } = params::parse(params)?;
    let after = after.map(|seq| check::between("after", seq, 0, SEQ_MAX)).transpose()?;
    let is_name = |name: &String| {
        (1..=GROUP_NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    };
    if !group.as_ref().is_none_or(is_name) {
        let expected =
            format!("null, or a name of 1 to {GROUP_NAME_MAX} characters, none a control character");
        return Err(check::invalid("group", expected));
    }
    let types = match types {
        None => Types::usual(),
        Some(patterns) if patterns.is_empty() || patterns.len() > PATTERNS_MAX => {
            return Err(check::invalid("types", format!("null, or a list of 1 to {PATTERNS_MAX} names")));
        }
        Some(patterns) => Types::parse(&patterns).map_err(|UnknownPattern { index }| {
            Invalid::new(format!("types[{index}]"), "the name of an event, or the beginning of one and *")
        })?,
    };
    if snapshot && (after.is_some() || group.is_some()) {
        return Err(check::invalid("snapshot", "false where there is after or group"));
    }
    let seconds = |seconds| check::seconds("hangup_after_seconds", seconds, HANGUP_AFTER_MAX);
    let hangup_after = hangup_after_seconds.map(seconds).transpose()?;
    if hangup_after.is_some() && group.is_none() {
        return Err(check::invalid("hangup_after_seconds", "null where there is no group"));
    }
    let limit =
        |limit: &str, value: usize| ErrorData::LimitReached { limit: limit.to_owned(), value: value as u64 };
    if *context.subscriptions.borrow() >= SUBSCRIPTIONS_MAX {
        return Err(limit("subscriptions", SUBSCRIPTIONS_MAX));
    }
    if snapshot {
        let living = context.control.living().await.map_err(|error| error::data(context.node.id, error))?;
        let (cursor, living) = (living.seq, Some(living));
        return Ok(Admitted { cursor, types, membership: None, living });
    }
    let after = after.unwrap_or(context.log.newest());
    let Some(group) = group else {
        return Ok(Admitted { cursor: after, types, membership: None, living: None });
    };
    let joined = context.groups.join(&group, connection, (after, hangup_after), context.log.oldest());
    let (membership, cursor) = joined.ok_or_else(|| limit("groups", GROUPS_MAX))?;
    Ok(Admitted { cursor, types, membership: Some(membership), living: None })
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
    /// The same, for whoever looks how far it is behind.
    place: Listening,
    reader: Reader,
    types: Types,
    membership: Option<Membership>,
    sink: SubscriptionSink,
    link: Link,
    context: Arc<Context>,
}

impl Subscription {
    async fn run(&mut self) -> End {
        let mut closing = self.context.closing.clone();
        loop {
            if let Some(takeover) = self.membership.as_mut().and_then(Membership::takeover) {
                if let Err(end) = self.send_takeover(takeover).await {
                    return end;
                }
                continue;
            }
            let sent = match self.reader.read().await {
                Ok(Read::Batch(batch)) if batch.is_empty() => {
                    tokio::select! {
                        () = self.reader.wait() => {}
                        () = changed(&mut self.membership) => {}
                        () = self.sink.closed() => return End::Gone,
                        end = self.link.is_over() => return end,
                        _ = closing.wait_for(|closing| *closing) => {
                            if self.context.log.shown() == self.sent {
                                return End::Closed(CloseReason::ShuttingDown);
                            }
                        }
                    }
                    Ok(())
                }
                Ok(Read::Batch(batch)) => self.send_batch(batch).await,
                Ok(Read::Gap { reason, first, last }) => self.send_gap(reason, Some(first), last).await,
                Ok(Read::Restarted { resume }) => self.send_gap(GapReason::Restarted, None, resume).await,
                Err(error) => return unreadable(&error),
            };
            if let Err(end) = sent {
                return end;
            }
        }
    }

    async fn send_batch(&mut self, batch: Vec<Entry>) -> Result<(), End> {
        for entry in batch {
            // A group hears of every event, whatever this subscriber wants to be told.
            let mine = self.membership.as_ref().is_none_or(|membership| membership.read(&entry));
            if mine && self.types.contains(entry.type_name) {
                self.send(self.message(&&*entry.json)).await?;
            }
            self.has_passed(entry.seq);
        }
        Ok(())
    }

    fn has_passed(&mut self, seq: u64) {
        self.sent = seq;
        self.place.has_passed(seq);
    }

    /// Sends what lives.
    async fn send_living(&self, Living { seq, calls, conferences }: Living) -> Result<(), End> {
        let node = &self.context.node;
        let begin = OnSyncBegin { calls: calls.len() as u64, conferences: conferences.len() as u64 };
        self.send(self.notice(seq, EventKind::SyncBegin(begin))).await?;
        for call in calls {
            let call = OnSyncCall { call: Box::new(reply::call_info(node, call)) };
            self.send(self.notice(seq, EventKind::SyncCall(call))).await?;
        }
        for (conference, parts) in conferences {
            let told = OnSyncConference {
                conference: conference::info(node.id, conference),
                parts: parts.into_iter().map(|part| conference::part(node.id, part)).collect(),
            };
            self.send(self.notice(seq, EventKind::SyncConference(told))).await?;
        }
        self.send(self.notice(seq, EventKind::SyncEnd(OnSyncEnd {}))).await
    }

    /// Sends what another member of the group has not acknowledged.
    async fn send_takeover(&self, Takeover { res_ids, after, to }: Takeover) -> Result<(), End> {
        let mut reader = Reader::new(self.context.log.clone(), after);
        while reader.cursor() < to {
            match reader.read().await {
                Ok(Read::Batch(batch)) if batch.is_empty() => return Ok(()),
                Ok(Read::Batch(batch)) => {
                    for entry in batch.iter().take_while(|entry| entry.seq <= to) {
                        let taken = entry.res_id().is_some_and(|res_id| res_ids.contains(&*res_id));
                        if taken && self.types.contains(entry.type_name) {
                            self.send(self.message(&&*entry.json)).await?;
                        }
                    }
                }
                Ok(Read::Gap { reason, first, last }) => {
                    let last = last.min(to);
                    let gap = OnGap { reason, first: Some(first), last: Some(last) };
                    self.send(self.notice(last, EventKind::Gap(gap))).await?;
                }
                Ok(Read::Restarted { .. }) => return Ok(()),
                Err(error) => return Err(unreadable(&error)),
            }
        }
        Ok(())
    }

    async fn send_gap(&mut self, reason: GapReason, first: Option<u64>, last: u64) -> Result<(), End> {
        let gap = EventKind::Gap(OnGap { reason, first, last: first.map(|_| last) });
        self.send(self.notice(last, gap)).await?;
        self.has_passed(last);
        Ok(())
    }

    async fn send(&self, message: Result<SubscriptionMessage, serde_json::Error>) -> Result<(), End> {
        let message = message.map_err(|_| End::Gone)?;
        let sent = tokio::select! {
            biased;
            sent = self.sink.send_timeout(message, SEND_MAX) => sent,
            end = self.link.is_over() => return Err(end),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Closed(_)) => Err(End::Gone),
            Err(SendTimeoutError::Timeout(_)) => Err(End::Closed(CloseReason::SlowReader)),
        }
    }

    /// What is told to this subscriber alone and is no event of the log: it is numbered as the event before it.
    fn notice(&self, seq: u64, kind: EventKind) -> Result<SubscriptionMessage, serde_json::Error> {
        self.message(&Envelope { seq, time_ms: clock::now().wall.0, kind, trace_id: None })
    }

    fn message(&self, event: &impl serde::Serialize) -> Result<SubscriptionMessage, serde_json::Error> {
        SubscriptionMessage::new(self.sink.method_name(), self.sink.subscription_id(), event)
    }
}

/// Waits until there may be something to take over: for ever, without a group.
async fn changed(membership: &mut Option<Membership>) {
    match membership {
        Some(membership) => membership.changed().await,
        None => std::future::pending().await,
    }
}

fn unreadable(error: &std::io::Error) -> End {
    tracing::error!(%error, "the event log cannot be read");
    End::Closed(CloseReason::LogUnreadable)
}
