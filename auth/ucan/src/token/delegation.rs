//! Delegations: what an issuer lets an audience do.
//!
//! Source: UCAN Delegation 1.0.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use ipld_core::ipld::Ipld;

use super::{BuildError, DecodeError, Fields, Payload, PayloadMap, Verified, sign};
use crate::command::Command;
use crate::did::Did;
use crate::policy::Policy;
use crate::profile::Profile;
use crate::time::Timestamp;

/// The payload of a delegation.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegation {
    issuer: Did,
    audience: Did,
    subject: Option<Did>,
    command: Command,
    policy: Policy,
    nonce: Vec<u8>,
    meta: Option<BTreeMap<String, Ipld>>,
    not_before: Option<Timestamp>,
    expires: Option<Timestamp>,
}

impl Delegation {
    /// `iss`: who delegates, and signs.
    pub const fn issuer(&self) -> &Did {
        &self.issuer
    }

    /// `aud`: who is delegated to.
    pub const fn audience(&self) -> &Did {
        &self.audience
    }

    /// `sub`: whose authority it is about; `None` (null) is "whatever the link above is about"
    /// and never occurs in tokens read under the strict profile.
    pub const fn subject(&self) -> Option<&Did> {
        self.subject.as_ref()
    }

    /// `cmd`: the command delegated, with all beneath it.
    pub const fn command(&self) -> &Command {
        &self.command
    }

    /// `pol`: what the arguments must satisfy.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// `nonce`: makes otherwise equal delegations differ.
    pub fn nonce(&self) -> &[u8] {
        &self.nonce
    }

    /// `meta`: signed facts that grant nothing.
    pub const fn meta(&self) -> Option<&BTreeMap<String, Ipld>> {
        self.meta.as_ref()
    }

    /// `nbf`: not valid before this time.
    pub const fn not_before(&self) -> Option<Timestamp> {
        self.not_before
    }

    /// `exp`: not valid after this time; `None` is without end.
    pub const fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Begins a delegation about `subject` to `audience`. The nonce must be fresh random bytes,
    /// 12 to 64 of them.
    pub fn build(subject: Did, audience: Did, command: Command, nonce: &[u8]) -> DelegationBuilder {
        DelegationBuilder {
            audience,
            subject: Some(subject),
            command,
            policy: Policy::any_args(),
            nonce: nonce.to_vec(),
            meta: None,
            not_before: None,
            expires: None,
        }
    }
}

impl Payload for Delegation {
    const TAG: &'static str = "ucan/dlg@1.0.0";

    fn issuer(&self) -> &Did {
        &self.issuer
    }

    fn read(mut fields: Fields, profile: Profile) -> Result<Self, DecodeError> {
        let delegation = Self {
            issuer: fields.did("iss")?,
            audience: fields.did("aud")?,
            subject: fields.nullable_did("sub")?,
            command: fields.command(profile)?,
            policy: Policy::from_ipld(&fields.required("pol")?, profile)?,
            nonce: fields.nonce(profile)?,
            meta: fields.optional_map("meta")?,
            not_before: fields.optional_time("nbf")?,
            expires: fields.nullable_time("exp")?,
        };
        fields.finish()?;
        if profile.is_strict() {
            match (delegation.subject, delegation.not_before, delegation.expires) {
                (None, _, _) => return Err(DecodeError::Null { field: "sub" }),
                (_, None, _) => return Err(DecodeError::Missing { field: "nbf" }),
                (_, _, None) => return Err(DecodeError::Null { field: "exp" }),
                (_, Some(from), Some(to)) if from > to => return Err(DecodeError::NeverValid),
                _ => {}
            }
        }
        Ok(delegation)
    }
}

/// A delegation being written; see [`Delegation::build`].
#[derive(Debug, Clone)]
pub struct DelegationBuilder {
    audience: Did,
    subject: Option<Did>,
    command: Command,
    policy: Policy,
    nonce: Vec<u8>,
    meta: Option<BTreeMap<String, Ipld>>,
    not_before: Option<Timestamp>,
    expires: Option<Timestamp>,
}

impl DelegationBuilder {
    /// Sets the policy; without one every argument is accepted.
    #[must_use]
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the time before which the delegation is not valid.
    #[must_use]
    pub const fn not_before(mut self, at: Timestamp) -> Self {
        self.not_before = Some(at);
        self
    }

    /// Sets the time after which the delegation is not valid; without one it has no end.
    #[must_use]
    pub const fn expires(mut self, at: Timestamp) -> Self {
        self.expires = Some(at);
        self
    }

    /// Adds a signed fact that grants nothing.
    #[must_use]
    pub fn meta(mut self, key: &str, value: Ipld) -> Self {
        self.meta.get_or_insert_default().insert(key.to_owned(), value);
        self
    }

    /// Makes the subject null: whatever the issuer was delegated, for any subject (powerline).
    #[must_use]
    pub const fn any_subject(mut self) -> Self {
        self.subject = None;
        self
    }

    /// Signs the delegation; the issuer is the owner of `key`.
    ///
    /// # Errors
    /// [`BuildError`] when the token would be refused by a reader in this profile.
    pub fn sign(self, key: &SigningKey, profile: Profile) -> Result<Verified<Delegation>, BuildError> {
        let mut payload = PayloadMap::default();
        payload.put_text("iss", Did::from(key));
        payload.put_text("aud", self.audience);
        payload.put("sub", self.subject.map_or(Ipld::Null, |did| Ipld::String(did.to_string())));
        payload.put_text("cmd", &self.command);
        payload.put("pol", self.policy.to_ipld());
        payload.put("nonce", Ipld::Bytes(self.nonce));
        payload.put_some("meta", self.meta.map(Ipld::Map));
        payload.put_some("nbf", self.not_before.map(seconds));
        payload.put("exp", self.expires.map_or(Ipld::Null, seconds));
        sign(payload, key, profile)
    }
}

pub(crate) fn seconds(at: Timestamp) -> Ipld {
    Ipld::Integer(at.as_secs().into())
}
