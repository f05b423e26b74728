//! Host names to addresses, by the system's resolver.

use std::time::Duration;

use offhook_sip::event::{Lookup, QueryId, Target, Transport};
use tokio::sync::mpsc;

use crate::input::Input;

/// A call waits no longer for its gateway's address (`reliability.md` S18).
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks for the addresses of a host and sends [`Input::Resolved`], with none where it has none.
pub fn resolve(query: QueryId, lookup: Lookup, inputs: mpsc::Sender<Input>) {
    tokio::task::spawn_local(async move {
        let Lookup { host, port, transport, .. } = lookup;
        let transport = transport.unwrap_or(Transport::Udp);
        let lookup = tokio::net::lookup_host((host.as_str(), port.unwrap_or(5060)));
        let targets: Vec<Target> = match tokio::time::timeout(DEADLINE, lookup).await {
            Ok(Ok(found)) => found.map(|address| Target { transport, address, name: None }).collect(),
            Ok(Err(error)) => {
                tracing::warn!(host, %error, "host name not resolved");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(host, "the name service is silent");
                Vec::new()
            }
        };
        let _ = inputs.send(Input::Resolved { query, targets }).await;
    });
}
