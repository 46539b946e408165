//! Prompts that run now, by link. In memory: after a restart none is running.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_protocol::CidDigest;

/// How many run under each link.
#[derive(Debug, Default, Clone)]
pub(crate) struct RunningCounts(Arc<Mutex<HashMap<CidDigest, u64>>>);

/// A prompt counts as running as long as this is there.
#[derive(Debug)]
#[must_use = "the prompt counts as running only as long as this is kept"]
pub struct Running {
    counts: RunningCounts,
    cids: Vec<CidDigest>,
}

impl RunningCounts {
    fn lock(&self) -> MutexGuard<'_, HashMap<CidDigest, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn of(&self, cid: &CidDigest) -> u64 {
        self.lock().get(cid).copied().unwrap_or(0)
    }

    pub(super) fn begin(&self, cids: &[CidDigest]) -> Running {
        let mut cids = cids.to_vec();
        cids.sort_unstable();
        cids.dedup();
        let mut counts = self.lock();
        for cid in &cids {
            let count = counts.entry(*cid).or_default();
            *count = count.saturating_add(1);
        }
        drop(counts);
        Running { counts: self.clone(), cids }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        for cid in &self.cids {
            if let Some(count) = counts.get_mut(cid) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.remove(cid);
                }
            }
        }
    }
}
