//! The callers: one UDP socket, any number of calls on it, their messages built and read by rsip, so that the server
//! is not only ever talked to by its own code (RFC 3261 §13.2, §15.1).

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rsip::headers::ContentType;
use rsip::message::HasHeaders;
use rsip::prelude::*;
use rsip::typed::{CSeq, Contact, From as FromHeader, To as ToHeader, Via};
use rsip::{Headers, Method, Request, Response, SipMessage, StatusCode, StatusCodeKind, Uri};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::voices::OPUS;

/// RFC 3261 T1: when a request is sent again for the first time.
const T1: Duration = Duration::from_millis(500);
/// How often a request is sent before it is given up: 64·T1, as timer B has it.
const TRIES: u32 = 7;
/// Messages of one call that wait for it; it reads them at once.
const WAITING: usize = 32;

/// Why a call did not come about.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) String);

/// Where calls go out, and answers come back to them by Call-ID.
#[derive(Debug)]
pub(crate) struct Switchboard {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    calls: Mutex<HashMap<String, mpsc::Sender<Response>>>,
}

/// An answered call.
#[derive(Debug)]
pub(crate) struct Call {
    /// Where the server's end of its media is.
    pub(crate) media: SocketAddr,
    id: String,
    ok: Response,
    responses: mpsc::Receiver<Response>,
}

impl Call {
    /// Its Call-ID.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Switchboard {
    /// Opens a socket towards `server`.
    pub(crate) async fn open(server: SocketAddr) -> Arc<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a UDP socket");
        let local = socket.local_addr().expect("a bound socket");
        let board = Arc::new(Self { socket, local, server, calls: Mutex::default() });
        tokio::spawn(Arc::clone(&board).route());
        board
    }

    /// Calls, hears on `ear` in the codec of this payload type, and returns when the call is answered and
    /// acknowledged.
    pub(crate) async fn call(&self, number: usize, ear: SocketAddr, codec: u8) -> Result<Call, Failed> {
        let id = format!("bench-{number}-{}", self.local.port());
        let (sender, mut responses) = mpsc::channel(WAITING);
        self.calls.lock().expect("the calls").insert(id.clone(), sender);
        let invite = self.request(Method::Invite, 1, &id, None, offer(ear, codec));
        let ok = self.transact(&invite, &mut responses).await?;
        self.send(&self.request(Method::Ack, 1, &id, Some(&ok), Vec::new()).into()).await;
        let media = media_of(&ok.body).ok_or_else(|| Failed("an answer without media".to_owned()))?;
        Ok(Call { media, id, ok, responses })
    }

    /// Presses a key by INFO, the one with this CSeq, and does not wait for the answer.
    pub(crate) async fn press(&self, call: &Call, cseq: u32) {
        let info = self.request(Method::Info, cseq, &call.id, Some(&call.ok), b"1".to_vec());
        self.send(&info.into()).await;
    }

    /// Hangs up, and returns when the server has confirmed it.
    pub(crate) async fn hang_up(&self, mut call: Call) -> Result<(), Failed> {
        let bye = self.request(Method::Bye, 2, &call.id, Some(&call.ok), Vec::new());
        let ended = self.transact(&bye, &mut call.responses).await.map(drop);
        self.calls.lock().expect("the calls").remove(&call.id);
        ended
    }

    /// Sends a request until its final response comes; anything but 200 is a failure.
    async fn transact(
        &self,
        request: &Request,
        responses: &mut mpsc::Receiver<Response>,
    ) -> Result<Response, Failed> {
        let message = SipMessage::from(request.clone());
        let mut provisional = false;
        for attempt in 0..TRIES {
            if !provisional {
                self.send(&message).await;
            }
            let patience = T1 * 2_u32.pow(attempt);
            let deadline = tokio::time::Instant::now() + patience;
            while let Ok(Some(response)) = tokio::time::timeout_at(deadline, responses.recv()).await {
                let of =
                    response.cseq_header().ok().and_then(|cseq| cseq.typed().ok()).map(|cseq| cseq.method);
                if of != Some(request.method) {
                    continue;
                }
                match response.status_code.kind() {
                    StatusCodeKind::Provisional => provisional = true,
                    StatusCodeKind::Successful => return Ok(response),
                    _ => return Err(Failed(format!("{} got {}", request.method, response.status_code))),
                }
            }
        }
        Err(Failed(format!("no final response to {}", request.method)))
    }

    fn request(&self, method: Method, seq: u32, id: &str, ok: Option<&Response>, body: Vec<u8>) -> Request {
        let us = uri("bench", self.local);
        let target = ok.and_then(|ok| ok.contact_header().ok()?.typed().ok()).map(|contact| contact.uri);
        let mut headers = Headers::default();
        let branch = rsip::param::Branch::new(format!("z9hG4bK{id}{method}{seq}"));
        let via = Via {
            version: rsip::Version::V2,
            transport: rsip::Transport::Udp,
            uri: Uri { host_with_port: self.local.into(), ..Uri::default() },
            params: vec![rsip::Param::Branch(branch)],
        };
        headers.push(via.into());
        headers.push(rsip::headers::MaxForwards::default().into());
        let tag = vec![rsip::Param::Tag(rsip::param::Tag::new(id))];
        headers.push(FromHeader { display_name: None, uri: us.clone(), params: tag }.into());
        match ok.and_then(|ok| ok.to_header().ok()) {
            Some(to) => headers.push(to.clone().into()),
            None => headers.push(ToHeader::from(uri("service", self.server)).into()),
        }
        headers.push(rsip::headers::CallId::new(id).into());
        headers.push(CSeq { seq, method }.into());
        headers.push(Contact::from(us).into());
        if !body.is_empty() {
            let kind = if method == Method::Info { "application/dtmf" } else { "application/sdp" };
            headers.push(ContentType::new(kind).into());
        }
        headers.push(
            rsip::headers::ContentLength::from(u32::try_from(body.len()).expect("a short body")).into(),
        );
        let uri = target.unwrap_or_else(|| uri("service", self.server));
        Request { method, uri, version: rsip::Version::V2, headers, body }
    }

    async fn send(&self, message: &SipMessage) {
        self.socket.send_to(message.to_string().as_bytes(), self.server).await.expect("a datagram sent");
    }

    /// Gives responses to their calls, and answers what the server asks (its BYE, above all) with 200.
    async fn route(self: Arc<Self>) {
        let mut buffer = vec![0; 65_535];
        loop {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer).await else { continue };
            match SipMessage::try_from(&buffer[..length]) {
                Ok(SipMessage::Response(response)) => {
                    let id = response.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default();
                    let call = self.calls.lock().expect("the calls").get(&id).cloned();
                    // A repeated answer may find its call gone, or busy with the first.
                    let _ = call.map(|call| call.try_send(response));
                }
                Ok(SipMessage::Request(request)) if request.method != Method::Ack => {
                    self.send(&accepted(&request).into()).await;
                }
                _ => {}
            }
        }
    }
}

