//! Descriptions that are wrong or mean ill: each is refused, or read as if its oddity were not there (reliability.md P5,
//! P6). Nothing here panics, and nothing grows with what a body claims.

use super::parse::Description;
use super::tests::{body, local};
use super::*;

fn judged(body: impl AsRef<[u8]>, local: &LocalMedia) -> Result<Negotiated, SdpError> {
    let answered = answer(body.as_ref(), local).map(|(_, negotiated)| negotiated);
    let accepted = accept(body.as_ref(), local);
    assert_eq!(answered.is_ok(), accepted.is_ok(), "{}", String::from_utf8_lossy(body.as_ref()));
    answered
}

fn to(address: &str) -> String {
    let family = if address.contains(':') { "IP6" } else { "IP4" };
    body("0", &[]).replace("c=IN IP4 198.51.100.2", &format!("c=IN {family} {address}"))
}

#[test]
fn p5_what_is_refused() {
    let good = body("0", &[]);
    let long = "x".repeat(60_000);
    for (why, text) in [
        ("NUL in an attribute", body("0", &["a=fmtp:0 \0"])),
        ("a bare CR", body("0", &["a=x\ry"])),
        ("control bytes in an m= line", good.replace("m=audio 40000", "m=audio\u{7} 40000")),
        ("letters beyond ASCII in an m= line", good.replace("RTP/AVP 0", "RTP/ÄVP 0")),
        ("a media type without end", good.replace("m=audio", &format!("m={long}"))),
        ("a format without end", good.replace("RTP/AVP 0", &format!("RTP/AVP 0 {long}"))),
        ("a thousand streams", body("0", &["m=audio 40000 RTP/AVP 0"; 1000])),
        ("a thousand formats", body(&["0"; 1000].join(" "), &[])),
        ("no formats", body("", &[])),
        ("no connection", good.replace("c=IN IP4 198.51.100.2\r\n", "")),
        ("half a connection", good.replace("c=IN IP4 198.51.100.2", "c=IN IP4")),
        ("a port out of range", good.replace("40000", "65536")),
        ("a port without end", good.replace("40000", &"4".repeat(60_000))),
        ("a negative port", good.replace("40000", "-40000")),
        ("port 0", good.replace("40000", "0")),
        ("payload types beyond 127", body("128 200 256 999999999999", &["a=rtpmap:128 PCMU/8000"])),
        ("not version 0", good.replace("v=0", "v=00")),
        ("a line without a type", body("0", &["nonsense"])),
        ("another text", "Signal=5\r\nDuration=100\r\n".to_owned()),
    ] {
        assert!(judged(text, &local()).is_err(), "{why}");
    }
}

