//! What can be wrong with a token's bytes, its signature, or a token to be signed.

use thiserror::Error;

use crate::cid::{Cid, CidError};
use crate::codec::CodecError;
use crate::command::CommandError;
use crate::did::{Did, DidError};
use crate::limits::{STRICT_NONCE_MAX_BYTES, STRICT_NONCE_MIN_BYTES};
use crate::policy::PolicyError;

/// Why bytes are not a token. Each way of being wrong has its own variant.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not canonical DAG-CBOR within bounds.
    #[error("the token is not canonical DAG-CBOR: {0}")]
    Codec(#[from] CodecError),
    /// The envelope is not a list of a signature and a map.
    #[error("the envelope is not a list of a signature and a signed map")]
    EnvelopeShape,
    /// The envelope has more or fewer elements than two.
    #[error("the envelope has {found} elements, it must have two")]
    EnvelopeLength {
        /// Elements found.
        found: usize,
    },
    /// The signature has another length than 64 bytes.
    #[error("the signature has {found} bytes, an Ed25519 signature has 64")]
    SignatureLength {
        /// Bytes found.
        found: usize,
    },
    /// The signed map has no varsig header.
    #[error("the envelope has no varsig header `h`")]
    NoVarsig,
    /// The varsig header is not Ed25519 over DAG-CBOR.
    #[error("the varsig header is not that of Ed25519 over DAG-CBOR; no other signature is supported")]
    WrongVarsig,
    /// The signed map has no payload.
    #[error("the envelope has no payload")]
    NoPayload,
    /// The signed map has more than one payload.
    #[error("the envelope has more than one payload")]
    ManyPayloads,
    /// The payload has another tag than what was asked for.
    #[error("the payload is tagged `{found}`, expected `{expected}`")]
    WrongTag {
        /// The tag found, cut to a readable length.
        found: String,
        /// The tag expected.
        expected: &'static str,
    },
    /// The payload is not a map.
    #[error("the payload is not a map")]
    PayloadShape,
    /// A required field is absent.
    #[error("the field `{field}` is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// A field is present that the payload does not have.
    #[error("the field `{field}` is unknown")]
    UnknownField {
        /// The field, cut to a readable length.
        field: String,
    },
    /// A field is of another kind.
    #[error("the field `{field}` must be {expected}")]
    Kind {
        /// The field.
        field: &'static str,
        /// The kind.
        expected: &'static str,
    },
    /// A field that the strict profile requires to be set is null.
    #[error("the field `{field}` is null, which the strict profile refuses; set it")]
    Null {
        /// The field.
        field: &'static str,
    },
    /// A principal is not an Ed25519 `did:key`.
    #[error("the field `{field}` is not a principal: {source}")]
    Did {
        /// The field.
        field: &'static str,
        /// Why.
        source: DidError,
    },
    /// The command is malformed.
    #[error("the command is malformed: {0}")]
    Command(#[from] CommandError),
    /// The policy is malformed or refused.
    #[error("the policy is not accepted: {0}")]
    Policy(#[from] PolicyError),
    /// A link is not the CID of a token.
    #[error("the field `{field}` holds a link that is not a token's: {source}")]
    Link {
        /// The field.
        field: &'static str,
        /// Why.
        source: CidError,
    },
    /// The nonce is too short or too long for the strict profile.
    #[error(
        "the nonce has {found} bytes; the strict profile takes {STRICT_NONCE_MIN_BYTES} to {STRICT_NONCE_MAX_BYTES}"
    )]
    Nonce {
        /// Bytes found.
        found: usize,
    },
    /// A time is not a whole number of seconds within 53 bits.
    #[error("the field `{field}` is not a whole number of seconds between 0 and 2^53 - 1")]
    Time {
        /// The field.
        field: &'static str,
    },
    /// The token expires before it becomes valid.
    #[error("the token expires before it becomes valid")]
    NeverValid,
    /// More proofs than a chain may have links.
    #[error("the invocation lists {found} proofs, at most {limit} are accepted")]
    TooManyProofs {
        /// Proofs found.
        found: usize,
        /// Proofs allowed.
        limit: usize,
    },
}

/// The issuer did not sign this token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the signature of {cid} is not one of its issuer {issuer}; the token is forged or damaged")]
pub struct SignatureError {
    /// The token.
    pub cid: Cid,
    /// Who should have signed.
    pub issuer: Did,
}

/// Why a token cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The values cannot be encoded (a float that is not finite).
    #[error("the token cannot be encoded: {0}")]
    Encode(CodecError),
    /// The token would be refused by its readers in this profile.
    #[error("the token would be refused when read: {0}")]
    Refused(#[from] DecodeError),
}
