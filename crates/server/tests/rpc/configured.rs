//! Web hooks of a configuration that changes, and those that are reached by TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use offhook::config::Webhook;
use offhook_client::wire::{WebhookAdd, WebhookList, WebhookTest};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::receiver::{OK, Receiver};
use crate::server::Server;
use crate::webhooks::{NEW_SECRET, SECRET, is_signed};

fn configured(url: String, secret: &str) -> Webhook {
    let secret = vec![secret.to_owned().try_into().unwrap()];
    Webhook { url, secret, allow_networks: vec!["127.0.0.0/8".parse().unwrap()], ..Webhook::default() }
}

async fn ids(client: &offhook_client::Client) -> Vec<String> {
    client.call(&WebhookList {}).await.unwrap().into_iter().map(|hook| hook.id).collect()
}

/// What is configured now is what runs: a hook that stays goes on where it was, with its new secret, a new one begins now, one that
/// is gone is forgotten, and one that an application has added is left alone.
#[tokio::test]
async fn what_is_configured_now_is_what_runs() {
    let mut server = Server::start_unasked().await;
    let client = server.client().await;
    let mut first = Receiver::start(|_, _| OK.to_owned()).await;
    let mut second = Receiver::start(|_, _| OK.to_owned()).await;
    let mut added = Receiver::start(|_, _| OK.to_owned()).await;
    let set = |hooks: Vec<Webhook>| server.configure.send_replace(hooks.into());
    set(vec![configured(first.url("/"), SECRET)]);
    while ids(&client).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let add = WebhookAdd { url: added.url("/"), secret: Some(SECRET.to_owned()), ..Default::default() };
    client.call(&add).await.unwrap();
    let before = ids(&client).await;
    server.tell(1, false);
    assert!(is_signed(&first.next().await, SECRET));
    added.next().await;

    let set = |hooks: Vec<Webhook>| server.configure.send_replace(hooks.into());
    set(vec![configured(first.url("/"), NEW_SECRET), configured(second.url("/"), SECRET)]);
    while ids(&client).await.len() < 3 {
        tokio::task::yield_now().await;
    }
    let now = ids(&client).await;
    assert!(before.iter().all(|id| now.contains(id)), "{before:?}, then {now:?}");
    server.tell(2, false);
    let told = first.next().await;
    assert!(is_signed(&told, NEW_SECRET) && !is_signed(&told, SECRET));
    assert_eq!((told.seq(), second.next().await.seq(), added.next().await.seq()), (2, 2, 2));
    server.applications(3).await;

    server.configure.send_replace(Arc::new([]));
    server.applications(1).await;
    while ids(&client).await.len() > 1 {
        tokio::task::yield_now().await;
    }
    server.tell(3, false);
    assert_eq!(added.next().await.seq(), 3);
    assert!(first.rest().is_empty() && second.rest().is_empty());
}

/// In front of a receiver: TLS with a certificate of the fixtures.
async fn secured(receiver: SocketAddr, name: &str) -> SocketAddr {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tls");
    let chain = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(chain.map(Result::unwrap).collect(), key);
    let acceptor = TlsAcceptor::from(Arc::new(config.unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secure) = acceptor.accept(socket).await else { return };
                let mut plain = TcpStream::connect(receiver).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut secure, &mut plain).await;
            });
        }
    });
    address
}

/// Of an authority that is trusted, for the host of the URL; nobody else is told anything.
#[tokio::test]
async fn a_hook_by_tls_must_be_who_is_meant() {
    let mut server = Server::start_unasked().await;
    let client = server.client().await;
    let mut receiver = Receiver::start(|_, _| OK.to_owned()).await;
    for (name, problem) in [("named", "not valid for name"), ("foreign", "UnknownIssuer")] {
        let address = secured(receiver.address, name).await;
        let url = format!("https://{address}/");
        let add = WebhookAdd { url, secret: Some(SECRET.to_owned()), ..Default::default() };
        let id = client.call(&add).await.unwrap().id;
        let tested = client.call(&WebhookTest { id }).await.unwrap();
        assert!(!tested.delivered, "{name}");
        assert!(tested.error.as_deref().unwrap_or_default().contains(problem), "{name}: {tested:?}");
    }
    assert!(receiver.rest().is_empty());
    let address = secured(receiver.address, "sip").await;
    let url = format!("https://{address}/hook");
    let add = WebhookAdd { url, secret: Some(SECRET.to_owned()), ..Default::default() };
    client.call(&add).await.unwrap();
    server.tell(1, false);
    let told = receiver.next().await;
    assert_eq!((told.seq(), told.path.as_str()), (1, "/hook"));
    assert!(is_signed(&told, SECRET));
}
