//! Why a chain, or a request under it, is refused.

use clankers_protocol::refusal::RefusalCode;
use ucan::{ChainError, ContainerError, SignatureError};

/// Why not. The whole of it is for the local log; the peer is told [`Denial::code`] and no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Steps 0 and 1: the container or a token in it is malformed, too large or too much.
    #[error("{0}")]
    Malformed(#[from] ContainerError),
    /// Steps 2 to 6: the chain does not hold together, hold now, or cover the request.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// Step 3: the chain is about another node.
    #[error("the token is for another node ({0}), not for this one")]
    WrongNode(String),
    /// Step 7: somebody did not sign what stands in their name.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// No chain was shown at all.
    #[error("no token was shown")]
    NoProof,
    /// The request names a leaf that was not shown on this connection.
    #[error("the request names a token that was not shown on this connection")]
    UnknownLeaf,
    /// Only the node's owner may do this.
    #[error("only the owner of the node may do this")]
    OwnerOnly,
}

impl Denial {
    /// What the peer is told.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Malformed(ContainerError::TooLarge { .. }) => RefusalCode::TooLarge,
            Self::Malformed(_) | Self::Signature(_) => RefusalCode::BadToken,
            Self::WrongNode(_) => RefusalCode::WrongNode,
            Self::NoProof | Self::UnknownLeaf | Self::OwnerOnly => RefusalCode::Unauthorized,
            Self::Chain(error) => match error {
                ChainError::Expired { .. } => RefusalCode::Expired,
                ChainError::NotYetValid { .. } => RefusalCode::NotYetValid,
                ChainError::BeforeEpoch { .. } => RefusalCode::Revoked,
                ChainError::WrongAudience { .. } => RefusalCode::WrongAudience,
                ChainError::CommandNotCovered { .. } | ChainError::Policy { .. } => RefusalCode::Unauthorized,
                _ => RefusalCode::BadToken,
            },
        }
    }
}
