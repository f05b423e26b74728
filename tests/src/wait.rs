//! Waiting for a condition, with a deadline. A test never sleeps and hopes; it says what it waits for, and fails with
//! that sentence.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long a test waits for something that takes no time of its own. Generous, since the machine may be busy with
/// other tests; a test that passes never waits so long.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often a condition without a notification of its own is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks at `condition` until it gives a value; panics with `what` after `patience`.
pub async fn until<T>(what: &str, patience: Duration, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    let mut look = tokio::time::interval(LOOK_EVERY);
    loop {
        look.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
    }
}

/// Awaits `future`; panics with `what` after `patience`.
pub async fn within<T>(what: &str, patience: Duration, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(patience, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {patience:?} in vain for {what}"),
    }
}
