//! Revocations: an issuer takes a delegation back, its own or one that descends from its own.
//!
//! A revocation is an invocation of `/ucan/revoke` with `args = {"ucan": cid}`. Its proofs are
//! the witness: the chain from the root to the revoked delegation, which shows that the revoker
//! issued it or a link above it. Whoever keeps revocations can so refuse those of strangers
//! without storing them. A revocation never ends (`exp` is null) and cannot be taken back.
//!
//! Revocation by a delegate of the issuer (a delegated `/ucan/revoke`) is not supported.
//!
//! Source: UCAN Revocation 1.0.

use ed25519_dalek::SigningKey;
use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::chain::{Chain, ChainError, Link};
use crate::cid::Cid;
use crate::command::{Command, CommandError};
use crate::did::Did;
use crate::profile::Profile;
use crate::time::Timestamp;
use crate::token::delegation::Delegation;
use crate::token::invocation::Invocation;
use crate::token::{BuildError, Verified};

/// The command of a revocation.
pub const REVOKE_COMMAND: &str = "/ucan/revoke";
/// The argument that names the revoked delegation.
const TARGET: &str = "ucan";

/// A signed revocation of one delegation.
#[derive(Debug, Clone, PartialEq)]
pub struct Revocation {
    token: Verified<Invocation>,
    target: Cid,
}

/// Why something is not a revocation, or does not revoke.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The invocation is not of `/ucan/revoke`.
    #[error("the invocation is not of {REVOKE_COMMAND}")]
    Command,
    /// The arguments are not exactly `{"ucan": link}`.
    #[error("the arguments of a revocation are exactly `ucan`, the link of the revoked delegation")]
    Arguments,
    /// The revocation has an end.
    #[error("a revocation never ends; its `exp` must be null")]
    Expires,
    /// The witness does not contain the revoked delegation.
    #[error("the witness does not lead to the revoked delegation {target}")]
    TargetNotInWitness {
        /// The delegation to be revoked.
        target: Cid,
    },
    /// The witness is not the one that the revocation names.
    #[error("the witness is not the chain that the revocation lists as its proofs")]
    OtherWitness,
    /// The revoker has issued neither the delegation nor a link above it.
    #[error("{revoker} has issued neither the delegation nor one above it and cannot revoke it")]
    NotAnIssuer {
        /// Who signed the revocation.
        revoker: Did,
    },
    /// The witness is not a chain of authority.
    #[error("the witness is not a chain from the subject: {0}")]
    Witness(#[from] ChainError),
    /// The revocation cannot be signed.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The command constant is malformed; cannot happen.
    #[error(transparent)]
    Constant(#[from] CommandError),
}

impl Revocation {
    /// Signs the revocation of the link `target` of the chain `witness`. The nonce must be 12 to
    /// 64 bytes.
    ///
    /// # Errors
    /// [`RevocationError`] when `target` is not in the chain or `key` has issued neither it nor a
    /// link above it.
    pub fn sign<L: Link>(
        key: &SigningKey,
        target: &Cid,
        witness: &Chain<L>,
        nonce: &[u8],
        issued_at: Timestamp,
        profile: Profile,
    ) -> Result<Self, RevocationError> {
        let revoker = Did::from(key);
        let path = witness.up_to(target).ok_or(RevocationError::TargetNotInWitness { target: *target })?;
        if !path.may_revoke(target, &revoker) {
            return Err(RevocationError::NotAnIssuer { revoker });
        }
        let subject = *path.root().delegation().issuer();
        let token = Invocation::build(subject, Command::parse(REVOKE_COMMAND)?, nonce)
            .arg(TARGET, Ipld::Link(target.to_link()))
            .proofs(path.cids().copied())
            .issued_at(issued_at)
            .sign(key, profile)?;
        let revocation = Self { token, target: *target };
        revocation.check_path(&path, profile)?;
        Ok(revocation)
    }

    /// Reads a verified invocation as a revocation. Whether its issuer may revoke is a question
    /// to [`Revocation::check_witness`].
    ///
    /// # Errors
    /// [`RevocationError`] when it is another invocation.
    pub fn from_invocation(token: Verified<Invocation>) -> Result<Self, RevocationError> {
        if token.command().as_str() != REVOKE_COMMAND {
            return Err(RevocationError::Command);
        }
        if token.expires().is_some() {
            return Err(RevocationError::Expires);
        }
        let Ipld::Map(args) = token.args() else { return Err(RevocationError::Arguments) };
        let target = match (args.get(TARGET), args.len()) {
            (Some(Ipld::Link(link)), 1) => Cid::try_from(link).map_err(|_| RevocationError::Arguments)?,
            _ => return Err(RevocationError::Arguments),
        };
        Ok(Self { token, target })
    }

    /// The revoked delegation.
    pub const fn target(&self) -> &Cid {
        &self.target
    }

    /// Who revokes.
    pub fn revoker(&self) -> &Did {
        self.token.issuer()
    }

    /// About whose authority the revoked delegation is.
    pub fn subject(&self) -> &Did {
        self.token.subject()
    }

    /// The signed invocation, for storing and sending on.
    pub const fn token(&self) -> &Verified<Invocation> {
        &self.token
    }

    /// Checks that the revoker may revoke: `witness` is the chain that the revocation lists, it
    /// leads from the subject to the revoked delegation, and the revoker issued a link of it.
    /// Expired links do: what matters is who issued them.
    ///
    /// # Errors
    /// [`RevocationError`] for the first condition that does not hold.
    pub fn check_witness(
        &self,
        witness: &Chain<Verified<Delegation>>,
        profile: Profile,
    ) -> Result<(), RevocationError> {
        self.check_path(witness, profile)
    }

    fn check_path<L: Link>(&self, path: &Chain<L>, profile: Profile) -> Result<(), RevocationError> {
        if !path.cids().eq(self.token.proofs()) {
            return Err(RevocationError::OtherWitness);
        }
        if path.leaf().cid() != &self.target {
            return Err(RevocationError::TargetNotInWitness { target: self.target });
        }
        path.check_subject(self.subject(), profile)?;
        path.check_alignment(path.leaf().delegation().audience())?;
        if path.may_revoke(&self.target, self.revoker()) {
            Ok(())
        } else {
            Err(RevocationError::NotAnIssuer { revoker: *self.revoker() })
        }
    }
}
