//! What is wished for, who wishes it, and what came of it.

use std::path::PathBuf;

use clankers_files::{PartId, Place, Skips};
use clankers_protocol::{
    NodeId, Timestamp,
    request::transfer::{OnConflict, left_out::LeftOut},
    transfer::Fault,
};
use zeroize::Zeroizing;

use crate::transfer::KeptReceipt;

/// What is to be sent.
#[derive(Debug, Clone)]
pub struct SendWish {
    /// The peer as it was named.
    pub peer: String,
    /// An absolute path here.
    pub path: PathBuf,
    /// A directory in the peer's inbox.
    pub to: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
    /// Links are followed.
    pub follow_links: bool,
    /// Globs of what is left out.
    pub exclude: Vec<String>,
    /// The node goes on with it, without a command line.
    pub detached: bool,
}

/// What is to be got.
#[derive(Debug, Clone)]
pub struct GetWish {
    /// The peer as it was named.
    pub peer: String,
    /// The peer's path: an export's name, and a path in it.
    pub path: String,
    /// An absolute directory here.
    pub into: PathBuf,
    /// The name that it gets there, instead of its own.
    pub name: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
}

/// Who transfers: one's own node, in whose name receipts are signed.
#[derive(Clone)]
pub struct Us {
    /// The node.
    pub id: NodeId,
    /// The seed of its key.
    pub seed: Zeroizing<[u8; 32]>,
    /// Its own directory, which is not sent along with what lies around it.
    pub home: Option<PathBuf>,
    /// The wall's clock.
    pub now: fn() -> Timestamp,
}

impl std::fmt::Debug for Us {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Us").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A file that did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadPath {
    /// Its path, the root's name in front; clean.
    pub path: String,
    /// Why.
    pub fault: Fault,
}

/// A transfer that came to its end.
#[derive(Debug)]
pub struct Finished {
    /// What the receiver signed.
    pub receipt: KeptReceipt,
    /// Files that did not arrive.
    pub bad: Vec<BadPath>,
    /// What of the source was not sent: links, special files, names that no receiver takes.
    pub skipped: Skips,
    /// What the peer left out of what was got.
    pub left_out: LeftOut,
    /// What is left beside what landed here, once its receipt is recorded.
    pub(in crate::transfer) left: Option<Left>,
}

/// What a place keeps of a transfer that landed, for a sender who has not heard of it.
#[derive(Debug, Clone)]
pub(in crate::transfer) struct Left {
    pub(in crate::transfer) place: Place,
    pub(in crate::transfer) id: PartId,
}

impl Finished {
    /// Whether all of it arrived that was meant to.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bad.is_empty()
            && self.receipt.bad == 0
            && self.left_out.missed == 0
            && self.skipped.missed() == 0
    }
}
