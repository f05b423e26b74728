//! The wire layer: one pass over the bytes indexes where each header stands; typed views are made on demand; the
//! bytes themselves are kept, so that whatever must be echoed is echoed byte for byte (RFC 3261 §7, §8.2.6.2).
//!
//! ```text
//! INVITE sip:a@b SIP/2.0␍␊            start   method and URI, or status and phrase
//! Via: SIP/2.0/UDP c;branch=z9hG4bK1␍␊ field   (Name::Via, where its name is, where its value is)
//! t: "A" <sip:a@b>␍␊                   field   (Name::To, …)          compact forms are the same Name
//!   ;tag=1␍␊                                   … a fold belongs to the value above
//! ␍␊
//! v=0…                                 body    as long as Content-Length says
//! ```
//!
//! What cannot be read at all is [`Malformed`] and dropped. What can be read well enough to be answered, but is wrong,
//! becomes a [`Message`] with a [`Fault`]: a request gets that status, a response is dropped.

mod address;
mod extension;
mod framing;
mod head;
mod multipart;
mod name;
mod scan;
mod uri;
mod via;
mod write;

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

pub(crate) use address::Address;
pub(crate) use extension::{Refresher, SessionExpires};
pub use framing::{FramingError, StreamFramer};
pub(crate) use head::Head;
pub(crate) use multipart::{Description, SDP, description, is_multipart};
pub(crate) use name::{ALLOW, Method, Name, is_token};
pub(crate) use scan::{
    Params, after_line, cut, fold_at, lossy, number, split, tag_of, trim, unfold, unquote,
};
pub(crate) use uri::{Scheme, Uri, UriError, literal, same_address, split_host_port};
pub(crate) use via::{COOKIE, DEFAULT_PORT, DEFAULT_TLS_PORT, Via};
pub(crate) use write::{Draft, Response, ack_of_refusal, cancel_of, essence_of, phrase, reason_header};

use crate::event::{Body, Header};

/// The largest message: what fits into one datagram, and the most a stream may hold back for one message
/// (reliability P1).
pub(crate) const MAX_MESSAGE: usize = 65_535;
/// The most header fields in a message. Real ones have twenty; lists of Via and Route stay far below this.
const MAX_FIELDS: usize = 256;
/// The most elements in the lists of one name. Each costs an allocation; real lists have a dozen.
const MAX_ELEMENTS: usize = 256;
/// The longest header field, with its folds.
const MAX_FIELD: usize = 8 * 1024;

/// What cannot be read as a SIP message: dropped and counted, never answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Longer than [`MAX_MESSAGE`].
    TooLarge,
    /// No start line of SIP.
    StartLine,
    /// A line that does not end in CRLF, or has a CR inside, or a NUL that is not escaped.
    Line,
    /// More than [`MAX_FIELDS`] fields, or one longer than [`MAX_FIELD`].
    Fields,
    /// The empty line after the header is missing.
    Truncated,
}

/// What is wrong with a request that can still be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The status of the answer.
    pub(crate) status: u16,
    /// Its reason phrase: says what is wrong (RFC 3261 §21.4.1).
    pub(crate) phrase: &'static str,
}

impl Fault {
    /// The datagram ends before the body (RFC 3261 §18.3).
    pub(crate) const SHORT: Self = Self::bad("Body Shorter Than Content-Length");
    /// Longer than a message may be (RFC 3261 §21.4.11).
    pub(crate) const TOO_LARGE: Self = Self { status: 413, phrase: "Request Entity Too Large" };

    /// A 400 that says why.
    pub(crate) const fn bad(phrase: &'static str) -> Self {
        Self { status: 400, phrase }
    }
}

/// What the body of a request is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Its description, or nothing.
    Understood,
    /// A media type that is not understood and has to be: 415.
    Unknown,
    /// Not what its media type says.
    Bad(Fault),
}

/// One message with the index of its parts.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    raw: Vec<u8>,
    start: Start,
    fields: Vec<Field>,
    body: Range<usize>,
    fault: Option<Fault>,
}

#[derive(Clone, Debug)]
enum Start {
    Request { method: Range<usize>, uri: Range<usize> },
    Response { status: u16, phrase: Range<usize> },
}

#[derive(Clone, Debug)]
struct Field {
    name: Name,
    label: Range<usize>,
    value: Range<usize>,
}

