//! What a message says at a glance, for a log or a time line: whose it is, and which step of which transaction. One pass over
//! its head. Nothing is decided by it: the user agent reads every message itself, and better.

use crate::message::{
    Description, Name, SDP, after_line, cut, description, fold_at, is_multipart, is_token, lossy, number,
    tag_of, trim, unfold,
};

/// The largest number of CSeq (RFC 3261 §8.1.1.5).
const MAX_CSEQ: u32 = 0x7fff_ffff;

/// The header of a trace.
const TRACEPARENT: &[u8] = b"traceparent";

/// The first line of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// A request: its method.
    Request(String),
    /// A response: its status and its phrase.
    Response(u16, String),
}

/// A message at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance<'a> {
    /// What it is.
    pub first: First,
    /// Its Call-ID.
    pub call_id: &'a str,
    /// The tag of From; empty where there is none.
    pub from_tag: &'a [u8],
    /// The tag of To; empty where there is none.
    pub to_tag: &'a [u8],
    /// The number of CSeq.
    pub cseq: u32,
    /// The method of CSeq.
    pub method: String,
    /// The trace that it belongs to, as W3C Trace Context writes it.
    pub traceparent: Option<&'a str>,
    /// The session description that it carries.
    pub sdp: Option<&'a [u8]>,
}

impl<'a> Glance<'a> {
    /// Looks at a whole message; none where it has not what every message has (RFC 3261 §8.1.1).
    pub fn of(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.trim_ascii_start();
        let first = first(cut(bytes, b'\n').0)?;
        let (mut call_id, mut from, mut to) = (None, None, None);
        let (mut cseq, mut content_type, mut traceparent) = (None, None, None);
        let mut rest = after_line(bytes);
        while !matches!(rest.first(), None | Some(b'\r' | b'\n')) {
            let (line, tail) = fold_at(rest);
            rest = tail;
            let (label, value) = cut(line, b':');
            let field = match Name::of(label) {
                Name::CallId => &mut call_id,
                Name::From => &mut from,
                Name::To => &mut to,
                Name::CSeq => &mut cseq,
                Name::ContentType => &mut content_type,
                Name::Other if label.eq_ignore_ascii_case(TRACEPARENT) => &mut traceparent,
                _ => continue,
            };
            *field = field.or(value);
        }
        let (cseq, method) = split_cseq(&unfold(cseq?))?;
        Some(Self {
            first,
            call_id: std::str::from_utf8(call_id?).ok()?,
            from_tag: tag_of(from?).unwrap_or_default(),
            to_tag: tag_of(to?).unwrap_or_default(),
            cseq,
            method,
            traceparent: traceparent.and_then(|value| std::str::from_utf8(value).ok()),
            sdp: content_type.and_then(|content_type| sdp(content_type, after_line(rest))),
        })
    }
}

fn first(line: &[u8]) -> Option<First> {
    let (word, rest) = cut(line, b' ');
    if !word.eq_ignore_ascii_case(b"SIP/2.0") {
        return is_token(word).then(|| First::Request(lossy(word)));
    }
    let (status, phrase) = cut(rest?, b' ');
    let status = number(status, 699).and_then(|status| u16::try_from(status).ok())?;
    Some(First::Response(status, lossy(phrase.unwrap_or_default())))
}

/// `1 INVITE`
fn split_cseq(value: &[u8]) -> Option<(u32, String)> {
    let (number_text, method) = value.split_at_checked(value.iter().position(u8::is_ascii_whitespace)?)?;
    Some((number(number_text, MAX_CSEQ)?, lossy(trim(method))))
}

fn sdp<'a>(content_type: &[u8], body: &'a [u8]) -> Option<&'a [u8]> {
    let media_type = cut(content_type, b';').0;
    if media_type.eq_ignore_ascii_case(SDP.as_bytes()) {
        return Some(body).filter(|body| !body.is_empty());
    }
    match is_multipart(media_type).then(|| description(content_type, body)) {
        Some(Description::Found(bytes)) => Some(bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3261 §24.2, message F1, with a body and folds.
    #[test]
    fn an_invite() {
        let text = "INVITE sip:bob@biloxi.com SIP/2.0\r\nVia: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKnashds8\r\n\
                    To: Bob <sip:bob@biloxi.com>\r\nf: Alice <sip:alice@atlanta.com>\r\n ;tag=1928301774\r\n\
                    i: a84b4c76e66710@pc33.atlanta.com\r\nCSeq:\r\n 314159  INVITE\r\nc: application/sdp\r\n\
                    Traceparent : 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\nContent-Length: 5\r\n\r\nv=0\r\n";
        let glance = Glance::of(text.as_bytes()).unwrap();
        assert_eq!(glance.first, First::Request("INVITE".to_owned()));
        assert_eq!(
            (glance.call_id, glance.from_tag, glance.to_tag),
            ("a84b4c76e66710@pc33.atlanta.com", b"1928301774".as_slice(), b"".as_slice())
        );
        assert_eq!(
            (glance.cseq, &*glance.method, glance.sdp),
            (314_159, "INVITE", Some(b"v=0\r\n".as_slice()))
        );
        assert_eq!(glance.traceparent, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    }

    #[test]
    fn a_response() {
        let text = "SIP/2.0 486 Busy Here\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h;tag=no>;tag=2\r\nCall-ID: x\r\n\
                    CSeq: 2 INVITE\r\nContent-Length: 0\r\n\r\n";
        let glance = Glance::of(text.as_bytes()).unwrap();
        assert_eq!(glance.first, First::Response(486, "Busy Here".to_owned()));
        assert_eq!((glance.to_tag, glance.traceparent, glance.sdp), (b"2".as_slice(), None, None));
    }

    /// A body of several parts has the description in one of them (RFC 5621).
    #[test]
    fn a_description_among_others() {
        let text = "INVITE sip:b@h SIP/2.0\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n\
                    Content-Type: multipart/mixed;boundary=b\r\n\r\n--b\r\nContent-Type: application/isup\r\n\
                    Content-Disposition: signal;handling=optional\r\n\r\nhello\r\n\
                    --b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n";
        assert_eq!(Glance::of(text.as_bytes()).unwrap().sdp, Some(b"v=0".as_slice()));
    }

    #[test]
    fn what_is_no_message_is_passed_over() {
        for text in [
            "",
            "\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "SIP/2.0 200",
            "ACK\r\nCSeq: 1\r\nFrom:\r\nTo:\r\ni:\r\n\r\n",
        ] {
            assert_eq!(Glance::of(text.as_bytes()), None, "{text}");
        }
    }
}
