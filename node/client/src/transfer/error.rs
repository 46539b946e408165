//! Why a transfer is not done.

use clankers_files::{FilesError, Trouble};
use clankers_protocol::{
    refusal::{ExitKind, RefusalCode},
    transfer::{Fault, manifest::ManifestError, name::NameError, talk::End},
};

use super::RecordError;
use crate::error::ClientError;

/// Why a transfer is not done.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The peer was not reached, or it refused.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The disk here.
    #[error("{0}")]
    Files(#[from] FilesError),
    /// The record of it.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// It is too large, as it is here or as the peer offers it.
    #[error("it cannot be sent: {0}")]
    Manifest(#[from] ManifestError),
    /// The name of what is sent.
    #[error("'{name}' cannot be sent under this name: {error}")]
    Name {
        /// The name, clean.
        name: String,
        /// Why.
        error: NameError,
    },
    /// A path here that is not absolute, or is no text.
    #[error("'{0}' cannot be named: an absolute path in UTF-8 is needed")]
    Path(String),
    /// Somebody wanted no more of it; what arrived is kept.
    #[error("the transfer was cancelled {}; what arrived is kept", if *by_peer { "by the peer" } else { "here" })]
    Cancelled {
        /// The other side did.
        by_peer: bool,
    },
    /// Nothing moved for too long.
    #[error("the transfer stalled: nothing moved for too long; what arrived is kept")]
    Stalled,
    /// The connection broke.
    #[error("the connection broke off; what arrived is kept")]
    Lost,
    /// The peer said something that makes no sense.
    #[error("the peer does not keep to the protocol: {0}")]
    Broken(String),
    /// The receipt is not signed by the receiver.
    #[error("the receipt is not signed by the peer's node: do not rely on it")]
    Signature,
    /// Something in this process ended that should not have.
    #[error("something failed from within: {0}")]
    Within(String),
}

impl TransferError {
    /// Whether another attempt, on a fresh connection, may go on where this one ended.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Stalled | Self::Lost => true,
            Self::Client(ClientError::Refused(refusal)) => {
                matches!(
                    refusal.code(),
                    RefusalCode::Busy | RefusalCode::Stopping | RefusalCode::RateLimited | RefusalCode::Waits
                )
            }
            Self::Client(_) => true,
            _ => false,
        }
    }

    /// Whether the offer stands there until the receiver's owner has answered: there is no sense in another attempt before,
    /// for whoever cannot wait for long.
    #[must_use]
    pub fn waits(&self) -> bool {
        matches!(self, Self::Client(ClientError::Refused(refusal)) if refusal.code() == RefusalCode::Waits)
    }

    /// What a command line exits with.
    #[must_use]
    pub fn exit(&self) -> ExitKind {
        match self {
            Self::Client(ClientError::Refused(refusal)) => refusal.code().exit(),
            Self::Client(ClientError::Closed(_)) => match self.close_exit() {
                Some(exit) => exit,
                None => ExitKind::Unreachable,
            },
            Self::Client(_) | Self::Lost | Self::Stalled => ExitKind::Unreachable,
            Self::Files(error) => match error.kind() {
                Trouble::Vanished => ExitKind::NotFound,
                Trouble::NotSendable | Trouble::BadGlob => ExitKind::Usage,
                Trouble::TooMany => ExitKind::Limit,
                Trouble::Changed | Trouble::Conflict => ExitKind::Failed,
                _ => ExitKind::Machine,
            },
            Self::Record(RecordError::None(_)) => ExitKind::NotFound,
            Self::Record(RecordError::Several(_)) => ExitKind::Usage,
            Self::Record(RecordError::Running(_)) => ExitKind::Failed,
            Self::Record(_) => ExitKind::Machine,
            Self::Manifest(_) => ExitKind::Limit,
            Self::Name { .. } | Self::Path(_) => ExitKind::Usage,
            Self::Cancelled { by_peer: false } => ExitKind::Interrupted,
            Self::Cancelled { by_peer: true } | Self::Broken(_) | Self::Signature => ExitKind::Failed,
            Self::Within(_) => ExitKind::Machine,
        }
    }

    fn close_exit(&self) -> Option<ExitKind> {
        let Self::Client(error) = self else { return None };
        error.close_code().map(clankers_protocol::refusal::CloseCode::exit)
    }
}

/// The fault that a peer is told when the disk here fails for one file.
pub(crate) fn fault(error: &FilesError) -> Fault {
    match error.kind() {
        Trouble::Changed => Fault::SourceChanged,
        Trouble::Vanished => Fault::Vanished,
        Trouble::Unreadable => Fault::Unreadable,
        Trouble::NotSendable => Fault::Name,
        Trouble::NoSpace => Fault::NoSpace,
        Trouble::Corrupt => Fault::Mismatch,
        Trouble::Conflict => Fault::Conflict,
        Trouble::BadPlace => Fault::Unwritable,
        Trouble::TooMany => Fault::Quota,
        _ => Fault::Disk,
    }
}

/// Why a conversation that ended without a receipt did.
pub(crate) fn ended(end: End) -> TransferError {
    match end {
        End::Refused(refusal) => TransferError::Client(ClientError::Refused(refusal)),
        End::Unsound(
            error @ (ManifestError::TooMany { .. }
            | ManifestError::TooLarge { .. }
            | ManifestError::TooDeep { .. }),
        ) => TransferError::Manifest(error),
        End::Unsound(error) => TransferError::Broken(format!("its list of files makes no sense: {error}")),
        End::Cancelled { by_peer } => TransferError::Cancelled { by_peer },
        End::Stalled => TransferError::Stalled,
        End::Broken(why) => TransferError::Broken(why),
        End::Lost | End::Done(_) => TransferError::Lost,
    }
}
