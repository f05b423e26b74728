//! The node of a world: its configuration, the gateways around it, and the beginning of its time.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use offhook_call::gateway::{Address, DtmfWay, Gateway};
use offhook_call::{Config, ToneDetection};
use offhook_media::event::{Alarms, Codec, Country, Gain, Idle};
use offhook_media::sdp::{Order, Protection, Seed};

/// Wall time at the beginning of every test.
pub const EPOCH: i64 = 1_700_000_000_000;

/// A hundred calls and three conferences on 192.0.2.1, with the limits of time that the server has.
pub fn config() -> Config {
    Config {
        media_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        codecs: vec![Codec::Pcma, Codec::Pcmu],
        ptime_ms: 20,
        rtcp_mux: false,
        comfort_noise: false,
        seed: Seed([7; 32]),
        max_calls: 100,
        max_calls_per_second: 100,
        max_conferences: 3,
        conference_background: Gain::from_decibels(-20),
        incoming_timeout: Duration::from_secs(60),
        idle_timeout: Duration::from_secs(3600),
        transfer_timeout: Duration::from_secs(15),
        tones: ToneDetection::Auto,
        country: Country::from_code("gb").expect("known"),
        destinations: Arc::default(),
        silence_timeout: Some(Duration::from_secs(60)),
        unheard_limit: Some(Duration::from_secs(300)),
        symmetric: false,
        idle: Idle::Nothing,
        alarms: Alarms::default(),
    }
}

/// The beginning of a world.
#[allow(
    clippy::disallowed_methods,
    reason = "an Instant can only be made from the clock; every other one is this plus a duration"
)]
pub fn epoch() -> Instant {
    Instant::now()
}

/// A gateway at `192.0.2.<number>` each, without limits.
pub fn gateway(name: &str, numbers: &[u8]) -> Gateway {
    let address = |number: &u8| Address { host: format!("192.0.2.{number}"), port: None, transport: None };
    Gateway {
        name: name.into(),
        addresses: numbers.iter().map(address).collect(),
        proxy: None,
        credentials: None,
        max_calls: 0,
        max_calls_per_second: 0,
        codecs: Vec::new(),
        codec_order: Order::Theirs,
        srtp: Protection::Off,
        dtmf: DtmfWay::Auto,
        symmetric: None,
        follow_redirects: false,
        ping: None,
        registration: None,
    }
}
