//! Who may use `/rpc`: whoever shows a token where tokens are configured, and no web page of somebody else.
//!
//! A browser on the machine of an operator reaches a server on loopback too. What it sends for a page carries the
//! page's `Origin`, which must be this server's own `Host`; and where no token protects it, that `Host`, with an `Origin` or without,
//! must be a literal address or `localhost`, because any name can be made to point here (DNS rebinding).
//!
//! A page cannot set the headers of a WebSocket, but name subprotocols: [`CONSOLE`], and [`CONSOLE_TOKEN`] with its token in base64.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use jsonrpsee::server::HttpBody;
use offhook_client::wire::Scope;
use serde_json::json;

use crate::config::secret::Token;
use crate::request_keys;
use crate::rpc::Reach;

/// The subprotocol of a WebSocket whose token is in the name of another one. It is the one that is agreed on.
pub(super) const CONSOLE: &str = "offhook";
/// What the name begins with that has the token.
const CONSOLE_TOKEN: &str = "offhook.bearer.";

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is from a page of another origin.
    Origin,
    /// It is for a host of another name.
    Host,
    /// It shows no token.
    Token,
    /// It shows one that is not known.
    Unknown,
}

/// A request that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    /// What it has shown; none, where none is wanted.
    pub(super) token: Option<Token>,
    /// Whose `request_key`s it may have.
    pub(super) keys: request_keys::Scope,
    /// How far it reaches: everywhere, where no token is wanted.
    pub(super) reach: Reach,
}

/// The headers of a request for a stream of events. A browser's `EventSource` cannot set one: where it shows no token there, one may
/// be in the query (RFC 6750 §2.3), for this path only, which changes nothing.
pub(super) fn of_stream(headers: &HeaderMap, query: Option<&str>) -> HeaderMap {
    let mut headers = headers.clone();
    let parts = query.unwrap_or_default().split('&');
    let shown = parts.filter_map(|part| part.strip_prefix("access_token=")).next();
    if let Some(shown) = shown.filter(|_| !headers.contains_key(header::AUTHORIZATION)) {
        let bearer = [b"Bearer ", unescaped(shown).as_slice()].concat();
        // What cannot stand in a header is no token.
        let bearer = HeaderValue::from_bytes(&bearer).unwrap_or(HeaderValue::from_static("Bearer "));
        headers.insert(header::AUTHORIZATION, bearer);
    }
    headers
}

/// A value of a query (RFC 3986 §2.1). A `+` is one: no token has a space.
fn unescaped(text: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, tail @ ..] = rest {
        let digits =
            tail.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    bytes
}

/// Lets a request pass, or not.
pub(super) fn admit(headers: &HeaderMap, tokens: &[Token]) -> Result<Admitted, Refusal> {
    if !origin_is_ours(headers) {
        return Err(Refusal::Origin);
    }
    if tokens.is_empty() {
        let (keys, reach) = (request_keys::Scope::default(), Reach(Scope::Admin));
        let admitted = Admitted { token: None, keys, reach };
        return if text(headers, header::HOST).is_none_or(is_literal) {
            Ok(admitted)
        } else {
            Err(Refusal::Host)
        };
    }
    let token = known_token(headers, tokens)?;
    let keys = request_keys::Scope::of(token.expose().as_bytes());
    Ok(Admitted { token: Some(token.clone()), keys, reach: Reach(token.scope) })
}

impl Refusal {
    pub(super) fn response(self) -> Response<HttpBody> {
        match self {
            Self::Origin => {
                super::json(StatusCode::FORBIDDEN, &json!({ "error": "not for pages of another origin" }))
            }
            Self::Host => super::json(
                StatusCode::FORBIDDEN,
                &json!({ "error": "without a token by address or localhost only: any name can be made to point here" }),
            ),
            Self::Token => {
                unauthorized("a token of rpc.tokens is required: Authorization: Bearer TOKEN", "Bearer")
            }
            Self::Unknown => unauthorized("this token is not known", "Bearer error=\"invalid_token\""),
        }
    }
}

