//! Bodies of several parts (RFC 2046 §5.1, RFC 5621), as far as a session needs them: one of the parts is its description.
//! One level deep and a handful of parts (reliability P4); nothing is decoded and nothing is copied but the part taken.
//!
//! ```text
//! Content-Type: multipart/mixed;boundary=x
//!
//! --x                                        what stands before is ignored
//! Content-Type: application/sdp
//!
//! v=0…                                       the session description
//! --x
//! Content-Type: application/isup
//! Content-Disposition: signal;handling=optional     not understood, and it need not be
//!
//! …
//! --x--                                      what follows is ignored
//! ```

use super::scan::{self, Params, cut};
use super::{Fault, Index, Name};

/// The only media type that a session is described by.
pub(crate) const SDP: &str = "application/sdp";
/// The most parts of a body. A gateway sends two or three: SDP, ISUP, a location.
const MAX_PARTS: usize = 8;
/// The longest boundary (RFC 2046 §5.1.1).
const MAX_BOUNDARY: usize = 70;

/// What a body holds for a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Description<'a> {
    /// Its description.
    Found(&'a [u8]),
    /// Nothing that has to be understood.
    Absent,
    /// A part that has to be understood and is not: 415.
    Unknown,
    /// Not what the RFC calls a multipart body: 400.
    Bad(Fault),
}

/// Whether a media type is one of several parts.
pub(crate) fn is_multipart(content_type: &[u8]) -> bool {
    content_type.get(..10).is_some_and(|head| head.eq_ignore_ascii_case(b"multipart/"))
}

/// Looks for the session description in a body of several parts.
pub(crate) fn description<'a>(content_type: &[u8], body: &'a [u8]) -> Description<'a> {
    let Some(boundary) = boundary(content_type) else {
        return Description::Bad(Fault::bad("Bad Multipart Boundary"));
    };
    let parts = match split(body, &boundary) {
        Ok(parts) => parts,
        Err(fault) => return Description::Bad(fault),
    };
    // Of alternatives one is enough, and the last that is understood is the best (RFC 2046 §5.1.4).
    let subtype = cut(content_type, b';').0.get(10..).unwrap_or_default();
    let alternative = subtype.eq_ignore_ascii_case(b"alternative");
    let mut found = None;
    let mut unknown = false;
    for part in parts {
        match Part::read(part) {
            None => return Description::Bad(Fault::bad("Bad Body Part")),
            Some(Part::Description(_)) if found.is_some() && !alternative => {
                return Description::Bad(Fault::bad("Several Session Descriptions"));
            }
            Some(Part::Description(bytes)) => found = Some(bytes),
            Some(Part::Optional) => {}
            Some(Part::Required) => unknown = true,
        }
    }
    match found {
        Some(bytes) if alternative || !unknown => Description::Found(bytes),
        None if !unknown => Description::Absent,
        _ => Description::Unknown,
    }
}

/// One part, as it concerns a session.
enum Part<'a> {
    Description(&'a [u8]),
    Optional,
    Required,
}

impl<'a> Part<'a> {
    /// Reads the header of a part; `None` where it is none.
    fn read(part: &'a [u8]) -> Option<Self> {
        let index = Index::of(part, 0).ok().filter(|index| index.fault.is_none())?;
        let value = |name| {
            let field = index.fields.iter().find(|field| field.name == name)?;
            Some(scan::unfold(part.get(field.value.clone())?))
        };
        let disposition = value(Name::ContentDisposition).unwrap_or_default();
        let (kind, params) = cut(&disposition, b';');
        let params = params.map_or_else(|| Some(Params::default()), Params::parse)?;
        let handling = params.get("handling").unwrap_or_default();
        let encoding = value(Name::ContentTransferEncoding).unwrap_or_default();
        let plain = ["", "7bit", "8bit", "binary"].iter().any(|plain| is(&encoding, plain));
        let content_type = value(Name::ContentType).unwrap_or_default();
        let is_description = is(cut(&content_type, b';').0, SDP) && (kind.is_empty() || is(kind, "session"));
        match () {
            () if is_description && plain => Some(Self::Description(part.get(index.body..)?)),
            // Where nothing is said, a part has to be understood (RFC 3261 §20.11).
            () if handling.eq_ignore_ascii_case("optional") => Some(Self::Optional),
            () => Some(Self::Required),
        }
    }
}

fn is(text: &[u8], name: &str) -> bool {
    text.eq_ignore_ascii_case(name.as_bytes())
}

/// The boundary parameter, where it is one.
fn boundary(content_type: &[u8]) -> Option<Vec<u8>> {
    let params = Params::parse(cut(content_type, b';').1?)?;
    let boundary = params.get("boundary")?.as_bytes();
    let bchars = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    let good = (1..=MAX_BOUNDARY).contains(&boundary.len())
        && boundary.iter().all(bchars)
        && !boundary.ends_with(b" ");
    good.then(|| boundary.to_vec())
}

