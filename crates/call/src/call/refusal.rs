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
    refuse(session, 488, error.map(|error| refusal(error).1))
}

/// The final response to an offer that cannot be used, and the Warning that says why (RFC 3261 §20.43).
pub(crate) fn refusal(error: &SdpError) -> (u16, Header) {
    let (status, code, text) = match error {
        SdpError::Malformed(reason) => (400, 399, format!("Bad session description: {reason}")),
        SdpError::NoAudio => (488, 304, "Media type not available: no audio over RTP is offered".to_owned()),
        SdpError::NoCommonCodec => {
            (488, 305, "Incompatible media format: none of the codecs is ours".to_owned())
        }
        SdpError::Protection => {
            let text = "Incompatible transport protocol: not protected as it has to be, or as it can be here";
            (488, 302, text.to_owned())
        }
        SdpError::BadAddress => {
            let text = "Incompatible network address formats: not a unicast address of our family";
            (488, 301, text.to_owned())
        }
    };
    (status, Header { name: "Warning".to_owned(), value: format!("{code} offhook \"{text}\"") })
}
