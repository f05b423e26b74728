//! Who may use `/rpc`: whoever shows a token where tokens are configured, and no web page of somebody else.
//!
//! A browser on the machine of an operator reaches a server on loopback too. What it sends for a page carries the
//! page's `Origin`, which must be this server's own `Host`; and where no token protects it, that must be a literal
//! address or `localhost`, because any name can be made to point here (DNS rebinding).

use http::{HeaderMap, Response, StatusCode, header};
use jsonrpsee::server::HttpBody;
use serde_json::json;

use crate::request_keys::Scope;

/// Why a request does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is from a page of another origin.
    Origin,
    /// It shows no token, or a wrong one.
    Token,
}

/// Lets a request pass, or not, and says whose `request_key`s it may have.
pub(super) fn admit(headers: &HeaderMap, tokens: &[String]) -> Result<Scope, Refusal> {
    if !origin_is_ours(headers, !tokens.is_empty()) {
        return Err(Refusal::Origin);
    }
    if tokens.is_empty() {
        return Ok(Scope::default());
    }
    known_token(headers, tokens).map(Scope::of).ok_or(Refusal::Token)
}

impl Refusal {
    pub(super) fn response(self) -> Response<HttpBody> {
        match self {
            Self::Origin => {
                super::json(StatusCode::FORBIDDEN, &json!({ "error": "not for pages of another origin" }))
            }
            Self::Token => {
                let mut response =
                    super::json(StatusCode::UNAUTHORIZED, &json!({ "error": "a token is required" }));
                let challenge = header::HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
                response
            }
        }
    }
}

fn origin_is_ours(headers: &HeaderMap, protected: bool) -> bool {
    let text = |name| headers.get(name).map(|value: &header::HeaderValue| value.to_str().unwrap_or_default());
    let Some(origin) = text(header::ORIGIN) else { return true };
    let (Some((_, origin)), Some(host)) = (origin.split_once("://"), text(header::HOST)) else {
        return false;
    };
    origin.eq_ignore_ascii_case(host) && (protected || is_literal(host))
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

/// The token that is shown, if it is one of `tokens`.
fn known_token<'h>(headers: &'h HeaderMap, tokens: &[String]) -> Option<&'h [u8]> {
    let shown = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes).unwrap_or_default();
    let (scheme, token) = shown.split_at(shown.len().min(7));
    let known = tokens.iter().fold(false, |known, candidate| known | same(token, candidate.as_bytes()));
    (scheme.eq_ignore_ascii_case(b"bearer ") && known).then_some(token)
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
        let tokens: Vec<String> = tokens.iter().map(ToString::to_string).collect();
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

    #[test]
    fn pages_of_others_are_refused() {
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
        check(&rebound, &["s3cret"], Some(401));
        check(&[rebound[0], rebound[1], ("authorization", "Bearer s3cret")], &["s3cret"], None);
    }
}
