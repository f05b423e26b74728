//! Where media may be sent: a description of the peer's must not turn us on others, nor on ourselves (reliability.md P6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::parse::malformed;
use super::{LocalMedia, SdpError};

/// Where media may be sent, beyond what no node ever sends to: groups, everybody, and this machine from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// The only networks that media goes to, from the first address to the last; empty: any.
    pub networks: Vec<RangeInclusive<IpAddr>>,
    /// Sockets of ours that hear something else than media. An address of zeros stands for each of ours.
    pub ours: Vec<SocketAddr>,
}

/// The address of `IN IP4 192.0.2.1[/ttl]`, if media may be sent there or nowhere: one of zeros is hold the old way.
pub(super) fn address(connection: &str, local: &LocalMedia) -> Result<IpAddr, SdpError> {
    let mut words = connection.split(' ').filter(|word| !word.is_empty());
    let (Some("IN"), Some(family), Some(address)) = (words.next(), words.next(), words.next()) else {
        return Err(malformed("a connection address is not of the form IN IP4 address"));
    };
    let address = address.split('/').next().unwrap_or(address);
    let address = match family {
        "IP4" => address.parse::<Ipv4Addr>().map(IpAddr::V4),
        "IP6" => address.parse::<Ipv6Addr>().map(IpAddr::V6),
        _ => return Err(malformed("a connection address is neither IP4 nor IP6")),
    };
    let address = address.map_err(|_| SdpError::BadAddress)?;
    let (canonical, own) = (address.to_canonical(), local.address.to_canonical());
    if canonical.is_unspecified() {
        return Ok(address);
    }
    let is_host = match canonical {
        // 0.0.0.0/8 is this very network, 240.0.0.0/4 reserved and at its end everybody (RFC 6890).
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 224..),
        IpAddr::V6(v6) => !v6.is_multicast(),
    };
    let is_foreign_loopback = canonical.is_loopback() && !own.is_loopback();
    let networks = &local.destinations.networks;
    let is_allowed = networks.is_empty() || networks.iter().any(|network| network.contains(&canonical));
    if is_host && !is_foreign_loopback && is_allowed && canonical.is_ipv4() == own.is_ipv4() {
        Ok(canonical)
    } else {
        Err(SdpError::BadAddress)
    }
}

/// Refuses sockets that are our own: the ports of this very call, and those where something else listens.
pub(super) fn check(socket: SocketAddr, local: &LocalMedia) -> Result<(), SdpError> {
    let (ip, own) = (socket.ip().to_canonical(), local.address.to_canonical());
    let of_this_call =
        ip == own && (socket.port() == local.port || Some(socket.port()) == local.port.checked_add(1));
    let listens = |ours: &SocketAddr| {
        let everywhere = ours.ip().is_unspecified() && ip.is_loopback();
        ours.port() == socket.port() && (everywhere || ip == ours.ip().to_canonical() || ip == own)
    };
    if of_this_call || local.destinations.ours.iter().any(listens) {
        return Err(SdpError::BadAddress);
    }
    Ok(())
}
