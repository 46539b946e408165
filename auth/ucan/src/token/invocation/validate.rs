//! Validation of an invocation against the delegations that it names as proofs.

use thiserror::Error;

use super::Invocation;
use crate::chain::{Chain, ChainError};
use crate::cid::Cid;
use crate::did::Did;
use crate::profile::Profile;
use crate::time::Timestamp;
use crate::token::delegation::Delegation;
use crate::token::{DecodeError, SignatureError, Verified};

/// Why an invocation is not to be carried out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvocationError {
    /// The invocation or a proof is malformed.
    #[error("a token is malformed: {0}")]
    Decode(#[from] DecodeError),
    /// The invocation or a proof was not signed by its issuer.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A proof that the invocation names was not found.
    #[error("the proof {cid} is not available; send it along")]
    UnavailableProof {
        /// The proof.
        cid: Cid,
    },
    /// Nobody delegated to the issuer, and it is not the subject itself.
    #[error("{issuer} is not the subject and shows no proof that the subject let it")]
    NoProof {
        /// The issuer.
        issuer: Did,
    },
    /// The invocation has expired.
    #[error("the invocation expired at {expired}; make a new one")]
    Expired {
        /// When, in seconds since 1970.
        expired: Timestamp,
    },
    /// Somebody else is to carry the invocation out.
    #[error("the invocation is addressed to {executor}")]
    NotForMe {
        /// To whom.
        executor: Did,
    },
    /// The proofs do not grant what is asked.
    #[error("the proofs do not grant the invocation: {0}")]
    Chain(#[from] ChainError),
}

impl InvocationError {
    /// The name of the error in the official fixtures and other implementations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Decode(DecodeError::SignatureLength { .. }) | Self::Signature(_) => "InvalidSignature",
            Self::Decode(_) => "MalformedToken",
            Self::UnavailableProof { .. } => "UnavailableProof",
            Self::NoProof { .. } => "InvalidClaim",
            Self::Expired { .. } => "Expired",
            Self::NotForMe { .. } => "InvalidAudience",
            Self::Chain(error) => error.name(),
        }
    }
}

impl Verified<Invocation> {
    /// Checks that the invocation is addressed to `me`.
    ///
    /// # Errors
    /// [`InvocationError::NotForMe`].
    pub fn check_executor(&self, me: &Did) -> Result<(), InvocationError> {
        let executor = *self.executor();
        if executor == *me { Ok(()) } else { Err(InvocationError::NotForMe { executor }) }
    }

    /// Checks everything that the tokens alone can answer: time, proofs, their order, subject,
    /// command and policies. `resolve` finds a verified delegation by its CID.
    ///
    /// Not checked here: whether I am the executor ([`Self::check_executor`]), revocations, and
    /// whether the same invocation was seen before.
    ///
    /// `leeway_seconds` is granted to `nbf` only.
    ///
    /// # Errors
    /// [`InvocationError`] for the first check that fails.
    pub fn validate(
        &self,
        mut resolve: impl FnMut(&Cid) -> Option<Verified<Delegation>>,
        now: Timestamp,
        leeway_seconds: u64,
        profile: Profile,
    ) -> Result<Option<Chain<Verified<Delegation>>>, InvocationError> {
        if let Some(expired) = self.expires().filter(|exp| now > *exp) {
            return Err(InvocationError::Expired { expired });
        }
        if self.proofs().is_empty() {
            return if self.issuer() == self.subject() {
                Ok(None)
            } else {
                Err(InvocationError::NoProof { issuer: *self.issuer() })
            };
        }
        let links = self
            .proofs()
            .iter()
            .map(|cid| {
                // A resolver that answers with another token must not be able to slip it in.
                resolve(cid)
                    .filter(|token| token.cid() == cid)
                    .ok_or(InvocationError::UnavailableProof { cid: *cid })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let chain = Chain::from_root_first(links)?;
        chain.check_alignment(self.issuer())?;
        chain.check_subject(self.subject(), profile)?;
        chain.check_time(now, leeway_seconds)?;
        chain.check_command(self.command())?;
        chain.check_policy(self.args(), profile)?;
        Ok(Some(chain))
    }
}
