//! rsip, written by others, reads every message that an endpoint emits: so the endpoint never only talks to itself.

use rsip::headers::UntypedHeader;
use rsip::message::HasHeaders;
use rsip::prelude::*;

/// Panics where rsip cannot read a message, or reads a mandatory header as something bad.
pub(crate) fn check(bytes: &[u8]) {
    let shown = String::from_utf8_lossy(bytes);
    let message = rsip::SipMessage::try_from(bytes).unwrap_or_else(|error| panic!("{error}:\n{shown}"));
    let typed = |what: &str, result: Result<(), rsip::Error>| {
        result.unwrap_or_else(|error| panic!("{what}: {error}:\n{shown}"));
    };
    typed("Via", message.via_header().and_then(|via| via.typed()).map(drop));
    typed("From", message.from_header().and_then(|from| from.typed()).map(drop));
    typed("To", message.to_header().and_then(|to| to.typed()).map(drop));
    typed("CSeq", message.cseq_header().and_then(|cseq| cseq.typed()).map(drop));
    typed("Call-ID", message.call_id_header().map(drop));
    let length = message
        .headers()
        .iter()
        .find_map(|header| match header {
            rsip::Header::ContentLength(length) => Some(length.value().to_owned()),
            _ => None,
        })
        .unwrap_or_else(|| panic!("no Content-Length:\n{shown}"));
    assert_eq!(length, message.body().len().to_string(), "{shown}");
    if let rsip::SipMessage::Request(request) = &message {
        let branch =
            message.via_header().and_then(|via| via.typed()).unwrap().branch().map(ToString::to_string);
        // 64 random bits in hexadecimal after the cookie.
        assert!(
            branch.is_some_and(|branch| branch.starts_with("z9hG4bK") && branch.len() >= 7 + 16),
            "{shown}"
        );
        let cseq = message.cseq_header().unwrap().typed().unwrap();
        assert_eq!(cseq.method, request.method, "{shown}");
        assert!(message.max_forwards_header().is_ok(), "{shown}");
    }
}
