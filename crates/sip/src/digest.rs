//! The digest of RFC 7616 (SHA-256 and MD5, RFC 8760), of RFC 2617 where there is no `qop`: what the two sides of it
//! have in common.

use std::fmt::Write as _;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::event::Credentials;
use crate::message::{cut, lossy, split, trim, unquote};

/// The digest algorithms, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// The algorithm of this name; MD5 where there is no name.
    pub(crate) fn of(name: Option<&str>) -> Option<Self> {
        match name {
            None => Some(Self::Md5),
            Some(name) => {
                [Self::Md5, Self::Sha256].into_iter().find(|own| own.name().eq_ignore_ascii_case(name))
            }
        }
    }

    /// As it stands in `algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let digest = match self {
            Self::Md5 => Md5::digest(text.as_bytes()).to_vec(),
            Self::Sha256 => Sha256::digest(text.as_bytes()).to_vec(),
        };
        digest.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

/// What a response is computed over.
pub(crate) struct Digest<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) credentials: &'a Credentials,
    pub(crate) realm: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    /// With `qop=auth`, `nc` and `cnonce`.
    pub(crate) auth: Option<(&'a str, &'a str)>,
}

impl Digest<'_> {
    /// The response, in hexadecimal (RFC 7616 §3.4.1).
    pub(crate) fn response(&self) -> String {
        let Self { algorithm, credentials: Credentials { username, password }, realm, nonce, .. } = self;
        let secret = algorithm.hash(&format!("{username}:{realm}:{password}"));
        let request = algorithm.hash(&format!("{}:{}", self.method, self.uri));
        match self.auth {
            Some((nc, cnonce)) => algorithm.hash(&format!("{secret}:{nonce}:{nc}:{cnonce}:auth:{request}")),
            None => algorithm.hash(&format!("{secret}:{nonce}:{request}")),
        }
    }
}

/// A quoted string; control characters cannot stand in one and are left out.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars().filter(|character| !character.is_control()) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// The most parameters of a challenge or of credentials: the RFC knows eleven.
const MAX_FIELDS: usize = 32;

/// The parameters of a challenge or of credentials with the scheme Digest.
#[derive(Debug)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a value. `None` for other schemes, and where anything may be read in more than one way: a parameter that
    /// comes twice, a quote inside of a value.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let value = trim(value);
        let (scheme, rest) = value.split_at_checked(value.iter().position(u8::is_ascii_whitespace)?)?;
        if !scheme.eq_ignore_ascii_case(b"Digest") {
            return None;
        }
        let mut fields: Vec<(String, String)> = Vec::new();
        // Empty elements of a list mean nothing (RFC 9110 §5.6.1).
        for part in split(rest, b',')?.into_iter().filter(|part| !part.is_empty()) {
            let (name, value) = cut(part, b'=');
            let (name, value) = (lossy(name).to_ascii_lowercase(), plain(value?)?);
            if name.is_empty() || fields.len() == MAX_FIELDS || fields.iter().any(|(own, _)| *own == name) {
                return None;
            }
            fields.push((name, value));
        }
        Some(Self(fields))
    }

    /// The value of a parameter, without its quotes. `name` in lower case.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A token as it is, or what a quoted string means.
fn plain(value: &[u8]) -> Option<String> {
    if !value.contains(&b'"') {
        return Some(lossy(value));
    }
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut escaped = false;
    for &byte in inner {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return None,
            _ => {}
        }
    }
    (!escaped).then(|| lossy(&unquote(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_one_way_only() {
        let fields = Fields::parse(br#"DIGEST  A="x, \"y\"=z" , b=q,, C = "" "#).unwrap();
        assert_eq!((fields.get("a"), fields.get("b")), (Some(r#"x, "y"=z"#), Some("q")));
        assert_eq!((fields.get("c"), fields.get("d")), (Some(""), None));
        for value in [
            "Basic a=b",
            "Digest",
            "Digest a=b, A=c",
            "Digest a=\"b\"c\"",
            "Digest a=b\"c\"",
            "Digest a=\"b",
            "Digest a=\"b\\\"",
            "Digest a",
            "Digest =b",
        ] {
            assert!(Fields::parse(value.as_bytes()).is_none(), "{value}");
        }
        assert!(Fields::parse(format!("Digest {}", "x".repeat(5)).as_bytes()).is_none());
        let many =
            |count: usize| (0..count).map(|number| format!("p{number}=1")).collect::<Vec<_>>().join(",");
        assert!(Fields::parse(format!("Digest {}", many(MAX_FIELDS)).as_bytes()).is_some());
        assert!(Fields::parse(format!("Digest {}", many(MAX_FIELDS + 1)).as_bytes()).is_none());
    }
}
