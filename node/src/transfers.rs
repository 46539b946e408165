//! Transfers of files that this node takes part in: which run, where their data streams go, which offers wait.
//!
//! - [`offers`]: offers that wait for the owner
//! - [`cancelled`]: what the owner cancelled of what others send
//! - [`quota`]: whether there is room for what is offered
//! - [`places`]: whose each directory of the inbox is
//! - [`totals`]: what comes under a token that limits it
//! - [`shares`]: how much of the memory for manifests a peer may take
//! - [`detached`]: what the node itself sends, until it is whole

pub(crate) mod cancelled;
pub(crate) mod detached;
pub(crate) mod offers;
pub(crate) mod places;
pub(crate) mod quota;
pub(crate) mod shares;
pub(crate) mod totals;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_client::transfer::{Door, Progress, Records};
use clankers_files::PartId;
use clankers_mesh::Connection;
use clankers_protocol::{
    NodeId, Timestamp,
    request::transfer::keeping::{Direction, TransferInfo, TransferState},
    transfer::TransferId,
};
use tokio::sync::{Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{cancelled::Cancelled, offers::Offers, places::Places, quota::Promises, shares::Shares};
use crate::{
    crowd::Crowd,
    limits::{
        DETACHED_AT_A_TIME, DETACHED_LIGHT_AT_A_TIME, ENTRIES_AT_A_TIME, ENTRIES_PER_PEER, GIVEN_REMEMBERED,
        TRANSFERS_PER_PEER, WALKS_AT_A_TIME,
    },
};

/// All of them.
#[derive(Debug)]
pub(crate) struct Transfers {
    running: Mutex<BTreeMap<u64, Running>>,
    /// How those ended that others fetched, the latest last: nothing else here tells.
    given: Mutex<VecDeque<(TransferInfo, PartId)>>,
    /// By peer.
    pub(crate) crowd: Crowd,
    pub(crate) offers: Offers,
    pub(crate) cancelled: Cancelled,
    pub(crate) places_known: Places,
    pub(crate) records: Records,
    /// What the node itself sends.
    pub(crate) tasks: TaskTracker,
    /// Places for it: others wait.
    pub(crate) places: Semaphore,
    /// The same of small and slow ones.
    pub(crate) light: Semaphore,
    /// Entries of manifests that may be held at a time.
    pub(crate) entries: Arc<Shares>,
    /// Listings of exports that are made at a time: how many entries there are is known after it only.
    pub(crate) walks: Arc<Semaphore>,
    /// Room that transfers which are about to begin have been promised.
    pub(crate) promises: Arc<Promises>,
}

/// One that runs between a peer and this node, on a connection that the peer dialed.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    /// Which connection: data streams of others are not its own.
    connection: usize,
    pub(crate) transfer: TransferId,
    pub(crate) peer: NodeId,
    pub(crate) label: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    pub(crate) began: Timestamp,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) stop: CancellationToken,
    pub(crate) part: PartId,
    door: Door,
}

/// A place among those that run, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Entry {
    all: Arc<Transfers>,
    number: u64,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.lock().remove(&self.number);
    }
}

/// What is known of a transfer when it begins.
#[derive(Debug)]
pub(crate) struct Begins {
    pub(crate) transfer: TransferId,
    pub(crate) peer: NodeId,
    pub(crate) label: Option<String>,
    pub(crate) direction: Direction,
    pub(crate) name: String,
    pub(crate) began: Timestamp,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) stop: CancellationToken,
    /// What it is of, whichever its id.
    pub(crate) part: PartId,
    pub(crate) door: Door,
}