impl Message {
    /// Reads one whole message. Bytes after the body that Content-Length tells of are ignored (§18.3).
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() > MAX_MESSAGE {
            return Err(Malformed::TooLarge);
        }
        let first = skip_line_ends(bytes);
        let line = line_at(bytes, first)?.ok_or(Malformed::Truncated)?;
        let (start, start_fault) = parse_start(bytes, &line)?;
        let index = Index::of(bytes, line.end + 2)?;
        let (body, body_fault) = match index.content_length(bytes) {
            Ok(None) => (index.body..bytes.len(), None),
            Ok(Some(length)) => match index.body.checked_add(length).filter(|&end| end <= bytes.len()) {
                Some(end) => (index.body..end, None),
                None => (index.body..bytes.len(), Some(Fault::SHORT)),
            },
            Err(fault) => (index.body..bytes.len(), Some(fault)),
        };
        let fault = start_fault.or(index.fault).or(body_fault);
        let Index { fields, .. } = index;
        Ok(Self { raw: bytes.to_vec(), start, fields, body, fault })
    }

    /// What is wrong with the message as a whole.
    pub(crate) fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// The status of a response; `None` for a request.
    pub(crate) fn status(&self) -> Option<u16> {
        match self.start {
            Start::Request { .. } => None,
            Start::Response { status, .. } => Some(status),
        }
    }

    /// The reason phrase of a response.
    pub(crate) fn phrase(&self) -> String {
        match &self.start {
            Start::Request { .. } => String::new(),
            Start::Response { phrase, .. } => lossy(trim(self.slice(phrase))),
        }
    }

    /// The method's token; empty for a response.
    pub(crate) fn method(&self) -> &[u8] {
        match &self.start {
            Start::Request { method, .. } => self.slice(method),
            Start::Response { .. } => b"",
        }
    }

    /// The Request-URI as it came; empty for a response.
    pub(crate) fn request_uri(&self) -> &[u8] {
        match &self.start {
            Start::Request { uri, .. } => self.slice(uri),
            Start::Response { .. } => b"",
        }
    }

    /// The values of all fields of a name, byte for byte, with their folds.
    pub(crate) fn raw_values(&self, name: Name) -> impl Iterator<Item = &[u8]> {
        self.fields.iter().filter(move |field| field.name == name).map(|field| self.slice(&field.value))
    }

    /// The first value of a name, on one line.
    pub(crate) fn value(&self, name: Name) -> Option<Cow<'_, [u8]>> {
        self.raw_values(name).next().map(scan::unfold)
    }

    /// Every element of the lists of a name, over all its fields, in order. `None` where a quote is left open.
    /// Neither where there are more than [`MAX_ELEMENTS`].
    pub(crate) fn list(&self, name: Name) -> Option<Vec<Vec<u8>>> {
        let mut elements = Vec::new();
        for value in self.raw_values(name) {
            let value = scan::unfold(value);
            elements.extend(split(&value, b',')?.into_iter().map(<[u8]>::to_vec));
            if elements.len() > MAX_ELEMENTS {
                return None;
            }
        }
        Some(elements)
    }

    /// How many bytes the content has.
    pub(crate) fn body_length(&self) -> usize {
        self.body.len()
    }

    /// Whether its sender says that a body which is not understood may be ignored (RFC 3261 §20.11).
    pub(crate) fn may_ignore_body(&self) -> bool {
        let disposition = self.value(Name::ContentDisposition).unwrap_or_default();
        let params = cut(&disposition, b';').1.and_then(Params::parse);
        params.is_some_and(|params| {
            params.get("handling").is_some_and(|it| it.eq_ignore_ascii_case("optional"))
        })
    }

    /// The header fields that are for the application, in order: those whose name begins with `X-`, and those that say
    /// who calls and why. There may be several of a name (Diversion, History-Info, two P-Asserted-Identity), as many as a
    /// message may have fields. Compact names are told in full.
    pub(crate) fn extension_headers(&self) -> Vec<Header> {
        self.fields
            .iter()
            .filter_map(|field| {
                let name = name::told(self.slice(&field.label))?;
                Some(Header { name, value: lossy(&scan::unfold(self.slice(&field.value))) })
            })
            .collect()
    }

    /// The content, whatever it is.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.slice(&self.body)
    }

    /// The content with its media type, if there is any content. Of several parts the session description, where one of
    /// them is that (RFC 5621); [`content`](Self::content) says what they come to.
    pub(crate) fn body(&self) -> Option<Body> {
        let bytes = self.slice(&self.body);
        if bytes.is_empty() {
            return None;
        }
        let content_type = self.value(Name::ContentType).unwrap_or_default();
        if multipart::is_multipart(&content_type) {
            match multipart::description(&content_type, bytes) {
                Description::Found(bytes) => {
                    return Some(Body { content_type: SDP.to_owned(), bytes: bytes.to_vec() });
                }
                Description::Absent => return None,
                Description::Unknown | Description::Bad(_) => {}
            }
        }
        Some(Body { content_type: lossy(&content_type), bytes: bytes.to_vec() })
    }

    /// What the body is to a session: its description, or why it can be none.
    pub(crate) fn content(&self) -> Content {
        let bytes = self.slice(&self.body);
        let content_type = self.value(Name::ContentType).unwrap_or_default();
        let media_type = cut(&content_type, b';').0;
        match () {
            () if bytes.is_empty() => Content::Understood,
            () if media_type.is_empty() => Content::Bad(Fault::bad("Missing Content-Type")),
            () if media_type.eq_ignore_ascii_case(SDP.as_bytes()) => Content::Understood,
            () if multipart::is_multipart(media_type) => match multipart::description(&content_type, bytes) {
                Description::Found(_) | Description::Absent => Content::Understood,
                Description::Unknown => Content::Unknown,
                Description::Bad(fault) => Content::Bad(fault),
            },
            () => Content::Unknown,
        }
    }

    /// The Reason headers (RFC 3326), as they came, if there are any.
    pub(crate) fn reason(&self) -> Option<String> {
        let reasons = self.list(Name::Reason)?;
        let reasons: Vec<String> = reasons.iter().map(|reason| lossy(reason)).collect();
        Some(reasons.join(", ")).filter(|reasons| !reasons.is_empty())
    }

    /// The seconds that a header such as Retry-After or Expires says, without its comment and parameters (§20.33).
    pub(crate) fn seconds(&self, name: Name) -> Option<Duration> {
        let value = self.value(name)?;
        let end = value.iter().position(|byte| b";( \t".contains(byte)).unwrap_or(value.len());
        number(value.get(..end)?, u32::MAX).map(|seconds| Duration::from_secs(u64::from(seconds)))
    }

    /// When to try again, where a refusal says so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.seconds(Name::RetryAfter)
    }

    /// The topmost Via, if every one in its field is well-formed: a response must never go where a bad one points.
    pub(crate) fn top_via(&self) -> Option<Via> {
        let value = self.value(Name::Via)?;
        let mut vias = split(&value, b',')?.into_iter().map(Via::parse);
        let top = vias.next()??;
        vias.all(|via| via.is_some()).then_some(top)
    }

    /// The way back to whoever sent a request whose Via is bad, where at least who that is can be read (RFC 4475
    /// §3.1.2.1): a 400 is told, of its parameters none is believed.
    pub(crate) fn readable_via(&self) -> Option<Via> {
        let value = self.value(Name::Via)?;
        Via::parse(value.split(|byte| b";,".contains(byte)).next()?)
    }

    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.raw.get(range.clone()).unwrap_or_default()
    }
}

