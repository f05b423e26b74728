//! Keys for SRTP in descriptions (RFC 4568): one `a=crypto` line for each suite that is offered, one for the suite that is
//! taken. Each side names the key that it protects with.
//!
//! ```text
//!   a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4
//!            │ └ suite                        └ key and salt in base64                 │    └ its name in packets, and bytes
//!            └ tag, which the answer repeats                                           └ lifetime
//! ```
//! The lifetime is a promise of whoever protects with the key, and its limits are below what RFC 3711 §9.2 allows anyway:
//! it is read and nothing comes of it. Ours have none, which means the longest. A key may have a name, the master key
//! identifier, which stands in each packet under it; ours has the one that the peer's has. A line that we could not follow in
//! every point is passed over: with more than one key, or with a session parameter that changes what is protected and how.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::parse::number;
use crate::srtp::{MasterKey, Mki, Seed, Suite};

/// Base64 with the padding that some forget (RFC 4648 §3.2).
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// The digits of a tag (RFC 4568 §9.2).
const TAG_DIGITS: usize = 9;
/// The longest key and salt in base64: 44 bytes.
const KEY_LENGTH: usize = 60;
/// The longest lifetime, as a power of two (RFC 3711 §9.2).
const LIFETIME_BITS: u32 = 48;
/// The smallest window that a `WSH` may ask for (RFC 4568 §6.3.7); ours holds more than any sender asks.
const SMALLEST_WINDOW: u32 = 64;

/// The session parameters of RFC 4568 §6.3 that change what is protected and how, or with what window.
const UNFIT: [&str; 7] =
    ["KDR", "UNENCRYPTED_SRTP", "UNENCRYPTED_SRTCP", "UNAUTHENTICATED_SRTP", "FEC_ORDER", "FEC_KEY", "WSH"];

/// One `a=crypto` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crypto {
    pub(super) tag: u32,
    pub(super) key: MasterKey,
    pub(super) mki: Option<Mki>,
}

impl Crypto {
    /// The value of an `a=crypto` line, if we can do all that it says.
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut words = value.split(' ').filter(|word| !word.is_empty());
        let tag = words.next().filter(|tag| tag.len() <= TAG_DIGITS).and_then(number)?;
        let suite = Suite::from_name(words.next()?)?;
        let (key, mki) = key(suite, words.next()?)?;
        words.all(is_harmless).then_some(Self { tag, key, mki })
    }

    /// What keeps a line of a suite that we have from being taken, by its name, where it asks for what we do not do.
    pub(super) fn unfit(value: &str) -> Option<&'static str> {
        let mut words = value.split(' ').filter(|word| !word.is_empty()).skip(1);
        Suite::from_name(words.next()?)?;
        if words.next()?.contains(';') {
            return Some("more than one key");
        }
        words.find_map(|word| {
            let name = word.split('=').next();
            UNFIT.into_iter().find(|&unfit| name == Some(unfit) && !is_harmless(word))
        })
    }
}

/// As it is written, without the end of the line.
impl fmt::Display for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = BASE64.encode(self.key.expose());
        write!(f, "a=crypto:{} {} inline:{key}", self.tag, self.key.suite().name())?;
        self.mki.map_or(Ok(()), |mki| write!(f, "|{}:{}", mki.value(), mki.length()))
    }
}

/// `inline:key[|lifetime][|mki:length]`
fn key(suite: Suite, parameters: &str) -> Option<(MasterKey, Option<Mki>)> {
    let mut parts = parameters.strip_prefix("inline:")?.split('|');
    let text = parts.next().filter(|text| text.len() <= KEY_LENGTH)?;
    // What is between two keys, `;`, is no base64.
    let key = MasterKey::new(suite, &BASE64.decode(text).ok()?)?;
    let mut parts = parts.peekable();
    if !parts.next_if(|part| !part.contains(':')).is_none_or(is_lifetime) {
        return None;
    }
    let mki = match parts.next() {
        Some(part) => {
            let (value, length) = part.split_once(':')?;
            Some(Mki::new(number(value)?, number(length)?)?)
        }
        None => None,
    };
    parts.next().is_none().then_some((key, mki))
}

