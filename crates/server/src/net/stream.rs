//! SIP over streams, TCP and TLS alike: connections in both directions, framed by Content-Length, and reused (RFC 3261
//! §18, RFC 5923). A connection is one small task, which reads and writes; a table says what there is to reuse.
//!
//! Who connects may be anyone (`reliability.md` P7), so that everything here has a limit ([`Limits`]), and whoever comes
//! is let in: it is the connection that has been idle for longest which goes, first of the same address.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use offhook_sip::StreamFramer;
use offhook_sip::event::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use super::tls::{self, Tls};
use crate::clock;
use crate::input::Input;

/// What connections may take, of memory and of time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time with one address. A gateway uses a handful, a load generator one for each call.
    pub per_address: usize,
    /// Bytes that may wait for a peer that reads slowly; one more message cuts it off.
    pub queue: usize,
    /// A peer that does not take the connection in this time is not there; with TLS this includes the handshake.
    pub connect: Duration,
    /// The handshake of a connection made to us must be over in this time (`reliability.md` S18).
    pub handshake: Duration,
    /// A message that began must be complete in this time (`reliability.md` P7).
    pub message: Duration,
    /// A peer that takes no byte for so long is cut off.
    pub write: Duration,
    /// A connection without a message for so long is closed.
    pub idle: Duration,
    /// A connection of ours on which nothing came for so long is pinged (RFC 5626 §4.4.1), which also keeps the way
    /// through a NAT open: 95 to 120 s, as §4.4 has it for those who are not told.
    pub ping: Duration,
    /// The answer comes in this time (RFC 5626 §4.4.1), from those who have ever answered: the others need not know pings.
    pub pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4_096,
            per_address: 512,
            queue: 512 << 10,
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            message: Duration::from_secs(10),
            write: Duration::from_secs(10),
            idle: Duration::from_secs(3600),
            ping: Duration::from_secs(100),
            pong: Duration::from_secs(10),
        }
    }
}

/// Connections that may wait to be accepted; the kernel may grant fewer.
const BACKLOG: i32 = 1_024;

/// A read takes so much at most.
const READ: usize = 4 << 10;

/// What a waiting message costs at least, however short it is.
const LEAST_COST: usize = 256;

/// How long to wait before the next connection is accepted where one could not be.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a farewell may take: the end of TLS, or the answer to the last message of a stream that is cut off.
const FAREWELL: Duration = Duration::from_secs(1);

/// After so much silence the kernel asks whether the peer's host still lives.
const KEEP_ALIVE: Duration = Duration::from_secs(60);

const PING: &[u8] = b"\r\n\r\n";
const PONG: &[u8] = b"\r\n";

/// A byte stream, whatever it goes through.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// What the table and the task of a connection share.
#[derive(Debug)]
struct Line {
    queue: mpsc::UnboundedSender<Vec<u8>>,
    /// What waits in `queue`, in bytes.
    queued: Cell<usize>,
    /// When the last whole message came, or the connection was made.
    heard: Cell<Instant>,
    /// Whether a whole message ever came. Those that never said anything are the first to go.
    spoken: Cell<bool>,
    cut: Notify,
}

impl Line {
    fn cost(bytes: &[u8]) -> usize {
        bytes.len().max(LEAST_COST)
    }

    /// Puts a message into the queue, or cuts the connection off: its peer does not read.
    fn push(&self, bytes: Vec<u8>, limit: usize) {
        let queued = self.queued.get() + Self::cost(&bytes);
        if queued > limit {
            self.cut.notify_one();
            return;
        }
        self.queued.set(queued);
        // A task that has ended meanwhile tells so by `Input::FlowClosed`.
        let _ = self.queue.send(bytes);
    }
}

/// How a connection comes to be.
enum Origin {
    Accepted(TcpStream),
    Opened,
}

/// Opens a listening socket, of one IP version only.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// All SIP connections over streams. Owned by the control loop; lives on its thread.
#[derive(Clone, Debug)]
pub struct Connections {
    inputs: mpsc::Sender<Input>,
    tls: Option<Tls>,
    limits: Limits,
    open: Rc<RefCell<HashMap<Flow, Rc<Line>>>>,
}

impl Connections {
    /// No connection yet. Without `tls` there is no way by TLS.
    pub fn new(inputs: mpsc::Sender<Input>, tls: Option<Tls>, limits: Limits) -> Self {
        Self { inputs, tls, limits, open: Rc::default() }
    }

