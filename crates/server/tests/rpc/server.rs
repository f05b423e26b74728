//! The server's HTTP port with a control loop of the test, and raw HTTP requests to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use offhook::config::secret::Token;
use offhook::config::{Config, Webhook};
use offhook::control::ASKS;
use offhook::control_handle::{Ask, ControlHandle, Living};
use offhook::events::{Durability, EventLog, EventWriter, Retention, Store, claim, open};
use offhook::http::{HttpConfig, serve};
use offhook::metrics::Metrics;
use offhook::request_keys::RequestKeys;
use offhook::serial::First;
use offhook::trace::TraceId;
use offhook::webhooks::Webhooks;
use offhook_call::Reply;
use offhook_call::command::Command;
use offhook_call::error::Error;
use offhook_call::gateway::GatewayStatus;
use offhook_call::id::NodeId;
use offhook_call::prompt::Language;
use offhook_client::Client;
use offhook_client::wire::{CallDir, DroppedBy, EventKind, IpscInfo, OnDtmf, OnReleased, OnRinging};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// How long a test waits for what must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) log: Log,
    /// Where it keeps what the next one shall know.
    pub(crate) data: Arc<DataDir>,
    /// One for each answer of the control loop: where there is none it waits.
    pub(crate) answers: Arc<Semaphore>,
    /// What the control loop was asked.
    pub(crate) asked: mpsc::UnboundedReceiver<Asked>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<()>,
    /// They end with it.
    _webhooks: Webhooks,
    /// Sets those of the configuration.
    pub(crate) configure: watch::Sender<Arc<[Webhook]>>,
    /// Sets the tokens that are good.
    pub(crate) tokens: watch::Sender<Arc<[Token]>>,
}

/// An event log in a directory of its own, which goes with it.
pub(crate) struct Log {
    pub(crate) writer: EventWriter,
    pub(crate) reading: Arc<EventLog>,
    store: Store,
    _dir: Arc<DataDir>,
}

impl Log {
    pub(crate) fn new(retention: Retention, first: u64) -> Self {
        Self::of(retention, First { number: first, is_new: false })
    }

    pub(crate) fn of(retention: Retention, first: First) -> Self {
        let dir = DataDir::new();
        let durability = Durability { sync: Duration::from_secs(60) };
        let (writer, reading, store) = open(claim(&dir.0).unwrap(), retention, durability, first).unwrap();
        Self { writer, reading, store, _dir: dir }
    }

    pub(crate) fn append(&mut self, time_ms: i64, kind: EventKind) {
        self.writer.append(time_ms, kind);
        self.commit();
    }

    /// Writes and shows what has been appended.
    pub(crate) fn commit(&mut self) {
        self.store.commit().unwrap();
    }
}

/// A directory that is there as long as this is.
pub(crate) struct DataDir(pub(crate) PathBuf);

impl DataDir {
    fn new() -> Arc<Self> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("offhook-rpc-{}-{number}", std::process::id());
        Arc::new(Self(std::env::temp_dir().join(name)))
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[derive(Debug)]
pub(crate) enum Asked {
    Command(Command),
    Applications(usize),
}

impl Server {
    /// A server whose calls answer as `script` says.
    pub(crate) async fn start(script: impl Fn(&Command) -> Result<Reply, Error> + Send + 'static) -> Self {
        Self::start_with(&[], Retention { bytes: 1 << 20, age: Duration::from_secs(3600) }, script).await
    }

    pub(crate) async fn start_with(
        tokens: &[&str],
        retention: Retention,
        script: impl Fn(&Command) -> Result<Reply, Error> + Send + 'static,
    ) -> Self {
        Self::start_on(Log::new(retention, 1), tokens, script).await
    }

    /// A server that reads from a log of the test.
    pub(crate) async fn start_on(
        log: Log,
        tokens: &[&str],
        script: impl Fn(&Command) -> Result<Reply, Error> + Send + 'static,
    ) -> Self {
        Self::start_all(log, tokens, DataDir::new(), script).await
    }

    /// A server after another one, of which it has the directory.
    pub(crate) async fn start_after(
        data: Arc<DataDir>,
        script: impl Fn(&Command) -> Result<Reply, Error> + Send + 'static,
    ) -> Self {
        let retention = Retention { bytes: 1 << 20, age: Duration::from_secs(3600) };
        Self::start_all(Log::new(retention, 1), &[], data, script).await
    }

