//! What the sender's machine is told, and what it wants done.

use crate::{
    CidDigest, Timestamp,
    message::Ext,
    request::transfer::OnConflict,
    transfer::{
        Cv, Fault, FileIdentity, SourceIdentity, TransferId,
        talk::{End, FromReceiver, FromSender},
    },
};

/// What an offer says besides the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferDraft {
    /// The chain's leaf; none in answer to a fetch.
    pub leaf: Option<CidDigest>,
    /// Names the transfer.
    pub transfer: TransferId,
    /// Says whether it is the same source as before.
    pub source: SourceIdentity,
    /// Directory in the receiver's inbox.
    pub to: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
    /// Data streams that would be used (count).
    pub lanes: u8,
    /// What else it says.
    pub ext: Ext,
}

/// One block to read and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Index of the file's entry.
    pub file: u32,
    /// The block in it.
    pub block: u32,
    /// Where it begins (bytes).
    pub offset: u64,
    /// How long it is (bytes).
    pub len: u32,
    /// To be sent on a lane; else the receiver has it, and it is only hashed.
    pub send: bool,
    /// The file is this block: to be seen unchanged after it was read and before it leaves.
    pub check: bool,
    /// What the file was when the manifest was made.
    pub id: FileIdentity,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Begin.
    Start,
    /// A frame came on the control stream.
    Frame(FromReceiver),
    /// A piece was read and hashed.
    Hashed {
        /// Its file.
        file: u32,
        /// Its block.
        block: u32,
        /// Its hash.
        cv: Cv,
    },
    /// A piece's bytes went into a stream (count).
    Written {
        /// How many.
        bytes: u32,
    },
    /// The file was seen unchanged, behind its last block.
    Checked {
        /// Which.
        file: u32,
    },
    /// The file cannot be sent.
    Failed {
        /// Which.
        file: u32,
        /// Why.
        fault: Fault,
    },
    /// No more of this.
    Cancel,
    /// It is time.
    Tick,
    /// The connection is lost.
    Lost,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this on the control stream.
    Send(FromSender),
    /// Send what [`next_page`](super::Sender::next_page) gives until it gives nothing.
    Pages,
    /// [`next_piece`](super::Sender::next_piece) has something.
    Pieces,
    /// All blocks of this file are hashed: see whether it is unchanged; [`Input::Checked`] or [`Input::Failed`].
    Check(u32),
    /// The receiver's owner is asked, until then.
    Waiting(Timestamp),
    /// The receiver takes it.
    Accepted {
        /// The root's final name: safe.
        name: String,
        /// Data streams to open at most (count).
        lanes: u8,
        /// Bytes that it has already.
        had: u64,
    },
    /// A file does not arrive.
    FileFailed(u32, Fault),
    /// Call again with [`Input::Tick`] at this time, if nothing comes before.
    WakeAt(Timestamp),
    /// It is over; nothing else follows.
    Over(End),
}