/// Where the fields of a header stand, and where the body begins.
struct Index {
    fields: Vec<Field>,
    body: usize,
    fault: Option<Fault>,
}

impl Index {
    /// Indexes the fields from the first one to the empty line.
    fn of(raw: &[u8], first: usize) -> Result<Self, Malformed> {
        let mut index = Self { fields: Vec::new(), body: raw.len(), fault: None };
        let mut at = first;
        loop {
            let mut line = line_at(raw, at)?.ok_or(Malformed::Truncated)?;
            if line.is_empty() {
                index.body = line.end + 2;
                return Ok(index);
            }
            while matches!(raw.get(line.end + 2), Some(b' ' | b'\t')) {
                line.end = line_at(raw, line.end + 2)?.ok_or(Malformed::Truncated)?.end;
            }
            if line.len() > MAX_FIELD || index.fields.len() == MAX_FIELDS {
                return Err(Malformed::Fields);
            }
            at = line.end + 2;
            match parse_field(raw, &line) {
                Some(field) => index.push(field),
                None => index.fault = Some(Fault::bad("Bad Header Line")),
            }
        }
    }

    fn push(&mut self, field: Field) {
        if field.name.is_single() && self.fields.iter().any(|other| other.name == field.name) {
            self.fault = Some(Fault::bad("Repeated Header Field"));
        }
        self.fields.push(field);
    }