    async fn start_all(
        log: Log,
        tokens: &[&str],
        data: Arc<DataDir>,
        script: impl Fn(&Command) -> Result<Reply, Error> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tx, mut rx) = mpsc::channel(ASKS);
        let (asked_tx, asked) = mpsc::unbounded_channel();
        let answers = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        let may_answer = answers.clone();
        let reading = log.reading.clone();
        tokio::spawn(async move {
            while let Some(ask) = rx.recv().await {
                match ask {
                    Ask::Request { command, reply } => {
                        let answer = script(&command);
                        let _ = asked_tx.send(Asked::Command(command));
                        may_answer.acquire().await.unwrap().forget();
                        let _ = reply.send(answer);
                    }
                    Ask::Living(reply) => {
                        let seq = reading.newest();
                        let _ = reply.send(Living { seq, ..Living::default() });
                    }
                    Ask::Explain(_, reply) => drop(reply.send(None)),
                    Ask::Metrics(reply) => drop(reply.send(metrics())),
                    Ask::Applications(count) => {
                        let _ = asked_tx.send(Asked::Applications(count));
                    }
                }
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let tokens = tokens.iter().map(|token| token.to_string().try_into().unwrap()).collect();
        let (tokens, good_tokens) = watch::channel(tokens);
        let config = HttpConfig {
            tokens: good_tokens,
            node: NodeId::default(),
            process_id: 7,
            data_dir: data.0.as_path().into(),
            language: Language::Zh,
            event_streams: 3,
            copy: None,
        };
        let keys = RequestKeys::open(&data.0).unwrap();
        let mut hooks = Config::default();
        hooks.node.data_dir.clone_from(&data.0);
        hooks.webhooks.ca = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/tls/ca.pem").into();
        hooks.webhooks.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        let (configure, configured) = watch::channel(Arc::<[Webhook]>::from([]));
        let (webhooks, hooks) = Webhooks::start(&hooks, configured, log.reading.clone()).unwrap();
        let shared = (log.reading.clone(), keys, hooks);
        let served = tokio::spawn(serve(listener, config, ControlHandle::new(tx), shared, async move {
            let _ = stopped.await;
        }));
        Self {
            address,
            log,
            data,
            answers,
            asked,
            stop: Some(stop),
            served,
            _webhooks: webhooks,
            configure,
            tokens,
        }
    }

    /// A server whose calls are not to be reached.
    pub(crate) async fn start_unasked() -> Self {
        Self::start(|command| panic!("{command:?} should not have come this far")).await
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/rpc", self.address)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.url(), None).await.unwrap()
    }

    /// The next thing that the control loop was asked.
    pub(crate) async fn asked(&mut self) -> Asked {
        patient(self.asked.recv()).await.unwrap()
    }

    /// Waits until the control loop has been told of `count` subscriptions.
    pub(crate) async fn applications(&mut self, count: usize) {
        while !matches!(self.asked().await, Asked::Applications(told) if told == count) {}
    }

    pub(crate) fn ring(&mut self, n: i64) {
        let res_id = "0.0.0-sys.call-1".to_owned();
        self.log.append(n, EventKind::Ringing(OnRinging { res_id, ring_time: n, user_data: None }));
    }

    /// Tells of a call by its number; `end` is its last event.
    pub(crate) fn tell(&mut self, call: u64, end: bool) {
        let res_id = format!("0.0.0-sys.call-{call}");
        let kind = if end {
            EventKind::Released(released(res_id))
        } else {
            EventKind::Ringing(OnRinging { res_id, ring_time: 1, user_data: None })
        };
        self.log.append(1, kind);
    }

    /// Tells of a call that belongs to a trace.
    pub(crate) fn tell_of(&mut self, trace: &str, call: u64) {
        let res_id = format!("0.0.0-sys.call-{call}");
        let kind = EventKind::Ringing(OnRinging { res_id, ring_time: 1, user_data: None });
        self.log.writer.append_of(1, kind, TraceId::parse(trace));
        self.log.commit();
    }

    pub(crate) fn press(&mut self, n: i64) {
        let (res_id, key) = ("0.0.0-sys.call-1".to_owned(), "1".to_owned());
        let source = offhook_client::wire::DigitSource::Rfc4733;
        self.log.append(n, EventKind::Dtmf(OnDtmf { res_id, key, source, duration_ms: 100 }));
    }

    /// Tells the server to end.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }

    /// Waits until it has ended.
    pub(crate) async fn stopped(self) {
        patient(self.served).await.unwrap();
    }

    /// What is at a path: status and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        self.raw(&request).await
    }

    /// One JSON-RPC body by POST: status and JSON of the response, null where there is none.
    pub(crate) async fn post(&self, body: &str) -> (u16, Value) {
        self.post_as("", body).await
    }

    /// The same with more headers, each with its line end.
    pub(crate) async fn post_as(&self, headers: &str, body: &str) -> (u16, Value) {
        let (status, text) = self.raw(&self.request(headers, body)).await;
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    /// A POST as it is sent.
    pub(crate) fn request(&self, headers: &str, body: &str) -> String {
        format!(
            "POST /rpc HTTP/1.1\r\nHost: {}\r\n{headers}Content-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.address,
            body.len()
        )
    }

    /// The head of a response to a raw request, whatever follows.
    pub(crate) async fn head(&self, request: &str) -> String {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(patient(socket.read_u8()).await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// Whatever bytes as an HTTP request, after which the server is expected to close: status and body.
    pub(crate) async fn raw(&self, request: &str) -> (u16, String) {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        // The server may close before it has read all; what it says counts.
        let _ = socket.write_all(request.as_bytes()).await;
        let mut response = Vec::new();
        let _ = patient(socket.read_to_end(&mut response)).await;
        let response = String::from_utf8(response).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response.as_str(), ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        (status, body.to_owned())
    }
}

fn released(res_id: String) -> OnReleased {
    OnReleased {
        res_id,
        call_dir: CallDir::Inbound,
        from_uri: "sip:a@192.0.2.1".to_owned(),
        to_uri: "sip:b@192.0.2.2".to_owned(),
        begin_time: 1,
        answer_time: None,
        end_time: 1,
        dropped_by: DroppedBy::User,
        cause: 487,
        reason: None,
        user_data: None,
        ipsc_info: IpscInfo { process_id: 7, call_id: None },
    }
}

fn metrics() -> Metrics {
    let gateway = |name: &str, up: Option<bool>, registered, max_calls| GatewayStatus {
        name: name.into(),
        addresses: vec!["192.0.2.20".to_owned()],
        pinged: up.is_some(),
        up,
        registered,
        calls: 3,
        max_calls,
        max_calls_per_second: 0,
        rest: Some(Duration::from_millis(4_200)),
        rests: 2,
    };
    let gateways = vec![gateway("carrier", Some(true), Some(false), 30), gateway("local", None, None, 0)];
    let sip = offhook_sip::Counters { received: 17, sessions: 2, ..Default::default() };
    Metrics {
        calls: 5,
        conferences: 2,
        spare_ports: 32,
        events_newest: 1_764_493_200_000_017,
        events_unwritten: 4,
        gateways,
        recording_gaps: std::time::Duration::from_millis(1500),
        not_authentic: 9,
        sip,
        unsent: 3,
        ..Metrics::default()
    }
}

/// Waits for what must happen, but not for ever: second by second, so that a process that was halted meanwhile has lost one of them and
/// not all.
pub(crate) async fn patient<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    for _ in 0..PATIENCE.as_secs() {
        if let Ok(output) = tokio::time::timeout(Duration::from_secs(1), future.as_mut()).await {
            return output;
        }
    }
    panic!("it does not happen within {PATIENCE:?}")
}

/// A WebSocket by hand, with a small receive buffer that is read only when it is asked to be.
pub(crate) struct RawWebSocket(TcpStream);

impl RawWebSocket {
    pub(crate) async fn connect(server: &Server) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let mut stream = socket.connect(server.address).await.unwrap();
        let handshake = format!(
            "GET /rpc HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            server.address
        );
        stream.write_all(handshake.as_bytes()).await.unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).await.unwrap();
        assert!(head[..read].starts_with(b"HTTP/1.1 101"));
        Self(stream)
    }

    /// Sends one text message.
    pub(crate) async fn send(&mut self, text: &str) {
        self.0.write_all(&frame(text)).await.unwrap();
    }

    /// Sends the head of a text message, and nothing of it.
    pub(crate) async fn send_head(&mut self, length: usize) {
        self.0.write_all(&frame(&"x".repeat(length))[..FRAME_HEAD]).await.unwrap();
    }

    /// Whether the server closes it within half a second, whatever it says.
    pub(crate) async fn is_closed(&mut self) -> bool {
        let closed = tokio::time::timeout(Duration::from_millis(500), async {
            let mut buffer = [0; 1024];
            while self.0.read(&mut buffer).await.is_ok_and(|read| read > 0) {}
        });
        closed.await.is_ok()
    }

    /// Sends text messages in one write, without waiting for answers; they are read away as they come, since whoever does
    /// not listen is not heard. The connection lives as long as what is given back.
    pub(crate) async fn send_burst(self, texts: &[String]) -> OwnedWriteHalf {
        let burst: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
        let (mut answers, mut questions) = self.0.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut answers, &mut tokio::io::sink()).await });
        questions.write_all(&burst).await.unwrap();
        questions
    }

    /// Closes its end, and waits until the server has closed the other one.
    pub(crate) async fn leave(mut self) {
        self.0.shutdown().await.unwrap();
        self.read_to_end().await;
    }

    /// Reads until the server closes, frame headers and all.
    pub(crate) async fn read_to_end(&mut self) -> String {
        String::from_utf8_lossy(&self.read_bytes_to_end().await).into_owned()
    }

    /// The same, as it comes.
    pub(crate) async fn read_bytes_to_end(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        self.0.read_to_end(&mut all).await.unwrap();
        all
    }

    /// Reads until `end` has come, frame headers and all.
    pub(crate) async fn read_until(&mut self, end: &str) -> String {
        let (mut all, mut buffer) = (Vec::new(), vec![0; 65_536]);
        loop {
            let read = self.0.read(&mut buffer).await.unwrap();
            assert!(read > 0, "closed without a word");
            all.extend_from_slice(&buffer[..read]);
            let tail = &all[all.len().saturating_sub(read + end.len())..];
            if tail.windows(end.len()).any(|window| window == end.as_bytes()) {
                return String::from_utf8_lossy(&all).into_owned();
            }
        }
    }
}

/// The head of a long frame: two bytes, a length of eight, a mask of four.
const FRAME_HEAD: usize = 14;

/// A text message (RFC 6455 §5.2: a final frame, masked with zeros).
fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length @ 0..126) => frame.push(0x80 | length),
        _ => {
            frame.push(0x80 | 127);
            frame.extend((text.len() as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    frame
}
