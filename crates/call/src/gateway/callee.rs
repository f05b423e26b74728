//! What a `to_uri` says of the callee and of the way there.

use super::Address;

/// What a `to_uri` is made of.
pub(super) struct Callee<'a> {
    /// With its `@`; empty without a user.
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    /// Without `transport`.
    pub(super) parameters: Vec<&'a str>,
    pub(super) transport: Option<&'a str>,
}

impl<'a> Callee<'a> {
    pub(super) fn parse(uri: &'a str) -> Self {
        let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
        let (user, place) = rest.split_at(rest.rfind('@').map_or(0, |at| at + 1));
        let mut parts = place.split(';');
        let host_port = parts.next().unwrap_or_default();
        let (host, port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
            _ => (host_port, None),
        };
        let mut callee = Self { user, host, port, parameters: Vec::new(), transport: None };
        for parameter in parts {
            match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("transport") => {
                    callee.transport = Some(value)
                }
                _ => callee.parameters.push(parameter),
            }
        }
        callee
    }

    /// Whether it names this address; a port that is left out is the one that is meant then (RFC 3261 §19.1.2).
    pub(super) fn is_at(&self, address: &Address) -> bool {
        let tls = |transport: Option<&str>| transport.is_some_and(|name| name.eq_ignore_ascii_case("tls"));
        let usual = if tls(self.transport) || tls(address.transport.as_deref()) { 5061 } else { 5060 };
        self.host.eq_ignore_ascii_case(&address.host)
            && self.port.unwrap_or(usual) == address.port.unwrap_or(usual)
    }
}
