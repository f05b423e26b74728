//! Tables by names that are numbers of our own: nobody outside can choose them so that they collide, so nothing is to be
//! paid for a hash that would not let them.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A table by the names that this crate is given for legs, rooms and recordings, each counted up.
pub type Numbered<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// 2^64 by the golden ratio, odd: numbers that follow each other come to lie far apart, in their high bits as well, and no two
/// become the same (Knuth, The Art of Computer Programming 3, §6.4).
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Brings bits from above the middle, on which all those of a small number have had their effect, to the lowest place, and
/// others to the seven highest, which a table takes as well.
const MIDDLE: u32 = 26;

/// The hash of a number.
#[derive(Debug, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(SPREAD);
    }

    fn finish(&self) -> u64 {
        self.0.rotate_left(MIDDLE)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::*;
    use crate::event::LegId;

    /// A table takes the lowest bits for the place and the seven highest to tell neighbours apart. Of numbers thrown at random
    /// into as many places, 63 % of the places would be taken. A thread of 64 has each 64th leg.
    #[test]
    fn numbers_that_are_counted_up_fall_apart() {
        let hash = BuildHasherDefault::<NumberHasher>::default();
        for (first, step) in [(0, 1), (1_000_000, 1), (5, 2), (7, 64), (0, 4096)] {
            let hashes: Vec<u64> =
                (0..1024u64).map(|number| hash.hash_one(LegId(first + number * step))).collect();
            let low: BTreeSet<u64> = hashes.iter().map(|hash| hash % 1024).collect();
            let high: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 57).collect();
            assert!(low.len() > 600 && high.len() > 120, "{first}, {step}: {} {}", low.len(), high.len());
        }
    }
}
