//! A line between an application and the server that breaks when a test wants it to: a TCP relay, whose connections end in
//! the middle of whatever is on them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinHandle};

/// A relay to one address.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    open: Arc<Mutex<Vec<AbortHandle>>>,
    accepting: JoinHandle<()>,
}

impl Line {
    /// Relays to `far`.
    pub async fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("a bound socket");
        let open = Arc::new(Mutex::new(Vec::<AbortHandle>::new()));
        let opening = open.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let relay = tokio::spawn(async move {
                    // Whichever end goes, the other one sees it by this one's.
                    let Ok(mut far) = TcpStream::connect(far).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
                opening.lock().expect("the connections").push(relay.abort_handle());
            }
        });
        Self { address, open, accepting }
    }

    /// Where applications connect.
    pub fn rpc_url(&self) -> String {
        format!("ws://{}/rpc", self.address)
    }

    /// Breaks all connections, and tells how many there were.
    pub fn cut(&self) -> usize {
        let open = std::mem::take(&mut *self.open.lock().expect("the connections"));
        open.into_iter().filter(|relay| !relay.is_finished()).map(|relay| relay.abort()).count()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}
