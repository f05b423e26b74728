//! The addresses of From, To, Contact, Route and Record-Route: `"display" <uri>;params` or `uri;params` (RFC 3261
//! §20.10, §25.1). Where the URI stands without brackets, every parameter is the header's. A display name can never
//! become the address: the URI is what stands between the first `<` outside of quotes and the next `>`.

use super::scan::{self, Params};
use super::uri::MAX_URI;

/// The longest display name that is told, in bytes: as long as one that we send may be.
const MAX_DISPLAY: usize = 128;

/// One name-addr or addr-spec with its header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The display name without quotes; empty where there is none.
    pub(crate) display: String,
    /// The URI, of any scheme, without white space or control characters.
    pub(crate) uri: String,
    /// The header's parameters.
    params: Params,
}

impl Address {
    /// Reads one address. `None` where it is bad: an open quote or bracket, no URI, white space inside the URI, a URI
    /// longer than [`MAX_URI`].
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = scan::trim(value);
        let (display, uri, rest) = match scan::find(value, b'<')? {
            Some(at) => {
                let (display, tail) = value.split_at_checked(at)?;
                let tail = tail.get(1..)?;
                let end = tail.iter().position(|&byte| byte == b'>')?;
                let (uri, rest) = tail.split_at_checked(end)?;
                (scan::trim(display), uri, scan::trim(rest.get(1..)?))
            }
            None => {
                let end = value.iter().position(|&byte| byte == b';').unwrap_or(value.len());
                let (uri, rest) = value.split_at_checked(end)?;
                (b"".as_slice(), scan::trim(uri), rest)
            }
        };
        let graphic = uri.iter().all(|byte| byte.is_ascii_graphic());
        if uri.len() > MAX_URI || !uri.contains(&b':') || !graphic {
            return None;
        }
        let params = match rest.strip_prefix(b";") {
            Some(params) => Params::parse(params)?,
            None if rest.is_empty() => Params::default(),
            None => return None,
        };
        let mut display = scan::lossy(&scan::unquote(display));
        let end = (0..=MAX_DISPLAY).rev().find(|&end| display.is_char_boundary(end));
        display.truncate(end.unwrap_or_default());
        Some(Self { display, uri: scan::lossy(uri), params })
    }

    /// A parameter of the header; the empty string for a bare flag. `name` in lower case.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)
    }

    /// The dialog tag; empty where there is none, as RFC 2543 peers have it (RFC 3261 §12.1.1).
    pub(crate) fn tag(&self) -> &str {
        self.params.get("tag").unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p9_a_name_is_short_and_reads_forwards() {
        let long = Address::parse(format!("\"{}\" <sip:a@h>", "ä".repeat(200)).as_bytes()).unwrap();
        assert_eq!(long.display, "ä".repeat(64));
        let turned = Address::parse("\"\u{202e}gnp.exe\" <sip:a@h>".as_bytes()).unwrap();
        assert_eq!(turned.display, "\u{fffd}gnp.exe");
    }

    fn check(value: &str, display: &str, uri: &str, tag: &str) {
        let address = Address::parse(value.as_bytes()).unwrap_or_else(|| panic!("{value}"));
        assert_eq!((&*address.display, &*address.uri, address.tag()), (display, uri, tag), "{value}");
    }

    #[test]
    fn addresses() {
        check("Bob <sip:bob@biloxi.com>;tag=a6c85cf", "Bob", "sip:bob@biloxi.com", "a6c85cf");
        check("sip:+12125551212@phone2net.com;tag=887s", "", "sip:+12125551212@phone2net.com", "887s");
        check("<sip:a@b;transport=tcp>;Tag=x", "", "sip:a@b;transport=tcp", "x");
        check("\"<sip:evil@example.com>\" <sip:a@b>", "<sip:evil@example.com>", "sip:a@b", "");
        check(
            "\"J Rosenberg \\\\\\\"\" <sip:j@example.com> ; tag = 98asjd8",
            "J Rosenberg \\\"",
            "sip:j@example.com",
            "98asjd8",
        );
        // RFC 4475 §3.1.1.6 (lwsdisp) and §3.3.10 (unksm2).
        check("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", "323");
        check("isbn:2983792873", "", "isbn:2983792873", "");
    }

    #[test]
    fn bad_addresses() {
        for value in [
            "",
            "Bob",
            "<sip:a@b",
            "<>",
            "\"Mr. J. User <sip:j.user@example.com>", // §3.1.2.6 quotbal
            "\"Watson, Thomas\" < sip:t.watson@example.org >", // §3.1.2.13 badaspec
            "\"Joe\" <sip:joe@example.org>;;;;",      // §3.1.2.1 badinv01
            "<sip:a@b> x",
            "sip:a b@c",
        ] {
            assert_eq!(Address::parse(value.as_bytes()), None, "{value}");
        }
    }
}