fn accepted(request: &Request) -> Response {
    let echoed = request.headers().iter().filter(|header| {
        use rsip::Header::{CSeq, CallId, From, To, Via};
        matches!(header, Via(_) | From(_) | To(_) | CallId(_) | CSeq(_))
    });
    let mut headers: Headers = echoed.cloned().collect::<Vec<_>>().into();
    headers.push(rsip::headers::ContentLength::default().into());
    Response { status_code: StatusCode::OK, version: rsip::Version::V2, headers, body: Vec::new() }
}

fn uri(user: &str, address: SocketAddr) -> Uri {
    Uri {
        scheme: Some(rsip::Scheme::Sip),
        auth: Some((user, Option::<String>::None).into()),
        host_with_port: address.into(),
        ..Uri::default()
    }
}

fn offer(ear: SocketAddr, codec: u8) -> Vec<u8> {
    let (address, port) = (ear.ip(), ear.port());
    // The others have static numbers, which need no name.
    let named = if codec == OPUS { format!("a=rtpmap:{OPUS} opus/48000/2\r\n") } else { String::new() };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {codec} 101\r\n{named}a=rtpmap:101 telephone-event/8000\r\n\
         a=fmtp:101 0-15\r\na=ptime:20\r\n"
    )
    .into_bytes()
}

/// The address of the first `c=` and the port of the first `m=`.
fn media_of(sdp: &[u8]) -> Option<SocketAddr> {
    let text = std::str::from_utf8(sdp).ok()?;
    let field = |name: &str, at: usize| {
        text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().nth(at))
    };
    Some(SocketAddr::new(field("c=", 2)?.parse().ok()?, field("m=", 1)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use offhook_tests::dir::TestDir;
    use offhook_tests::sipp::Sipp;
    use offhook_tests::wait::PATIENCE;

    use super::*;

    /// The generator itself, against a peer that is not ours.
    #[tokio::test]
    async fn a_call_to_sipp_is_answered_and_hung_up() {
        let dir = TestDir::new("bench-caller");
        let callee = Sipp::new("uas-answer").set("rtp_port", 9).set("ring_ms", 50).load(2, 10);
        let mut sipp = callee.listen(&dir).await;
        let board = Switchboard::open(sipp.address()).await;
        for number in 0..2 {
            let call =
                board.call(number, "127.0.0.1:9".parse().expect("an address"), 0).await.expect("an answer");
            board.hang_up(call).await.expect("an end");
        }
        sipp.succeed(2, PATIENCE).await;
    }

    #[tokio::test]
    async fn a_refusal_is_a_failure() {
        let dir = TestDir::new("bench-refused");
        let sipp = Sipp::new("uas-refuse").set("status", 486).listen(&dir).await;
        let board = Switchboard::open(sipp.address()).await;
        let failed = board.call(1, "127.0.0.1:9".parse().expect("an address"), 0).await.expect_err("busy");
        assert!(failed.0.contains("486"), "{}", failed.0);
    }
}