    /// Accepts connections for ever, on the control thread's runtime.
    pub fn listen(&self, transport: Transport, listener: std::net::TcpListener) -> io::Result<()> {
        let local = listener.local_addr()?;
        let listener = TcpListener::from_std(listener)?;
        let connections = self.clone();
        let name = if transport == Transport::Tls { self.tls.as_ref().and_then(Tls::peer) } else { None };
        tokio::task::spawn_local(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, remote)) => {
                        let flow = Flow { transport, local, remote, name };
                        drop(connections.start(flow, Origin::Accepted(stream)));
                    }
                    Err(error) => {
                        tracing::warn!(%transport, %error, "accept");
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

    /// Sends a message by the connection of this flow, which is made first where there is none.
    pub fn send(&self, flow: Flow, bytes: Vec<u8>) {
        let line = self.existing(flow).unwrap_or_else(|| self.start(flow, Origin::Opened));
        line.push(bytes, self.limits.queue);
    }

    /// Whether a flow has a connection. That of an [`Input::FlowClosed`] has one where another one was made before the end
    /// of the last was heard of: what is asked by the new one has not failed.
    pub fn is_open(&self, flow: Flow) -> bool {
        self.open.borrow().contains_key(&flow)
    }

    /// The connection of a flow. Where nobody says who must be at its end, one that has been verified for any name will
    /// do: the Contact of most peers by TLS is an address, for which no certificate is made out.
    fn existing(&self, flow: Flow) -> Option<Rc<Line>> {
        let open = self.open.borrow();
        let exact = open.get(&flow);
        let any = || {
            let unnamed =
                |other: &Flow| other.name != Some(tls::UNVERIFIED) && Flow { name: None, ..*other } == flow;
            open.iter().find(|(other, _)| unnamed(other)).map(|(_, line)| line)
        };
        let anyone = flow.transport == Transport::Tls && flow.name.is_none();
        exact.or_else(|| if anyone { any() } else { None }).cloned()
    }

    fn start(&self, flow: Flow, origin: Origin) -> Rc<Line> {
        self.make_room(flow.remote.ip());
        let (sender, queue) = mpsc::unbounded_channel();
        let line = Rc::new(Line {
            queue: sender,
            queued: Cell::new(0),
            heard: Cell::new(clock::now().mono),
            spoken: Cell::new(false),
            cut: Notify::new(),
        });
        self.open.borrow_mut().insert(flow, Rc::clone(&line));
        let (connections, own) = (self.clone(), Rc::clone(&line));
        tokio::task::spawn_local(async move {
            let ended = tokio::select! {
                ended = connections.run(flow, origin, queue, &own) => ended,
                () = own.cut.notified() => Err(io::Error::other("cut off")),
            };
            if let Err(error) = ended {
                tracing::debug!(?flow, %error, "SIP connection ends");
            }
            connections.forget(flow, &own);
            let _ = connections.inputs.send(Input::FlowClosed(flow)).await;
        });
        line
    }

    /// Cuts the idlest connection off where there are too many, of this address or at all.
    fn make_room(&self, address: IpAddr) {
        let open = self.open.borrow();
        if open.len() < self.limits.per_address.min(self.limits.connections) {
            return;
        }
        let idlest = |of: &dyn Fn(&Flow) -> bool| {
            let lines = open.iter().filter(|(flow, _)| of(flow));
            lines.min_by_key(|(_, line)| (line.spoken.get(), line.heard.get())).map(|(flow, _)| *flow)
        };
        let own = |flow: &Flow| flow.remote.ip() == address;
        let goes = if open.keys().filter(|flow| own(flow)).count() >= self.limits.per_address {
            idlest(&own)
        } else if open.len() >= self.limits.connections {
            idlest(&|_| true)
        } else {
            None
        };
        drop(open);
        if let Some(flow) = goes
            && let Some(line) = self.open.borrow_mut().remove(&flow)
        {
            tracing::debug!(?flow, "the idlest connection goes: too many");
            line.cut.notify_one();
        }
    }

    /// Takes a connection out of the table, unless another one has taken its place.
    fn forget(&self, flow: Flow, line: &Rc<Line>) {
        let mut open = self.open.borrow_mut();
        if open.get(&flow).is_some_and(|there| Rc::ptr_eq(there, line)) {
            open.remove(&flow);
        }
    }

    async fn run(
        &self,
        flow: Flow,
        origin: Origin,
        queue: mpsc::UnboundedReceiver<Vec<u8>>,
        line: &Line,
    ) -> io::Result<()> {
        let opened = matches!(origin, Origin::Opened);
        let deadline = if opened { self.limits.connect } else { self.limits.handshake };
        let stream = timeout(deadline, self.establish(flow, origin)).await??;
        let (mut reader, mut writer) = tokio::io::split(stream);
        let ended = tokio::select! {
            ended = self.read(&mut reader, flow, line, opened) => ended,
            ended = self.write(&mut writer, queue, line) => ended,
        };
        let _ = timeout(FAREWELL, writer.shutdown()).await;
        ended
    }

    async fn establish(&self, flow: Flow, origin: Origin) -> io::Result<Box<dyn Stream>> {
        let no_tls = || io::Error::new(io::ErrorKind::Unsupported, "no TLS is configured");
        match (origin, flow.transport) {
            (Origin::Accepted(stream), Transport::Tls) => {
                prepare(&stream);
                let tls = self.tls.as_ref().ok_or_else(no_tls)?;
                Ok(Box::new(tls.accept(stream).await?))
            }
            (Origin::Accepted(stream), _) => {
                prepare(&stream);
                Ok(Box::new(stream))
            }
            (Origin::Opened, Transport::Tls) => {
                let tls = self.tls.as_ref().ok_or_else(no_tls)?;
                Ok(Box::new(tls.connect(connect(flow).await?, flow).await?))
            }
            (Origin::Opened, _) => Ok(Box::new(connect(flow).await?)),
        }
    }

    async fn read(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        flow: Flow,
        line: &Line,
        opened: bool,
    ) -> io::Result<()> {
        let mut framer = StreamFramer::new();
        let mut buffer = vec![0; READ];
        let mut patience = Patience { opened, begun: None, pinged: false, answers: false };
        loop {
            let wait = patience.wait(&self.limits, clock::now().mono);
            let length = match timeout(wait, reader.read(&mut buffer)).await {
                Ok(read) => read?,
                Err(_) if patience.goes_on(&self.limits, clock::now().mono, line.heard.get()) => {
                    line.push(PING.to_vec(), self.limits.queue);
                    continue;
                }
                Err(late) => return Err(late.into()),
            };
            if length == 0 {
                return Ok(());
            }
            framer.push(buffer.get(..length).unwrap_or_default());
            let mut whole = false;
            loop {
                match framer.next_message() {
                    Ok(None) => break,
                    Ok(Some(bytes)) => {
                        whole = true;
                        if self.inputs.send(Input::Message { flow, bytes }).await.is_err() {
                            return Ok(());
                        }
                    }
                    Err(error) => {
                        // A close with something unread takes the answer back that is on its way.
                        let _ = timeout(FAREWELL, discard(reader, &mut buffer)).await;
                        return Err(io::Error::other(error));
                    }
                }
            }
            if framer.take_ping() {
                line.push(PONG.to_vec(), self.limits.queue);
            }
            let now = clock::now().mono;
            if whole {
                line.heard.set(now);
                line.spoken.set(true);
            }
            patience.came(now, whole, framer.is_partial());
        }
    }

    async fn write(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        mut queue: mpsc::UnboundedReceiver<Vec<u8>>,
        line: &Line,
    ) -> io::Result<()> {
        while let Some(bytes) = queue.recv().await {
            timeout(self.limits.write, async {
                writer.write_all(&bytes).await?;
                writer.flush().await
            })
            .await??;
            line.queued.set(line.queued.get().saturating_sub(Line::cost(&bytes)));
        }
        Ok(())
    }
}

/// Reads to the end of the stream, for nothing.
async fn discard(reader: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) {
    while matches!(reader.read(buffer).await, Ok(1..)) {}
}

/// What a reader waits for.
#[derive(Debug)]
struct Patience {
    /// Whether it is we who keep the connection open.
    opened: bool,
    /// When the message began that is not complete.
    begun: Option<Instant>,
    /// Whether a ping waits for its answer.
    pinged: bool,
    /// Whether one was ever answered.
    answers: bool,
}

impl Patience {
    /// How long the next byte is waited for.
    fn wait(&self, limits: &Limits, now: Instant) -> Duration {
        match self.begun {
            Some(begun) => (begun + limits.message).saturating_duration_since(now),
            None if self.pinged && self.answers => limits.pong,
            None if self.opened => limits.ping,
            None => limits.idle,
        }
    }

    /// Whether the connection goes on although nothing came, by way of a ping.
    fn goes_on(&mut self, limits: &Limits, now: Instant, heard: Instant) -> bool {
        let lost = self.begun.is_some() || (self.pinged && self.answers);
        let idle = now.saturating_duration_since(heard) >= limits.idle;
        self.pinged = true;
        self.opened && !lost && !idle
    }

    /// Bytes came; whether they ended a message, and whether one has begun.
    fn came(&mut self, now: Instant, whole: bool, partial: bool) {
        self.begun = if partial { self.begun.filter(|_| !whole).or(Some(now)) } else { None };
        self.answers |= self.pinged && !whole && !partial;
        self.pinged = false;
    }
}

/// Connects from the flow's own address, so that the peer sees whom it is told of in Via.
async fn connect(flow: Flow) -> io::Result<TcpStream> {
    let socket = if flow.remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if !flow.local.ip().is_unspecified() {
        socket.bind(SocketAddr::new(flow.local.ip(), 0))?;
    }
    let stream = socket.connect(flow.remote).await?;
    prepare(&stream);
    Ok(stream)
}

/// Without these a connection only is slower, or stays for longer.
fn prepare(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEP_ALIVE));
}

#[cfg(test)]
mod tests;
