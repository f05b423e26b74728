//! DTMF: the sixteen keys, and the ways they travel.

/// One of the sixteen keys. Its number is the telephone-event code (RFC 4733 §3.2): 0–9, `*` 10, `#` 11, A–D 12–15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u8);

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

impl Key {
    /// The key of a character of `0-9*#A-D`; small letters are taken as capitals.
    pub fn from_char(char: char) -> Option<Self> {
        let upper = u8::try_from(char).ok()?.to_ascii_uppercase();
        KEYS.iter().position(|&key| key == upper).and_then(|code| u8::try_from(code).ok()).map(Self)
    }

    /// The key of a telephone-event code.
    pub fn from_code(code: u8) -> Option<Self> {
        (code < 16).then_some(Self(code))
    }

    /// The telephone-event code, 0–15.
    pub fn code(self) -> u8 {
        self.0
    }

    /// The character on the key.
    pub fn as_char(self) -> char {
        char::from(KEYS[usize::from(self.0)])
    }
}
