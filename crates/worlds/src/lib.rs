//! What the seeded worlds have in common, those of the call core alone (`crates/call/tests/calls/world/`) and the
//! simulator's (`crates/exchange/tests/sim/`): applications that ask for anything at any moment, a disk that is slow, full or silent, and
//! the promises that no one may break.
//!
//! ```text
//!   Applications ─▶ Command ─▶ ( a world ) ─▶ replies, events, ports ─▶ Checks
//!                                  ⇅ Disk
//! ```
//! All of them are values that draw from the world's generator, so that a seed replays them.

#![allow(clippy::missing_panics_doc, reason = "what is asserted here is what the tests are for")]

pub mod applications;
pub mod asks;
pub mod checks;
pub mod disk;
pub mod node;

use std::time::Duration;

/// Milliseconds until something happens within `within`: often none at all, as much goes wrong in the very same one.
pub fn soon(rng: &mut fastrand::Rng, within: u64) -> u64 {
    if rng.u8(..4) == 0 { 0 } else { rng.u64(..=within) }
}

/// So many times in a hundred.
pub fn chance(rng: &mut fastrand::Rng, percent: u8) -> bool {
    rng.u8(..100) < percent
}

/// Any time up to so many seconds, but not none.
pub fn seconds(rng: &mut fastrand::Rng, most: u64) -> Duration {
    Duration::from_millis(1 + rng.u64(..most * 1000))
}
