//! The receiver's shell: judges the manifest, writes blocks beside the async threads, syncs, names, signs.

mod disk;
mod driver;
mod selected;

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
};

use clankers_files::Place;
use clankers_mesh::{Connection, FrameReader, FrameWriter};
use clankers_protocol::{
    NodeId, Timestamp,
    refusal::Refusal,
    request::transfer::{FileOffer, FileReceipt, OnConflict},
    transfer::{
        Fault,
        manifest::{Manifest, ManifestLimits},
    },
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use self::driver::Driver;
pub use self::selected::declined;
use super::{
    Progress, TransferError,
    door::Door,
    lane::{Came, LaneError},
    pool::Pool,
    talk::pumped,
};
use crate::limits::RECEIVE_BUFFERS;

/// What is decided about an offer.
#[derive(Debug)]
pub enum Verdict {
    /// The owner is asked, until then; another verdict follows.
    Wait(Timestamp),
    /// It is taken.
    Take(Box<Taken>),
    /// It is refused.
    Refuse(Box<Refusal>),
}

/// Where and as what an offer is taken.
#[derive(Debug)]
pub struct Taken {
    /// Where it lands.
    pub place: Place,
    /// On whose authority it comes: who goes on with it has to be the same.
    pub principal: String,
    /// A directory beneath the place.
    pub to: Option<String>,
    /// The name that its root gets, if it is not its own.
    pub name: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
    /// Entries that are not wanted: see [`declined`].
    pub declined: BTreeSet<u32>,
    /// Kept with what is unfinished, for those who look at it.
    pub note: serde_json::Value,
    /// Counts what comes, where that is limited. It is dropped once nothing more is written.
    pub meter: Option<Arc<dyn Meter>>,
}

/// Counts the content that comes, for whoever limits it. Its calls block.
pub trait Meter: Send + Sync + std::fmt::Debug {
    /// So many bytes more come, at the most; `had` of them were here before.
    ///
    /// # Errors
    /// What the sender is told, when it is too much.
    fn admit(&self, bytes: u64, had: u64) -> Result<(), Box<Refusal>>;

    /// So many came, and are written.
    fn came(&self, bytes: u64);
}

/// Decides about an offer whose manifest is whole and sound, and tells its verdicts in order.
pub type Judge = Box<
    dyn FnOnce(
            Arc<FileOffer>,
            Arc<Manifest>,
            mpsc::Sender<Verdict>,
        ) -> Pin<Box<dyn Future<Output = ()> + Send>>
        + Send,
>;

/// Who receives, and how.
pub struct Receiving {
    /// The seed of the key of the node that signs the receipt.
    pub seed: Zeroizing<[u8; 32]>,
    /// The node that sends: whose authority it is, for the receipt.
    pub sender: NodeId,
    /// Who is at the other end of the connection.
    pub peer: NodeId,
    /// What is taken at the most in one transfer.
    pub limits: ManifestLimits,
    /// Decides.
    pub judge: Judge,
    door: Door,
    plumbing: Plumbing,
    /// Where the data streams are opened, when that is up to this side.
    dialed: Option<Connection>,
    first: Option<FileOffer>,
}

struct Plumbing {
    pool: Pool,
    came: mpsc::Receiver<Came>,
    /// Bytes of blocks as they come, in all.
    arrived: Arc<AtomicU64>,
    broke: mpsc::Receiver<LaneError>,
    _open: DropGuard,
}

/// What came of it.
#[derive(Debug)]
pub struct Received {
    /// What was signed.
    pub receipt: Box<FileReceipt>,
    /// What was offered.
    pub manifest: Arc<Manifest>,
    /// Files that did not arrive.
    pub bad: Vec<(u32, Fault)>,
}

impl Receiving {
    /// A receiver. `first` is the offer when it was read already; `dialed` the connection when this side dialed it, and so
    /// opens the data streams: else the peer's go to [`Receiving::door`].
    #[must_use]
    pub fn new(
        seed: Zeroizing<[u8; 32]>,
        (sender, peer): (NodeId, NodeId),
        limits: ManifestLimits,
        judge: Judge,
        first: Option<FileOffer>,
        dialed: Option<Connection>,
    ) -> Self {
        let (tell, came) = mpsc::channel(RECEIVE_BUFFERS);
        let (breaks, broke) = mpsc::channel(1);
        let pool = Pool::new(RECEIVE_BUFFERS);
        let arrived = Arc::<AtomicU64>::default();
        let (door, open) = Door::into(pool.clone(), (tell, Arc::clone(&arrived)), breaks);
        let plumbing = Plumbing { pool, came, arrived, broke, _open: open };
        Self { seed, sender, peer, limits, judge, door, plumbing, dialed, first }
    }

    /// Where the data streams go that the peer opens.
    #[must_use]
    pub fn door(&self) -> Door {
        self.door.clone()
    }

    /// Receives: returns when everything is named and signed for, or it is over otherwise. When `ended` comes first the
    /// right to it has ended, and the peer is refused; what arrived is kept.
    ///
    /// # Errors
    /// [`TransferError`].
    pub async fn run(
        self,
        reader: &mut FrameReader,
        writer: &mut FrameWriter,
        now: Timestamp,
        tell: &watch::Sender<Progress>,
        stop: &CancellationToken,
        ended: impl Future<Output = Box<Refusal>>,
    ) -> Result<Received, TransferError> {
        // The last word is this side's: the receipt.
        pumped(reader, writer, true, |mouth, heard| {
            Driver::new(self, now, mouth).run(heard, tell, stop, ended)
        })
        .await
    }
}
