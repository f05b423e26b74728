//! Everything unguessable: tags, branches, Call-IDs, client nonces. A ChaCha generator from one seed, so that a test
//! replays and a stranger cannot forge a request inside a dialog (RFC 3261 §19.3, reliability S1).

use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::message::COOKIE;

/// The length of a Via branch: the cookie and 64 bits in hexadecimal.
pub(crate) const BRANCH_LENGTH: usize = COOKIE.len() + 16;

/// The generator of one endpoint.
pub(crate) struct Random(ChaCha20Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(seed))
    }

    /// 64 random bits, as a token.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}", self.0.next_u64())
    }

    /// The key of a keyed hash, as long as a block of SHA-256.
    pub(crate) fn secret(&mut self) -> [u8; 64] {
        let mut key = [0; 64];
        self.0.fill_bytes(&mut key);
        key
    }

    /// A number below a bound.
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        // Multiplying spreads 32 random bits evenly enough over the few hundred values that are asked for.
        let wide = u64::from(self.0.next_u32()) * u64::from(bound);
        u32::try_from(wide >> 32).unwrap_or_default()
    }

    /// A time between two others, in whole milliseconds.
    pub(crate) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let room = high.saturating_sub(low).as_millis().saturating_add(1);
        low + Duration::from_millis(u64::from(self.below(u32::try_from(room).unwrap_or(u32::MAX))))
    }

    /// A Call-ID.
    pub(crate) fn call_id(&mut self) -> String {
        format!("{}{}", self.token(), self.token())
    }

    /// A Via branch.
    pub(crate) fn branch(&mut self) -> String {
        format!("{COOKIE}{}", self.token())
    }
}