#[test]
fn p5_what_is_tolerated() {
    let good = judged(body("0", &[]), &local()).unwrap();
    let long = "x".repeat(60_000);
    for (why, text) in [
        ("lines without CR", body("0", &[]).replace("\r\n", "\n")),
        ("empty lines", body("0", &["", ""])),
        ("no end of the last line", body("0", &[]).trim_end().to_owned()),
        ("packet times out of range", body("0", &["a=ptime:0", "a=ptime:65535", "a=ptime:99999999999"])),
        (
            "the shortest and longest packet times",
            body("0", &["a=maxptime:65535", "a=ptime:9", "a=ptime:61"]),
        ),
        ("a second mapping of a payload type", body("0", &["a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMA/8000"])),
        (
            "mappings that are none",
            body("0", &["a=rtpmap:", "a=rtpmap:0", "a=rtpmap:x y", "a=rtpmap:300 PCMU/8000"]),
        ),
        ("clock rates out of range", body("0", &["a=rtpmap:96 PCMU/99999999999", "a=rtpmap:97 PCMU/-8000"])),
        ("a thousand mappings", body("0", &["a=rtpmap:96 PCMA/8000"; 1000])),
        ("payload types beyond 127 beside a good one", body("128 0 300", &[])),
        ("a thousand keys", body("0", &["a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"; 1000])),
        ("a key without end", body("0", &[&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{long}")])),
        ("an attribute without end", body("0", &[&format!("a={long}")])),
        ("no o=", body("0", &[]).replace("o=- 1 1 IN IP4 198.51.100.2\r\n", "")),
        ("an odd o=", body("0", &[]).replace("o=- 1 1", "o=-\u{1} 99999999999999999999999999 -1 x")),
        ("no t=", body("0", &[]).replace("t=0 0\r\n", "")),
        ("an odd t=", body("0", &[]).replace("t=0 0", "t=-1 18446744073709551616")),
        ("bandwidths, keys and zones", body("0", &["b=AS:99999999999", "k=prompt", "z=0 0", "i="])),
    ] {
        assert_eq!(judged(text, &local()).as_ref(), Ok(&good), "{why}");
    }
}

#[test]
fn p5_an_answer_repeats_nothing_that_could_break_it() {
    let offer = "v=0\r\nt=0 0\r\nm=video{}\\ 5000 a=b c=IN\r\nc=IN IP4 198.51.100.2\r\nm=audio 40000 RTP/AVP 0\r\nc=IN IP4 198.51.100.2\r\n";
    let (text, _) = answer(offer.as_bytes(), &local()).unwrap();
    assert!(text.contains("\r\nm=video{}\\ 0 a=b c=IN\r\n"), "{text}");
    assert_eq!(Description::parse(text.as_bytes()).unwrap().media.len(), 2);
}

#[test]
fn p6_media_goes_to_hosts_only() {
    for address in [
        "224.0.0.1",
        "232.1.1.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "0.0.0.1",
        "127.0.0.1",
        "127.255.0.1",
        "gateway.example.com",
        "198.51.100.2.9",
        "::1",
        "::ffff:224.0.0.1",
        "ff02::1",
    ] {
        assert_eq!(judged(to(address), &local()), Err(SdpError::BadAddress), "{address}");
    }
    let six = LocalMedia { address: "2001:db8::1".parse().unwrap(), ..local() };
    for address in ["ff02::1", "::1", "198.51.100.2", "::ffff:198.51.100.2"] {
        assert_eq!(judged(to(address), &six), Err(SdpError::BadAddress), "{address}");
    }
    assert!(judged(to("2001:db8::2"), &six).is_ok());
}

#[test]
fn p6_loopback_hears_media_of_loopback_only() {
    let here = LocalMedia { address: "127.0.0.1".parse().unwrap(), ..local() };
    assert!(judged(to("127.0.0.1"), &here).is_ok());
    assert!(judged(to("127.0.0.9"), &here).is_ok());
}

#[test]
fn p6_an_address_of_zeros_is_hold_and_hears_nothing() {
    for address in ["0.0.0.0", "::"] {
        let held = judged(to(address), &local()).unwrap();
        assert_eq!((held.direction, held.remote_rtp.ip().is_unspecified()), (Direction::RecvOnly, true));
    }
}

#[test]
fn p6_media_does_not_go_to_sockets_of_ours() {
    let at = |address: &str, port: &str| to(address).replace("40000", port);
    let reports_at = |port: &str| body("0", &[&format!("a=rtcp:{port} IN IP4 192.0.2.1")]);
    let ours = vec!["192.0.2.1:5060".parse().unwrap(), "10.0.0.5:8080".parse().unwrap()];
    let destinations = Arc::new(Destinations { ours, ..Destinations::default() });
    let local = LocalMedia { destinations, ..local() };
    for body in [
        at("192.0.2.1", "20000"),
        at("192.0.2.1", "20001"),
        at("192.0.2.1", "19999"),
        at("192.0.2.1", "5060"),
        at("192.0.2.1", "5059"),
        at("192.0.2.1", "8080"),
        at("10.0.0.5", "8080"),
        reports_at("20000"),
        reports_at("5060"),
    ] {
        assert_eq!(judged(&body, &local), Err(SdpError::BadAddress), "{body}");
    }
    // Another call of ours is a peer like any other.
    assert!(judged(at("192.0.2.1", "20002"), &local).is_ok());
    assert!(judged(at("198.51.100.2", "5060"), &local).is_ok());

    let everywhere = vec!["0.0.0.0:5060".parse().unwrap()];
    let destinations = Arc::new(Destinations { ours: everywhere, ..Destinations::default() });
    let here = LocalMedia { address: "127.0.0.1".parse().unwrap(), destinations, ..local };
    assert_eq!(judged(at("127.0.0.3", "5060"), &here), Err(SdpError::BadAddress));
}

#[test]
fn p6_media_goes_to_allowed_networks_only() {
    let range = |first: &str, last: &str| first.parse::<IpAddr>().unwrap()..=last.parse().unwrap();
    let allowing = |networks| {
        let destinations = Arc::new(Destinations { networks, ours: Vec::new() });
        LocalMedia { destinations, ..local() }
    };
    let near = allowing(vec![range("198.51.100.0", "198.51.100.7"), range("2001:db8::", "2001:db8::ff")]);
    assert!(judged(to("198.51.100.7"), &near).is_ok());
    assert_eq!(judged(to("198.51.100.8"), &near), Err(SdpError::BadAddress));
    let elsewhere = body("0", &["a=rtcp:50000 IN IP4 203.0.113.1"]);
    assert_eq!(judged(elsewhere, &near), Err(SdpError::BadAddress), "reports are sent too");
    assert!(judged(to("0.0.0.0"), &near).is_ok(), "nothing is sent to hold");
    assert!(judged(to("203.0.113.1"), &allowing(vec![range("0.0.0.0", "255.255.255.255")])).is_ok());
    assert_eq!(
        judged(to("198.51.100.2"), &allowing(vec![range("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")])),
        Err(SdpError::BadAddress)
    );
    assert!(judged(to("198.51.100.2"), &allowing(vec![range("198.51.100.2", "198.51.100.2")])).is_ok());
}

/// Where RTCP shares the port of RTP, what else the offer says of it is nothing, and cannot turn it on others.
#[test]
fn p6_reports_that_share_a_port_go_nowhere_else() {
    let sharing = LocalMedia { rtcp_mux: true, ..local() };
    for line in ["a=rtcp:5060 IN IP4 203.0.113.1", "a=rtcp:5060 IN IP4 224.0.0.1", "a=rtcp:0"] {
        let media = judged(body("0", &["a=rtcp-mux", line]), &sharing).unwrap();
        assert_eq!(media.remote_rtcp, media.remote_rtp, "{line}");
    }
    // The port beyond that of RTP is nobody's then, the last one too.
    let last = body("0", &["a=rtcp-mux"]).replace("40000", "65535");
    assert!(judged(last, &sharing).is_ok());
}

/// What an offer of keys can hold is limited like the rest of it.
#[test]
fn p5_keys_beyond_the_limit_are_not_looked_at() {
    let good = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let bad = "a=crypto:1 F8_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let with = LocalMedia { protection: Protection::Required, ..local() };
    let after = |count| answer(body("0", &[&vec![bad; count][..], &[good]].concat()).as_bytes(), &with);
    assert!(after(15).is_ok());
    assert_eq!(after(16).unwrap_err(), SdpError::NoKeys);
}
