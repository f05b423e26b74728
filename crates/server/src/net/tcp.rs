//! SIP over TCP: connections in both directions, framed by Content-Length, and reused (RFC 3261 §18, RFC 5923 in
//! spirit). A connection belongs to two small tasks, one that reads and one that writes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use offhook_sip::StreamFramer;
use offhook_sip::event::{Flow, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::input::Input;

/// Connections at a time; one more is closed at once. Gateways use a handful.
const MAX_CONNECTIONS: usize = 1_024;

/// Messages that may wait for a peer that reads slowly; one more closes the connection.
const SEND_QUEUE: usize = 256;

/// How long to wait before the next connection is accepted where one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A peer that does not take the connection in this time is not there.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A peer that does not read for so long is cut off.
const WRITE_DEADLINE: Duration = Duration::from_secs(10);

/// A connection on which nothing came for so long is closed, unless bytes of a message wait to be completed: then after
/// [`PARTIAL_DEADLINE`].
const IDLE_DEADLINE: Duration = Duration::from_secs(3600);

/// A message that began must be complete in this time (`reliability.md` P7).
const PARTIAL_DEADLINE: Duration = Duration::from_secs(10);

/// All SIP connections over TCP. Owned by the control loop; lives on its thread.
#[derive(Clone, Debug)]
pub struct Connections {
    inputs: mpsc::Sender<Input>,
    open: Rc<RefCell<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>>,
}

impl Connections {
    /// No connection yet.
    pub fn new(inputs: mpsc::Sender<Input>) -> Self {
        Self { inputs, open: Rc::default() }
    }

    /// Accepts connections for ever, on the control thread's runtime.
    pub fn listen(&self, listener: std::net::TcpListener) -> io::Result<()> {
        let listener = TcpListener::from_std(listener)?;
        let connections = self.clone();
        tokio::task::spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, remote)) => connections.adopt(stream, remote),
                    Err(error) => {
                        tracing::warn!(%error, "TCP accept");
                        #[allow(
                            clippy::disallowed_methods,
                            reason = "out of descriptors: wait until one is closed"
                        )]
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        Ok(())
    }

    /// Sends a message by the connection to `flow.remote`, which is made first where there is none.
    pub fn send(&self, flow: Flow, bytes: Vec<u8>) {
        let existing = self.open.borrow().get(&flow.remote).cloned();
        let sender = existing.unwrap_or_else(|| self.connect(flow));
        if sender.try_send(bytes).is_err() {
            tracing::debug!(remote = %flow.remote, "TCP peer does not read");
            self.open.borrow_mut().remove(&flow.remote);
        }
    }

    fn connect(&self, flow: Flow) -> mpsc::Sender<Vec<u8>> {
        let (sender, queue) = mpsc::channel(SEND_QUEUE);
        self.open.borrow_mut().insert(flow.remote, sender.clone());
        let connections = self.clone();
        tokio::task::spawn_local(async move {
            match tokio::time::timeout(CONNECT_DEADLINE, TcpStream::connect(flow.remote)).await {
                Ok(Ok(stream)) => connections.run(stream, flow.remote, queue),
                _ => connections.close(flow).await,
            }
        });
        sender
    }

    fn adopt(&self, stream: TcpStream, remote: SocketAddr) {
        if self.open.borrow().len() >= MAX_CONNECTIONS {
            tracing::warn!(%remote, "TCP connection refused: too many");
            return;
        }
        let (sender, queue) = mpsc::channel(SEND_QUEUE);
        self.open.borrow_mut().insert(remote, sender);
        self.run(stream, remote, queue);
    }

    fn run(&self, stream: TcpStream, remote: SocketAddr, queue: mpsc::Receiver<Vec<u8>>) {
        let _ = stream.set_nodelay(true);
        let Ok(local) = stream.local_addr() else { return };
        let flow = Flow { transport: Transport::Tcp, local, remote, name: None };
        let (reader, writer) = stream.into_split();
        tokio::task::spawn_local(write(writer, queue));
        let connections = self.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = read(reader, flow, &connections.inputs).await {
                tracing::debug!(%remote, %error, "TCP connection ends");
            }
            connections.close(flow).await;
        });
    }

    /// Dropping the sender ends the writer, which closes the connection.
    async fn close(&self, flow: Flow) {
        self.open.borrow_mut().remove(&flow.remote);
        let _ = self.inputs.send(Input::FlowClosed(flow)).await;
    }
}

async fn read(mut reader: OwnedReadHalf, flow: Flow, inputs: &mpsc::Sender<Input>) -> io::Result<()> {
    let mut framer = StreamFramer::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let deadline = if framer.is_partial() { PARTIAL_DEADLINE } else { IDLE_DEADLINE };
        let length = tokio::time::timeout(deadline, reader.read(&mut buffer)).await??;
        if length == 0 {
            return Ok(());
        }
        framer.push(buffer.get(..length).unwrap_or_default());
        while let Some(bytes) = framer.next_message().map_err(io::Error::other)? {
            if inputs.send(Input::Message { flow, bytes }).await.is_err() {
                return Ok(());
            }
        }
    }
}

async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) {
    while let Some(bytes) = queue.recv().await {
        match tokio::time::timeout(WRITE_DEADLINE, writer.write_all(&bytes)).await {
            Ok(Ok(())) => {}
            _ => break,
        }
    }
    let _ = writer.shutdown().await;
}
