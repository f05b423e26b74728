//! The only clock of the product. Everything below `server` gets its time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use offhook_call::Now;
use offhook_call::event::UnixMs;

/// The moment this is called, by the monotonic clock and by the wall clock.
#[allow(clippy::disallowed_methods, reason = "this is the place that reads the clocks")]
pub fn now() -> Now {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), wall: UnixMs(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)) }
}
