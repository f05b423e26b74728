//! Which telephone-events a side takes: the list behind `a=fmtp` (RFC 4733 §2.4.1).
//!
//! ```text
//!   a=fmtp:101 0-15,16        codes and ranges of them, commas between
//! ```
//! Where nothing is listed, or nothing that can be read, the sixteen keys are meant. We take the flash of a hook (16) as
//! well: the API has no key for it, but the other party of a connection may want it.

use std::fmt;

use super::parse::number;

/// Telephone-events by their codes, of which those below 32 are told apart: no other is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events(u32);

impl Events {
    /// The sixteen keys.
    pub const KEYS: Self = Self(0xffff);
    /// What we take: the keys, and the flash.
    pub const OURS: Self = Self(0x1_ffff);

    /// Whether the event of this code is among them.
    pub fn contains(self, code: u8) -> bool {
        self.0.checked_shr(code.into()).is_some_and(|bits| bits & 1 == 1)
    }

    /// Whether all keys are among them.
    pub(crate) fn has_all_keys(self) -> bool {
        self.0 & Self::KEYS.0 == Self::KEYS.0
    }

    /// Those of ours that a peer takes, by its list; none where no key is among them.
    pub(crate) fn of(list: Option<&str>) -> Option<Self> {
        let theirs = list.and_then(Self::parse).unwrap_or(Self::KEYS);
        let common = Self(theirs.0 & Self::OURS.0);
        (common.0 & Self::KEYS.0 != 0).then_some(common)
    }

    fn parse(list: &str) -> Option<Self> {
        let range = |item: &str| {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last): (u8, u8) = (number(first.trim())?, number(last.trim())?);
            let codes = (first..=last).filter_map(|code| 1_u32.checked_shl(code.into()));
            (first <= last).then(|| codes.fold(0, |bits, code| bits | code))
        };
        list.split(',').try_fold(0, |bits, item| Some(bits | range(item)?)).map(Self)
    }
}

impl fmt::Display for Events {
    /// As it is written behind `a=fmtp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut first) = (*self, true);
        while rest.0 != 0 {
            let start = rest.0.trailing_zeros();
            let length = (rest.0 >> start).trailing_ones();
            rest.0 &= u32::MAX.checked_shl(start + length).unwrap_or(0);
            let comma = if first { "" } else { "," };
            match length {
                1 => write!(f, "{comma}{start}")?,
                _ => write!(f, "{comma}{start}-{}", start + length - 1)?,
            }
            first = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is common of a list and ours, as it is written.
    fn common(list: &str) -> Option<String> {
        Events::of(Some(list)).map(|events| events.to_string())
    }

    #[test]
    fn lists_of_peers() {
        for (list, expected) in [
            ("0-15", Some("0-15")),
            ("0-16", Some("0-16")),
            ("0-15,16", Some("0-16")),
            ("0-11", Some("0-11")),
            ("0-9,11,15-16", Some("0-9,11,15-16")),
            (" 0 - 4 , 7 ", Some("0-4,7")),
            ("0-255", Some("0-16")),
            // RFC 4733 §2.4.1 has these two as its examples.
            ("0-15,66,70", Some("0-15")),
            ("0-15,32-49", Some("0-15")),
            ("32-49", None),
            ("16", None),
        ] {
            assert_eq!(common(list).as_deref(), expected, "{list}");
        }
    }

    #[test]
    fn no_list_and_nonsense_mean_the_keys() {
        assert_eq!(Events::of(None), Some(Events::KEYS));
        for list in ["", "x", "0-15,", "15-0", "0-256", "-1", "0-15;16", "events=0-15"] {
            assert_eq!(Events::of(Some(list)), Some(Events::KEYS), "{list}");
        }
    }

    #[test]
    fn codes_that_are_among_them() {
        let events = Events::of(Some("0-9,16")).unwrap();
        for code in 0..=u8::MAX {
            assert_eq!(events.contains(code), matches!(code, 0..=9 | 16), "{code}");
        }
    }
}