/// With the challenge of RFC 6750 §3, which tells a token that is not known from none.
fn unauthorized(error: &str, challenge: &'static str) -> Response<HttpBody> {
    let mut response = super::json(StatusCode::UNAUTHORIZED, &json!({ "error": error }));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static(challenge));
    response
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn origin_is_ours(headers: &HeaderMap) -> bool {
    let Some(origin) = text(headers, header::ORIGIN) else { return true };
    match (origin.split_once("://"), text(headers, header::HOST)) {
        (Some((_, origin)), Some(host)) => origin.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Whether a `Host` is an address or `localhost`, with or without a port.
fn is_literal(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<std::net::IpAddr>().is_ok()
}

/// Whether a page asks for its WebSocket as [`CONSOLE`].
pub(super) fn speaks_console(headers: &HeaderMap) -> bool {
    subprotocols(headers).any(|name| name == CONSOLE)
}

fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).into_iter();
    lists.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',').map(str::trim))
}

/// The one of `tokens` that is shown, by a header or by a page's WebSocket.
fn known_token<'t>(headers: &HeaderMap, tokens: &'t [Token]) -> Result<&'t Token, Refusal> {
    let shown = match headers.get(header::AUTHORIZATION) {
        Some(shown) => {
            let (scheme, token) = shown.as_bytes().split_at(shown.len().min(7));
            if !scheme.eq_ignore_ascii_case(b"bearer ") {
                return Err(Refusal::Token);
            }
            Cow::Borrowed(token)
        }
        None => {
            let mut names = subprotocols(headers);
            let name = names.find_map(|name| name.strip_prefix(CONSOLE_TOKEN)).ok_or(Refusal::Token)?;
            Cow::Owned(URL_SAFE_NO_PAD.decode(name).map_err(|_| Refusal::Unknown)?)
        }
    };
    // All of them are looked at: the time does not tell which one it is.
    let known = tokens.iter().fold(None, |known, candidate| {
        if same(&shown, candidate.expose().as_bytes()) { Some(candidate) } else { known }
    });
    known.ok_or(Refusal::Unknown)
}

