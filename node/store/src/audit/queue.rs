//! Who may still wait to be written.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_protocol::NodeId;

use super::row::{AuditRow, Verdict};
use crate::limits;

/// Rows that wait, by whom they are about.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Rows (count).
    all: usize,
    /// Rows of each peer, refusals and allowed ones apart (count).
    of: BTreeMap<(NodeId, bool), usize>,
}

/// A row's place. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: Arc<Queue>,
    whose: (NodeId, bool),
}

/// Whether a row is one of many that are much alike: a request that was allowed, and no tool call, nor about tokens.
fn is_common(row: &AuditRow) -> bool {
    let matters = ["/clankers/tool/", "/clankers/shell/", "/clankers/admin/", "/ucan/", "token"];
    row.verdict == Verdict::Allow && !matters.iter().any(|prefix| row.command.starts_with(prefix))
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for this row; `None`: it is to be dropped.
    pub(super) fn enter(self: &Arc<Self>, row: &AuditRow) -> Option<Waiting> {
        let common = is_common(row);
        let room = if common { limits::AUDIT_QUEUE_COMMON } else { limits::AUDIT_QUEUE };
        // The connection's key, not the principal's: whoever it asks for, it is one that asks. Its common rows must not push
        // out its refusals either.
        let whose = (row.peer, common);
        let mut counts = self.lock();
        let own = counts.of.get(&whose).copied().unwrap_or(0);
        if counts.all >= room || own >= limits::AUDIT_QUEUE_OF_ONE {
            return None;
        }
        counts.all = counts.all.saturating_add(1);
        counts.of.insert(whose, own.saturating_add(1));
        Some(Waiting { queue: Arc::clone(self), whose })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut counts = self.queue.lock();
        counts.all = counts.all.saturating_sub(1);
        if let Some(own) = counts.of.get_mut(&self.whose) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                counts.of.remove(&self.whose);
            }
        }
    }
}
