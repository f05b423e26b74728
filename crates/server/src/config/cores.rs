//! What the cores are told of the configuration, converted by hand: they know no serde and no files.

use std::net::IpAddr;

use super::Config;

impl Config {
    /// The address that our SDP names: where RTP is bound, unless we are known by another.
    pub fn media_address(&self) -> IpAddr {
        self.sip.advertise.address.unwrap_or(self.rtp.address)
    }
}