/// Whether two byte strings are the same, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], tokens: &[&str], expected: Option<u16>) {
        let map =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let tokens: Vec<Token> = tokens.iter().map(|token| token.to_string().try_into().unwrap()).collect();
        let status = admit(&map, &tokens).err().map(|refusal| refusal.response().status().as_u16());
        assert_eq!(status, expected, "{headers:?}");
    }

    #[test]
    fn a_token_is_wanted_where_there_are_some() {
        check(&[], &[], None);
        check(&[], &["s3cret"], Some(401));
        check(&[("authorization", "Bearer s3cret")], &["other", "s3cret"], None);
        check(&[("authorization", "bearer s3cret")], &["s3cret"], None);
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Basic s3cret",
            "s3cret",
            "Bearer  s3cret",
        ] {
            check(&[("authorization", wrong)], &["s3cret"], Some(401));
        }
    }

    /// RFC 6750 §3.1: a token that is not known is another fault than none.
    #[test]
    fn which_of_the_two_it_was_is_told() {
        let of = |headers: &[(&'static str, &str)]| {
            let map =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let refusal = admit(&map, &["s3cret".to_owned().try_into().unwrap()]).unwrap_err();
            refusal.response().headers()["www-authenticate"].to_str().unwrap().to_owned()
        };
        for none in
            [&[][..], &[("authorization", "Basic czNjcmV0")], &[("sec-websocket-protocol", "offhook")]]
        {
            assert_eq!(of(none), "Bearer", "{none:?}");
        }
        for wrong in [
            ("authorization", "Bearer wrong"),
            ("authorization", "Bearer "),
            ("sec-websocket-protocol", "offhook, offhook.bearer.s3cret"),
            ("sec-websocket-protocol", "offhook, offhook.bearer.!"),
        ] {
            assert_eq!(of(&[wrong]), "Bearer error=\"invalid_token\"", "{wrong:?}");
        }
    }

    /// `s3cret` is `czNjcmV0` in base64 (RFC 4648 §5).
    #[test]
    fn a_page_shows_its_token_by_a_subprotocol() {
        let shows = |names: &str, expected| {
            check(&[("sec-websocket-protocol", names)], &["other", "s3cret"], expected);
        };
        shows("offhook, offhook.bearer.czNjcmV0", None);
        shows("offhook,offhook.bearer.czNjcmV0", None);
        for wrong in [
            "offhook",
            "offhook.bearer.",
            "offhook.bearer.czNjcmV",
            "offhook.bearer.s3cret",
            "bearer.czNjcmV0",
        ] {
            shows(wrong, Some(401));
        }
        // A header that is there is what counts.
        let both = [
            ("authorization", "Bearer wrong"),
            ("sec-websocket-protocol", "offhook, offhook.bearer.czNjcmV0"),
        ];
        check(&both, &["s3cret"], Some(401));
    }

    /// RFC 6750 §2.3 has the name; what is escaped there RFC 3986 §2.1.
    #[test]
    fn a_stream_may_show_its_token_in_the_query() {
        let check = |query: &str, authorization: Option<&str>, expected: Option<u16>| {
            let header = authorization.map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            let headers = of_stream(&header.into_iter().collect(), Some(query));
            let tokens = ["read:s3c+r/e%t".to_owned().try_into().unwrap()];
            let status = admit(&headers, &tokens).err().map(|refusal| refusal.response().status().as_u16());
            assert_eq!(status, expected, "{query} {authorization:?}");
        };
        for good in
            ["access_token=s3c%2Br%2Fe%25t", "a=b&access_token=s3c+r/e%25t&c", "access_token=s3c%2br/e%t"]
        {
            check(good, None, None);
            check(good, Some("Bearer wrong"), Some(401));
        }
        for wrong in [
            "",
            "access_token",
            "access_token=",
            "token=s3c+r/e%25t",
            "access_token=%0a",
            "access_token=%00%ff",
        ] {
            check(wrong, None, Some(401));
            check(wrong, Some("Bearer s3c+r/e%t"), None);
        }
    }

    #[test]
    fn a10_pages_of_others_are_refused() {
        let host = "127.0.0.1:8080";
        check(&[("host", host)], &[], None);
        check(&[("host", host), ("origin", "http://127.0.0.1:8080")], &[], None);
        check(&[("host", "localhost:8080"), ("origin", "http://localhost:8080")], &[], None);
        check(&[("host", "[::1]:8080"), ("origin", "http://[::1]:8080")], &[], None);
        for origin in ["http://evil.example", "http://127.0.0.1:9090", "null", "http://localhost:8080", ""] {
            check(&[("host", host), ("origin", origin)], &[], Some(403));
        }
        check(&[("origin", "http://127.0.0.1:8080")], &[], Some(403));
        // A name that was made to point at this machine.
        let rebound = [("host", "evil.example:8080"), ("origin", "http://evil.example:8080")];
        check(&rebound, &[], Some(403));
        check(&rebound[..1], &[], Some(403));
        check(&rebound[..1], &["s3cret"], Some(401));
        check(&rebound, &["s3cret"], Some(401));
        check(&[rebound[0], rebound[1], ("authorization", "Bearer s3cret")], &["s3cret"], None);
    }

    /// A proxy with TLS that keeps the `Host`, as README.md has it, and one that puts its own there.
    #[test]
    fn a_proxy_has_to_keep_the_host() {
        let token = ("authorization", "Bearer s3cret");
        let page = ("origin", "https://cti.example");
        check(&[("host", "cti.example"), page, token], &["s3cret"], None);
        check(&[("host", "127.0.0.1:8080"), page, token], &["s3cret"], Some(403));
        check(&[("host", "cti.example"), page], &[], Some(403));
    }
}
