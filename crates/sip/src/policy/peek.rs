//! A look at the raw bytes before anything is read properly: does this message begin something, or does it say that it
//! belongs to what has begun? One pass over the first lines, no copies, no allocation.
//!
//! How far this goes: it decides which budget a message is taken from, and nothing else. Whatever cannot be made out (a
//! field beyond [`REACH`], no start line, garbage) begins something, which is the tighter budget. Who pretends by a
//! forged tag to be inside of a call only gets at the other budget. A message that both budgets have no room for is let
//! past only where it shows more than a shape: the tag or the branch of something that lives, 64 bits that a stranger
//! cannot guess, read by the same parsers as later. So retransmissions of live transactions are told apart when it
//! matters, and cost nothing before.

use super::sources::Kind;
use crate::message::{Address, Method, Via, after_line, fold_at, split, tag_of, trim, unfold};

/// How many bytes are looked at. The fields that are looked for stand in the first few hundred of any message of a
/// gateway.
const REACH: usize = 4096;

/// Where the fields stand that tell what a message belongs to; empty where they were not found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peek<'a> {
    is_response: bool,
    method: &'a [u8],
    via: &'a [u8],
    to: &'a [u8],
    call_id: &'a [u8],
    cseq: &'a [u8],
}

impl<'a> Peek<'a> {
    /// Looks at a message.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let bytes = bytes.get(..REACH).unwrap_or(bytes).trim_ascii_start();
        let start = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
        let mut peek = Self {
            is_response: start.get(..4).is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/")),
            method: start,
            ..Self::default()
        };
        let mut rest = after_line(bytes);
        while !(rest.is_empty() || rest.starts_with(b"\r") || peek.is_complete()) {
            let (line, tail) = fold_at(rest);
            peek.take(line);
            rest = tail;
        }
        peek
    }

    fn is_complete(&self) -> bool {
        ![self.via, self.to, self.call_id, self.cseq].iter().any(|field| field.is_empty())
    }

    /// Takes a field, if it is one of those that are looked for and the first of its name.
    fn take(&mut self, line: &'a [u8]) {
        if !matches!(line.first(), Some(b'v' | b'V' | b't' | b'T' | b'c' | b'C' | b'i' | b'I')) {
            return;
        }
        let Some((label, value)) =
            line.iter().position(|&byte| byte == b':').and_then(|at| line.split_at_checked(at))
        else {
            return;
        };
        let label = trim(label);
        let is = |names: [&str; 2]| names.iter().any(|name| label.eq_ignore_ascii_case(name.as_bytes()));
        let field = match () {
            () if is(["Via", "v"]) => &mut self.via,
            () if is(["To", "t"]) => &mut self.to,
            () if is(["Call-ID", "i"]) => &mut self.call_id,
            () if is(["CSeq", "CSeq"]) => &mut self.cseq,
            () => return,
        };
        if field.is_empty() {
            *field = trim(value.get(1..).unwrap_or_default());
        }
    }

    /// Which budget the message is taken from.
    pub(crate) fn kind(&self) -> Kind {
        let inside =
            self.is_response || matches!(self.method, b"ACK" | b"CANCEL") || tag_of(self.to).is_some();
        if inside { Kind::Inside } else { Kind::Outside }
    }

    /// Whether it is a request of this kind that somebody waits to be answered.
    pub(crate) fn wants_answer(&self) -> bool {
        !(self.is_response || matches!(self.method, b"ACK" | b"CANCEL"))
    }

    /// Of a response, the branch and the method of the request.
    pub(crate) fn answered(&self) -> Option<(String, Method)> {
        let cseq = unfold(self.cseq);
        let method = cseq.rsplit(u8::is_ascii_whitespace).next()?;
        let branch = self.top_via()?.branch()?.to_owned();
        self.is_response.then_some((branch, Method::of(method)))
    }

    /// Of a request, the Call-ID and the tag of To.
    pub(crate) fn dialog(&self) -> Option<(String, String)> {
        let to = Address::parse(&unfold(self.to))?;
        let call_id = std::str::from_utf8(self.call_id).ok()?.to_owned();
        (!self.is_response && !to.tag().is_empty()).then(|| (call_id, to.tag().to_owned()))
    }

    /// Of a request, its top Via and method; ACK and CANCEL have those of their INVITE.
    pub(crate) fn transaction(&self) -> Option<(Via, &'a [u8])> {
        let method = if matches!(self.method, b"ACK" | b"CANCEL") { b"INVITE" } else { self.method };
        let via = self.top_via()?;
        (!self.is_response).then_some((via, method))
    }

    fn top_via(&self) -> Option<Via> {
        let via = unfold(self.via);
        Via::parse(split(&via, b',')?.first()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, kind: Kind) {
        assert_eq!(Peek::of(text.as_bytes()).kind(), kind, "{text}");
    }

    #[test]
    fn what_begins_something_and_what_does_not() {
        let with_to = |to: &str| format!("BYE sip:a@b SIP/2.0\r\nVia: x\r\n{to}\r\nCall-ID: 1\r\n\r\n");
        check(&with_to("To: <sip:a@b>"), Kind::Outside);
        check(&with_to("To: <sip:a@b;tag=1>"), Kind::Outside);
        check(&with_to("X-To: <sip:a@b>;tag=1"), Kind::Outside);
        check(&with_to("To: <sip:a@b>;tagged=1"), Kind::Outside);
        check(&with_to("To: <sip:a@b>;tag=1"), Kind::Inside);
        check(&with_to("t:sip:a@b;x=y ; TAG = 1"), Kind::Inside);
        check(&with_to("TO :\r\n <sip:a@b>\r\n ;tag=1"), Kind::Inside);
        check("\r\n\r\nSIP/2.0 200 OK\r\n\r\n", Kind::Inside);
        check("ACK sip:a@b SIP/2.0\r\n\r\n", Kind::Inside);
        check("CANCEL sip:a@b SIP/2.0\r\n\r\n", Kind::Inside);
        check("OPTIONS sip:a@b SIP/2.0\r\n\r\nTo: <sip:a@b>;tag=1\r\n", Kind::Outside);
        for text in ["", "\r\n", "ACK", "To: <sip:a@b>;tag=1", "GET / HTTP/1.1\r\n\r\n", "\u{0}\n\n\n:\n"] {
            check(text, if text == "ACK" { Kind::Inside } else { Kind::Outside });
        }
        let far = format!("BYE sip:a@b SIP/2.0\r\nX: {}\r\nTo: <sip:a@b>;tag=1\r\n\r\n", "x".repeat(REACH));
        check(&far, Kind::Outside);
    }

    #[test]
    fn what_it_belongs_to() {
        let text = "ACK sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP H:5;branch=z9hG4bK7, SIP/2.0/UDP x\r\nVia: other\r\n\
                    i: c@d\r\nTo:\r\n\t\"x>;tag=9\" <sip:a@b>;tag=t\r\nCSEQ: 1\r\n  ACK\r\n\r\n";
        let peek = Peek::of(text.as_bytes());
        assert_eq!(peek.dialog(), Some(("c@d".to_owned(), "t".to_owned())));
        let (via, method) = peek.transaction().unwrap();
        assert_eq!((via.branch(), &*via.sent_by, method), (Some("z9hG4bK7"), "h:5", b"INVITE".as_slice()));
        assert_eq!((peek.answered(), peek.wants_answer()), (None, false));
        let response = text.replace("ACK sip:a@b SIP/2.0", "SIP/2.0 200 OK").replace("ACK", "BYE");
        let peek = Peek::of(response.as_bytes());
        assert_eq!(peek.answered(), Some(("z9hG4bK7".to_owned(), Method::Bye)));
        assert!(peek.dialog().is_none() && peek.transaction().is_none());
    }
}
