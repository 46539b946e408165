//! Invocations: a request to carry out a command, signed by whoever asks.
//!
//! Source: UCAN Invocation 1.0.

mod validate;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use ipld_core::ipld::Ipld;

pub use validate::InvocationError;

use super::delegation::seconds;
use super::{BuildError, DecodeError, Fields, Payload, PayloadMap, Verified, sign};
use crate::cid::Cid;
use crate::command::Command;
use crate::did::Did;
use crate::limits::CHAIN_LINKS;
use crate::profile::Profile;
use crate::revocation::REVOKE_COMMAND;
use crate::time::Timestamp;

/// The payload of an invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct Invocation {
    issuer: Did,
    subject: Did,
    audience: Option<Did>,
    command: Command,
    args: Ipld,
    proofs: Vec<Cid>,
    meta: Option<BTreeMap<String, Ipld>>,
    nonce: Vec<u8>,
    expires: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    cause: Option<Cid>,
}

impl Invocation {
    /// `iss`: who asks, and signs.
    pub const fn issuer(&self) -> &Did {
        &self.issuer
    }

    /// `sub`: whose authority is used.
    pub const fn subject(&self) -> &Did {
        &self.subject
    }

    /// `aud`: who is to carry it out, when that is not the subject.
    pub const fn audience(&self) -> Option<&Did> {
        self.audience.as_ref()
    }

    /// Who is to carry it out: the audience, or the subject when there is none.
    pub fn executor(&self) -> &Did {
        self.audience.as_ref().unwrap_or(&self.subject)
    }

    /// `cmd`: what is asked.
    pub const fn command(&self) -> &Command {
        &self.command
    }

    /// `args`: the arguments, always a map.
    pub const fn args(&self) -> &Ipld {
        &self.args
    }

    /// `prf`: the delegations that prove the right to ask, root first.
    pub fn proofs(&self) -> &[Cid] {
        &self.proofs
    }

    /// `meta`: signed facts that ask for nothing.
    pub const fn meta(&self) -> Option<&BTreeMap<String, Ipld>> {
        self.meta.as_ref()
    }

    /// `nonce`: makes otherwise equal invocations differ.
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// `exp`: not valid after this time; `None` is without end.
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// `iat`: when the issuer says that it was made. Not to be trusted.
    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `cause`: the receipt that led to this invocation.
    pub const fn cause(&self) -> Option<&Cid> {
        self.cause.as_ref()
    }

    /// Begins an invocation of `command` on `subject`. The nonce must be fresh random bytes, 12 to
    /// 64 of them.
    pub fn build(subject: Did, command: Command, nonce: &[u8]) -> InvocationBuilder {
        InvocationBuilder {
            subject,
            audience: None,
            command,
            args: BTreeMap::new(),
            proofs: Vec::new(),
            meta: None,
            nonce: nonce.to_vec(),
            expires: None,
            issued_at: None,
            cause: None,
        }
    }
}

impl Payload for Invocation {
    const TAG: &'static str = "ucan/inv@1.0.0";

    fn issuer(&self) -> &Did {
        &self.issuer
    }

    fn read(mut fields: Fields, profile: Profile) -> Result<Self, DecodeError> {
        let invocation = Self {
            issuer: fields.did("iss")?,
            subject: fields.did("sub")?,
            audience: fields.optional_did("aud")?,
            command: fields.command(profile)?,
            args: match fields.required("args")? {
                args @ Ipld::Map(_) => args,
                _ => return Err(DecodeError::Kind { field: "args", expected: "a map" }),
            },
            proofs: fields.links("prf", CHAIN_LINKS)?,
            meta: fields.optional_map("meta")?,
            nonce: fields.nonce(profile)?,
            expires: fields.nullable_time("exp")?,
            issued_at: fields.optional_time("iat")?,
            cause: fields.optional_link("cause")?,
        };
        fields.finish()?;
        // A revocation holds for ever, so only there an end is not asked for.
        let endless = invocation.expires.is_none();
        if profile.is_strict() && endless && invocation.command.as_str() != REVOKE_COMMAND {
            return Err(DecodeError::Null { field: "exp" });
        }
        Ok(invocation)
    }
}

/// An invocation being written; see [`Invocation::build`].
#[derive(Debug, Clone)]
pub struct InvocationBuilder {
    subject: Did,
    audience: Option<Did>,
    command: Command,
    args: BTreeMap<String, Ipld>,
    proofs: Vec<Cid>,
    meta: Option<BTreeMap<String, Ipld>>,
    nonce: Vec<u8>,
    expires: Option<Timestamp>,
    issued_at: Option<Timestamp>,
    cause: Option<Cid>,
}

impl InvocationBuilder {
    /// Sets who is to carry it out, when that is not the subject.
    #[must_use]
    pub const fn audience(mut self, executor: Did) -> Self {
        self.audience = Some(executor);
        self
    }

    /// Sets one argument.
    #[must_use]
    pub fn arg(mut self, key: &str, value: Ipld) -> Self {
        self.args.insert(key.to_owned(), value);
        self
    }

    /// Sets the delegations that prove the right to ask, root first.
    #[must_use]
    pub fn proofs(mut self, root_first: impl IntoIterator<Item = Cid>) -> Self {
        self.proofs = root_first.into_iter().collect();
        self
    }

    /// Adds a signed fact that asks for nothing.
    #[must_use]
    pub fn meta(mut self, key: &str, value: Ipld) -> Self {
        self.meta.get_or_insert_default().insert(key.to_owned(), value);
        self
    }

    /// Sets the time after which the invocation is not valid.
    #[must_use]
    pub const fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// Sets the time at which the invocation is made.
    #[must_use]
    pub const fn issued_at(mut self, at: Timestamp) -> Self {
        self.issued_at = Some(at);
        self
    }

    /// Sets the receipt that led to this invocation.
    #[must_use]
    pub const fn cause(mut self, receipt: Cid) -> Self {
        self.cause = Some(receipt);
        self
    }

    /// Signs the invocation; the issuer is the owner of `key`.
    ///
    /// # Errors
    /// [`BuildError`] when the token would be refused by a reader in this profile.
    pub fn sign(self, key: &SigningKey, profile: Profile) -> Result<Verified<Invocation>, BuildError> {
        let link = |cid: Cid| Ipld::Link(cid.to_link());
        let mut payload = PayloadMap::default();
        payload.put_text("iss", Did::from(key));
        payload.put_text("sub", self.subject);
        payload.put_some("aud", self.audience.map(|did| Ipld::String(did.to_string())));
        payload.put_text("cmd", &self.command);
        payload.put("args", Ipld::Map(self.args));
        payload.put("prf", Ipld::List(self.proofs.into_iter().map(link).collect()));
        payload.put_some("meta", self.meta.map(Ipld::Map));
        payload.put("nonce", Ipld::Bytes(self.nonce));
        payload.put("exp", self.expires.map_or(Ipld::Null, seconds));
        payload.put_some("iat", self.issued_at.map(seconds));
        payload.put_some("cause", self.cause.map(link));
        sign(payload, key, profile)
    }
}
