//! Somebody else's web server, by hand: it answers as the test says, or not at all.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::server::patient;

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) path: String,
    /// By their names in small letters.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn seq(&self) -> u64 {
        self.json()["seq"].as_u64().unwrap()
    }
}

pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    requests: mpsc::UnboundedReceiver<Received>,
    /// How many requests are being answered, or not, at most at a time.
    pub(crate) most_at_once: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// 200, and nothing more.
pub(crate) const OK: &str = "200 OK\r\n";

impl Receiver {
    /// `answer` gives the status line and more headers of the answer to the request of a number, from 0, each with its line
    /// end, or all of the answer; where it gives nothing the connection hangs.
    pub(crate) async fn start(answer: impl Fn(usize, &Received) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::unbounded_channel();
        let (answer, number) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let most_at_once = most.clone();
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (sender, answer, number) = (sender.clone(), answer.clone(), number.clone());
                let (at_once, most) = (at_once.clone(), most.clone());
                tokio::spawn(async move {
                    let mut socket = BufReader::new(socket);
                    let Some(request) = read(&mut socket).await else { return };
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let response = answer(number.fetch_add(1, Ordering::SeqCst), &request);
                    let _ = sender.send(request);
                    if response.is_empty() {
                        // Until the other end gives up.
                        let _ = socket.read_u8().await;
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        return;
                    }
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    let end = if response.contains("\r\n\r\n") { "" } else { "Content-Length: 0\r\n\r\n" };
                    let response = format!("HTTP/1.1 {response}{end}");
                    let _ = socket.write_all(response.as_bytes()).await;
                });
            }
        });
        Self { address, requests, most_at_once, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn next(&mut self) -> Received {
        patient(self.requests.recv()).await.unwrap()
    }

    /// What has come and was not asked for yet.
    pub(crate) fn rest(&mut self) -> Vec<Received> {
        std::iter::from_fn(|| self.requests.try_recv().ok()).collect()
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let headers: HashMap<String, String> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    socket.read_exact(&mut body).await.ok()?;
    Some(Received { path, headers, body: String::from_utf8(body).ok()? })
}
