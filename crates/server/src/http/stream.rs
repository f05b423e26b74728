//! `GET /sys/events`: Server-Sent Events in the words of SpRecord (`notifications.md`).
//!
//! ```text
//!   event log ─▶ a task for each connection ─▶ a few frames ─▶ body ─▶ TCP
//! ```
//! What the other end does not take waits in the log: the task reads no further than it is rid of, and one that takes nothing
//! at all is cut by [`Stall`](super::stall). It comes back with `Last-Event-ID`.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use hyper::body::{Body, Frame};
use jsonrpsee::server::HttpBody;
use offhook_call::id::NodeId;
use offhook_client::wire::GapReason;
use offhook_client::wire::limits::SEQ_MAX;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::events::{EventLog, Listening, Read, Reader};
use crate::webhooks::SpRecord;

/// Frames on their way to one connection, of some hundred bytes each.
const FRAMES: usize = 16;

/// How often a comment says that the connection is there.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// What connections are served from.
#[derive(Clone)]
pub(super) struct Stream {
    log: Arc<EventLog>,
    node: NodeId,
    places: Arc<Semaphore>,
    most: usize,
    closing: watch::Receiver<bool>,
}

impl Stream {
    /// At most `most` connections at a time.
    pub(super) fn new(log: Arc<EventLog>, node: NodeId, most: usize, closing: watch::Receiver<bool>) -> Self {
        Self { log, node, places: Arc::new(Semaphore::new(most)), most, closing }
    }

    /// One more connection, if there is a place.
    pub(super) fn open(&self, headers: &HeaderMap) -> Response<HttpBody> {
        let Ok(place) = self.places.clone().try_acquire_owned() else {
            let error = format!("{} connections are as many as there may be", self.most);
            return super::json(StatusCode::TOO_MANY_REQUESTS, &json!({ "error": error }));
        };
        let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
        let after = last.filter(|seq| *seq <= SEQ_MAX).unwrap_or(self.log.newest());
        let (frames, body) = mpsc::channel(FRAMES);
        let reader = Reader::new(self.log.clone(), after);
        let listening = Listening::after(self.log.clone(), after);
        let words = SpRecord::new(self.node.to_string());
        tokio::spawn(tell((reader, listening), words, frames, self.closing.clone()));
        let mut response = Response::new(HttpBody::new(Frames { body, _place: place }));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

/// Until the other end has gone, or the server ends.
async fn tell(
    (mut reader, listening): (Reader, Listening),
    mut words: SpRecord,
    frames: mpsc::Sender<Bytes>,
    mut closing: watch::Receiver<bool>,
) {
    let mut comments = tokio::time::interval(COMMENT_EVERY);
    loop {
        let frame = match reader.read().await {
            Ok(Read::Batch(batch)) if batch.is_empty() => {
                let is_closing = *closing.borrow();
                tokio::select! {
                    _ = comments.tick() => ": still there\n\n".to_owned(),
                    () = frames.closed() => return,
                    () = reader.wait() => continue,
                    _ = closing.wait_for(|closing| *closing), if !is_closing => continue,
                    () = std::future::ready(()), if is_closing => return,
                }
            }
            Ok(Read::Batch(batch)) => {
                batch.iter().map(|entry| frame(entry.seq, words.of_entry(entry))).collect()
            }
            // It has no word for that, so it is told beside.
            Ok(Read::Gap { reason, first, last }) => {
                let why = if reason == GapReason::Damaged { "cannot be read" } else { "are not kept" };
                format!(": the events {first} to {last} {why} any more\n\n")
            }
            Ok(Read::Restarted { .. }) => ": the numbers of events have begun anew\n\n".to_owned(),
            Err(error) => return tracing::error!(%error, "the event log cannot be read"),
        };
        if !frame.is_empty() && frames.send(frame.into()).await.is_err() {
            return;
        }
        listening.has_passed(reader.cursor());
    }
}

/// What an event is to such a connection. Where that is more than one, the last has the number: who has seen it has seen all.
fn frame(seq: u64, told: Vec<crate::webhooks::Told>) -> String {
    let last = told.len();
    let frames = (1..).zip(told).map(|(at, told)| {
        let id = if at == last { format!("id: {seq}\n") } else { String::new() };
        format!("{id}data: {}\n\n", told.body)
    });
    frames.collect()
}

/// The body of a response that goes on.
struct Frames {
    body: mpsc::Receiver<Bytes>,
    _place: OwnedSemaphorePermit,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.body.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
