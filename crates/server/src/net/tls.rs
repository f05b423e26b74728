//! TLS for SIP (RFC 3261 §26.3, RFC 5922): one certificate with its key, shown as a server and, to those who ask, as a
//! client; and those whom we trust. A connection that we open must be answered by the host that was looked up, or by
//! the address where there was no name. TLS 1.2 and above.
//!
//! The files are read again every [`RELOAD`]: whoever renews a certificate needs no restart. A pair that is not good
//! is logged once, and the one before it stays.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use offhook_sip::event::{Flow, PeerName};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config;

/// How often the files are looked at.
pub const RELOAD: Duration = Duration::from_secs(10);

/// The largest file that is read: a chain has some kilobytes, the bundle of a system some hundred.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Host names that are remembered. One that is forgotten is looked up again with the next call to it.
const MAX_NAMES: usize = 4_096;

/// The name of who connected to us and showed no certificate: nobody's, so that no request is sent to them in the belief
/// that they are who is meant. Host names are numbered from 1.
pub const UNVERIFIED: PeerName = PeerName(0);

/// Why the versions of TLS are there.
const VERSIONS: &str = "TLS 1.2 and 1.3 are what the provider speaks";

/// A key of the configuration and what is wrong with the file that it names.
pub type Fault = (&'static str, String);

/// What the files had in them.
#[derive(Clone, PartialEq, Eq)]
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
    ca: Option<Vec<u8>>,
}

