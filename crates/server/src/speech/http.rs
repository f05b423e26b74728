//! Another server that speaks: it is sent `{"text", "lang", "voice"}` as JSON by POST, and answers with audio of any kind
//! that plays as a prompt. One connection for each text; redirections are not followed.

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::{Request, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{Ask, MOST_BYTES};
use crate::config::Speech as Config;
use crate::config::secret::{Secret, place_of_url};
use crate::net::tls;

/// Where it is.
#[derive(Debug)]
pub(super) struct Service {
    url: Uri,
    /// The same, as it is told.
    place: String,
    token: Option<Secret>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Service {
    /// The service of a configuration whose `url` has been checked.
    pub(super) fn new(config: &Config) -> io::Result<Self> {
        let url: Uri = config.url.parse().map_err(io::Error::other)?;
        let tls = if url.scheme_str() == Some("https") {
            Some(Arc::new(tls::client(tls::system_roots())))
        } else {
            None
        };
        Ok(Self { url, place: place_of_url(&config.url), token: config.token.clone(), tls })
    }

    /// What makes two of them different.
    pub(super) fn identity(&self) -> String {
        self.url.to_string()
    }

    /// Asks it, and writes what it answers into a file; why not, where it does not.
    pub(super) async fn say(&self, ask: Ask<'_>, file: &Path) -> Result<(), String> {
        let host = self.url.host().ok_or("speech.url names no host")?;
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.url.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((address, port)).await.map_err(|error| format!("{host}: {error}"))?;
        let audio = match &self.tls {
            None => self.exchange(ask, stream).await?,
            Some(tls) => {
                let name = ServerName::try_from(address.to_owned()).map_err(|error| error.to_string())?;
                let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
                self.exchange(ask, stream.map_err(|error| format!("{host}: {error}"))?).await?
            }
        };
        tokio::fs::write(file, audio).await.map_err(|error| error.to_string())
    }

    async fn exchange<S>(&self, ask: Ask<'_>, stream: S) -> Result<Bytes, String>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |error: hyper::Error| format!("{}: {error}", self.place);
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(self.request(ask)?).await.map_err(failed)?;
        if !response.status().is_success() {
            return Err(format!("{}: {}", self.place, response.status()));
        }
        let most = usize::try_from(MOST_BYTES).unwrap_or(usize::MAX);
        let body = Limited::new(response.into_body(), most).collect().await;
        connection.abort();
        Ok(body.map_err(|error| format!("{}: {error}", self.place))?.to_bytes())
    }

    fn request(&self, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, String> {
        let body = serde_json::json!({ "text": ask.text, "lang": ask.language.code(), "voice": ask.voice });
        let path = self.url.path_and_query().map_or("/", |path| path.as_str());
        let host = self.url.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "audio/*");
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        }
        request.body(Full::new(Bytes::from(body.to_string()))).map_err(|error| error.to_string())
    }
}