/// The parts between the delimiter lines. One look at the beginning of each line: linear.
fn split<'a>(body: &'a [u8], boundary: &[u8]) -> Result<Vec<&'a [u8]>, Fault> {
    let mut parts = Vec::new();
    // Where the part begins that is being read.
    let mut open = None;
    let mut at = 0;
    while let Some(rest) = body.get(at..).filter(|rest| !rest.is_empty()) {
        let length = rest.iter().position(|&byte| byte == b'\n').map_or(rest.len(), |end| end + 1);
        let line = rest.get(..length).unwrap_or_default();
        let delimiter = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary));
        let is_last = delimiter.is_some_and(|tail| tail.starts_with(b"--"));
        if is_last || delimiter.is_some_and(|tail| tail.trim_ascii().is_empty()) {
            if let Some(begin) = open {
                // The CRLF before a delimiter belongs to it.
                let part: &[u8] = body.get(begin..at).unwrap_or_default();
                parts.push(part.strip_suffix(b"\r\n").unwrap_or(part));
            }
            if is_last {
                return if parts.is_empty() { Err(Fault::bad("No Body Parts")) } else { Ok(parts) };
            }
            if parts.len() == MAX_PARTS {
                return Err(Fault::bad("Too Many Body Parts"));
            }
            open = Some(at + length);
        }
        at += length;
    }
    Err(Fault::bad("Unterminated Multipart Body"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = b"multipart/mixed;boundary=x";

    fn check(content_type: &str, body: &str, expected: Description<'_>) {
        let content_type = format!("multipart/{content_type}");
        assert_eq!(description(content_type.as_bytes(), body.as_bytes()), expected, "{content_type}: {body}");
    }

    fn part(header: &str, content: &str) -> String {
        format!("--x\r\n{header}\r\n{content}\r\n")
    }

    fn found(text: &str) -> Description<'_> {
        Description::Found(text.as_bytes())
    }

    #[test]
    fn p4_multipart_the_description_is_taken() {
        let sdp = part("Content-Type: application/sdp\r\n", "v=0\r\n");
        let isup =
            part("Content-Type: application/isup\r\nContent-Disposition: signal;handling=optional\r\n", "\0");
        let must = part("Content-Type: application/isup\r\n", "\0");
        check("mixed;boundary=x", &format!("{sdp}--x--"), found("v=0\r\n"));
        check("mixed;boundary=\"x\"", &format!("preamble\r\n{isup}{sdp}--x--\r\nepilogue"), found("v=0\r\n"));
        check("Mixed ; Boundary=x", &format!("{sdp}{isup}--x--"), found("v=0\r\n"));
        check("mixed;boundary=x", &format!("{sdp}{must}--x--"), Description::Unknown);
        check("mixed;boundary=x", &format!("{isup}--x--"), Description::Absent);
        check("alternative;boundary=x", &format!("{must}{sdp}--x--"), found("v=0\r\n"));
        let better = part("c: application/sdp\r\nContent-Transfer-Encoding: 8bit\r\n", "v=0 better");
        check("alternative;boundary=x", &format!("{sdp}{better}--x--"), found("v=0 better"));
        check(
            "mixed;boundary=x",
            &format!("{sdp}{better}--x--"),
            Description::Bad(Fault::bad("Several Session Descriptions")),
        );
        let early =
            part("Content-Type: application/sdp\r\nContent-Disposition: early-session\r\n", "v=0\r\n");
        check("mixed;boundary=x", &format!("{early}--x--"), Description::Unknown);
        let coded = part("Content-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n", "dj0w");
        check("mixed;boundary=x", &format!("{coded}--x--"), Description::Unknown);
        // A part without a header is text/plain; a line that only begins like the boundary is content.
        check("mixed;boundary=x", "--x\r\n\r\nhello\r\n--x--", Description::Unknown);
        let odd = part("Content-Type: application/sdp\r\n", "v=0\r\n--xy\r\n");
        check("mixed;boundary=x", &format!("{odd}--x--"), found("v=0\r\n--xy\r\n"));
    }

    #[test]
    fn p4_multipart_bad_bodies_are_refused() {
        let sdp = part("Content-Type: application/sdp\r\n", "v=0\r\n");
        let nested = part("Content-Type: multipart/mixed;boundary=y\r\n", &format!("--y\r\n\r\n{sdp}--y--"));
        for (content_type, body, expected) in [
            ("mixed", sdp.clone(), "Bad Multipart Boundary"),
            ("mixed;boundary=", sdp.clone(), "Bad Multipart Boundary"),
            ("mixed;boundary=\"x \"", sdp.clone(), "Bad Multipart Boundary"),
            ("mixed;boundary=\"a\\\"b\"", sdp.clone(), "Bad Multipart Boundary"),
            ("mixed;boundary=x", String::new(), "Unterminated Multipart Body"),
            ("mixed;boundary=x", "--x--".to_owned(), "No Body Parts"),
            ("mixed;boundary=x", sdp.clone(), "Unterminated Multipart Body"),
            ("mixed;boundary=z", format!("{sdp}--x--"), "Unterminated Multipart Body"),
            ("mixed;boundary=x", "--x\r\nno header\r\n--x--".to_owned(), "Bad Body Part"),
            ("mixed;boundary=x", "--x\r\n--x--".to_owned(), "Bad Body Part"),
            ("mixed;boundary=x", "--x\n".repeat(9), "Too Many Body Parts"),
            ("mixed;boundary=x", sdp.repeat(2) + "--x--", "Several Session Descriptions"),
        ] {
            check(content_type, &body, Description::Bad(Fault::bad(expected)));
        }
        let long = format!("multipart/mixed;boundary={}", "b".repeat(71));
        assert_eq!(boundary(long.as_bytes()), None);
        assert!(boundary(&long.as_bytes()[..long.len() - 1]).is_some());
        // One level deep: what is in a part of parts is not looked at.
        assert_eq!(description(MIXED, format!("{nested}--x--").as_bytes()), Description::Unknown);
    }
}
