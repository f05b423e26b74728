//! Everything unguessable: tags, branches, Call-IDs, client nonces. A ChaCha generator from one seed, so that a test
//! replays and a stranger cannot forge a request inside a dialog (RFC 3261 §19.3, reliability S1).

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

    /// A Via branch.
    pub(crate) fn branch(&mut self) -> String {
        format!("{COOKIE}{}", self.token())
    }
}
