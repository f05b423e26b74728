//! What the unit tests share.

use std::sync::OnceLock;
use std::time::Instant;

/// The beginning of the tests' time.
#[allow(clippy::disallowed_methods, reason = "an Instant cannot be made otherwise; the tests only add to it")]
pub(crate) fn epoch() -> Instant {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}
