//! One POST: resolve, look at what came ([`guard`]), connect to that very address, ask, and read the head of the answer: the status is all that counts.
//! A connection for each request; redirections are not followed.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use offhook_call::Now;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::guard;
use crate::config::value::Network;
use crate::net::tls;

/// How long a request may take in all, from the name to the status.
const TIME: Duration = Duration::from_secs(10);

/// The largest head of an answer.
const HEAD_MAX: usize = 16 << 10;

/// The longest body that is read of an answer.
const BODY_MAX: usize = 4 << 10;

/// What requests go out by.
#[derive(Clone, Debug)]
pub(super) struct Client {
    tls: Arc<rustls::ClientConfig>,
    time: Duration,
}

/// Where a hook is.
#[derive(Clone, Debug)]
pub(super) struct Target {
    url: Uri,
    allowed: Arc<[Network]>,
}

/// What a hook answers.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// How long it wants to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// What it says, where that was asked for.
    pub(super) body: Bytes,
}

impl Target {
    /// The URL of a checked definition, and the networks that it may be in beside the world.
    pub(super) fn new(url: &str, allowed: Arc<[Network]>) -> io::Result<Self> {
        Ok(Self { url: url.parse().map_err(io::Error::other)?, allowed })
    }

    fn is_https(&self) -> bool {
        self.url.scheme_str() == Some("https")
    }

    /// Its addresses that may be connected to.
    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, String> {
        let port = self.url.port_u16().unwrap_or(if self.is_https() { 443 } else { 80 });
        let failed = |error: io::Error| format!("{host}: {error}");
        let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(failed)?.collect();
        let may = |address: &SocketAddr| guard::may_be_at(address.ip(), &self.allowed);
        let (good, denied): (Vec<_>, Vec<_>) = found.into_iter().partition(may);
        match denied.first() {
            Some(denied) if good.is_empty() => {
                Err(format!("{host} is at {}, which allow_networks does not allow", denied.ip()))
            }
            _ => Ok(good),
        }
    }
}

impl Client {
    /// One that trusts the authorities of a file, or those of the system.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificates.
    pub(super) fn new(ca: &std::path::Path) -> io::Result<Self> {
        let fault = |(key, problem)| io::Error::other(format!("{key}: {problem}"));
        let tls = tls::client(tls::authorities("webhooks.ca", ca).map_err(fault)?);
        Ok(Self { tls: Arc::new(tls), time: TIME })
    }

    /// Asks; an answer of any status is one, `Err` says for people why there is none.
    pub(super) async fn post(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
        now: Now,
    ) -> Result<Answer, String> {
        self.in_time(self.ask(target, headers, body, (now, 0))).await
    }

    /// The same, with what the hook says.
    pub(super) async fn post_and_read(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
        now: Now,
    ) -> Result<Answer, String> {
        self.in_time(self.ask(target, headers, body, (now, BODY_MAX))).await
    }

    async fn in_time(&self, asked: impl Future<Output = Result<Answer, String>>) -> Result<Answer, String> {
        let asked = tokio::time::timeout(self.time, asked).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", self.time.as_secs())))
    }

    async fn ask(
        &self,
        target: &Target,
        headers: HeaderMap,
        body: Bytes,
        (now, most): (Now, usize),
    ) -> Result<Answer, String> {
        let host = target.url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let addresses = target.addresses(host).await?;
        let stream = TcpStream::connect(&*addresses).await.map_err(|error| format!("{host}: {error}"))?;
        // A body is one write and waits for nothing.
        let _ = stream.set_nodelay(true);
        let request = request(target, headers, body)?;
        if !target.is_https() {
            return exchange(stream, request, (now, most)).await;
        }
        let name = match host.parse::<IpAddr>() {
            Ok(address) => ServerName::from(address),
            Err(_) => ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?,
        };
        let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        exchange(stream.map_err(|error| format!("{host}: {error}"))?, request, (now, most)).await
    }
}

fn request(target: &Target, headers: HeaderMap, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
    let path = target.url.path_and_query().map_or("/", |path| path.as_str());
    let authority = target.url.authority().map_or("", |authority| authority.as_str());
    let mut request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::USER_AGENT, "offhook")
        .header(header::CONNECTION, "close")
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    request.headers_mut().extend(headers);
    Ok(request)
}

/// The answer, with at most so many bytes of its body.
async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    (now, most): (Now, usize),
) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let failed = |error: hyper::Error| error.to_string();
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(failed)?;
    // It ends with this request, however that ends.
    let mut connections = tokio::task::JoinSet::new();
    connections.spawn(connection);
    let response = sender.send_request(request).await.map_err(failed)?;
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| retry_after(value, now));
    if most == 0 {
        return Ok(Answer { status, retry_after, body: Bytes::new() });
    }
    let body = Limited::new(response.into_body(), most).collect().await.map_err(|error| error.to_string())?;
    Ok(Answer { status, retry_after, body: body.to_bytes() })
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(value: &http::HeaderValue, now: Now) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    let at = at.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(now.wall.0).unwrap_or_default());
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use offhook_call::event::UnixMs;

    use super::*;

    /// The example of RFC 9110 §5.6.7, which is Unix time 784111777: `date -d '…' +%s`.
    #[test]
    fn times_to_come_back() {
        let now = Now { wall: UnixMs(784_111_770_000), ..crate::clock::now() };
        for (text, seconds) in [
            ("120", Some(120)),
            (" 7 ", Some(7)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(7)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
            ("", None),
        ] {
            let value = http::HeaderValue::from_static(text);
            assert_eq!(retry_after(&value, now), seconds.map(Duration::from_secs), "{text:?}");
        }
    }
}
