//! What a node's owner asks about files: offers that wait, transfers that run or rest, and sending from the node.

use serde::{Deserialize, Serialize};

use super::OnConflict;
use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
    transfer::TransferId,
};

/// How files are sent.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendOptions {
    /// Directory in the receiver's inbox, relative; none means the peer's own.
    pub to: Option<String>,
    /// What to do about names that are taken there.
    pub on_conflict: OnConflict,
    /// Whether links are followed; else they are left out.
    pub follow_links: bool,
    /// Globs of what is left out.
    pub exclude: Vec<String>,
}

/// Send these from here. The owner's own; answered by [`FileSent`] when they are noted, not when they have arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSend {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// To whom: an id, a unique prefix, a label or a ticket.
    pub peer: String,
    /// Absolute paths, each a transfer of its own.
    pub paths: Vec<String>,
    /// How.
    pub options: SendOptions,
    /// What later versions add.
    pub ext: Ext,
}

/// They are noted and will be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSent {
    /// A transfer for each path.
    pub transfers: Vec<TransferId>,
    /// What later versions add.
    pub ext: Ext,
}

/// Number of an `ext` value of [`FileSent`]: a [`NotBegun`], the first of the paths that were not begun while others were.
pub const EXT_NOT_BEGUN: u16 = 1;

/// A path that is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotBegun {
    /// The path as it was asked for.
    pub path: String,
    /// Why, in words.
    pub why: String,
}

/// An `ext` that tells of a path that was not begun, or of none.
#[must_use]
pub fn with_not_begun(one: Option<NotBegun>) -> Ext {
    let fits = |said: &Vec<u8>| said.len() <= limits::EXT_BYTES;
    let said = one.and_then(|one| postcard::to_stdvec(&one).ok().filter(fits));
    Ext(said.map(|said| (EXT_NOT_BEGUN, said)).into_iter().collect())
}

/// The path that an `ext` tells of.
#[must_use]
pub fn not_begun(ext: &Ext) -> Option<NotBegun> {
    postcard::from_bytes(ext.get(EXT_NOT_BEGUN)?).ok()
}

/// Which offers wait? The owner's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Leave out so many (count).
    pub skip: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// An offer that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferInfo {
    /// Names it.
    pub transfer: TransferId,
    /// Who offers.
    pub peer: NodeId,
    /// What the owner calls them.
    pub label: Option<String>,
    /// The root's name.
    pub name: String,
    /// The directory in the inbox that was asked for.
    pub to: Option<String>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Files (count).
    pub files: u32,
    /// Directories (count).
    pub dirs: u32,
    /// Some of the files' paths, beneath the root, and sizes (bytes).
    pub sample: Vec<(String, u64)>,
    /// When it was made.
    pub asked: Timestamp,
    /// Until when it stands.
    pub until: Timestamp,
    /// It was accepted, and its sender is not here to send it.
    pub accepted: bool,
}

/// Some of the offers that wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxListReply {
    /// The offers, oldest first.
    pub offers: Vec<OfferInfo>,
    /// How many there are after these (count).
    pub more: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// The owner's answer to an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxAnswer {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The offer's id, or a unique beginning of it.
    pub offer: String,
    /// Yes or no.
    pub accept: bool,
    /// Accept only these, and what is beneath them: paths beneath the root. None means all.
    pub only: Vec<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer is noted, and told to the sender if it is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboxAnswered {
    /// The offer.
    pub offer: OfferInfo,
    /// What later versions add.
    pub ext: Ext,
}

/// Which way files go, as the node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To the peer.
    Send,
    /// From the peer.
    Receive,
}

/// How a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferState {
    /// Bytes flow.
    Running,
    /// It waits for the receiver's owner.
    Waiting,
    /// It was cut short, and can be resumed.
    Interrupted,
    /// It is whole.
    Done,
    /// It was refused, or some of its files did not arrive.
    Failed,
    /// Somebody cancelled it; it can be resumed.
    Cancelled,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferInfo {
    /// Names it.
    pub transfer: TransferId,
    /// The other side.
    pub peer: NodeId,
    /// What the owner calls it.
    pub label: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// The root's name.
    pub name: String,
    /// Bytes of all files.
    pub bytes: u64,
    /// Of those, bytes that are there.
    pub done_bytes: u64,
    /// Files (count).
    pub files: u32,
    /// How it is.
    pub state: TransferState,
    /// Why it is not done, if something went wrong.
    pub error: Option<String>,
    /// When something happened to it last.
    pub at: Timestamp,
}

