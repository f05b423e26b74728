//! Session descriptions as the bodies of messages, and what is answered to one that cannot be used.

use offhook_media::sdp::SdpError;
use offhook_sip::event::{self as sip, Body, Header, SessionId};

use crate::info;

/// A session description as a body.
pub(crate) fn sdp_body(sdp: String) -> Body {
    Body { content_type: "application/sdp".to_owned(), bytes: sdp.into_bytes() }
}

/// The session description of a body, if it is one.
pub(crate) fn sdp_of(body: Option<&Body>) -> Option<&[u8]> {
    body.filter(|body| info::is_type(body, "application/sdp")).map(|body| body.bytes.as_slice())
}

/// Refuses a change of the session, and says why where there is more to say than the status does.
pub(crate) fn refuse(session: SessionId, status: u16, warning: Option<Header>) -> sip::Command {
    sip::Command::Refuse { session, status, headers: warning.into_iter().collect() }
}

/// Refuses a change to what cannot be had (RFC 3261 §14.2): whatever is wrong with it, the session stays as it is.
pub(crate) fn refuse_description(session: SessionId, error: Option<&SdpError>) -> sip::Command {
    refuse(session, NOT_ACCEPTABLE_HERE, error.map(warning))
}

/// The final response to an offer that cannot be used, malformed ones too (RFC 3261 §21.4.26): the request itself is well
/// formed, and a change is refused in no other way.
const NOT_ACCEPTABLE_HERE: u16 = 488;

/// The Warning that says why an offer cannot be used (RFC 3261 §20.43).
pub(crate) fn warning(error: &SdpError) -> Header {
    let (code, text) = match error {
        SdpError::Malformed(reason) => (399, format!("Bad session description: {reason}")),
        SdpError::NoAudio => (304, "Media type not available: no audio over RTP is offered".to_owned()),
        SdpError::NoCommonCodec => (305, "Incompatible media format: none of the codecs is ours".to_owned()),
        SdpError::Protected => (302, "Incompatible transport protocol: SRTP is off here".to_owned()),
        SdpError::NoKeys => {
            let text = "Incompatible transport protocol: no a=crypto that can be used, and media has to be protected";
            (302, text.to_owned())
        }
        SdpError::CryptoParameter(asked) => {
            (302, format!("Incompatible transport protocol: keys with {asked} are not taken here"))
        }
        SdpError::CryptoAnswer(keys) => (302, format!("Incompatible transport protocol: a=crypto {keys}")),
        SdpError::BadAddress => {
            let text = "Incompatible network address formats: not a unicast address of our family";
            (301, text.to_owned())
        }
    };
    Header { name: "Warning".to_owned(), value: format!("{code} offhook \"{text}\"") }
}