impl Transfers {
    /// With records and offers in this home.
    pub(crate) fn new(home: &std::path::Path) -> Arc<Self> {
        let at = |name: &str| -> PathBuf { home.join(name) };
        Arc::new(Self {
            running: Mutex::default(),
            given: Mutex::default(),
            crowd: Crowd::new(TRANSFERS_PER_PEER),
            offers: Offers::new(at("offers")),
            cancelled: Cancelled::new(at("cancelled")),
            places_known: Places::new(at("places.json")),
            records: Records::new(at("transfers")),
            tasks: TaskTracker::new(),
            places: Semaphore::new(DETACHED_AT_A_TIME),
            light: Semaphore::new(DETACHED_LIGHT_AT_A_TIME),
            entries: Shares::new(ENTRIES_AT_A_TIME, ENTRIES_PER_PEER),
            walks: Arc::new(Semaphore::new(WALKS_AT_A_TIME)),
            promises: Arc::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that one runs; `None` when it does already on this connection.
    pub(crate) fn enter(self: &Arc<Self>, connection: &Connection, begins: Begins) -> Option<Entry> {
        let connection = connection.serial();
        let mut running = self.lock();
        if running.values().any(|one| one.connection == connection && one.transfer == begins.transfer) {
            return None;
        }
        // Whoever comes back has lost the other connection, which may take half a minute to notice: it gives way, and
        // lets go of the parts.
        let before = running.values().filter(|one| {
            one.transfer == begins.transfer && one.peer == begins.peer && one.direction == begins.direction
        });
        before.for_each(|one| one.stop.cancel());
        let number = running.last_key_value().map_or(0, |(last, _)| last.wrapping_add(1));
        let one = Running {
            connection,
            transfer: begins.transfer,
            peer: begins.peer,
            label: begins.label,
            direction: begins.direction,
            name: begins.name,
            began: begins.began,
            progress: begins.progress,
            stop: begins.stop,
            part: begins.part,
            door: begins.door,
        };
        running.insert(number, one);
        Some(Entry { all: Arc::clone(self), number })
    }

    /// Where the data streams of a transfer on this connection go.
    pub(crate) fn door(&self, connection: &Connection, transfer: TransferId) -> Option<Door> {
        let connection = connection.serial();
        let running = self.lock();
        let mut found =
            running.values().filter(|one| one.connection == connection && one.transfer == transfer);
        found.next().map(|one| one.door.clone())
    }

    /// Notes how one ended that a peer fetched; an earlier end of the same is forgotten.
    pub(crate) fn gave(&self, info: TransferInfo, part: PartId) {
        self.forget_given(info.transfer, info.peer);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= GIVEN_REMEMBERED {
            given.pop_front();
        }
        given.push_back((info, part));
    }

    /// How those ended that others fetched.
    pub(crate) fn given(&self) -> Vec<(TransferInfo, PartId)> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Nobody asks for its end any more.
    pub(crate) fn forget_given(&self, transfer: TransferId, peer: NodeId) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|(one, _)| one.transfer != transfer || one.peer != peer);
    }

    /// Those that run.
    pub(crate) fn running(&self) -> Vec<Running> {
        self.lock().values().cloned().collect()
    }
}

impl Running {
    /// How fast it is (bytes in a second), and how many files the receiver has whole (count).
    pub(crate) fn pace(&self) -> (u64, u32) {
        let progress = *self.progress.borrow();
        (progress.rate_bps, u32::try_from(progress.files).unwrap_or(u32::MAX))
    }

    /// As its owner sees it.
    pub(crate) fn info(&self) -> TransferInfo {
        let progress = *self.progress.borrow();
        let waits = matches!(progress.phase, clankers_client::transfer::Phase::Waiting { .. });
        TransferInfo {
            transfer: self.transfer,
            peer: self.peer,
            label: self.label.clone(),
            direction: self.direction,
            name: self.name.clone(),
            bytes: progress.total,
            done_bytes: progress.bytes,
            files: u32::try_from(progress.all_files).unwrap_or(u32::MAX),
            state: match waits {
                // It has only to say so.
                _ if self.stop.is_cancelled() => TransferState::Cancelled,
                true => TransferState::Waiting,
                false => TransferState::Running,
            },
            error: None,
            at: self.began,
        }
    }
}