/// Which transfers are there? The owner's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Leave out so many (count).
    pub skip: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// Some of the transfers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferListReply {
    /// The transfers, latest first.
    pub transfers: Vec<TransferInfo>,
    /// How many there are after these (count).
    pub more: u32,
    /// What later versions add.
    pub ext: Ext,
}

/// What the owner does to a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TransferChange {
    /// Stop it; what arrived stays.
    Cancel,
    /// Go on with it: one that this node sends.
    Resume,
    /// Stop it, and remove its record and what is not whole.
    Forget,
}

/// Change a transfer. The owner's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferEdit {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The transfer's id, or a unique beginning of it.
    pub transfer: String,
    /// What is to happen.
    pub change: TransferChange,
    /// What later versions add.
    pub ext: Ext,
}

/// It was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferEdited {
    /// How it is now.
    pub transfer: TransferInfo,
    /// What later versions add.
    pub ext: Ext,
}

super::super::plain_messages! {
    InboxList = INBOX_LIST;
    TransferList = TRANSFER_LIST;
}

fn optional(text: Option<&String>) -> usize {
    text.map_or(0, String::len)
}

impl OfferInfo {
    fn check(&self) -> Result<(), MessageError> {
        within("name", self.name.len(), limits::TRANSFER_PART_BYTES)?;
        within("label", optional(self.label.as_ref()), limits::LABEL_BYTES)?;
        within("to", optional(self.to.as_ref()), limits::PATH_BYTES)?;
        within("sample", self.sample.len(), limits::OFFER_SAMPLE)?;
        self.sample.iter().try_for_each(|(path, _)| within("path", path.len(), limits::PATH_BYTES))
    }
}

impl TransferInfo {
    fn check(&self) -> Result<(), MessageError> {
        within("name", self.name.len(), limits::TRANSFER_PART_BYTES)?;
        within("label", optional(self.label.as_ref()), limits::LABEL_BYTES)?;
        within("error", optional(self.error.as_ref()), limits::REFUSAL_TEXT_BYTES)
    }
}

impl Message for FileSend {
    const KIND: Kind = Kind::FILE_SEND;

    fn check(&self) -> Result<(), MessageError> {
        within("peer", self.peer.len(), limits::PATH_BYTES)?;
        within("paths", self.paths.len(), limits::PAGE_ENTRIES)?;
        self.paths.iter().try_for_each(|path| within("path", path.len(), limits::PATH_BYTES))?;
        within("to", optional(self.options.to.as_ref()), limits::PATH_BYTES)?;
        within("globs", self.options.exclude.len(), limits::PAGE_ENTRIES)?;
        self.options.exclude.iter().try_for_each(|glob| within("glob", glob.len(), limits::PATH_BYTES))?;
        self.ext.check()
    }
}

impl Message for FileSent {
    const KIND: Kind = Kind::FILE_SENT;

    fn check(&self) -> Result<(), MessageError> {
        within("transfers", self.transfers.len(), limits::PAGE_ENTRIES)?;
        self.ext.check()
    }
}

impl Message for InboxListReply {
    const KIND: Kind = Kind::INBOX_LIST_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("offers", self.offers.len(), limits::PAGE_ENTRIES)?;
        self.offers.iter().try_for_each(OfferInfo::check)?;
        self.ext.check()
    }
}

impl Message for InboxAnswer {
    const KIND: Kind = Kind::INBOX_ANSWER;

    fn check(&self) -> Result<(), MessageError> {
        within("offer", self.offer.len(), limits::SELECTOR_BYTES)?;
        within("paths", self.only.len(), limits::PAGE_ENTRIES)?;
        self.only.iter().try_for_each(|path| within("path", path.len(), limits::PATH_BYTES))?;
        self.ext.check()
    }
}

impl Message for InboxAnswered {
    const KIND: Kind = Kind::INBOX_ANSWERED;

    fn check(&self) -> Result<(), MessageError> {
        self.offer.check()?;
        self.ext.check()
    }
}

impl Message for TransferListReply {
    const KIND: Kind = Kind::TRANSFER_LIST_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("transfers", self.transfers.len(), limits::PAGE_ENTRIES)?;
        self.transfers.iter().try_for_each(TransferInfo::check)?;
        self.ext.check()
    }
}

impl Message for TransferEdit {
    const KIND: Kind = Kind::TRANSFER_EDIT;

    fn check(&self) -> Result<(), MessageError> {
        within("transfer", self.transfer.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for TransferEdited {
    const KIND: Kind = Kind::TRANSFER_EDITED;

    fn check(&self) -> Result<(), MessageError> {
        self.transfer.check()?;
        self.ext.check()
    }
}
