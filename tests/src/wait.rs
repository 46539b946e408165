//! Waiting for events, always with a deadline, never for a guessed time.

use std::{
    future::Future,
    thread,
    time::{Duration, Instant},
};

use crate::limits::POLL;

/// Looks again and again until `check` has something, or `limit` has passed. For what has no notification: files,
/// other processes.
pub fn try_until<T>(limit: Duration, mut check: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = check() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// [`try_until`] that must find it.
///
/// # Panics
/// When `limit` passes; `what` says what was waited for.
pub fn until<T>(what: &str, limit: Duration, check: impl FnMut() -> Option<T>) -> T {
    try_until(limit, check).unwrap_or_else(|| panic!("{what}: not within {limit:?}"))
}

/// Awaits, but not for ever.
///
/// # Panics
/// When `limit` passes; `what` says what was waited for.
pub async fn within<T>(what: &str, limit: Duration, wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, wait).await.unwrap_or_else(|_| panic!("{what}: not within {limit:?}"))
}
