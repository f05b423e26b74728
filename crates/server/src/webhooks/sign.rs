//! Signatures as [Standard Webhooks](https://www.standardwebhooks.com) has them: HMAC-SHA256 of `id.timestamp.body`.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

/// What the text of a secret begins with.
const PREFIX: &str = "whsec_";

/// With or without `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key of a secret `whsec_…`; none where it is no such text, or has not 24 to 64 bytes, as the standard wants it.
pub(super) fn key(secret: &str) -> Option<Vec<u8>> {
    let key = BASE64.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (24..=64).contains(&key.len()).then_some(key)
}

/// The value of `webhook-signature`: one signature for each key, so that who has the old one or the new one finds his.
pub(super) fn signatures(keys: &[Vec<u8>], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signature = |key: &Vec<u8>| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", general_purpose::STANDARD.encode(mac.finalize().into_bytes()))
    };
    keys.iter().map(signature).collect::<Vec<_>>().join(" ")
}

/// MD5 as small hexadecimal digits: for what others have agreed upon, it proves nothing.
pub(super) fn md5(text: &str) -> String {
    Md5::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the libraries of the standard test themselves with, which Python's `hmac` agrees with.
    #[test]
    fn the_published_signature() {
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let body = br#"{"test": 2432232314}"#;
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signatures(std::slice::from_ref(&key), id, 1_614_265_330, body), expected);
        let two = signatures(&[vec![1; 24], key], id, 1_614_265_330, body);
        assert!(two.starts_with("v1,") && two.ends_with(&format!(" {expected}")), "{two}");
    }

    #[test]
    fn padding_may_be_left_out() {
        let bare = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAA";
        assert_eq!(key(bare), key(&format!("{bare}==")));
        assert_eq!(key(bare).unwrap().len(), 25);
    }
}