    /// The value of Content-Length, if there is one.
    fn content_length(&self, raw: &[u8]) -> Result<Option<usize>, Fault> {
        let Some(field) = self.fields.iter().find(|field| field.name == Name::ContentLength) else {
            return Ok(None);
        };
        let value = scan::unfold(raw.get(field.value.clone()).unwrap_or_default());
        number(&value, u32::MAX)
            .and_then(|length| usize::try_from(length).ok())
            .map(Some)
            .ok_or(Fault::bad("Bad Content-Length"))
    }
}

/// Where the message begins: CRLF before the start line is ignored (§7.5).
fn skip_line_ends(raw: &[u8]) -> usize {
    raw.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count()
}

/// The line that begins at `from`, without its CRLF; `None` where it has no end.
fn line_at(raw: &[u8], from: usize) -> Result<Option<Range<usize>>, Malformed> {
    let Some(rest) = raw.get(from..) else { return Ok(None) };
    let Some(length) = rest.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let line = rest.get(..length).and_then(|line| line.strip_suffix(b"\r")).ok_or(Malformed::Line)?;
    if line.contains(&b'\r') || (line.contains(&0) && has_bare_nul(line)) {
        return Err(Malformed::Line);
    }
    Ok(Some(from..from + line.len()))
}

/// Whether there is a NUL that no backslash makes a part of a quoted string (§25.1 quoted-pair; RFC 4475 §3.1.1.2).
fn has_bare_nul(line: &[u8]) -> bool {
    let mut escaped = false;
    line.iter().any(|&byte| {
        let bare = byte == 0 && !escaped;
        escaped = byte == b'\\' && !escaped;
        bare
    })
}

/// `name HCOLON value` (§25.1 allows blanks before the colon); `None` where it is not that.
fn parse_field(raw: &[u8], line: &Range<usize>) -> Option<Field> {
    let text = raw.get(line.clone())?;
    let colon = text.iter().position(|&byte| byte == b':')?;
    let (label, value) = text.split_at_checked(colon)?;
    let label = label.trim_ascii_end();
    if !is_token(label) {
        return None;
    }
    let blank = value.get(1..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let begin = line.start + colon + 1 + blank;
    let length = raw.get(begin..line.end)?.trim_ascii_end().len();
    Some(Field {
        name: Name::of(label),
        label: line.start..line.start + label.len(),
        value: begin..begin + length,
    })
}

/// The start line. A request line that is wrong in a way that leaves the sender worth telling becomes a fault.
fn parse_start(raw: &[u8], line: &Range<usize>) -> Result<(Start, Option<Fault>), Malformed> {
    let text = raw.get(line.clone()).ok_or(Malformed::StartLine)?;
    if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) {
        return parse_status_line(text, line.start).map(|start| (start, None));
    }
    let space = |text: &[u8]| text.iter().position(|&byte| byte == b' ');
    let first = space(text).ok_or(Malformed::StartLine)?;
    let method = line.start..line.start + first;
    let rest = text.get(first + 1..).ok_or(Malformed::StartLine)?;
    let mut fault = None;
    let (uri, version) = match rest.iter().rposition(|&byte| byte == b' ') {
        Some(last) => (rest.get(..last), rest.get(last + 1..)),
        None => return Err(Malformed::StartLine),
    };
    let (uri, version) = (uri.unwrap_or_default(), version.unwrap_or_default());
    if version.is_empty() || space(uri).is_some() || uri.is_empty() {
        fault = Some(Fault::bad("Bad Request Line"));
    } else if !version.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")) {
        return Err(Malformed::StartLine);
    } else if !version.eq_ignore_ascii_case(b"SIP/2.0") {
        fault = Some(Fault { status: 505, phrase: "Version Not Supported" });
    } else if uri.len() > uri::MAX_URI {
        fault = Some(Fault { status: 414, phrase: "Request-URI Too Long" });
    }
    if !is_token(raw.get(method.clone()).unwrap_or_default()) {
        return Err(Malformed::StartLine);
    }
    let begin = line.start + first + 1;
    Ok((Start::Request { method, uri: begin..begin + uri.len() }, fault))
}

/// The status and the phrase of a message fragment that begins with a status line (RFC 3420).
pub(crate) fn status_line(text: &[u8]) -> Option<(u16, String)> {
    let line = cut(text, b'\n').0;
    match parse_status_line(line, 0).ok()? {
        Start::Response { status, phrase } => Some((status, lossy(trim(line.get(phrase)?)))),
        Start::Request { .. } => None,
    }
}

