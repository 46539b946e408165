//! What can be wrong with a chain.

use thiserror::Error;

use crate::cid::Cid;
use crate::command::Command;
use crate::did::Did;
use crate::policy::PolicyDenial;
use crate::time::Timestamp;

/// Why a chain of delegations does not grant something. Links are counted from 0 at the root.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChainError {
    /// There is no delegation.
    #[error("there is no delegation; ask the subject for one")]
    Empty,
    /// More links than the limit.
    #[error("the chain has {found} links, at most {limit} are accepted")]
    TooLong {
        /// Links found.
        found: usize,
        /// Links allowed.
        limit: usize,
    },
    /// The same token twice.
    #[error("the delegation {cid} is there twice")]
    Duplicate {
        /// The token.
        cid: Cid,
    },
    /// The delegations run in a circle.
    #[error("the delegations lead from {principal} back to {principal}")]
    Loop {
        /// A principal on the circle.
        principal: Did,
    },
    /// Two delegations by, or to, the same principal.
    #[error("more than one delegation is issued by, or to, {principal}; send only those of one chain")]
    Fork {
        /// The principal.
        principal: Did,
    },
    /// A delegation is not connected with the others: one between is missing, or it is surplus.
    #[error("nothing leads to the delegation that {principal} issued; a link is missing or surplus")]
    Disconnected {
        /// Who issued it.
        principal: Did,
    },
    /// The audience of a link is not the issuer of the next.
    #[error("link {link} is issued by {found}, but the link above it is for {expected}")]
    Misaligned {
        /// The lower link.
        link: usize,
        /// The audience of the upper link.
        expected: Did,
        /// The issuer of the lower link.
        found: Did,
    },
    /// The audience of the leaf is somebody else.
    #[error("the chain ends at {found}, not at {expected}")]
    WrongAudience {
        /// Who presented the chain.
        expected: Did,
        /// The audience of the leaf.
        found: Did,
    },
    /// The root has no subject.
    #[error("the first delegation has no subject; the root must name one")]
    RootWithoutSubject,
    /// The root was not issued by its subject.
    #[error("the first delegation is issued by {issuer}, who is not its subject {subject}")]
    RootNotBySubject {
        /// The issuer of the root.
        issuer: Did,
        /// The subject of the root.
        subject: Did,
    },
    /// A link is about another subject.
    #[error("link {link} is about {found}, not about {expected}")]
    WrongSubject {
        /// The link.
        link: usize,
        /// The subject asked for.
        expected: Did,
        /// The subject found.
        found: Did,
    },
    /// A link has a null subject in the strict profile.
    #[error("link {link} has no subject, which the strict profile refuses")]
    NullSubject {
        /// The link.
        link: usize,
    },
    /// A link is not valid yet.
    #[error("link {link} is not valid before {not_before}")]
    NotYetValid {
        /// The link.
        link: usize,
        /// From when it is.
        not_before: Timestamp,
    },
    /// A link has expired.
    #[error("link {link} expired at {expired}; ask for a new delegation")]
    Expired {
        /// The link.
        link: usize,
        /// When.
        expired: Timestamp,
    },
    /// A link is valid for longer than allowed, or without end.
    #[error("link {link} is valid for more than {limit_seconds} seconds; ask for a shorter one")]
    LivesTooLong {
        /// The link.
        link: usize,
        /// Seconds allowed between `nbf` and `exp`.
        limit_seconds: u64,
    },
    /// A link is older than the time from which delegations are accepted.
    #[error("link {link} was issued before {epoch}, and all such delegations were withdrawn")]
    BeforeEpoch {
        /// The link.
        link: usize,
        /// From when delegations are accepted.
        epoch: Timestamp,
    },
    /// A link's command does not cover what is asked.
    #[error("link {link} grants `{granted}`, which does not cover `{asked}`")]
    CommandNotCovered {
        /// The link.
        link: usize,
        /// Its command.
        granted: Command,
        /// The command asked.
        asked: Command,
    },
    /// A link's policy does not accept the arguments.
    #[error("the policy of link {link} refuses: {denial}")]
    Policy {
        /// The link.
        link: usize,
        /// Why.
        denial: PolicyDenial,
    },
}

impl ChainError {
    /// The name of the error in the official fixtures and other implementations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Misaligned { .. } | Self::WrongAudience { .. } => "InvalidAudience",
            Self::WrongSubject { .. } | Self::NullSubject { .. } => "InvalidSubject",
            Self::NotYetValid { .. } => "TooEarly",
            Self::Expired { .. } => "Expired",
            Self::Policy { .. } => "MatchError",
            _ => "InvalidClaim",
        }
    }
}
