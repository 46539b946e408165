//! Sending and fetching files.
//!
//! ```text
//! control:  FILE_OFFER, FILE_MANIFEST ...           -> FILE_WAIT?, FILE_HAVE ..., FILE_ACCEPT | REFUSAL
//!           FILE_DONE ..., FILE_BAD, FILE_COMMIT    -> FILE_AGAIN, FILE_BAD ..., FILE_RECEIPT
//!           FILE_PROGRESS and FILE_CANCEL both ways
//! data:     FILE_DATA, then FILE_BLOCK and its bytes, again and again
//! ```
//!
//! Whoever fetches says FILE_FETCH on the control stream, and the other side then offers. Data streams are opened by
//! whoever dialed, on the same connection; blocks flow on the half that the sender of the files writes.

pub mod keeping;
pub mod left_out;
pub mod listed;
pub mod moving;
pub mod shown;

use serde::{Deserialize, Serialize};

use crate::{
    CidDigest, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
    transfer::{Cv, FileIdentity, Root, SourceIdentity, TransferId, receipt::Receipt},
};

/// Number of an `ext` value of [`FileFetch`], [`FileSend`](keeping::FileSend) and
/// [`TransferEdit`](keeping::TransferEdit): the sender's blocks are to take no more than
/// so many bytes in a second; eight bytes, the lowest first.
pub const EXT_LIMIT_RATE: u16 = 1;

/// The limit that an `ext` asks for (bytes in a second).
#[must_use]
pub fn limit_rate(ext: &Ext) -> Option<u64> {
    ext.get(EXT_LIMIT_RATE)?.try_into().ok().map(u64::from_le_bytes)
}

/// An `ext` that asks for this limit, or for nothing.
#[must_use]
pub fn with_limit_rate(rate: Option<u64>) -> Ext {
    Ext(rate.map(|rate| (EXT_LIMIT_RATE, rate.to_le_bytes().to_vec())).into_iter().collect())
}

/// What to do when something else has the name already.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnConflict {
    /// Take another: `name (1)`.
    #[default]
    Rename,
    /// Refuse the transfer.
    Refuse,
    /// Replace files that are there, once the new ones are whole; directories are joined.
    Overwrite,
    /// Leave files that are there: those that are the same count as sent, others are in conflict; directories are joined.
    Skip,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A directory.
    Dir,
}

/// One file or directory. Links and special files are not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Index of its directory's entry, which came before; the root, which is the first entry, names itself.
    pub parent: u32,
    /// Its name in that directory; dirty.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes; none in a directory.
    pub size: u64,
    /// Permission bits, as `chmod` counts them; only those of 0o777.
    pub mode: u32,
    /// When it was changed last (nanoseconds since 1970).
    pub mtime_ns: i64,
    /// Says whether it is still the same when the transfer is resumed.
    pub id: FileIdentity,
}

/// I have this for you. Needs `/clankers/file/drop` or `/clankers/file/offer` when it opens a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileOffer {
    /// The chain's leaf; none in answer to a [`FileFetch`].
    pub leaf: Option<CidDigest>,
    /// Names the transfer.
    pub transfer: TransferId,
    /// The root's name: that of the first entry.
    pub name: String,
    /// Says whether it is the same source as before.
    pub source: SourceIdentity,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files (count).
    pub files: u32,
    /// Directories (count).
    pub dirs: u32,
    /// Directory in the receiver's inbox, relative; none means the peer's own.
    pub to: Option<String>,
    /// What to do about names that are taken.
    pub on_conflict: OnConflict,
    /// Data streams that the sender would use (count).
    pub lanes: u8,
    /// The first page of the manifest.
    pub entries: Vec<Entry>,
    /// What later versions add.
    pub ext: Ext,
}

/// A further page of the manifest; as many as it takes until all entries are there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileManifest {
    /// What follows the page before.
    pub entries: Vec<Entry>,
    /// What later versions add.
    pub ext: Ext,
}

/// The receiver's owner is asked; the stream stays open, and the offer stands without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWait {
    /// Until when the offer stands.
    pub until: Timestamp,
    /// What later versions add.
    pub ext: Ext,
}

/// Blocks that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockRange {
    /// The first.
    pub from: u32,
    /// The first after them.
    pub to: u32,
}

/// What the receiver has of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HaveState {
    /// These blocks, read again and hashed: of this transfer, from before.
    Blocks(Vec<BlockRange>),
    /// All of it, under its final name: of this transfer, from before.
    Whole(Root),
    /// A file of this name and size that is not of this transfer: it may be the same.
    Same(Root),
    /// It is not wanted.
    Declined,
}

/// One file in [`FileHave`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaveFile {
    /// Index of its entry.
    pub file: u32,
    /// What there is of it.
    pub state: HaveState,
}

/// What the receiver has already; before [`FileAccept`]. Files that are not named: nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHave {
    /// Files, some with several pages of ranges.
    pub files: Vec<HaveFile>,
    /// What later versions add.
    pub ext: Ext,
}

/// Send what is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAccept {
    /// The root's final name.
    pub name: String,
    /// Data streams that the receiver takes (count).
    pub lanes: u8,
    /// What later versions add.
    pub ext: Ext,
}

/// The first frame of a data stream, by whoever opened it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileData {
    /// Of which transfer on this connection.
    pub transfer: TransferId,
    /// The stream's number in it, from 0.
    pub lane: u8,
    /// What later versions add.
    pub ext: Ext,
}

/// A block; its `len` bytes follow the frame. Frozen without room for more: there is one for each MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBlock {
    /// Index of the file's entry.
    pub file: u32,
    /// Number of the block in it, from 0.
    pub block: u32,
    /// Bytes that follow.
    pub len: u32,
    /// Their hash.
    pub cv: Cv,
}