impl Files {
    fn read(tls: &config::Tls) -> Result<Self, Fault> {
        let ca = (!tls.ca.as_os_str().is_empty()).then(|| read("sip.tls.ca", &tls.ca)).transpose()?;
        Ok(Self {
            certificate: read("sip.tls.certificate", &tls.certificate)?,
            key: read("sip.tls.key", &tls.key)?,
            ca,
        })
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, Fault> {
    let fault = |problem: String| (key, format!("{:?}: {problem}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| fault(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(fault(format!("{size} bytes are more than a PEM file has ({MAX_FILE_BYTES})")));
    }
    std::fs::read(path).map_err(|error| fault(error.to_string()))
}

/// Both sides of TLS as the files have them.
struct Sides {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

impl Sides {
    fn new(files: &Files, verify_client: bool) -> Result<Self, Fault> {
        let chain = certificates("sip.tls.certificate", &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&files.key)
            .map_err(|error| ("sip.tls.key", format!("no private key in PEM: {error}")))?;
        let trusted = Arc::new(match &files.ca {
            Some(pem) => roots("sip.tls.ca", certificates("sip.tls.ca", pem)?)?,
            None => system_roots(),
        });
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect(VERSIONS);
        let server = if verify_client {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(&trusted), Arc::clone(&provider));
            let verifier = verifier.build().map_err(|error| ("sip.tls.ca", error.to_string()))?;
            server.with_client_cert_verifier(verifier)
        } else {
            server.with_no_client_auth()
        };
        let pair = |error: rustls::Error| {
            ("sip.tls.key", format!("does not go with sip.tls.certificate, or is of no use: {error}"))
        };
        let server = server.with_single_cert(chain.clone(), key.clone_key()).map_err(pair)?;

        let client = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect(VERSIONS);
        let client = if trusted.is_empty() {
            return Err(("sip.tls.ca", "is not set, and the system trusts nobody".to_owned()));
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(trusted, provider);
            let verifier = verifier.build().map_err(|error| ("sip.tls.ca", error.to_string()))?;
            client.with_webpki_verifier(verifier)
        };
        let client = client.with_client_auth_cert(chain, key).map_err(pair)?;
        Ok(Self { server: Arc::new(server), client: Arc::new(client) })
    }
}

fn certificates(key: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err((key, "no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err((key, format!("not PEM: {error}"))),
    }
}

fn roots(key: &'static str, certificates: Vec<CertificateDer<'static>>) -> Result<RootCertStore, Fault> {
    let mut store = RootCertStore::empty();
    for certificate in certificates {
        store.add(certificate).map_err(|error| (key, error.to_string()))?;
    }
    Ok(store)
}

/// Whom the system trusts. One bad certificate among its hundred is not ours to complain of.
pub(crate) fn system_roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

/// The authorities of a file in PEM, or where none is named those of the system; `key` is what the configuration calls it.
pub(crate) fn authorities(key: &'static str, ca: &Path) -> Result<RootCertStore, Fault> {
    if ca.as_os_str().is_empty() {
        Ok(system_roots())
    } else {
        roots(key, certificates(key, &read(key, ca)?)?)
    }
}

/// The side of a client that shows no certificate, and talks to those only whom these authorities vouch for.
pub(crate) fn client(trusted: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect(VERSIONS)
        .with_root_certificates(trusted)
        .with_no_client_auth()
}

/// Whether the files of a configuration are good, as `offhook check` wants to know.
pub fn check(tls: &config::Tls) -> Result<(), Fault> {
    Sides::new(&Files::read(tls)?, tls.verify_client).map(drop)
}

/// The host names that a flow's [`PeerName`] stands for. Lives on the control thread.
#[derive(Clone, Debug, Default)]
pub struct Names(Rc<RefCell<NameTable>>);

#[derive(Debug, Default)]
struct NameTable {
    last: u64,
    ids: HashMap<Arc<str>, PeerName>,
    names: HashMap<PeerName, Arc<str>>,
    /// The oldest first.
    order: VecDeque<PeerName>,
}

impl Names {
    /// The number of a host name, the same each time as long as it is remembered.
    pub fn number(&self, host: &str) -> PeerName {
        let mut table = self.0.borrow_mut();
        if let Some(&known) = table.ids.get(host) {
            return known;
        }
        if table.order.len() >= MAX_NAMES
            && let Some(oldest) = table.order.pop_front()
            && let Some(name) = table.names.remove(&oldest)
        {
            table.ids.remove(&name);
        }
        table.last += 1;
        let (id, name) = (PeerName(table.last), Arc::<str>::from(host));
        table.ids.insert(Arc::clone(&name), id);
        table.names.insert(id, name);
        table.order.push_back(id);
        id
    }

    fn name(&self, id: PeerName) -> Option<Arc<str>> {
        self.0.borrow().names.get(&id).cloned()
    }
}

/// TLS as it is configured now. Owned by the connections; lives on the control thread.
#[derive(Clone)]
pub struct Tls {
    sides: Rc<RefCell<Rc<Sides>>>,
    names: Names,
    verify_client: bool,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// Reads the files, and again every `every`, on the control thread's runtime.
    pub fn start(config: config::Tls, names: Names, every: Duration) -> Result<Self, Fault> {
        let files = Files::read(&config)?;
        let verify_client = config.verify_client;
        let sides = Rc::new(RefCell::new(Rc::new(Sides::new(&files, verify_client)?)));
        tokio::task::spawn_local(watch(Rc::clone(&sides), config, files, every));
        Ok(Self { sides, names, verify_client })
    }

    /// Who is at the end of a connection that was made to us.
    pub fn peer(&self) -> Option<PeerName> {
        if self.verify_client { None } else { Some(UNVERIFIED) }
    }

    /// Our side of a connection that was made to us.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        let config = Arc::clone(&self.sides.borrow().server);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Our side of a connection that we have made: whoever answers must be whom the flow names.
    pub async fn connect(&self, stream: TcpStream, flow: Flow) -> io::Result<client::TlsStream<TcpStream>> {
        let config = Arc::clone(&self.sides.borrow().client);
        let name = match flow.name {
            None | Some(UNVERIFIED) => ServerName::IpAddress(flow.remote.ip().into()),
            Some(id) => {
                let name =
                    self.names.name(id).ok_or_else(|| io::Error::other("the host name is forgotten"))?;
                ServerName::try_from(name.as_ref()).map_err(io::Error::other)?.to_owned()
            }
        };
        TlsConnector::from(config).connect(name, stream).await
    }
}

async fn watch(sides: Rc<RefCell<Rc<Sides>>>, config: config::Tls, first: Files, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    let mut last = Ok(first);
    loop {
        ticks.tick().await;
        let tls = config.clone();
        let Ok(files) = tokio::task::spawn_blocking(move || Files::read(&tls)).await else { return };
        if files == last {
            continue;
        }
        match files.clone().and_then(|files| Sides::new(&files, config.verify_client)) {
            Ok(new) => {
                *sides.borrow_mut() = Rc::new(new);
                tracing::info!("TLS: certificate and key read anew");
            }
            Err((key, problem)) => tracing::error!(key, problem, "TLS: the files before stay in use"),
        }
        last = files;
    }
}
