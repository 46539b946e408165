//! Why a chain, or a request under it, is refused.

use clankers_protocol::{CidDigest, Timestamp, refusal::RefusalCode};
use ucan::{ChainError, Cid, ContainerError, InvocationError, RevocationError, SignatureError};

use crate::standing::Unreadable;

/// Why not. The whole of it is for the local log; the peer is told [`Denial::code`] and no more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Denial {
    /// Steps 0 and 1: the container or a token in it is malformed, too large or too much.
    #[error("{0}")]
    Malformed(#[from] ContainerError),
    /// Steps 2 to 6: the chain does not hold together, hold now, or cover the request.
    #[error("{}", in_words(.0))]
    Chain(#[from] ChainError),
    /// Step 3: the chain is about another node.
    #[error("the token is for another node ({0}), not for this one")]
    WrongNode(String),
    /// Step 6: a shell can leave every path, so no link that speaks of paths allows it.
    #[error(
        "the token is limited to paths, and a shell cannot be kept to them; ask for a token without a path"
    )]
    ShellUnderPathScope,
    /// Step 6: the token was passed on further than one of its links allows.
    #[error("the token was passed on further than it says that it may be")]
    Depth,
    /// Step 7: somebody did not sign what stands in their name.
    #[error("{0}")]
    Signature(#[from] SignatureError),
    /// Step 8: a link was revoked by its issuer, or by one above it.
    #[error("the delegation {} was revoked", Cid::from_digest(.0.0))]
    Revoked(CidDigest),
    /// Step 8: whether a link was revoked is not known any more: the clock was later than its end once, and what had been
    /// revoked of what was over by then was forgotten. The number of the link, and its end.
    #[error(
        "link {0} ends at {1}, but the node's clock was later than that before it was put right, and the node forgot then \
         which such delegations had been revoked; one that ends later is of use, or its owner begins anew: \
         'clankers token revoke --all' there withdraws every token that it gave"
    )]
    Forgotten(usize, String),
    /// Steps 8 and 9: what was revoked or used cannot be read, so nothing is allowed.
    #[error("the node cannot read its records of authority: {0}")]
    Unreadable(String),
    /// Step 9: a budget of a link is used up, or too small for this.
    #[error("{0}")]
    Budget(Budget),
    /// Step 9: too much at a time for a link.
    #[error("{0}")]
    Rate(Rate),
    /// An invocation is not one of this node's, or no longer valid.
    #[error("{}", invocation_in_words(.0))]
    Invocation(#[from] InvocationError),
    /// An invocation ends too late, or says what no request of this version says.
    #[error("the invocation {0}")]
    InvocationForm(&'static str),
    /// An invocation was carried out before.
    #[error("the invocation was carried out before; make a new one")]
    Replayed,
    /// A revocation revokes nothing.
    #[error("{0}")]
    Revocation(#[from] RevocationError),
    /// A revocation about a team below somebody who is no admin: nobody is a member by such a link.
    #[error("{0} is no admin of the team, so nobody is a member by what comes from it")]
    NotAdmin(String),
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

/// What is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Budget {
    /// Money.
    #[error("the token's budget of money does not cover this; ask for a new token")]
    Money,
    /// Tokens of models.
    #[error("the token's budget of model tokens does not cover this; ask for a new token")]
    Tokens,
    /// Content of files that comes to the node.
    #[error("the token's total of files does not cover this; send less, or ask for a new token")]
    Bytes,
}

/// What is too much at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rate {
    /// Prompts per minute.
    #[error("the token allows no more prompts in this minute; try again later")]
    PerMinute,
    /// Prompts at the same time.
    #[error("the token allows no more prompts at the same time; wait for one to end")]
    Concurrent,
}

impl From<Unreadable> for Denial {
    fn from(Unreadable(why): Unreadable) -> Self {
        Self::Unreadable(why)
    }
}

impl Denial {
    /// What the peer is told.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        match self {
            Self::Malformed(ContainerError::TooLarge { .. }) => RefusalCode::TooLarge,
            Self::Malformed(_) | Self::Signature(_) | Self::Replayed | Self::Revocation(_) => {
                RefusalCode::BadToken
            }
            Self::WrongNode(_) => RefusalCode::WrongNode,
            Self::Revoked(_) => RefusalCode::Revoked,
            Self::Forgotten(..) => RefusalCode::Expired,
            Self::Unreadable(_) => RefusalCode::NodeTrouble,
            Self::Budget(Budget::Bytes) => RefusalCode::Quota,
            Self::Budget(_) => RefusalCode::OverBudget,
            Self::Rate(_) => RefusalCode::RateLimited,
            Self::ShellUnderPathScope | Self::Depth => RefusalCode::Unauthorized,
            Self::NotAdmin(_) | Self::NoProof | Self::UnknownLeaf | Self::OwnerOnly => {
                RefusalCode::Unauthorized
            }
            Self::InvocationForm(_) => RefusalCode::BadToken,
            Self::Invocation(error) => match error {
                InvocationError::Expired { .. } => RefusalCode::Expired,
                InvocationError::NotForMe { .. } => RefusalCode::WrongNode,
                InvocationError::Chain(error) => chain_code(error),
                _ => RefusalCode::BadToken,
            },
            Self::Chain(error) => chain_code(error),
        }
    }
}

