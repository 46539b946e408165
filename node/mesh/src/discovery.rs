//! Peers found on the local network. What is heard is a hint: whoever is dialed must still prove its id.
//!
//! [`record`] reads and writes the TXT record, [`table`] keeps what was heard; both are pure. [`Discovery`] is the
//! handle that the rest of the node holds. Nothing here dials anybody.

mod places;
pub mod record;
pub mod table;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use clankers_protocol::{NodeId, Timestamp};
use tokio::{sync::watch, time::timeout};

pub(crate) use record::OwnRecord;
pub use table::{Discovered, ResolveError};
use table::{Heard, Table};

use crate::peer::is_dialable;

/// What was found on the local network so far, and news of it. Clones share one table.
#[derive(Debug, Clone)]
pub struct Discovery(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    table: Mutex<Table>,
    /// Counts changes; its value means nothing.
    changes: watch::Sender<u64>,
}

impl Discovery {
    pub(crate) fn new(own: NodeId) -> Self {
        Self(Arc::new(Shared { table: Mutex::new(Table::new(own)), changes: watch::Sender::new(0) }))
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Table, Timestamp) -> bool) {
        let changed = change(&mut self.table(), Timestamp::from(SystemTime::now()));
        if changed {
            self.0.changes.send_modify(|n| *n = n.wrapping_add(1));
        }
    }

    /// A record was heard.
    pub(crate) fn heard(&self, heard: Heard) {
        self.change(|table, now| table.heard(now, heard));
    }

    /// A node said goodbye, or its record ran out.
    pub(crate) fn gone(&self, id: NodeId) {
        self.change(|table, _| table.gone(id));
    }

    /// A peer proved its id at this address: no record can push that out, only a goodbye or a dial that fails.
    pub fn reached(&self, id: NodeId, addr: SocketAddr) {
        let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
        if is_dialable(&addr) {
            self.change(|table, _| table.reached(id, addr));
        }
    }

    /// A peer was not reached at any of its addresses.
    pub(crate) fn missed(&self, id: NodeId) {
        self.change(|table, now| table.missed(now, id));
    }

    /// Nothing heard so far is certain to be withdrawn when it ends: it runs out unless heard again.
    pub(crate) fn doubt(&self) {
        self.change(Table::doubt);
    }

    /// Drops what has run out.
    pub(crate) fn sweep(&self) {
        self.change(Table::sweep);
    }

    /// Everyone who is known now, by id.
    #[must_use]
    pub fn list(&self) -> Vec<Discovered> {
        self.table().list().cloned().collect()
    }

    /// The peer with this id, or with the one id that begins so.
    ///
    /// # Errors
    /// [`ResolveError`] when there is none, or more than one.
    pub fn resolve(&self, id_or_prefix: &str) -> Result<Discovered, ResolveError> {
        self.table().resolve(id_or_prefix).cloned()
    }

    /// The addresses of a peer as far as they are known.
    #[must_use]
    pub fn addrs(&self, id: NodeId) -> Vec<SocketAddr> {
        self.table().get(id).map(|d| d.addrs.clone()).unwrap_or_default()
    }

    /// Waits until a peer is known, for at most `limit`.
    pub async fn wait_for(&self, id: NodeId, limit: Duration) -> Option<Discovered> {
        timeout(limit, self.wait_until(id, |_| true)).await.ok()
    }

    /// Waits for addresses of a peer that differ from those already seen.
    pub(crate) async fn addrs_other_than(&self, id: NodeId, seen: &[SocketAddr]) -> Vec<SocketAddr> {
        self.wait_until(id, |d| !d.addrs.is_empty() && d.addrs != seen).await.addrs
    }

    async fn wait_until(&self, id: NodeId, fits: impl Fn(&Discovered) -> bool) -> Discovered {
        // While somebody waits for an id, no flood of other ids can push it out.
        let _wanted = Wanted::new(self.clone(), id);
        let mut changes = self.0.changes.subscribe();
        loop {
            if let Some(found) = self.table().get(id).filter(|d| fits(d)).cloned() {
                return found;
            }
            if changes.changed().await.is_err() {
                // The sender lives in the handle that we hold; were it gone, nothing would ever be found.
                std::future::pending::<()>().await;
            }
        }
    }

    /// News of changes from now on: several between two looks count as one.
    #[must_use]
    pub fn subscribe(&self) -> Changes {
        Changes(self.0.changes.subscribe())
    }
}

/// News that the list has changed.
#[derive(Debug)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Waits for the next change; `None` when discovery is over. Cancel-safe.
    pub async fn next(&mut self) -> Option<()> {
        self.0.changed().await.ok()
    }
}

struct Wanted {
    discovery: Discovery,
    id: NodeId,
}

impl Wanted {
    fn new(discovery: Discovery, id: NodeId) -> Self {
        discovery.table().want(id);
        Self { discovery, id }
    }
}

impl Drop for Wanted {
    fn drop(&mut self) {
        self.discovery.table().unwant(self.id);
    }
}
