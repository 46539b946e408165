//! What the receiver's machine is told, and what it wants done.

use crate::{
    Timestamp,
    refusal::Refusal,
    request::transfer::FileBlock,
    transfer::{
        Cv, Fault, Root,
        receipt::Receipt,
        talk::{End, FromReceiver, FromSender},
    },
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A frame came on the control stream.
    Frame(FromSender),
    /// The owner is asked, until then.
    Wait(Timestamp),
    /// So much of what is here from before was read again: said while it is, so that the sender knows what it waits for.
    Scanned {
        /// How many bytes, in all.
        bytes: u64,
    },
    /// Blocks of a file are here from before, read again and hashed.
    Held {
        /// Which file.
        file: u32,
        /// Blocks and the hashes of what was read.
        blocks: Vec<(u32, Cv)>,
    },
    /// A file of this transfer is here under its final name, from before.
    Whole {
        /// Which.
        file: u32,
        /// Its hash.
        root: Root,
    },
    /// Another file of this size has its name and is to stay.
    Same {
        /// Which.
        file: u32,
        /// The hash of what is there.
        root: Root,
    },
    /// A file is not wanted.
    Decline {
        /// Which.
        file: u32,
    },
    /// The transfer is taken.
    Accept {
        /// The root's final name.
        name: String,
        /// Data streams that are taken (count).
        lanes: u8,
    },
    /// It is refused, or the right to it has ended.
    Refuse(Box<Refusal>),
    /// A block's header came on a data stream.
    Block(FileBlock),
    /// So many bytes of blocks have come in this conversation, those of blocks that are not whole yet counted in: on a slow
    /// link a block takes its time.
    Arriving {
        /// How many bytes, in all.
        bytes: u64,
    },
    /// A block that was taken is hashed, is what its header says, and is written.
    Stored {
        /// Its file.
        file: u32,
        /// Its number.
        block: u32,
    },
    /// A block that was taken is not what its header says.
    Damaged {
        /// Its file.
        file: u32,
        /// Its number.
        block: u32,
    },
    /// A block that was taken cannot be written, and so its file.
    StoreFailed {
        /// Its file.
        file: u32,
        /// Its number.
        block: u32,
        /// Why.
        fault: Fault,
    },
    /// A file cannot land, whatever comes of it.
    Unfit {
        /// Which.
        file: u32,
        /// Why.
        fault: Fault,
    },
    /// So many of the verified bytes survive a crash now.
    Durable {
        /// How many, in all.
        bytes: u64,
    },
    /// A file has its final name.
    Placed {
        /// Which.
        file: u32,
    },
    /// A file that was ready does not get its final name.
    PlaceFailed {
        /// Which.
        file: u32,
        /// Why.
        fault: Fault,
    },
    /// Everything is synced, and the receipt signed.
    Sealed {
        /// The signature.
        signature: Vec<u8>,
    },
    /// The same with a receipt that the shell made: the root got another name at the last moment, or, before the transfer
    /// was accepted, all of it landed long ago and its sender did not hear of it.
    Landed {
        /// The receipt.
        receipt: Box<Receipt>,
        /// The signature.
        signature: Vec<u8>,
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
    /// The manifest is whole and sound: judge it; [`Input::Held`] and its like, then [`Input::Accept`], or
    /// [`Input::Wait`] before, or [`Input::Refuse`].
    Judge,
    /// Send this on the control stream.
    Send(FromReceiver),
    /// Read the block's bytes, hash them, and write them: [`Input::Stored`], [`Input::Damaged`] or
    /// [`Input::StoreFailed`]: exactly one of them.
    Take(FileBlock),
    /// Read the block's bytes and drop them.
    Spurn(FileBlock),
    /// [`next_ready`](super::Receiver::next_ready) has something.
    Ready,
    /// Drop what there is of this file's part.
    Forget(u32),
    /// A file does not arrive.
    FileFailed(u32, Fault),
    /// All is named: set the modes of directories, sync, sign this; [`Input::Sealed`].
    Seal(Box<Receipt>),
    /// Call again with [`Input::Tick`] at this time, if nothing comes before.
    WakeAt(Timestamp),
    /// It is over; nothing else follows.
    Over(End),
}
