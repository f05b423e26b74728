//! What we can do, as OPTIONS and refusals tell it (RFC 3261 §11.2).

use crate::config::Config;
use crate::message::{ALLOW, Message, Name, Response, SDP, cut};

/// The body types an INVITE may have.
pub(crate) const ACCEPT: &str = SDP;
/// The body encodings a request may have.
pub(crate) const ACCEPT_ENCODING: &str = "identity";

/// The extensions that we support (§20.37): session timers (RFC 4028), transfers that nobody wants to hear of (RFC 4488),
/// and reliable provisional responses (RFC 3262) unless they are switched off.
pub(crate) fn supported(config: &Config) -> &'static str {
    if config.reliable_provisionals { "100rel, norefersub, timer" } else { "norefersub, timer" }
}

/// Whether we support an extension that a request requires.
pub(crate) fn supports(config: &Config, option: &[u8]) -> bool {
    supported(config).split(", ").any(|known| option.eq_ignore_ascii_case(known.as_bytes()))
}

/// The headers of the answer to OPTIONS.
pub(crate) fn capabilities(config: &Config) -> Vec<(&'static str, String)> {
    let supported = supported(config);
    [("Allow", ALLOW), ("Accept", ACCEPT), ("Accept-Encoding", ACCEPT_ENCODING), ("Supported", supported)]
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