/// `2^n`, or a number of packets (RFC 4568 §6.1).
fn is_lifetime(text: &str) -> bool {
    match text.strip_prefix("2^") {
        Some(bits) => number::<u32>(bits).is_some_and(|bits| bits <= LIFETIME_BITS),
        None => number::<u64>(text).is_some_and(|packets| (1..=1 << LIFETIME_BITS).contains(&packets)),
    }
}

/// Whether a session parameter changes nothing (RFC 4568 §6.3): one that may be passed over begins with `-`.
fn is_harmless(parameter: &str) -> bool {
    let window = parameter.strip_prefix("WSH=").and_then(number::<u32>);
    parameter.starts_with('-') || window.is_some_and(|window| window >= SMALLEST_WINDOW)
}

/// Our keys of one session: one for each suite, the same in every description.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    random: ChaCha20Rng,
    keys: Vec<MasterKey>,
}

impl Ring {
    /// No keys yet. Each session of one seed draws others.
    pub(super) fn new(seed: Seed, session: u64) -> Self {
        let mut random = ChaCha20Rng::from_seed(seed.0);
        random.set_stream(session);
        Self { random, keys: Vec::new() }
    }

    /// Our key of a suite.
    pub(super) fn key(&mut self, suite: Suite) -> MasterKey {
        if let Some(key) = self.keys.iter().find(|key| key.suite() == suite) {
            return *key;
        }
        let mut bytes = vec![0; suite.master()];
        self.random.fill_bytes(&mut bytes);
        let key = MasterKey::new(suite, &bytes).expect("as many bytes as the suite has");
        self.keys.push(key);
        key
    }

    /// Forgets a key that has been in use: whoever takes its suite up again begins its indices anew, and none may be used
    /// twice under one key.
    pub(super) fn retire(&mut self, key: &MasterKey) {
        self.keys.retain(|known| known != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4568 §6.1 and RFC 7714 §14 have these forms; the keys are other ones.
    #[test]
    fn lines_that_are_taken() {
        let short = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        for (line, suite, tag) in [
            (format!("1 AES_CM_128_HMAC_SHA1_80 inline:{short}"), Suite::AesCm128HmacSha1_80, 1),
            (
                format!("999999999 AES_CM_128_HMAC_SHA1_32 inline:{short}|2^20"),
                Suite::AesCm128HmacSha1_32,
                999_999_999,
            ),
            (format!("2  AES_CM_128_HMAC_SHA1_80  inline:{short}|1048576 "), Suite::AesCm128HmacSha1_80, 2),
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 inline:{short}|2^48 WSH=64 -EXT=1"),
                Suite::AesCm128HmacSha1_80,
                1,
            ),
        ] {
            let crypto = Crypto::parse(&line).unwrap();
            assert_eq!((crypto.tag, crypto.key.suite()), (tag, suite), "{line}");
            assert_eq!(crypto.key.expose(), b"YS___semctl () {\t220;}\n}\nunles", "{line}");
        }
        for text in ["QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg==", "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg"] {
            let crypto = Crypto::parse(&format!("3 AEAD_AES_128_GCM inline:{text}")).unwrap();
            assert_eq!(crypto.key.expose(), b"ABCDEFGHIJKLMNOPQRSTUVWXYZab");
            let written = "a=crypto:3 AEAD_AES_128_GCM inline:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYg==";
            assert_eq!(crypto.to_string(), written);
        }
    }

    #[test]
    fn the_name_of_a_key() {
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        for (text, value, length) in [
            ("1:4", 1, 4),
            ("2^20|1:4", 1, 4),
            ("2^20|1:32", 1, 32),
            ("255:1", 255, 1),
            ("18446744073709551615:8", u64::MAX, 8),
            ("7:128", 7, 128),
        ] {
            let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|{text}")).unwrap();
            let mki = crypto.mki.unwrap();
            assert_eq!((mki.value(), mki.length()), (value, length), "{text}");
            let written = format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}|{value}:{length}");
            assert_eq!(crypto.to_string(), written);
        }
    }

