//! What a command may put on the wire. Nothing that an application says can become a header, a URI or a message of its
//! own (reliability P9): control characters are refused, and so are the headers that belong to the endpoint.

use crate::event::{Body, CommandError, Header, Invite, Route};
use crate::message::{Uri, UriError, is_token};
use crate::resolve::Destination;

/// The headers that the endpoint writes itself, in lower case, with their compact forms.
const OWN: [&str; 38] = [
    "via",
    "v",
    "route",
    "record-route",
    "max-forwards",
    "from",
    "f",
    "to",
    "t",
    "call-id",
    "i",
    "cseq",
    "m",
    "content-type",
    "c",
    "content-length",
    "l",
    "allow",
    "authorization",
    "proxy-authorization",
    "user-agent",
    "server",
    "require",
    "content-encoding",
    "e",
    "content-disposition",
    "supported",
    "k",
    "session-expires",
    "x",
    "min-se",
    "rseq",
    "rack",
    "event",
    "o",
    "subscription-state",
    "refer-to",
    "r",
];

/// Whether an outbound call can be placed, and where each of its routes leads.
pub(crate) fn invite(invite: &Invite) -> Result<Vec<Destination>, CommandError> {
    sender(&invite.from)?;
    if invite.from_display.chars().any(char::is_control) {
        return Err(CommandError::BadHeader("From".to_owned()));
    }
    headers(&invite.headers, false)?;
    body(&invite.body)?;
    if invite.routes.is_empty() {
        return Err(CommandError::BadUri(String::new()));
    }
    invite.routes.iter().map(route).collect()
}

/// Where a route leads.
pub(crate) fn route(route: &Route) -> Result<Destination, CommandError> {
    let bad = |uri: &str| CommandError::BadUri(uri.to_owned());
    let to = Uri::parse(route.to.as_bytes()).map_err(|_| bad(&route.to))?;
    match &route.proxy {
        Some(proxy) => Destination::of_proxy(proxy, &to).ok_or_else(|| bad(proxy)),
        None => Ok(Destination::of(&to)),
    }
}

/// Whether a URI can stand in From. Who calls may be named by any URI, such as `tel:`.
pub(crate) fn sender(from: &str) -> Result<(), CommandError> {
    match Uri::parse(from.as_bytes()) {
        Ok(_) | Err(UriError::Scheme) => Ok(()),
        Err(UriError::Malformed | UriError::TooLong) => Err(CommandError::BadUri(from.to_owned())),
    }
}

/// Whether a peer can be asked to call this URI (RFC 3515 §2.1): what we would take ourselves.
pub(crate) fn callee(uri: &str) -> Result<(), CommandError> {
    match Uri::parse(uri.as_bytes()) {
        Ok(_) => Ok(()),
        Err(UriError::Scheme) if is_tel(uri) => Ok(()),
        Err(_) => Err(CommandError::BadUri(uri.to_owned())),
    }
}

/// Whether a URI of another scheme than ours is a telephone number (RFC 3966).
pub(crate) fn is_tel(uri: &str) -> bool {
    uri.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"))
}

/// Whether headers can be added; `Contact` only to a redirection.
pub(crate) fn headers(headers: &[Header], redirection: bool) -> Result<(), CommandError> {
    for Header { name, value } in headers {
        let lower = name.to_ascii_lowercase();
        let own = OWN.contains(&&*lower) || (lower == "contact" && !redirection);
        let value_is_bad = value.chars().any(|character| character.is_control() && character != '\t');
        if own || value_is_bad || !is_token(name.as_bytes()) {
            return Err(CommandError::BadHeader(name.clone()));
        }
    }
    Ok(())
}

/// Whether a body can be sent.
pub(crate) fn body(body: &Body) -> Result<(), CommandError> {
    let content_type = &body.content_type;
    if content_type.is_empty() || content_type.chars().any(char::is_control) {
        return Err(CommandError::BadHeader("Content-Type".to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, redirection: bool) -> bool {
        headers(&[Header { name: name.to_owned(), value: value.to_owned() }], redirection).is_ok()
    }

    #[test]
    fn nothing_is_injected() {
        assert!(check("X-Account", "a b\tü", false));
        assert!(check("Contact", "<sip:a@b>", true));
        for (name, value) in [
            ("X-Account", "a\r\nVia: x"),
            ("X-Account", "a\nb"),
            ("X-Account", "a\0"),
            ("X Account", "a"),
            ("X-Account:", "a"),
            ("", "a"),
            ("Contact", "<sip:a@b>"),
            ("VIA", "a"),
            ("l", "0"),
            ("Session-Expires", "90"),
            ("k", "100rel"),
            ("Content-Encoding", "gzip"),
        ] {
            assert!(!check(name, value, false), "{name}: {value}");
        }
    }
}
