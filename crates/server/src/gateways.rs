//! A gateway of the configuration as the SIP user agent sees it, and as the calls do.

use std::time::Duration;

use offhook_call::gateway::{self, Gateway};
use offhook_sip::event::{Credentials, Registration, Route};

use crate::config;
use crate::config::gateway::Address;
use crate::config::secret::Secret;

/// As the user agent server sees it: who may send requests, and on what terms.
pub(crate) fn inbound(gateway: &config::Gateway) -> offhook_sip::Gateway {
    offhook_sip::Gateway {
        name: gateway.name.as_str().into(),
        networks: gateway.networks.iter().map(|network| network.0).collect(),
        challenge: credentials(&gateway.inbound_username, gateway.inbound_password.as_ref()),
        challenge_inside: gateway.challenge_inside,
        pin_source: gateway.pin_source,
    }
}

/// As the calls see it: where they go, and how many.
pub(crate) fn outbound(gateway: &config::Gateway) -> Gateway {
    let ping = gateway.options_ping_seconds;
    Gateway {
        name: gateway.name.as_str().into(),
        addresses: gateway.address.0.iter().map(address).collect(),
        proxy: gateway.outbound_proxy.as_ref().map(Address::in_uri),
        credentials: credentials(&gateway.username, gateway.password.as_ref()),
        max_calls: gateway.max_calls,
        max_calls_per_second: gateway.calls_per_second,
        codecs: gateway.codecs.iter().map(|name| name.0).collect(),
        codec_order: gateway.codec_order.into(),
        srtp: gateway.srtp.into(),
        dtmf: gateway.dtmf.into(),
        symmetric: gateway.symmetric.into(),
        follow_redirects: gateway.follow_redirects,
        ping: (ping != 0).then(|| Duration::from_secs(ping)),
        registration: registration(gateway),
    }
}

fn address(address: &Address) -> gateway::Address {
    gateway::Address {
        host: address.host(),
        port: address.place.port,
        transport: address.transport.map(str::to_owned),
    }
}

fn credentials(username: &str, password: Option<&Secret>) -> Option<Credentials> {
    let password = password?.expose().to_owned();
    Some(Credentials { username: username.to_owned(), password })
}

fn registration(gateway: &config::Gateway) -> Option<Registration> {
    let registrar = gateway.registrar().filter(|_| gateway.register)?;
    let aor = if gateway.register_aor.is_empty() {
        format!("sip:{}@{}", gateway.username, registrar.host())
    } else {
        gateway.register_aor.clone()
    };
    let user =
        aor.strip_prefix("sip:").and_then(|rest| rest.split_once('@')).map(|(user, _)| user.to_owned());
    Some(Registration {
        account: gateway.name.as_str().into(),
        registrar: Route {
            to: format!("sip:{}", registrar.in_uri()),
            proxy: gateway.outbound_proxy.as_ref().map(Address::in_uri),
            credentials: credentials(&gateway.username, gateway.password.as_ref()),
        },
        contact_user: user.unwrap_or_default(),
        aor,
        expires: Duration::from_secs(gateway.register_expires_seconds),
    })
}
