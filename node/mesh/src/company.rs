//! Who else uses a connection: what carries bulk looks here, and makes room.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// The streams of a connection that somebody waits for: all but those that stood aside.
#[derive(Debug)]
pub(crate) struct Company {
    began: Instant,
    open: AtomicUsize,
    /// When one was opened or closed last (microseconds since `began`, and one more; 0: never).
    last: AtomicU64,
}

/// One stream, counted as long as this lives.
#[derive(Debug)]
pub(crate) struct Guest {
    company: Arc<Company>,
    aside: AtomicBool,
    /// When there was one last before this one came, and when it came.
    before: u64,
    came: u64,
}

impl Company {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { began: Instant::now(), open: AtomicUsize::new(0), last: AtomicU64::new(0) })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Counts a stream.
    pub(crate) fn enter(self: &Arc<Self>) -> Guest {
        let came = self.now();
        self.open.fetch_add(1, Ordering::Relaxed);
        let before = self.last.swap(came, Ordering::Relaxed);
        Guest { company: Arc::clone(self), aside: AtomicBool::new(false), before, came }
    }

    /// Whether there is one, or was within this time.
    pub(crate) fn is_there(&self, within: Duration) -> bool {
        let last = self.last.load(Ordering::Relaxed);
        let since = Duration::from_micros(self.now().saturating_sub(last));
        self.open.load(Ordering::Relaxed) > 0 || (last > 0 && since <= within)
    }
}

impl Guest {
    /// This one is not waited for: as if it had not come.
    pub(crate) fn stand_aside(&self) {
        if !self.aside.swap(true, Ordering::Relaxed) {
            self.company.open.fetch_sub(1, Ordering::Relaxed);
            // Another one that came since stays.
            let _other = self.company.last.compare_exchange(
                self.came,
                self.before,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if !self.aside.load(Ordering::Relaxed) {
            self.company.open.fetch_sub(1, Ordering::Relaxed);
            self.company.last.store(self.company.now(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn who_stands_aside_is_not_there() {
        let company = Company::new();
        assert!(!company.is_there(LONG));
        let bulk = company.enter();
        bulk.stand_aside();
        bulk.stand_aside();
        assert!(!company.is_there(LONG), "as if it had not come");
        let typed = company.enter();
        assert!(company.is_there(Duration::ZERO));
        drop(typed);
        assert!(company.is_there(LONG), "it was there a moment ago");
        drop(bulk);
        assert_eq!(company.open.load(Ordering::Relaxed), 0);
    }
}
