//! Session descriptions of a peer, as an offer and as an answer; what we write must be what we can read.

#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use libfuzzer_sys::fuzz_target;
use offhook_media::codec::Codec;
use offhook_media::sdp::{self, LocalMedia, Order, Protection, Seed};

fuzz_target!(|data: &[u8]| {
    for protection in [Protection::Off, Protection::Optional, Protection::Required] {
        describe(data, protection);
    }
    let _ = sdp::offered(data);
});

fn describe(data: &[u8], protection: Protection) {
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: 40_000,
        codecs: Codec::ALL.to_vec(),
        order: Order::Theirs,
        telephone_events: true,
        comfort_noise: true,
        rtcp_mux: true,
        protection,
        seed: Seed([7; 32]),
        ptime_ms: 20,
        session_id: 7,
        version: 1,
        destinations: Default::default(),
    };
    if let Ok((answer, agreed)) = sdp::answer(data, &local) {
        assert!((10..=60).contains(&agreed.ptime_ms), "{agreed:?}");
        assert!(agreed.send_payload_type < 128 && agreed.receive_payload_type < 128, "{agreed:?}");
        assert!(!agreed.remote_rtp.ip().is_multicast(), "{agreed:?}");
        assert!(protection != Protection::Required || agreed.keys.is_some(), "{agreed:?}");
        assert!(answer.lines().count() < 200 && answer.len() < 16_384);
        assert!(answer.split("\r\n").all(|line| !line.contains(['\r', '\n', '\0'])));
    }
    if let Ok(agreed) = sdp::accept(data, &local) {
        assert!((10..=60).contains(&agreed.ptime_ms), "{agreed:?}");
        assert!(!agreed.remote_rtp.ip().is_multicast(), "{agreed:?}");
        assert!(protection != Protection::Required || agreed.keys.is_some(), "{agreed:?}");
    }
}
