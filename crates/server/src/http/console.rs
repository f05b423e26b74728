//! The console at `/`: one page of our own, which is an application like any other on the public API. It has no secret, so it needs no
//! token to be read; what it asks for does.
//!
//! What calls bring with them is anybody's text, so the page may run its own script and style and nothing else, by their
//! hashes (Content Security Policy, level 3): text that became markup by a mistake of ours would still not run.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{self, HeaderValue};
use http::{HeaderName, Response};
use jsonrpsee::server::HttpBody;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("console.html");

/// Where it may load from: its own script and style; where it may connect to: this server.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |tag: &str| {
        let inner =
            PAGE.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>")));
        let digest = Sha256::digest(inner.map_or("", |(inner, _)| inner));
        format!("'sha256-{}'", STANDARD.encode(digest))
    };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    );
    HeaderValue::try_from(policy).expect("ASCII")
});

/// The page.
pub(super) fn page() -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(PAGE));
    let fixed = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    response.headers_mut().extend([
        fixed(header::CONTENT_TYPE, "text/html; charset=utf-8"),
        fixed(header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(header::REFERRER_POLICY, "no-referrer"),
        // The next version of the server has the next version of the page.
        fixed(header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY.clone()),
    ]);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One file, nothing from elsewhere, and no way for text to become markup.
    #[test]
    fn the_page_is_all_there_is() {
        for tag in ["script", "style"] {
            assert_eq!(
                (PAGE.matches(&format!("<{tag}")).count(), PAGE.matches(&format!("<{tag}>")).count()),
                (1, 1)
            );
        }
        for door in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "style=\"",
            "onclick=\"",
            " src=",
        ] {
            assert!(!PAGE.contains(door), "{door}");
        }
        let addresses: Vec<&str> =
            PAGE.split("http://").skip(1).chain(PAGE.split("https://").skip(1)).collect();
        assert_eq!(addresses.len(), 1, "the name of SVG's namespace is no address");
        assert!(addresses[0].starts_with("www.w3.org/2000/svg"));
    }

    /// The hash of an empty text would let nothing run.
    #[test]
    fn its_own_script_and_style_are_let_run() {
        let policy = POLICY.to_str().unwrap();
        let empty = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert_eq!(policy.matches("'sha256-").count(), 2);
        assert!(!policy.contains(empty) && !policy.contains("unsafe"), "{policy}");
    }
}
