//! UCAN 1.0: delegation, invocation, policy, revocation and container; sans-IO.
//!
//! A [UCAN] delegation is a signed statement "I, the issuer, let the audience do this command on
//! this subject, as long as the arguments satisfy this policy". Delegations form a chain from the
//! subject down to whoever acts, and the chain is checked where it is used. This crate implements
//! version 1.0.0 of the specifications (core, delegation, invocation, revocation) for Ed25519
//! `did:key` principals and DAG-CBOR encoding, without a clock, a source of randomness, I/O or
//! async: time and nonces are passed in.
//!
//! The way from bytes to a decision:
//!
//! 1. [`Container`] holds the tokens of one message, bounded in size and number.
//! 2. [`Unverified::decode`] is the only way from bytes to a token. It accepts exactly one
//!    encoding of each token (see [`DecodeError`] for everything that it refuses).
//! 3. [`Chain::order`] puts a set of delegations in the one order from root to leaf.
//! 4. [`Chain`] then offers one method for each question: whose authority is it
//!    ([`Chain::check_subject`]), does each link continue the one above
//!    ([`Chain::check_alignment`]), is it time ([`Chain::check_time`]), is the command covered
//!    ([`Chain::check_command`]), do the policies accept the arguments ([`Chain::check_policy`]),
//!    did the issuers really sign ([`Chain::verify_signatures`]).
//! 5. [`Verified`] is what remains. From foreign bytes it is made only by checking the signature,
//!    or on the caller's word that these very bytes were checked before.
//!
//! Authority only narrows: every link's command and every link's policy must accept the same
//! arguments at the time of use. Nothing compares a child with its parent, so there is no
//! comparison to fool.
//!
//! Two [`Profile`]s: [`Profile::Spec`] accepts all that the specification allows and is what the
//! official fixtures run in; [`Profile::Strict`] is for authority and refuses the parts of the
//! specification which fail open.
//!
//! [UCAN]: https://github.com/ucan-wg/spec

pub mod chain;
mod cid;
mod codec;
mod command;
mod container;
mod did;
pub mod limits;
pub mod policy;
mod profile;
mod revocation;
mod time;
mod token;

pub use crate::chain::{Chain, ChainError, Link, Shown};
pub use crate::cid::{Cid, CidError};
pub use crate::codec::CodecError;
pub use crate::command::{Command, CommandError};
pub use crate::container::{AnyToken, Container, ContainerError, ContainerLimits};
pub use crate::did::{Did, DidError};
pub use crate::policy::{Draft, Literal, Policy, PolicyDenial, PolicyError};
pub use crate::profile::Profile;
pub use crate::revocation::{REVOKE_COMMAND, Revocation, RevocationError};
pub use crate::time::{Timestamp, TimestampError};
pub use crate::token::delegation::{Delegation, DelegationBuilder};
pub use crate::token::invocation::{Invocation, InvocationBuilder, InvocationError};
pub use crate::token::{BuildError, DecodeError, Payload, SignatureError, Unverified, Verified};

/// The data model that arguments, policy literals and metadata are made of (re-exported).
pub use ipld_core::ipld::Ipld;

/// The key that signs tokens (re-exported).
pub use ed25519_dalek::SigningKey;
