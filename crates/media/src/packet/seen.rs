//! Which of the last packets of a source have come already, so that one that comes twice is not taken for another.

/// The last 64 places: a network that sends a packet twice does so within a second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

impl Seen {
    /// The first packet of a source.
    pub(super) fn first() -> Self {
        Self(1)
    }

    /// One has come so many places ahead of the highest until now.
    pub(super) fn ahead(&mut self, by: u16) {
        self.0 = self.0.checked_shl(by.into()).unwrap_or_default() | 1;
    }

    /// One has come so many places behind the highest. Returns whether it was there already; of what is too long ago nobody knows.
    pub(super) fn behind(&mut self, by: u16) -> bool {
        let Some(place) = 1_u64.checked_shl(by.into()) else { return false };
        let was_there = self.0 & place != 0;
        self.0 |= place;
        was_there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_new_once() {
        let mut seen = Seen::first();
        assert!(seen.behind(0));
        seen.ahead(3);
        assert_eq!([0, 1, 2, 3, 4].map(|by| seen.behind(by)), [true, false, false, true, false]);
        assert_eq!([0, 1, 2, 3, 4].map(|by| seen.behind(by)), [true; 5]);
        seen.ahead(63);
        assert_eq!(
            [0, 1, 62, 63, 64, 100].map(|by| seen.behind(by)),
            [true, false, false, true, false, false]
        );
        seen.ahead(3000);
        assert_eq!([0, 1, 63].map(|by| seen.behind(by)), [true, false, false]);
    }
}
