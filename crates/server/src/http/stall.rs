//! A connection that takes nothing, or does not answer, is cut.
//!
//! The JSON-RPC library writes to a WebSocket without a limit in time, and reads further requests while it does. This
//! sits below it: a write that does not get one byte out within [`STALL_MAX`] fails, which ends the connection and all
//! that waits for it; and while a write waits, nothing is read, so that a peer that asks and does not listen is slowed
//! by TCP instead of filling the memory with answers.
//!
//! ```text
//!   nothing taken for 10 s ─▶ its subscriptions end (slow_reader) ─▶ 20 s more ─▶ cut
//!   no answer to a ping in 15 s ─▶ its subscriptions end (no_pong) ─▶ 1 s more ─▶ close 1008
//!   its token is taken away ─▶ its subscriptions end (token_revoked) ─▶ 1 s more ─▶ close 1008
//! ```
//! The library looks for pongs too, but sends no ping while there is something else to send: a subscriber that reads all the time and
//! is behind would be taken for one that has gone. So it is told to wait for ever ([`super::rpc_config`]).
//!
//! It is also where a connection is cut that may not go on, whatever the library does with it, where the messages of a WebSocket
//! are seen before they are whole, and where the library's own words become ours ([`words`]).

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use offhook_client::wire::CloseReason;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use tokio::time::Sleep;

use super::messages::Messages;
use super::words::{self, Close};
use crate::clock;

/// How long a peer may take no byte.
const STALL_MAX: Duration = Duration::from_secs(10);

/// What the kernel may hold for a peer. It says that there is room again when about a third of it is free, so who takes less than that in
/// [`STALL_MAX`], some 10 kB a second, takes nothing as far as we know; left to itself it would hold megabytes.
const SEND_BUFFER: usize = 256 << 10;

/// How long it may take none after that, if it is a WebSocket: its subscriptions are over, and if it wakes up meanwhile it hears why.
const WAKE_MAX: Duration = Duration::from_secs(20);

/// How long a WebSocket may leave a ping unanswered: whoever takes over the calls of a subscriber that has frozen must have the time to
/// act on them, before they end for want of it (`limits.incoming_timeout_seconds`).
const PONG_TIME: Duration = Duration::from_secs(15);

/// How long its subscriptions have then for their last words.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The end of the head of a request, after which a client says nothing until a WebSocket is agreed on (RFC 6455 §4.1).
const HEAD_END: [u8; 4] = *b"\r\n\r\n";

/// What a connection is told by who serves it.
#[derive(Debug)]
pub(super) enum Order {
    /// It may not go on.
    Cut,
    /// From here on it is a WebSocket.
    Upgraded(Messages),
}

/// A socket with that rule, and the place among the connections that it takes up.
#[derive(Debug)]
pub(super) struct Stall {
    socket: TcpStream,
    peer: SocketAddr,
    writing: Writing,
    /// What is said in the place of what the library says, as far as it has not gone out.
    instead: Vec<u8>,
    pong: Pong,
    /// A read that waits, for that write or for the peer.
    reader: Option<Waker>,
    /// Where its subscriptions hear that they are over.
    fate: watch::Sender<Option<CloseReason>>,
    orders: mpsc::Receiver<Order>,
    /// The last bytes that were read, until it is a WebSocket.
    tail: [u8; 4],
    /// Those of a WebSocket.
    messages: Option<Messages>,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Writing {
    /// The last write went through.
    Free,
    /// A write waits, until then.
    Waiting(Pin<Box<Sleep>>),
    /// So it does, and its subscriptions know.
    Told(Pin<Box<Sleep>>),
    /// It waited too long, or was cut: the connection is given up.
    Failed,
}

/// Whether the peer of a WebSocket answers.
#[derive(Debug)]
enum Pong {
    /// Nothing is asked, or all is answered.
    Here,
    /// It is asked, and has time until then.
    Asked(Pin<Box<Sleep>>),
    /// It has not answered, or may not go on. Its subscriptions have until then, and nothing of it is read any more.
    Over(Pin<Box<Sleep>>, &'static Close),
}

impl Stall {
    pub(super) fn new(
        (socket, peer): (TcpStream, SocketAddr),
        place: OwnedSemaphorePermit,
        orders: mpsc::Receiver<Order>,
        fate: watch::Sender<Option<CloseReason>>,
    ) -> Self {
        // Requests and events are small and wait for nothing.
        let _ = socket.set_nodelay(true);
        let _ = SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER);
        Self {
            socket,
            peer,
            writing: Writing::Free,
            instead: Vec::new(),
            pong: Pong::Here,
            reader: None,
            fate,
            orders,
            tail: [0; 4],
            messages: None,
            _place: place,
        }
    }

