//! SIP messages as texts, for far ends that keep to no rule.

/// A message that came.
#[derive(Clone, Debug)]
pub(crate) struct Message(pub(crate) String);

impl Message {
    pub(crate) fn status(&self) -> Option<u16> {
        self.0.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method, of a response that of its request.
    pub(crate) fn method(&self) -> &str {
        self.header("CSeq").split(' ').nth(1).unwrap_or_default()
    }

    /// The number of its CSeq.
    pub(crate) fn number(&self) -> u32 {
        self.header("CSeq").split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
    }

    /// The first header of this name, empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let head = self.0.split("\r\n\r\n").next().unwrap_or_default();
        let mut values = head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        values.next().unwrap_or_default()
    }

    /// The URI of its Contact.
    pub(crate) fn contact(&self) -> Option<&str> {
        self.header("Contact").split(['<', '>']).nth(1)
    }

    pub(crate) fn has_to_tag(&self) -> bool {
        self.header("To").contains(";tag=")
    }

    pub(crate) fn body(&self) -> &str {
        self.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// A response to this request; `tag` is ours where it may make a dialog, `more` are whole lines.
    pub(crate) fn response(&self, status: &str, tag: &str, more: &str, body: &str) -> String {
        let to = self.header("To");
        let to = if self.has_to_tag() || tag.is_empty() { to.to_owned() } else { format!("{to};tag={tag}") };
        let (via, from) = (self.header("Via"), self.header("From"));
        let (call_id, cseq) = (self.header("Call-ID"), self.header("CSeq"));
        let more = if body.is_empty() { more.to_owned() } else { format!("{more}{SDP}") };
        let length = body.len();
        format!(
            "SIP/2.0 {status}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq}\r\n{CONTACT}{more}Content-Length: {length}\r\n\r\n{body}"
        )
    }
}

/// Where whoever writes these is.
pub(crate) const CONTACT: &str = "Contact: <sip:rude@192.0.2.10>\r\n";

pub(crate) const SDP: &str = "Content-Type: application/sdp\r\n";

/// A description of both codecs and telephone-events.
pub(crate) fn description(number: u8, port: u16) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.{number}\r\ns=-\r\nc=IN IP4 192.0.2.{number}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
    )
}
