//! Tokens: decoded, not yet verified, verified.

mod build;
pub(crate) mod delegation;
mod envelope;
mod error;
mod fields;
pub(crate) mod invocation;

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::Signature;

use crate::cid::Cid;
use crate::did::Did;
use crate::profile::Profile;

pub(crate) use build::{PayloadMap, sign};
pub(crate) use envelope::peek_tag;
pub use error::{BuildError, DecodeError, SignatureError};
pub(crate) use fields::Fields;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::delegation::Delegation {}
    impl Sealed for super::invocation::Invocation {}
}

/// What a token can hold: a delegation or an invocation.
pub trait Payload: sealed::Sealed + Sized {
    /// The tag of the payload in the envelope, such as `ucan/dlg@1.0.0`.
    const TAG: &'static str;

    /// Who signs it.
    fn issuer(&self) -> &Did;

    #[doc(hidden)]
    fn read(fields: Fields, profile: Profile) -> Result<Self, DecodeError>;
}

/// The parts that both states share. Cloning is cheap but for the payload.
#[derive(Clone)]
struct Inner<T> {
    payload: T,
    bytes: Arc<[u8]>,
    cid: Cid,
    signature: [u8; 64],
    /// Where the signed part begins in `bytes`; it reaches to the end.
    signed_from: usize,
}

/// A token that was decoded and whose signature was **not** checked: its claims are hearsay.
///
/// This is the only type that can be made from bytes. [`Unverified::verify`] yields a
/// [`Verified`]; until then the claims may be looked at to decide cheaply whether checking the
/// signature is worth it.
#[derive(Clone)]
pub struct Unverified<T>(Inner<T>);

/// A token whose issuer has signed these very bytes. Dereferences to its payload.
#[derive(Clone)]
pub struct Verified<T>(Inner<T>);

impl<T: Payload> Unverified<T> {
    /// Decodes one token, which must be the whole of `bytes`.
    ///
    /// Size, nesting and lengths are checked before anything is built. There is exactly one
    /// encoding of each token; all others are refused.
    ///
    /// # Errors
    /// [`DecodeError`], with a variant for every way in which bytes can be wrong.
    pub fn decode(bytes: &[u8], profile: Profile) -> Result<Self, DecodeError> {
        let envelope = envelope::open(bytes, T::TAG, profile)?;
        let payload = T::read(Fields::new(envelope.payload), profile)?;
        Ok(Self(Inner {
            payload,
            bytes: bytes.into(),
            cid: Cid::of(bytes),
            signature: envelope.signature,
            signed_from: envelope.signed_from,
        }))
    }

    /// What the token claims. Nobody has vouched for it yet.
    pub const fn claims(&self) -> &T {
        &self.0.payload
    }

    /// The token's name.
    pub const fn cid(&self) -> &Cid {
        &self.0.cid
    }

    /// The encoded token.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Checks the issuer's signature (`verify_strict`: no small-order keys, S reduced).
    ///
    /// # Errors
    /// [`SignatureError`] when the issuer did not sign these bytes.
    pub fn verify(self) -> Result<Verified<T>, SignatureError> {
        let issuer = *self.0.payload.issuer();
        let failed = SignatureError { cid: self.0.cid, issuer };
        let key = issuer.verifying_key().ok_or(failed)?;
        let signed = self.0.bytes.get(self.0.signed_from..).ok_or(failed)?;
        key.verify_strict(signed, &Signature::from_bytes(&self.0.signature)).map_err(|_| failed)?;
        Ok(Verified(self.0))
    }

    /// Checks the signature unless `already_verified` says that this token's was checked before.
    ///
    /// A CID covers every byte of the token, signature included, so remembering the CIDs of
    /// verified tokens is sound; nothing else may be remembered in their place.
    ///
    /// # Errors
    /// [`SignatureError`] when the issuer did not sign these bytes.
    pub fn verify_unless(
        self,
        already_verified: impl FnOnce(&Cid) -> bool,
    ) -> Result<Verified<T>, SignatureError> {
        if already_verified(&self.0.cid) { Ok(Verified(self.0)) } else { self.verify() }
    }
}

impl<T> Verified<T> {
    /// The token's name.
    pub const fn cid(&self) -> &Cid {
        &self.0.cid
    }

    /// The encoded token.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// What the issuer has signed.
    pub const fn payload(&self) -> &T {
        &self.0.payload
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.payload
    }
}

impl<T: fmt::Debug> fmt::Debug for Unverified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").field("cid", &self.0.cid).field("claims", &self.0.payload).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for Verified<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("cid", &self.0.cid).field("payload", &self.0.payload).finish()
    }
}

impl<T> PartialEq for Unverified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.cid == other.0.cid
    }
}

impl<T> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.cid == other.0.cid
    }
}