/// The same words, with times that people can read.
fn in_words(error: &ChainError) -> String {
    match error {
        ChainError::NotYetValid { link, not_before } => {
            format!("link {link} is not valid before {}", time(*not_before))
        }
        ChainError::Expired { link, expired } => {
            format!("link {link} expired at {}; ask for a new delegation", time(*expired))
        }
        ChainError::BeforeEpoch { link, epoch } => {
            format!("link {link} was issued before {}, and all such delegations were withdrawn", time(*epoch))
        }
        other => other.to_string(),
    }
}

fn invocation_in_words(error: &InvocationError) -> String {
    match error {
        InvocationError::Chain(error) => in_words(error),
        InvocationError::Expired { expired } => {
            format!("the invocation expired at {}; make a new one", time(*expired))
        }
        other => other.to_string(),
    }
}

fn time(at: ucan::Timestamp) -> String {
    Timestamp::from_secs(at.as_secs()).rfc3339()
}

fn chain_code(error: &ChainError) -> RefusalCode {
    match error {
        ChainError::Expired { .. } => RefusalCode::Expired,
        ChainError::NotYetValid { .. } => RefusalCode::NotYetValid,
        ChainError::BeforeEpoch { .. } => RefusalCode::Revoked,
        ChainError::WrongAudience { .. } => RefusalCode::WrongAudience,
        ChainError::CommandNotCovered { .. } | ChainError::Policy { .. } => RefusalCode::Unauthorized,
        _ => RefusalCode::BadToken,
    }
}

#[cfg(test)]
mod tests {
    use super::{ChainError, Denial, InvocationError};

    #[test]
    fn times_are_said_so_that_people_can_read_them() {
        let at = ucan::Timestamp::from_secs(1_800_000_000).unwrap();
        for (denial, words) in [
            (Denial::from(ChainError::NotYetValid { link: 0, not_before: at }), "link 0 is not valid before"),
            (ChainError::Expired { link: 1, expired: at }.into(), "link 1 expired at"),
            (ChainError::BeforeEpoch { link: 2, epoch: at }.into(), "link 2 was issued before"),
            (
                InvocationError::Chain(ChainError::Expired { link: 3, expired: at }).into(),
                "link 3 expired at",
            ),
            (InvocationError::Expired { expired: at }.into(), "the invocation expired at"),
        ] {
            let text = denial.to_string();
            assert!(text.starts_with(words) && text.contains(" 2027-01-15T08:00:00Z"), "{text}");
        }
    }
}
