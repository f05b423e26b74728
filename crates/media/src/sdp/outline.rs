//! What a description says, in a few values: for whoever is to understand afterwards what two sides agreed on, and why.

use crate::sdp::numbers::Beside;
use crate::sdp::parse::Description;
use crate::sdp::{API_NAMES, Direction, SdpError};

/// The first audio stream of a description that is not rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// The names of its codecs in their order and each once: as the API spells them, or as the description does where the API has
    /// no name for one.
    pub codecs: Vec<String>,
    /// Whether digits may be telephone-events (RFC 4733).
    pub telephone_events: bool,
    /// Where its writer wants media: the value of `c=` behind the kind of address, as it is written; none where there is no
    /// such line.
    pub address: Option<String>,
    /// To which port.
    pub port: u16,
    /// Who sends, as its writer sees it.
    pub direction: Direction,
    /// The packet time that its writer asks for, in milliseconds.
    pub ptime_ms: Option<u8>,
    /// The crypto-suites that it has keys for (RFC 4568), without the keys.
    pub suites: Vec<String>,
}

/// What a description says of its audio.
///
/// # Errors
/// [`SdpError`]: it is no description, or has no audio.
pub fn outline(description: &[u8]) -> Result<Outline, SdpError> {
    let description = Description::parse(description)?;
    let (.., audio) = description.audio().next().ok_or(SdpError::NoAudio)?;
    let (mut codecs, mut telephone_events) = (Vec::<String>::new(), false);
    for encoding in audio.encodings() {
        telephone_events |= encoding.name.eq_ignore_ascii_case("telephone-event");
        let is_codec = Beside::of(encoding.name).is_none();
        if is_codec && !codecs.iter().any(|name| name.eq_ignore_ascii_case(encoding.name)) {
            let known = API_NAMES.into_iter().find(|name| name.eq_ignore_ascii_case(encoding.name));
            codecs.push(known.unwrap_or(encoding.name).to_owned());
        }
    }
    // `1 AES_CM_128_HMAC_SHA1_80 inline:…`
    let suite = |crypto: &&str| crypto.split_ascii_whitespace().nth(1).map(str::to_owned);
    // `IN IP4 192.0.2.1`
    let address = |connection: &str| connection.split_ascii_whitespace().nth(2).map(str::to_owned);
    Ok(Outline {
        codecs,
        telephone_events,
        address: audio.connection.and_then(address),
        port: audio.port,
        direction: audio.direction,
        ptime_ms: audio.ptime_ms,
        suites: audio.crypto.iter().filter_map(suite).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The offer of RFC 4568 §5.1.1 with its second stream away, and a codec that has no name here.
    #[test]
    fn what_an_offer_says() {
        let offer = "v=0\r\no=sam 2890844526 2890842807 IN IP4 10.47.16.5\r\ns=SRTP Discussion\r\n\
                     c=IN IP4 168.2.17.12\r\nt=2873397496 2873404696\r\nm=audio 49170 RTP/SAVP 0 8 18 101\r\n\
                     a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=sendonly\r\n\
                     a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|2^20|1:32\r\n";
        let outline = outline(offer.as_bytes()).unwrap();
        assert_eq!(outline.codecs, ["PCMU", "PCMA", "G729"]);
        assert_eq!((outline.address.as_deref(), outline.port), (Some("168.2.17.12"), 49_170));
        assert_eq!((outline.direction, outline.ptime_ms), (Direction::SendOnly, Some(20)));
        assert!(outline.telephone_events);
        assert_eq!(outline.suites, ["AES_CM_128_HMAC_SHA1_32"]);
    }

    #[test]
    fn what_says_nothing_of_audio() {
        assert!(outline(b"v=1").is_err() && outline(b"").is_err());
        assert_eq!(outline(b"v=0\r\nm=audio 0 RTP/AVP 0\r\n"), Err(SdpError::NoAudio));
    }
}
