//! A SIP user agent by hand, for what no well-behaved peer does: a lost ACK, a repeated INVITE, a broken datagram. It
//! writes texts and reads lines; nothing is repeated or answered unless the test says so.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;

use crate::wait;

/// The CSeq of our BYE: above all that a test asks before it.
const BYE_CSEQ: u32 = 100;

/// A UDP socket that speaks SIP with one server.
#[derive(Debug)]
pub struct Agent {
    socket: UdpSocket,
    server: SocketAddr,
}

/// A message as it came.
#[derive(Clone, Debug)]
pub struct Message {
    /// All of it.
    pub text: String,
    /// When it came.
    pub at: Instant,
}

impl Agent {
    /// A fresh socket on 127.0.0.1, to talk with `server`.
    pub async fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP socket");
        Self { socket, server }
    }

    /// Its own address.
    pub fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    /// Sends any bytes.
    pub async fn send(&self, bytes: impl AsRef<[u8]>) {
        self.socket.send_to(bytes.as_ref(), self.server).await.expect("a datagram sent");
    }

    /// The next message that `fits`; others are thrown away.
    pub async fn expect(&self, what: &str, patience: Duration, fits: impl Fn(&Message) -> bool) -> Message {
        wait::within(what, patience, async {
            loop {
                let message = self.next().await;
                if fits(&message) {
                    return message;
                }
            }
        })
        .await
    }

    /// The next response of this status to this method.
    pub async fn response(&self, status: u16, method: &str) -> Message {
        let what = format!("{status} to {method}");
        self.expect(&what, wait::PATIENCE, |message| {
            message.status() == Some(status) && message.is_of(method)
        })
        .await
    }

    /// The next final response to this method, whatever it is.
    pub async fn final_response(&self, method: &str) -> Message {
        let fits =
            |message: &Message| message.status().is_some_and(|status| status >= 200) && message.is_of(method);
        self.expect(&format!("a final response to {method}"), wait::PATIENCE, fits).await
    }

    /// The next request of this method.
    pub async fn request(&self, method: &str, patience: Duration) -> Message {
        self.expect(method, patience, |message| message.is_request(method)).await
    }

    /// Answers a request with a response without a body.
    pub async fn answer(&self, request: &Message, status: &str) {
        let echoed: String = ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .flat_map(|name| {
                request.headers(name).into_iter().map(move |value| format!("{name}: {value}\r\n"))
            })
            .collect();
        self.send(format!("SIP/2.0 {status}\r\n{echoed}Content-Length: 0\r\n\r\n")).await;
    }

    /// Answers an INVITE with a response of a dialog, and with a description where there is one.
    pub async fn respond(&self, invite: &Message, status: &str, sdp: Option<&str>) {
        let echoed: String = ["Via", "Record-Route", "From", "Call-ID", "CSeq"]
            .iter()
            .flat_map(|name| {
                invite.headers(name).into_iter().map(move |value| format!("{name}: {value}\r\n"))
            })
            .collect();
        let (to, contact) = (invite.header("To").expect("a To"), self.address());
        let kind = if sdp.is_some() { "Content-Type: application/sdp\r\n" } else { "" };
        let (sdp, length) = (sdp.unwrap_or_default(), sdp.map_or(0, str::len));
        self.send(format!(
            "SIP/2.0 {status}\r\n{echoed}To: {to};tag=callee\r\nContact: <sip:{contact}>\r\n\
             {kind}Content-Length: {length}\r\n\r\n{sdp}"
        ))
        .await;
    }

    async fn next(&self) -> Message {
        let mut buffer = vec![0; 65_535];
        let (length, _from) = self.socket.recv_from(&mut buffer).await.expect("a datagram");
        Message { text: String::from_utf8_lossy(&buffer[..length]).into_owned(), at: Instant::now() }
    }
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> Option<u16> {
        self.text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Whether it is a request of this method.
    pub fn is_request(&self, method: &str) -> bool {
        self.text.strip_prefix(method).is_some_and(|rest| rest.starts_with(' '))
    }

    /// Whether its CSeq names this method.
    pub fn is_of(&self, method: &str) -> bool {
        self.header("CSeq").is_some_and(|cseq| cseq.ends_with(method))
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// All headers of this name, in their order.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs
            .filter(|(n, _)| n.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The RTP address of its SDP.
    pub fn media(&self) -> SocketAddr {
        let line =
            |prefix: &str| self.text.lines().find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
        let host = line("c=IN IP4 ").unwrap_or_else(|| panic!("no c= in\n{}", self.text));
        let port = line("m=audio ").and_then(|rest| rest.split(' ').next().map(str::to_owned));
        format!("{}:{}", host.trim(), port.expect("m=audio")).parse().expect("an address in the SDP")
    }
}

/// The identity of one call of an [`Agent`]; each makes its own Call-ID and tags.
#[derive(Clone, Debug)]
pub struct Dialog {
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub tag: String,
    /// The called user.
    pub user: String,
    /// Where our RTP is.
    pub rtp_port: u16,
    local: SocketAddr,
    server: SocketAddr,
}

impl Dialog {
    /// A call of `agent` to `user`, with RTP on `rtp_port`.
    pub fn new(agent: &Agent, user: &str, rtp_port: u16) -> Self {
        static SERIAL: AtomicU32 = AtomicU32::new(1);
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let local = agent.address();
        Self {
            call_id: format!("{serial}-{}@127.0.0.1", local.port()),
            tag: format!("a{serial}"),
            user: user.to_owned(),
            rtp_port,
            local,
            server: agent.server,
        }
    }

    /// A request of this call without a body. `to` is the whole To header (with the tag of the far end in a dialog), or
    /// none for a first request.
    pub fn request(&self, method: &str, cseq: u32, branch: &str, to: Option<&str>) -> String {
        self.request_with(method, cseq, branch, to, "", "")
    }

    /// The INVITE of this call, offering PCMU, PCMA and telephone-events.
    pub fn invite(&self) -> String {
        self.invite_with(&self.offer("0 8 101"))
    }

    /// The INVITE of this call with this SDP.
    pub fn invite_with(&self, sdp: &str) -> String {
        self.request_with("INVITE", 1, "invite", None, "Content-Type: application/sdp\r\n", sdp)
    }

    /// An SDP offer with these payload types.
    pub fn offer(&self, formats: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP {formats}\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n",
            self.rtp_port
        )
    }

    /// The ACK to a 200: a transaction of its own (RFC 3261 §13.2.2.4).
    pub fn ack(&self, ok: &Message) -> String {
        self.request("ACK", 1, "ack", ok.header("To").as_deref())
    }

    /// The ACK to a refusal: of the INVITE's transaction (RFC 3261 §17.1.1.3).
    pub fn ack_refusal(&self, refusal: &Message) -> String {
        self.request("ACK", 1, "invite", refusal.header("To").as_deref())
    }

    /// The BYE of an answered call.
    pub fn bye(&self, ok: &Message) -> String {
        self.request("BYE", BYE_CSEQ, "bye", ok.header("To").as_deref())
    }

    /// Any request, with more header lines and a body.
    pub fn request_with(
        &self,
        method: &str,
        cseq: u32,
        branch: &str,
        to: Option<&str>,
        headers: &str,
        body: &str,
    ) -> String {
        let Self { call_id, tag, user, local, server, .. } = self;
        let to = to.map_or_else(|| format!("<sip:{user}@{server}>"), str::to_owned);
        format!(
            "{method} sip:{user}@{server} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{tag}{branch}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:agent@{local}>;tag={tag}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:agent@{local}>\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_by_its_lines() {
        let text = "SIP/2.0 200 OK\r\nVIA: a\r\nVia: b\r\nCSeq: 1 INVITE\r\n\r\nv=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\n";
        let message = Message { text: text.into(), at: Instant::now() };
        assert_eq!(message.status(), Some(200));
        assert_eq!(message.headers("via"), ["a", "b"]);
        assert!(message.is_of("INVITE"));
        assert_eq!(message.media(), "10.0.0.1:4000".parse().expect("an address"));
    }
}
