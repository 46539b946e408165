//! What the two sides say to each other on the control stream, and how it may end.

use super::manifest::ManifestError;
use crate::{
    kind::Kind,
    message::{Message, MessageError},
    refusal::{Refusal, RefusalCode},
    request::transfer::{
        FileAccept, FileAgain, FileBad, FileCancel, FileCommit, FileDone, FileHave, FileManifest, FileOffer,
        FileProgress, FileReceipt, FileWait,
    },
};

macro_rules! talk {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident($message:ty) = $kind:ident;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant(Box<$message>),)*
        }

        impl $name {
            /// The frame's content; `None` for a kind that this version does not know, to be skipped and counted.
            ///
            /// # Errors
            /// [`MessageError`] when the body is not what its kind promises.
            pub fn decode(kind: Kind, body: &[u8]) -> Result<Option<Self>, MessageError> {
                Ok(Some(match kind {
                    $(Kind::$kind => Self::$variant(Box::new(<$message>::decode(body)?)),)*
                    _ => return Ok(None),
                }))
            }

            /// Kind and body.
            #[must_use]
            pub fn encode(&self) -> (Kind, Vec<u8>) {
                match self {
                    $(Self::$variant(message) => (Kind::$kind, message.encode()),)*
                }
            }
        }

        $(impl From<$message> for $name {
            fn from(message: $message) -> Self {
                Self::$variant(Box::new(message))
            }
        })*
    };
}

talk! {
    /// A frame that the sender of files says.
    FromSender {
        /// The first one.
        Offer(FileOffer) = FILE_OFFER;
        /// More of the manifest.
        Manifest(FileManifest) = FILE_MANIFEST;
        /// Files that were read.
        Done(FileDone) = FILE_DONE;
        /// Files that do not come.
        Bad(FileBad) = FILE_BAD;
        /// I am here.
        Progress(FileProgress) = FILE_PROGRESS;
        /// All is sent.
        Commit(FileCommit) = FILE_COMMIT;
        /// No more.
        Cancel(FileCancel) = FILE_CANCEL;
        /// Instead of an offer: it may not be fetched, or not any more.
        Refusal(Refusal) = REFUSAL;
    }
}

talk! {
    /// A frame that the receiver of files says.
    FromReceiver {
        /// The owner is asked.
        Wait(FileWait) = FILE_WAIT;
        /// This is here already.
        Have(FileHave) = FILE_HAVE;
        /// Send.
        Accept(FileAccept) = FILE_ACCEPT;
        /// These once more.
        Again(FileAgain) = FILE_AGAIN;
        /// These do not arrive.
        Bad(FileBad) = FILE_BAD;
        /// So much arrived.
        Progress(FileProgress) = FILE_PROGRESS;
        /// All is there: the last one.
        Receipt(FileReceipt) = FILE_RECEIPT;
        /// No more.
        Cancel(FileCancel) = FILE_CANCEL;
        /// No; or not any more.
        Refusal(Refusal) = REFUSAL;
    }
}

/// How a transfer's conversation ended. After everything but `Done` it can be begun again, and goes on where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With a receipt; its signature is for the caller to check. Some files may be missing: it says how many.
    Done(Box<FileReceipt>),
    /// The other side refused it, or this one did.
    Refused(Box<Refusal>),
    /// The manifest is not sound: the peer is told so.
    Unsound(ManifestError),
    /// The other side broke the rules of the conversation.
    Broken(String),
    /// Somebody cancelled it.
    Cancelled {
        /// The other side did.
        by_peer: bool,
    },
    /// The other side said nothing for too long, or nothing moved.
    Stalled,
    /// The connection is lost.
    Lost,
}

impl End {
    /// The code with which the other side is told, where it has to be: [`End::Unsound`] and [`End::Broken`] are its
    /// fault.
    #[must_use]
    pub fn code(&self) -> Option<RefusalCode> {
        match self {
            Self::Unsound(ManifestError::TooMany { .. } | ManifestError::TooLarge { .. }) => {
                Some(RefusalCode::TooLarge)
            }
            // It is sound elsewhere: what the owner here takes is less.
            Self::Unsound(ManifestError::TooDeep { .. }) => Some(RefusalCode::Quota),
            Self::Unsound(_) => Some(RefusalCode::Invalid),
            Self::Broken(_) => Some(RefusalCode::Malformed),
            // Whoever is still there has lost the conversation, and may begin it again.
            Self::Stalled | Self::Done(_) | Self::Refused(_) | Self::Cancelled { .. } | Self::Lost => None,
        }
    }
}

/// How far a transfer is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that the receiver has verified, with those from before.
    pub bytes: u64,
    /// Of those, bytes that were there before this conversation.
    pub had: u64,
    /// Bytes of blocks that came to the receiver in this conversation, as far as is known, those of blocks that are not whole
    /// yet counted in.
    pub arrived: u64,
    /// Bytes of all files that are wanted and did not fail.
    pub total: u64,
    /// Files under their final names (count).
    pub files_done: u32,
    /// Files that are wanted and did not fail (count).
    pub files: u32,
    /// Files that failed (count).
    pub bad: u32,
}
