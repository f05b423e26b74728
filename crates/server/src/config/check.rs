//! What several keys must agree on, beyond what each value is by itself.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;

use offhook_client::wire::limits::WEBHOOKS_MAX;

use super::gateway::Srtp;
use super::secret::shown_url;
use super::value::{Listener, Network};
use super::{Config, Gateway, Sip, SpeechProvider, Webhook};
use crate::store::postgres;
use crate::webhooks::{addresses, is_denied};

/// The first disagreement: the key to change, and why.
pub(super) fn check(config: &Config) -> Result<(), (String, String)> {
    folders(config)?;
    sip(config)?;
    media(config)?;
    speech(config)?;
    rpc(config)?;
    cdr(config)?;
    webhooks(config)
}

/// What is allowed and seldom meant: the key, and what it leads to.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let is_open = |gateway: &&Gateway| gateway.srtp != Srtp::Off && !gateway.is_called_by_tls();
    let open = config.sip.gateway.iter().filter(is_open);
    let warning = |gateway: &Gateway| {
        format!(
            "sip.gateway.srtp: of {:?}: the keys travel in SDP, and whoever can read the signalling can decrypt the media: \
             let its address end in ;transport=tls",
            gateway.name
        )
    };
    let mut warnings: Vec<String> = open.map(warning).collect();
    let postgres = config.cdr.postgres.as_ref().and_then(|uri| postgres::parse(uri.expose()).ok());
    if postgres.is_some_and(|postgres| postgres::is_open(&postgres)) {
        let open = "cdr.postgres: without TLS, whoever is on the way can read who calls whom";
        warnings.push(open.to_owned());
    }
    let speech = &config.speech;
    if speech.provider == SpeechProvider::Http && is_read_on_the_way(&speech.url) {
        let url = shown_url(&speech.url);
        warnings
            .push(format!("speech.url: {url:?} is without TLS: whoever is on the way can read the texts"));
    }
    warnings.extend(config.webhook.iter().enumerate().filter_map(of_webhook));
    let mut secrets = HashSet::new();
    if !config.rpc.tokens.iter().all(|token| secrets.insert(token.expose())) {
        let twice = "rpc.tokens: a secret is there twice: it reaches as far as the last one with it says";
        warnings.push(twice.to_owned());
    }
    warnings
}

/// What of a hook will be missed.
fn of_webhook((at, hook): (usize, &Webhook)) -> Option<String> {
    let url = shown_url(&hook.url);
    if is_denied(&hook.url, &hook.allow_networks) {
        return Some(format!(
            "webhook[{at}].allow_networks: of {url:?}: without the network of its address nothing is ever sent there"
        ));
    }
    is_read_on_the_way(&hook.url).then(|| {
        format!("webhook[{at}].url: {url:?} is without TLS: whoever is on the way can read the events")
    })
}

/// Whether what is sent to a URL is in the clear beyond this machine.
fn is_read_on_the_way(url: &str) -> bool {
    let is_plain = url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http:"));
    let places = addresses(url);
    is_plain && (places.is_empty() || !places.iter().all(|place| place.to_canonical().is_loopback()))
}

fn fault(key: &str, problem: impl Into<String>) -> Result<(), (String, String)> {
    Err((key.to_owned(), problem.into()))
}

/// A folder without a name would be whatever directory the server happens to be started in.
fn folders(config: &Config) -> Result<(), (String, String)> {
    let folders = [
        ("node.data_dir", &config.node.data_dir),
        ("media.prompts_dir", &config.media.prompts_dir),
        ("media.recordings_dir", &config.media.recordings_dir),
    ];
    match folders.iter().find(|(_, folder)| folder.as_os_str().is_empty()) {
        Some((key, _)) => fault(key, "names no folder: say \".\" where the working directory is meant"),
        None => Ok(()),
    }
}

fn speech(config: &Config) -> Result<(), (String, String)> {
    let speech = &config.speech;
    match speech.provider {
        SpeechProvider::Command if speech.command.is_empty() => {
            fault("speech.command", "names no program: say provider = \"off\" where nothing shall be spoken")
        }
        SpeechProvider::Http => {
            let url = speech.url.parse::<http::Uri>().ok();
            let is_good =
                |url: &http::Uri| matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some();
            if url.as_ref().is_some_and(is_good) {
                Ok(())
            } else {
                fault(
                    "speech.url",
                    format!("{:?} is not http://HOST… or https://HOST…", shown_url(&speech.url)),
                )
            }
        }
        SpeechProvider::Command | SpeechProvider::Off => Ok(()),
    }
}

