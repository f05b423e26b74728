//! Media that is protected, or has to be, as its gateway asks.

use offhook_call::gateway::Gateway;
use offhook_call::id::CallId;
use offhook_media::sdp::{Protection, Suite};
use offhook_sip::event::{self as sip, SessionId};

use crate::gateways::rig;
use crate::rig::{ALAW, OFFER, acked, answer, call_to, gateway, sdp};

/// `get` tells what the media is protected with, and what has to be protected is refused otherwise.
#[test]
fn an_inbound_call_is_protected_as_its_gateway_asks() {
    let crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_32 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n";
    let keys = OFFER.to_owned() + crypto;
    let savp = keys.replace("RTP/AVP", "RTP/SAVP");
    let short = Some(Suite::AesCm128HmacSha1_32);
    for (srtp, offer, expected) in [
        (Protection::Off, &keys, Ok(None)),
        (Protection::Off, &savp, Err("SRTP is off here")),
        (Protection::Optional, &OFFER.to_owned(), Ok(None)),
        (Protection::Optional, &keys, Ok(short)),
        (Protection::Required, &savp, Ok(short)),
        (
            Protection::Required,
            &OFFER.to_owned(),
            Err("no a=crypto that can be used, and media has to be protected"),
        ),
    ] {
        let mut rig = rig(vec![Gateway { srtp, ..gateway("peer", &[1]) }]);
        let lines = rig.invite(Some(offer));
        match expected {
            Ok(suite) => {
                rig.request(answer(CallId(1)));
                rig.sip(acked(CallId(1)));
                assert_eq!(rig.get(CallId(1)).srtp, suite, "{srtp:?} {offer}");
            }
            Err(why) => {
                let warning =
                    format!("sip 488 Warning: 302 offhook \"Incompatible transport protocol: {why}\"");
                assert!(lines[0].starts_with(&warning), "{srtp:?} {offer}: {lines:?}");
            }
        }
    }
}

/// What keeps an answer from being used is told, and the far end is hung up on.
#[test]
fn an_outbound_call_is_protected_as_its_gateway_asks() {
    let crypto = |tag| {
        format!("a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n")
    };
    let with = |profile: &str, crypto: &str| ALAW.replace("RTP/AVP", profile) + crypto;
    let no_keys = "has no keys for SRTP, and media has to be protected";
    for (srtp, answer, expected) in [
        (Protection::Required, with("RTP/SAVP", &crypto(3)), None),
        (Protection::Required, ALAW.to_owned(), Some(no_keys)),
        (Protection::Required, with("RTP/SAVP", ""), Some(no_keys)),
        (Protection::Optional, ALAW.to_owned(), None),
        (
            Protection::Optional,
            with("RTP/AVP", &crypto(9)),
            Some("answers with a=crypto of a tag that was not offered"),
        ),
        (Protection::Off, with("RTP/SAVP", &crypto(1)), Some("answers with SRTP, which was not offered")),
    ] {
        let mut rig = rig(vec![Gateway { srtp, ..gateway("first", &[1]) }]);
        rig.request(call_to(&["sip:1@first"]));
        let (session, body) = (SessionId::Outbound(1), Some(sdp(&answer)));
        let lines = rig.sip(sip::Event::Answered { session, body, also_rang: Vec::new() });
        let told = lines.iter().find_map(|line| line.strip_prefix("1: dial "));
        let expected = expected.map_or("ok answered".to_owned(), |why| format!("not_negotiated ({why}) 488"));
        assert_eq!(told, Some(expected.as_str()), "{srtp:?} {answer}: {lines:?}");
    }
}
