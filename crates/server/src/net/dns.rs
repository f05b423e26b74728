//! Host names to addresses, by the system's resolver.

use std::net::SocketAddr;
use std::time::Duration;

use offhook_sip::event::QueryId;
use tokio::sync::mpsc;

use crate::input::Input;

/// A call waits no longer for its gateway's address (`reliability.md` S18).
const DEADLINE: Duration = Duration::from_secs(5);

/// Asks for the addresses of a host and sends [`Input::Resolved`], with none where it has none.
pub fn resolve(query: QueryId, host: String, port: u16, inputs: mpsc::Sender<Input>) {
    tokio::task::spawn_local(async move {
        let lookup = tokio::net::lookup_host((host.as_str(), port));
        let addresses: Vec<SocketAddr> = match tokio::time::timeout(DEADLINE, lookup).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => {
                tracing::warn!(host, %error, "host name not resolved");
                Vec::new()
            }
            Err(_) => {
                tracing::warn!(host, "the name service is silent");
                Vec::new()
            }
        };
        let _ = inputs.send(Input::Resolved { query, addresses }).await;
    });
}
