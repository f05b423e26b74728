//! A keyed hash (HMAC-SHA-256, RFC 2104) whose key never leaves the process: what it makes nobody else can make, and
//! what it compares takes the same time whether it is right or wrong.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The key.
#[derive(Clone)]
pub(crate) struct Secret(Hmac<Sha256>);

impl Secret {
    pub(crate) fn new(key: [u8; 64]) -> Self {
        Self(Hmac::new(&key.into()))
    }

    /// 128 bits over the parts, in hexadecimal. Each part goes in with its length, so that no two lists of parts are the
    /// same to it.
    pub(crate) fn seal(&self, parts: &[&[u8]]) -> String {
        let mut text = String::with_capacity(32);
        for byte in self.over(parts).finalize().into_bytes().iter().take(16) {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(u32::from(digit), 16));
            }
        }
        text
    }

    /// Whether two texts are the same, in a time that does not say where they differ.
    pub(crate) fn same(&self, left: &[&[u8]], right: &[&[u8]]) -> bool {
        self.over(left).verify(&self.over(right).finalize().into_bytes()).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_parts() {
        let secret = Secret::new([1; 64]);
        assert_eq!(secret.seal(&[b"a", b"b"]).len(), 32);
        assert_ne!(secret.seal(&[b"ab", b""]), secret.seal(&[b"a", b"b"]));
        assert_ne!(secret.seal(&[b"a"]), Secret::new([2; 64]).seal(&[b"a"]));
        assert!(secret.same(&[b"a", b"b"], &[b"a", b"b"]));
        assert!(!secret.same(&[b"a", b"b"], &[b"a", b"c"]));
        assert!(!secret.same(&[b"a", b"b"], &[b"ab"]));
    }
}
