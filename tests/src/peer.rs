//! A SIP peer that needs no server to begin with: it answers whoever asks, as the test says. For gateways and registrars
//! whose addresses the server's configuration has to name before there is a server.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::agent::Message;
use crate::wait;

/// A UDP socket and who answers there.
#[derive(Debug)]
pub struct Peer {
    socket: Arc<UdpSocket>,
    heard: mpsc::UnboundedReceiver<(Message, SocketAddr)>,
    task: JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    /// Answers each request by `answer`: status and reason, header lines, body; none: not at all.
    pub async fn start(
        answer: impl Fn(&Message) -> Option<(&'static str, String, String)> + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP socket");
        let socket = Arc::new(socket);
        let (tell, heard) = mpsc::unbounded_channel();
        let listening = socket.clone();
        let task = tokio::spawn(async move {
            let mut buffer = vec![0; 65_535];
            while let Ok((length, from)) = listening.recv_from(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let message = Message { text, at: Instant::now() };
                if let Some((status, headers, body)) = answer(&message) {
                    let response = response(&message, status, &headers, &body);
                    let _ = listening.send_to(response.as_bytes(), from).await;
                }
                let _ = tell.send((message, from));
            }
        });
        Self { socket, heard, task }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// The next request of this method; what came before is thrown away.
    pub async fn request(&mut self, method: &str, patience: Duration) -> Message {
        wait::within(method, patience, async {
            loop {
                let (message, _) = self.heard.recv().await.expect("the peer listens");
                if message.is_request(method) {
                    return message;
                }
            }
        })
        .await
    }
}

/// A response, with a To tag where there is none.
fn response(request: &Message, status: &str, headers: &str, body: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        for value in request.headers(name) {
            let tag = if name == "To" && !value.contains(";tag=") { ";tag=peer" } else { "" };
            let _ = write!(text, "{name}: {value}{tag}\r\n");
        }
    }
    let _ = write!(text, "{headers}Content-Length: {}\r\n\r\n{body}", body.len());
    text
}
