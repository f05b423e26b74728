//! What is not on this machine, and what an earlier start left: the names of gateways, PostgreSQL, the records of calls.

use std::net::IpAddr;
use std::path::Path;

use offhook_sip::event::{Lookup, QueryId, Transport};
use tokio::sync::mpsc;
use tokio::task::LocalSet;

use super::Finding::{self, Bad, Doubtful, Good};
use crate::config::gateway::Address;
use crate::config::value::Listener;
use crate::config::{Cdr, Config};
use crate::input::Input;
use crate::net::{dns, tls};
use crate::store::{self, postgres};

/// Answers of the name service that wait to be looked at.
const ANSWERS: usize = 16;

/// All of it, as far as the configuration has it.
pub(super) async fn findings(config: &Config) -> Vec<(&'static str, Finding)> {
    let mut findings = vec![("call records", records(&config.node.data_dir))];
    findings.extend(copy(&config.cdr).await.map(|finding| ("PostgreSQL", finding)));
    let names = LocalSet::new().run_until(gateways(config)).await;
    findings.extend(names.into_iter().map(|finding| ("gateway", finding)));
    findings
}

/// The database of calls is one, where it is there.
fn records(data_dir: &Path) -> Finding {
    match store::look(data_dir) {
        Ok(true) => Good(format!("{} of node.data_dir can be read", store::FILE)),
        Ok(false) => Good(format!("{} is not there yet, and will be made", store::FILE)),
        Err(error) => Bad(format!("node.data_dir: {} cannot be read: {error}", store::FILE)),
    }
}

/// Whether records can be copied; nothing where they are not to be.
async fn copy(cdr: &Cdr) -> Option<Finding> {
    match postgres::reach(cdr).await? {
        Ok(()) => Some(Good("it is there, and lets us in".to_owned())),
        Err(why) => Some(Doubtful(format!("cdr.postgres: {why}; records are kept until it is there"))),
    }
}

/// Each gateway that goes by a name has an address that we can reach, as the server would look for it.
async fn gateways(config: &Config) -> Vec<Finding> {
    let local = config.sip.listen.iter().map(|listener| match listener {
        Listener::Udp(address) => (Transport::Udp, *address),
        Listener::Tcp(address) => (Transport::Tcp, *address),
        Listener::Tls(address) => (Transport::Tls, *address),
    });
    let (sender, mut answers) = mpsc::channel(ANSWERS);
    let resolver =
        match dns::Resolver::new(sender, &config.sip.nameservers, local.collect(), tls::Names::default()) {
            Ok(resolver) => resolver,
            Err(error) => return vec![Bad(format!("sip.nameservers: {error}"))],
        };
    let is_name = |address: &&Address| address.place.host.parse::<IpAddr>().is_err();
    let mut addresses = Vec::new();
    for gateway in &config.sip.gateway {
        addresses.extend(gateway.address.0.iter().filter(is_name).map(|address| (&gateway.name, address)));
    }
    for ((_, address), number) in addresses.iter().zip(0..) {
        resolver.resolve(QueryId(number), lookup(address));
    }
    let mut findings = Vec::new();
    while findings.len() < addresses.len() {
        let Some(Input::Resolved { query, targets }) = answers.recv().await else { break };
        let Some((name, address)) = usize::try_from(query.0).ok().and_then(|at| addresses.get(at)) else {
            break;
        };
        let host = address.in_uri();
        findings.push(match targets.first() {
            Some(target) => Good(format!("{name}: {host} is at {}", target.address)),
            None => Bad(format!(
                "sip.gateway.address: of {name:?}: {host} has no address that sip.listen can reach"
            )),
        });
    }
    findings
}

fn lookup(address: &Address) -> Lookup {
    let transport = address.transport.map(|transport| match transport {
        "tls" => Transport::Tls,
        "tcp" => Transport::Tcp,
        _ => Transport::Udp,
    });
    Lookup { host: address.place.host.clone(), port: address.place.port, transport, secure: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.invalid` never has an address (RFC 6761 §6.4), and here nobody is asked: the port of the name server is nobody's.
    #[test]
    fn what_is_not_there_is_found() {
        let folder = std::env::temp_dir().join(format!("offhook-elsewhere-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let config = |text: &str| Config::from_parts(text, "f.toml", []).unwrap();
        let gateways = "[[sip.gateway]]\nname = 'a'\naddress = ['no.such.invalid', '192.0.2.1']\nnetworks = []\n\
                        [[sip.gateway]]\nname = 'b'\naddress = 'localhost'\nnetworks = []\n";
        let away = format!(
            "node.data_dir = '{}'\nsip.nameservers = ['127.0.0.1:1']\ncdr.postgres = 'postgres://a:b@127.0.0.1:1/c'\n{gateways}",
            folder.display()
        );
        let look = |text: &str| {
            let mut found = crate::serve::runtime().unwrap().block_on(findings(&config(text)));
            found.sort_by_key(|(_, finding)| finding.parts().1.to_owned());
            found.into_iter().map(|(matter, finding)| (matter, finding.parts().0)).collect::<Vec<_>>()
        };
        let expected =
            [("gateway", "ok"), ("call records", "ok"), ("PostgreSQL", "warn"), ("gateway", "bad")];
        assert_eq!(look(&away), expected);
        std::fs::write(folder.join(store::FILE), "this is no database, though it is long enough for one")
            .unwrap();
        let plain = format!("node.data_dir = '{}'", folder.display());
        assert_eq!(look(&plain), [("call records", "bad")]);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