    /// Looks after the clock around the outcome of a write.
    fn written<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Writing::Free = self.writing
            && outcome.is_pending()
        {
            self.writing = Writing::Waiting(after(STALL_MAX));
        }
        if let (Writing::Waiting(deadline), Poll::Pending, true) =
            (&mut self.writing, &outcome, self.messages.is_some())
        {
            ready!(deadline.as_mut().poll(cx));
            // Counted from when it should have ended, however late this is looked at.
            let until = deadline.deadline() + WAKE_MAX;
            let mut deadline = after(WAKE_MAX);
            deadline.as_mut().reset(until);
            self.writing = Writing::Told(deadline);
            self.fate.send_replace(Some(CloseReason::SlowReader));
        }
        match (&mut self.writing, outcome) {
            (Writing::Failed, _) => Poll::Ready(Err(stalled())),
            (Writing::Waiting(deadline) | Writing::Told(deadline), Poll::Pending) => {
                ready!(deadline.as_mut().poll(cx));
                tracing::info!(peer = %self.peer, "a connection is cut that takes nothing");
                self.settle(Writing::Failed);
                Poll::Ready(Err(stalled()))
            }
            (_, outcome) => {
                self.taken();
                outcome
            }
        }
    }

    /// A write got through.
    fn taken(&mut self) {
        match self.writing {
            Writing::Free => return,
            Writing::Told(_) => {
                self.fate.send_replace(None);
            }
            Writing::Waiting(_) | Writing::Failed => {}
        }
        // Who makes room reads, however far the pong is behind.
        if let Pong::Asked(_) = self.pong {
            self.pong = Pong::Here;
        }
        self.settle(Writing::Free);
    }

    /// A ping goes out.
    fn ask(&mut self) {
        if let Pong::Here = self.pong {
            self.pong = Pong::Asked(after(PONG_TIME));
            self.wake_reader();
        }
    }

    /// Nothing has come: waits for it as long as an answer may take. The end of that is the end of what is read.
    fn silent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Pong::Asked(deadline) = &mut self.pong {
            ready!(deadline.as_mut().poll(cx));
            tracing::info!(peer = %self.peer, "a WebSocket is closed that answers no ping");
            self.end(CloseReason::NoPong, &words::NO_PONG);
        }
        match &mut self.pong {
            Pong::Over(deadline, _) => deadline.as_mut().poll(cx).map(Ok),
            _ => Poll::Pending,
        }
    }

    /// A WebSocket is over: its subscriptions have a moment to say why, then it is closed.
    fn end(&mut self, reason: CloseReason, close: &'static Close) {
        self.pong = Pong::Over(after(LAST_WORDS), close);
        self.fate.send_replace(Some(reason));
    }

    /// Does what it is told.
    fn follow(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Cut if self.messages.is_some() => {
                if !matches!(self.pong, Pong::Over(..)) {
                    self.end(CloseReason::TokenRevoked, &words::TOKEN_REVOKED);
                }
                Ok(())
            }
            Order::Cut => Err(io::Error::new(io::ErrorKind::PermissionDenied, "its token is good no more")),
            // Where its messages begin is not known any more.
            Order::Upgraded(_) if self.tail != HEAD_END => {
                Err(io::Error::new(io::ErrorKind::InvalidData, "it spoke before it was let in"))
            }
            Order::Upgraded(messages) => {
                self.messages = Some(messages);
                Ok(())
            }
        }
    }

    /// Looks at what was read.
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.messages {
            Some(messages) => messages.read(clock::now().mono, bytes),
            None => {
                for &byte in bytes.iter().skip(bytes.len().saturating_sub(self.tail.len())) {
                    self.tail.rotate_left(1);
                    self.tail[3] = byte;
                }
                Ok(())
            }
        }
    }

    fn settle(&mut self, writing: Writing) {
        self.writing = writing;
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")
}

#[allow(clippy::disallowed_methods, reason = "the time of a socket, which is no state of a core")]
fn after(time: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(time))
}

impl AsyncRead for Stall {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            if let Err(error) = self.follow(order) {
                self.settle(Writing::Failed);
                return Poll::Ready(Err(error));
            }
        }
        match self.writing {
            Writing::Free if matches!(self.pong, Pong::Over(..)) => {
                self.reader = Some(cx.waker().clone());
                self.silent(cx)
            }
            Writing::Free => {
                let before = buf.filled().len();
                let Poll::Ready(read) = Pin::new(&mut self.socket).poll_read(cx, buf) else {
                    self.reader = Some(cx.waker().clone());
                    return self.silent(cx);
                };
                read?;
                if let Pong::Asked(_) = self.pong {
                    self.pong = Pong::Here;
                }
                let looked = self.look(buf.filled().get(before..).unwrap_or_default());
                if looked.is_err() {
                    self.settle(Writing::Failed);
                }
                Poll::Ready(looked)
            }
            Writing::Waiting(_) | Writing::Told(_) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Writing::Failed => Poll::Ready(Err(stalled())),
        }
    }
}

impl AsyncWrite for Stall {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.messages.is_some() && self.instead.is_empty() {
            let close = match &self.pong {
                Pong::Over(_, close) => Some(*close),
                Pong::Here | Pong::Asked(_) => None,
            };
            match words::in_place_of(buf, close) {
                Some(ours) => self.instead.extend_from_slice(ours),
                None if buf == words::PING => self.ask(),
                None => {}
            }
        }
        if self.instead.is_empty() {
            let outcome = Pin::new(&mut self.socket).poll_write(cx, buf);
            return self.written(cx, outcome);
        }
        let this = &mut *self;
        while !this.instead.is_empty() {
            let outcome = Pin::new(&mut this.socket).poll_write(cx, &this.instead);
            let out = ready!(this.written(cx, outcome))?;
            this.instead.drain(..out);
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
