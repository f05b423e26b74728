//! What we can do, as OPTIONS and refusals tell it (RFC 3261 §11.2).

use crate::message::{ALLOW, Message, Name, Response, SDP, cut};

/// The body types an INVITE may have.
pub(crate) const ACCEPT: &str = SDP;
/// The body encodings a request may have.
pub(crate) const ACCEPT_ENCODING: &str = "identity";
/// The extensions we support: none yet, which the empty list says (§20.37).
pub(crate) const SUPPORTED: &str = "";

/// The headers of the answer to OPTIONS.
pub(crate) fn capabilities() -> Vec<(&'static str, String)> {
    [("Allow", ALLOW), ("Accept", ACCEPT), ("Accept-Encoding", ACCEPT_ENCODING), ("Supported", SUPPORTED)]
        .map(|(name, value)| (name, value.to_owned()))
        .to_vec()
}

/// The answer to OPTIONS, inside and outside of a dialog.
pub(crate) fn answer<'a>(headers: &'a [(&'a str, String)]) -> Response<'a> {
    Response { status: 200, headers, ..Response::default() }
}

/// Whether a response may hold a session description: Accept names it, or is not there (§20.1).
pub(crate) fn accepts_sdp(message: &Message) -> bool {
    let is = |range: &[u8], name: &str| range.eq_ignore_ascii_case(name.as_bytes());
    match message.list(Name::Accept) {
        Some(ranges) if !ranges.is_empty() => ranges
            .iter()
            .map(|range| cut(range, b';').0)
            .any(|range| is(range, SDP) || is(range, "application/*") || is(range, "*/*")),
        _ => true,
    }
}