fn sip(config: &Config) -> Result<(), (String, String)> {
    let sip = &config.sip;
    if sip.listen.is_empty() {
        return fault("sip.listen", "names no address: nobody could call in or be called");
    }
    let mut seen = HashSet::new();
    for listener in &sip.listen {
        let address = listener.address();
        if address.port() != 0 && !seen.insert(listener.to_string()) {
            return fault("sip.listen", format!("{listener} is there twice"));
        }
        if address.ip().is_multicast() {
            return fault("sip.listen", format!("{listener} is a multicast address"));
        }
        if address.ip().is_unspecified() && sip.advertise.address.is_none() {
            let problem =
                format!("{listener} is every address: say in sip.advertise which one peers shall use");
            return fault("sip.listen", problem);
        }
    }
    tls(sip)?;
    if sip.t2_ms < sip.t1_ms {
        return fault("sip.t2_ms", format!("{} is below sip.t1_ms ({})", sip.t2_ms, sip.t1_ms));
    }
    if sip.session_expires_seconds < sip.min_se_seconds {
        let problem =
            format!("{} is below sip.min_se_seconds ({})", sip.session_expires_seconds, sip.min_se_seconds);
        return fault("sip.session_expires_seconds", problem);
    }
    let mut names = HashSet::new();
    for gateway in &sip.gateway {
        // Hosts of URIs are the same in small letters and large, and a name stands in for one.
        if !names.insert(gateway.name.to_ascii_lowercase()) {
            return fault("sip.gateway.name", format!("{:?} is there twice", gateway.name));
        }
        gateway.check().map_err(|(key, problem)| {
            (format!("sip.gateway.{key}"), format!("of {:?}: {problem}", gateway.name))
        })?;
    }
    passwords(sip)
}

/// Of two gateways whose networks overlap the first is meant. A password that the second has to show must not be
/// forgotten by that without a word.
fn passwords(sip: &Sip) -> Result<(), (String, String)> {
    let asking = |gateway: &Gateway| !gateway.inbound_username.is_empty();
    for (index, second) in sip.gateway.iter().enumerate().filter(|(_, gateway)| asking(gateway)) {
        let asks_else = |first: &&Gateway| {
            (&first.inbound_username, &first.inbound_password)
                != (&second.inbound_username, &second.inbound_password)
        };
        for first in sip.gateway.iter().take(index).filter(asks_else) {
            let shared =
                second.networks.iter().find(|network| first.networks.iter().any(|o| overlap(o, network)));
            if let Some(network) = shared {
                let problem = format!(
                    "{} of {:?} overlaps those of {:?}, which is meant first and asks for another password, or none",
                    network.0, second.name, first.name
                );
                return fault("sip.gateway.networks", problem);
            }
        }
    }
    Ok(())
}

/// Networks are nested or apart: one holds the other's first address, or they share nothing.
fn overlap(one: &Network, other: &Network) -> bool {
    one.0.contains(*other.0.addresses().start()) || other.0.contains(*one.0.addresses().start())
}

fn tls(sip: &Sip) -> Result<(), (String, String)> {
    if !sip.listen.iter().any(|listener| matches!(listener, Listener::Tls(_))) {
        return Ok(());
    }
    let missing = |path: &Path| path.as_os_str().is_empty();
    if missing(&sip.tls.certificate) {
        return fault("sip.tls.certificate", "is needed to listen by TLS");
    }
    if missing(&sip.tls.key) {
        return fault("sip.tls.key", "is needed to listen by TLS");
    }
    if sip.tls.verify_client && missing(&sip.tls.ca) {
        return fault("sip.tls.ca", "is needed for sip.tls.verify_client: whose certificates are good?");
    }
    Ok(())
}

fn media(config: &Config) -> Result<(), (String, String)> {
    let rtp = &config.rtp;
    if rtp.address.is_multicast() {
        return fault("rtp.address", format!("{} is a multicast address", rtp.address));
    }
    match (rtp.address, config.sip.advertise.address) {
        (address, None) if address.is_unspecified() => fault(
            "rtp.address",
            format!("{address} is every address: say in sip.advertise which one peers shall use"),
        ),
        (address, Some(other)) if address.is_ipv4() != other.is_ipv4() => fault(
            "sip.advertise",
            format!("{other} is not of the same IP version as rtp.address ({address})"),
        ),
        _ if rtp.codecs.is_empty() => fault("rtp.codecs", "names no codec"),
        _ => match rtp.codecs.iter().enumerate().find(|(at, codec)| rtp.codecs[..*at].contains(codec)) {
            Some((_, twice)) => fault("rtp.codecs", format!("{twice} is there twice")),
            None => Ok(()),
        },
    }
}

fn cdr(config: &Config) -> Result<(), (String, String)> {
    match config.cdr.postgres.as_ref().map(|uri| postgres::parse(uri.expose())) {
        Some(Err(problem)) => fault("cdr.postgres", problem),
        _ => Ok(()),
    }
}

fn webhooks(config: &Config) -> Result<(), (String, String)> {
    if config.webhook.len() > WEBHOOKS_MAX {
        return fault("webhook", format!("{} are more than {WEBHOOKS_MAX}", config.webhook.len()));
    }
    let mut seen = HashSet::new();
    for (at, hook) in config.webhook.iter().enumerate() {
        let of = |problem: String| format!("of {:?}: {problem}", shown_url(&hook.url));
        let definition = hook.definition();
        definition.check().map_err(|fault| {
            (format!("webhook[{at}].{}", fault.key), of(format!("expected {}", fault.expected)))
        })?;
        if !seen.insert(definition.id()) {
            return fault(&format!("webhook[{at}].url"), of("is there twice in this format".to_owned()));
        }
    }
    Ok(())
}

/// Whoever reaches the RPC port can place calls at the owner's cost: beyond this machine only with a token.
fn rpc(config: &Config) -> Result<(), (String, String)> {
    let address: IpAddr = config.rpc.listen.ip().to_canonical();
    if !address.is_loopback() && config.rpc.tokens.is_empty() {
        return fault(
            "rpc.listen",
            format!("{} is reached from beyond this machine: set rpc.tokens", config.rpc.listen),
        );
    }
    Ok(())
}