    #[test]
    fn what_keeps_a_line_from_being_taken_is_named() {
        for (asked, expected) in [
            ("WSH=64 KDR=1", Some("KDR")),
            ("UNENCRYPTED_SRTCP", Some("UNENCRYPTED_SRTCP")),
            ("FEC_ORDER=FEC_SRTP", Some("FEC_ORDER")),
            ("WSH=63", Some("WSH")),
            ("-EXT=1", None),
            ("MORE", None),
        ] {
            let line = format!("1 AES_CM_128_HMAC_SHA1_80 inline:WVNf {asked}");
            assert_eq!(Crypto::unfit(&line), expected, "{asked}");
            assert_eq!(Crypto::unfit(&line.replace("AES_CM", "F8")), None);
        }
        let twice = "1 AES_CM_128_HMAC_SHA1_80 inline:WVNf|2^20|1:4;inline:WVNg|2^20|2:4";
        assert_eq!(Crypto::unfit(twice), Some("more than one key"));
    }

    #[test]
    fn p5_lines_that_are_passed_over() {
        let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
        let long = key.repeat(2000);
        for line in [
            "",
            "1",
            "1 AES_CM_128_HMAC_SHA1_80",
            "1 AES_CM_128_HMAC_SHA1_80 inline:",
            &format!("x AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            &format!("-1 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            &format!("1234567890 AES_CM_128_HMAC_SHA1_80 inline:{key}"),
            &format!("1 F8_128_HMAC_SHA1_80 inline:{key}"),
            &format!("1 aes_cm_128_hmac_sha1_80 inline:{key}"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 prime:{key}"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{long}"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}", &key[4..]),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{}====", &key[4..]),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:*{}", &key[1..]),
            &format!("1 AEAD_AES_128_GCM inline:{key}"),
            &format!("1 AEAD_AES_256_GCM inline:{key}"),
            // A lifetime that is none.
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|0"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^49"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^99999999999"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|18446744073709551615"),
            // A master key identifier that is none, or in too many bytes, or too few.
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|:4"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:0"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:129"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|256:1"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|18446744073709551616:16"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4|2^20"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|1:4|1:4"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key}|2^20|1:4|1:4"),
            // Two keys.
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key};inline:{key}"),
            // Session parameters that change what is protected, or that nobody knows.
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTP"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNENCRYPTED_SRTCP"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} UNAUTHENTICATED_SRTP"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} KDR=1"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} FEC_ORDER=FEC_SRTP"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=63"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} WSH=x"),
            &format!("1 AES_CM_128_HMAC_SHA1_80 inline:{key} -EXT=1 MORE"),
        ] {
            assert_eq!(Crypto::parse(line), None, "{line}");
        }
    }

    #[test]
    fn each_suite_has_a_key_of_its_own_until_that_is_retired() {
        let mut ring = Ring::new(Seed([7; 32]), 1);
        let keys = Suite::ALL.map(|suite| ring.key(suite));
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(ring.key(key.suite()), *key, "the same again");
            assert!(keys[..index].iter().all(|other| other.expose()[..16] != key.expose()[..16]));
        }
        ring.retire(&keys[1]);
        assert_ne!(ring.key(Suite::ALL[1]), keys[1]);
        assert_eq!(ring.key(Suite::ALL[2]), keys[2]);
        assert_ne!(Ring::new(Seed([7; 32]), 2).key(Suite::ALL[0]), keys[0], "another call");
        assert_ne!(Ring::new(Seed([8; 32]), 1).key(Suite::ALL[0]), keys[0], "another node");
    }

    #[test]
    fn keys_are_shown_nowhere() {
        let mut ring = Ring::new(Seed([0xa5; 32]), 1);
        let key = ring.key(Suite::AesCm128HmacSha1_80);
        let crypto = Crypto { tag: 1, key, mki: None };
        let shown = format!("{ring:?} {crypto:?} {:?}", Seed([0xa5; 32]));
        let inside = BASE64.encode(key.expose());
        assert!(!shown.contains("165") && !shown.contains(&inside), "{shown}");
        let numbers = format!("{:?}", key.expose());
        assert!(!shown.contains(numbers.trim_matches(['[', ']'])), "{shown}");
    }
}