/// `SIP/2.0 200 OK`; the phrase may be empty.
fn parse_status_line(text: &[u8], offset: usize) -> Result<Start, Malformed> {
    let rest = text
        .get(..8)
        .filter(|head| head.eq_ignore_ascii_case(b"SIP/2.0 "))
        .and_then(|_| text.get(8..))
        .ok_or(Malformed::StartLine)?;
    let (status, phrase) = rest.split_at_checked(3).ok_or(Malformed::StartLine)?;
    let status = number(status, 699)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|&status| status >= 100 && matches!(phrase.first(), None | Some(b' ')))
        .ok_or(Malformed::StartLine)?;
    let end = offset + text.len();
    Ok(Start::Response { status, phrase: end - phrase.len()..end })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (line, expected) in [
            ("SIP/2.0 200 OK", Some((200, "OK"))),
            ("sip/2.0 486 Busy  Here ", Some((486, "Busy  Here"))),
            ("SIP/2.0 100 ", Some((100, ""))),
            ("SIP/2.0 100", Some((100, ""))),
            ("SIP/2.0 699 x", Some((699, "x"))),
            ("SIP/2.0 700 x", None),
            ("SIP/2.0 099 x", None),
            ("SIP/2.0 2000 x", None),
            ("SIP/2.0 20 OK", None),
            ("SIP/2.0 -20 OK", None),
            ("SIP/2.0  200 OK", None),
            ("SIP/3.0 200 OK", None),
        ] {
            let message = Message::parse(format!("{line}\r\n\r\n").as_bytes()).ok();
            let found = message.map(|message| (message.status().unwrap(), message.phrase()));
            let expected = expected.map(|(status, phrase)| (status, phrase.to_owned()));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn fields_of_every_shape() {
        let text = "INVITE sip:a@b SIP/2.0\r\n\
                    TO :\r\n sip:a@b ;   tag    = 1918181833n\r\n\
                    v: SIP/2.0/UDP one;branch=z9hG4bK1 , SIP/2.0/TCP two;branch=z9hG4bK2\r\n\
                    X-Empty:\r\n\
                    x-Folded: a\r\n\t b  \r\n\
                    VIA: SIP/2.0/UDP three;branch=z9hG4bK3\r\n\
                    l: 3\r\n\r\nabcdef";
        let message = Message::parse(text.as_bytes()).unwrap();
        assert_eq!((message.method(), message.request_uri()), (b"INVITE".as_slice(), b"sip:a@b".as_slice()));
        let to = Address::parse(&message.value(Name::To).unwrap()).unwrap();
        assert_eq!((&*to.uri, to.tag()), ("sip:a@b", "1918181833n"));
        let vias = message.list(Name::Via).unwrap();
        let hosts: Vec<_> = vias.iter().map(|via| Via::parse(via).unwrap().sent_by).collect();
        assert_eq!(hosts, ["one", "two", "three"]);
        let header = |name: &str, value: &str| Header { name: name.to_owned(), value: value.to_owned() };
        assert_eq!(message.extension_headers(), [header("X-Empty", ""), header("x-Folded", "a b")]);
        assert_eq!(message.body().unwrap().bytes, b"abc", "as long as Content-Length says");
        assert_eq!(message.fault(), None);
    }

    #[test]
    fn what_is_no_message() {
        for (text, error) in [
            ("", Malformed::Truncated),
            ("\r\n\r\n", Malformed::Truncated),
            ("\r\nGARBAGE\r\n\r\n", Malformed::StartLine),
            ("GET / HTTP/1.1\r\n\r\n", Malformed::StartLine),
            ("INV\"ITE sip:a@b SIP/2.0\r\n\r\n", Malformed::StartLine),
            ("INVITE sip:a@b SIP/2.0\r\nTo: x\r\n", Malformed::Truncated),
            ("INVITE sip:a@b SIP/2.0\nTo: x\n\n", Malformed::Line),
            ("INVITE sip:a@b SIP/2.0\r\nTo: x\ry\r\n\r\n", Malformed::Line),
            ("INVITE sip:a@b SIP/2.0\r\nTo: x\0\r\n\r\n", Malformed::Line),
        ] {
            assert_eq!(Message::parse(text.as_bytes()).err(), Some(error), "{text:?}");
        }
    }
}
