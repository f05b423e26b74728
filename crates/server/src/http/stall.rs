//! A connection that takes nothing is cut.
//!
//! The JSON-RPC library writes to a WebSocket without a limit in time, and reads further requests while it does. This
//! sits below it: a write that does not get one byte out within [`STALL_MAX`] fails, which ends the connection and all
//! that waits for it; and while a write waits, nothing is read, so that a peer that asks and does not listen is slowed
//! by TCP instead of filling the memory with answers.
//!
//! It is also where a connection is cut that may not go on, whatever the library does with it, and where the messages of a WebSocket
//! are seen before they are whole.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Sleep;

use super::messages::Messages;
use crate::clock;

/// How long a peer may take no byte. Longer than a subscription waits before it ends with a reason, so that a peer that
/// wakes up in between hears it.
const STALL_MAX: Duration = Duration::from_secs(30);

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
    writing: Writing,
    /// A read that waits for that write.
    reader: Option<Waker>,
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
    /// It waited too long, or was cut: the connection is given up.
    Failed,
}

impl Stall {
    pub(super) fn new(socket: TcpStream, place: OwnedSemaphorePermit, orders: mpsc::Receiver<Order>) -> Self {
        // Requests and events are small and wait for nothing.
        let _ = socket.set_nodelay(true);
        Self {
            socket,
            writing: Writing::Free,
            reader: None,
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
            self.writing = Writing::Waiting(stall_deadline());
        }
        match (&mut self.writing, outcome) {
            (Writing::Failed, _) => Poll::Ready(Err(stalled())),
            (Writing::Waiting(deadline), Poll::Pending) => {
                ready!(deadline.as_mut().poll(cx));
                self.settle(Writing::Failed);
                Poll::Ready(Err(stalled()))
            }
            (_, outcome) => {
                self.settle(Writing::Free);
                outcome
            }
        }
    }

    /// Does what it is told.
    fn follow(&mut self, order: Order) -> io::Result<()> {
        match order {
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
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

fn stalled() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")
}

#[allow(clippy::disallowed_methods, reason = "the time of a socket, which is no state of a core")]
fn stall_deadline() -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(STALL_MAX))
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
            Writing::Free => {
                let before = buf.filled().len();
                ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
                let looked = self.look(buf.filled().get(before..).unwrap_or_default());
                if looked.is_err() {
                    self.settle(Writing::Failed);
                }
                Poll::Ready(looked)
            }
            Writing::Waiting(_) => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Writing::Failed => Poll::Ready(Err(stalled())),
        }
    }
}

impl AsyncWrite for Stall {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.written(cx, outcome)
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
