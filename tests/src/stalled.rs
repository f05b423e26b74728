//! Readers that do not read: applications with a subscription that take no byte of it, and receivers of web hooks that
//! never answer.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::server::Server;

/// Room for what a stalled reader has not read; as little as the kernel gives.
const ROOM: u32 = 4_096;

/// A connection that has asked for all events there are and will be, and reads none.
#[derive(Debug)]
pub struct Stalled {
    socket: TcpStream,
}

impl Stalled {
    /// One by WebSocket.
    pub async fn by_websocket(server: &Server) -> Self {
        let upgrade = "/rpc HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
        let mut socket = ask(server, upgrade, "HTTP/1.1 101").await;
        let subscribe = r#"{"jsonrpc":"2.0","id":1,"method":"sys.event.subscribe","params":{"types":["*"]}}"#;
        socket.write_all(&frame(subscribe)).await.expect("a subscription");
        Self { socket }
    }

    /// One by Server-Sent Events.
    pub async fn by_stream(server: &Server) -> Self {
        Self { socket: ask(server, "/sys/events HTTP/1.1\r\nLast-Event-ID: 0", "HTTP/1.1 200").await }
    }

    /// Whether something waits in the kernel to be sent to it, which it has no room for (proc_net_tcp(5)).
    pub fn is_stalled(&self) -> bool {
        let port = self.socket.local_addr().expect("a connected socket").port();
        let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the list of sockets");
        sockets.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let is_far_end = fields.get(2).is_some_and(|remote| remote.ends_with(&format!(":{port:04X}")));
            is_far_end && fields.get(4).is_some_and(|queues| !queues.starts_with("00000000:"))
        })
    }
}

/// A connection with the head of a GET, once its answer begins as it should.
async fn ask(server: &Server, head: &str, answer: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(ROOM).expect("a small buffer");
    let mut socket = socket.connect(server.rpc()).await.expect("a connection");
    let request = format!("GET {head}\r\nHost: {}\r\n\r\n", server.rpc());
    socket.write_all(request.as_bytes()).await.expect("a request");
    let mut begin = vec![0; answer.len()];
    socket.read_exact(&mut begin).await.expect("an answer");
    assert_eq!(String::from_utf8_lossy(&begin), answer);
    socket
}

/// A text message of a client, short enough for a length of seven bits, under a mask of zeros (RFC 6455 §5.2).
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length < 126).expect("a short message");
    [&[0x81, 0x80 | length][..], &[0; 4], text.as_bytes()].concat()
}

/// A receiver of web hooks that takes every connection and answers nothing.
#[derive(Debug)]
pub struct Hanging {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Hanging {
    /// Begins to listen.
    pub async fn listen() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let accepting = tokio::spawn(async move {
            let mut taken = Vec::new();
            while let Ok((socket, _)) = listener.accept().await {
                taken.push(socket);
            }
        });
        Self { address, accepting }
    }

    /// What a web hook is told by.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