/// One file in [`FileDone`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneFile {
    /// Index of its entry.
    pub file: u32,
    /// Its hash, of what was read once while it did not change.
    pub root: Root,
}

/// All blocks of these files were read. Only for files of several blocks and those that may be the same: a file of one
/// block is told by its block, an empty one by its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileDone {
    /// The files.
    pub files: Vec<DoneFile>,
    /// What later versions add.
    pub ext: Ext,
}

/// One file in [`FileBad`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadFile {
    /// Index of its entry.
    pub file: u32,
    /// A [`crate::transfer::Fault`]'s number.
    pub fault: u16,
}

/// These files do not arrive; the others go on. Said by either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileBad {
    /// The files.
    pub files: Vec<BadFile>,
    /// What later versions add.
    pub ext: Ext,
}

/// What the receiver had of these was not what the sender has: all their blocks once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileAgain {
    /// Indexes of their entries.
    pub files: Vec<u32>,
    /// What later versions add.
    pub ext: Ext,
}

/// How far a side is, and that it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileProgress {
    /// Bytes verified, what was there from before counted in; by the sender: bytes read.
    pub bytes: u64,
    /// Of those, bytes that a crash does not take; by the sender: 0.
    pub durable: u64,
    /// Bytes of blocks that came in this conversation, those dropped and those of blocks that are not whole yet counted in; by
    /// the sender: 0.
    pub received: u64,
    /// Files under their final names; by the sender: 0.
    pub files: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// Everything is sent, or told to be bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCommit {
    /// What later versions add.
    pub ext: Ext,
}

/// Everything is written, synced and named: the last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileReceipt {
    /// What arrived.
    pub receipt: Receipt,
    /// The receiver's signature over it: Ed25519 of [`Receipt::signing_bytes`].
    pub signature: Vec<u8>,
    /// What later versions add.
    pub ext: Ext,
}

/// No more of this; what arrived stays, and the transfer can be resumed. The last frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCancel {
    /// What later versions add.
    pub ext: Ext,
}

/// Send me this. Needs `/clankers/file/read`. Answered by a [`FileOffer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFetch {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Names the transfer.
    pub transfer: TransferId,
    /// Name of an export, `/`, and the path in it; empty only when names are asked for ([`listed`]).
    pub path: String,
    /// What later versions add.
    pub ext: Ext,
}

super::plain_messages! {
    FileWait = FILE_WAIT;
    FileData = FILE_DATA;
    FileProgress = FILE_PROGRESS;
    FileCommit = FILE_COMMIT;
    FileCancel = FILE_CANCEL;
}

fn check_entries(entries: &[Entry]) -> Result<(), MessageError> {
    within("entries", entries.len(), limits::TRANSFER_PAGE_ENTRIES)?;
    entries.iter().try_for_each(|entry| within("name", entry.name.len(), limits::TRANSFER_PART_BYTES))
}

impl Message for FileOffer {
    const KIND: Kind = Kind::FILE_OFFER;

    fn check(&self) -> Result<(), MessageError> {
        within("name", self.name.len(), limits::TRANSFER_PART_BYTES)?;
        within("to", self.to.as_ref().map_or(0, String::len), limits::PATH_BYTES)?;
        check_entries(&self.entries)?;
        self.ext.check()
    }
}

impl Message for FileManifest {
    const KIND: Kind = Kind::FILE_MANIFEST;

    fn check(&self) -> Result<(), MessageError> {
        check_entries(&self.entries)?;
        self.ext.check()
    }
}

impl Message for FileHave {
    const KIND: Kind = Kind::FILE_HAVE;

    fn check(&self) -> Result<(), MessageError> {
        within("files", self.files.len(), limits::TRANSFER_PAGE_ENTRIES)?;
        let ranges = |file: &HaveFile| match &file.state {
            HaveState::Blocks(ranges) => ranges.len(),
            _ => 0,
        };
        within("ranges", self.files.iter().map(ranges).sum(), limits::TRANSFER_PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for FileAccept {
    const KIND: Kind = Kind::FILE_ACCEPT;

    fn check(&self) -> Result<(), MessageError> {
        within("name", self.name.len(), limits::TRANSFER_PART_BYTES)?;
        self.ext.check()
    }
}

impl Message for FileBlock {
    const KIND: Kind = Kind::FILE_BLOCK;

    fn check(&self) -> Result<(), MessageError> {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        within("block", len, limits::TRANSFER_BLOCK_BYTES)
    }
}

impl Message for FileDone {
    const KIND: Kind = Kind::FILE_DONE;

    fn check(&self) -> Result<(), MessageError> {
        within("files", self.files.len(), limits::TRANSFER_PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for FileBad {
    const KIND: Kind = Kind::FILE_BAD;

    fn check(&self) -> Result<(), MessageError> {
        within("files", self.files.len(), limits::TRANSFER_PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for FileAgain {
    const KIND: Kind = Kind::FILE_AGAIN;

    fn check(&self) -> Result<(), MessageError> {
        within("files", self.files.len(), limits::TRANSFER_PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for FileReceipt {
    const KIND: Kind = Kind::FILE_RECEIPT;

    fn check(&self) -> Result<(), MessageError> {
        within("name", self.receipt.name.len(), limits::TRANSFER_PART_BYTES)?;
        within("signature", self.signature.len(), limits::SIGNATURE_BYTES)?;
        self.ext.check()
    }
}

impl Message for FileFetch {
    const KIND: Kind = Kind::FILE_FETCH;

    fn check(&self) -> Result<(), MessageError> {
        within("path", self.path.len(), limits::PATH_BYTES)?;
        self.ext.check()
    }
}
