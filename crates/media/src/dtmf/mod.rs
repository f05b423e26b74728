//! DTMF: the sixteen keys, and the ways they travel.
//!
//! ```text
//!            1209  1336  1477  1633 Hz     ITU-T Q.23: a key is one tone of each group
//!   697 Hz     1     2     3     A         generate.rs  key → samples
//!   770 Hz     4     5     6     B         tone.rs      samples → key
//!   852 Hz     7     8     9     C         event.rs     key ↔ telephone-events (RFC 4733)
//!   941 Hz     *     0     #     D         dedup.rs     one press heard in several ways counts once
//!                                          keyed.rs     where keys lie in what is heard
//!                                          mute.rs      samples without their keys
//! ```

use std::time::Duration;

pub mod dedup;
pub mod event;
pub mod generate;
pub mod keyed;
pub mod mute;
pub mod tone;

/// Frequencies of the rows, in Hz (ITU-T Q.23).
const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];

/// Frequencies of the columns, in Hz (ITU-T Q.23).
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// The keys as they lie on the pad, row by row.
const PAD: &[u8; 16] = b"123A456B789C*0#D";

const KEYS: &[u8; 16] = b"0123456789*#ABCD";

/// One of the sixteen keys. Its number is the telephone-event code (RFC 4733 §3.2): 0–9, `*` 10, `#` 11, A–D 12–15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u8);

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

    /// Its place on the pad: row and column, each 0–3.
    fn place(self) -> (usize, usize) {
        let char = KEYS[usize::from(self.0)];
        let place = PAD.iter().position(|&key| key == char).unwrap_or_default();
        (place / 4, place % 4)
    }
}

/// A set of DTMF keys, such as finish keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySet(u16);

impl KeySet {
    /// The keys of a string of `0-9*#A-D` (small letters too); `Err` holds the first other character.
    pub fn parse(keys: &str) -> Result<Self, char> {
        keys.chars().try_fold(Self::default(), |set, char| {
            let key = Key::from_char(char).ok_or(char)?;
            Ok(Self(set.0 | 1 << key.code()))
        })
    }

    /// Whether there is no key in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `key` is in the set.
    pub fn contains(self, key: Key) -> bool {
        self.0 & (1 << key.code()) != 0
    }
}

/// What a receiver of digits tells, whichever way they travel. Starts and ends alternate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEvent {
    /// A key is pressed.
    Start(Key),
    /// The key is released.
    End {
        /// Which key.
        key: Key,
        /// How long it was pressed.
        duration: Duration,
    },
}

/// The number of samples in a stretch of time at a rate in Hz, rounded down.
fn duration_to_samples(duration: Duration, rate: u32) -> u64 {
    u64::try_from(duration.as_nanos() * u128::from(rate) / 1_000_000_000).unwrap_or(u64::MAX)
}
