//! Taking the fields of a payload out of its map, each exactly once.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use super::DecodeError;
use crate::cid::Cid;
use crate::command::Command;
use crate::did::Did;
use crate::limits::{STRICT_NONCE_MAX_BYTES, STRICT_NONCE_MIN_BYTES};
use crate::profile::Profile;
use crate::time::Timestamp;

/// The fields of a payload that were not taken yet.
pub struct Fields(BTreeMap<String, Ipld>);

impl Fields {
    pub(super) const fn new(map: BTreeMap<String, Ipld>) -> Self {
        Self(map)
    }

    /// Refuses what is left over.
    pub(super) fn finish(self) -> Result<(), DecodeError> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(field) => Err(DecodeError::UnknownField { field: field.chars().take(40).collect() }),
        }
    }

    pub(super) fn optional(&mut self, field: &'static str) -> Option<Ipld> {
        self.0.remove(field)
    }

    pub(super) fn required(&mut self, field: &'static str) -> Result<Ipld, DecodeError> {
        self.0.remove(field).ok_or(DecodeError::Missing { field })
    }

    pub(super) fn did(&mut self, field: &'static str) -> Result<Did, DecodeError> {
        did(field, self.required(field)?)
    }

    pub(super) fn optional_did(&mut self, field: &'static str) -> Result<Option<Did>, DecodeError> {
        self.optional(field).map(|value| did(field, value)).transpose()
    }

    /// A principal or null.
    pub(super) fn nullable_did(&mut self, field: &'static str) -> Result<Option<Did>, DecodeError> {
        match self.required(field)? {
            Ipld::Null => Ok(None),
            value => did(field, value).map(Some),
        }
    }

    pub(super) fn command(&mut self, profile: Profile) -> Result<Command, DecodeError> {
        let Ipld::String(text) = self.required("cmd")? else {
            return Err(DecodeError::Kind { field: "cmd", expected: "a text" });
        };
        let command = Command::parse(&text)?;
        if profile.is_strict() {
            command.check_strict()?;
        }
        Ok(command)
    }

    pub(super) fn nonce(&mut self, profile: Profile) -> Result<Vec<u8>, DecodeError> {
        let Ipld::Bytes(nonce) = self.required("nonce")? else {
            return Err(DecodeError::Kind { field: "nonce", expected: "bytes" });
        };
        let fits = (STRICT_NONCE_MIN_BYTES..=STRICT_NONCE_MAX_BYTES).contains(&nonce.len());
        if profile.is_strict() && !fits {
            return Err(DecodeError::Nonce { found: nonce.len() });
        }
        Ok(nonce)
    }

    /// A map; absent is `None`.
    pub(super) fn optional_map(
        &mut self,
        field: &'static str,
    ) -> Result<Option<BTreeMap<String, Ipld>>, DecodeError> {
        match self.optional(field) {
            None => Ok(None),
            Some(Ipld::Map(map)) => Ok(Some(map)),
            Some(_) => Err(DecodeError::Kind { field, expected: "a map" }),
        }
    }

    pub(super) fn optional_time(&mut self, field: &'static str) -> Result<Option<Timestamp>, DecodeError> {
        self.optional(field).map(|value| time(field, &value)).transpose()
    }

    /// A time or null; the field must be there.
    pub(super) fn nullable_time(&mut self, field: &'static str) -> Result<Option<Timestamp>, DecodeError> {
        match self.required(field)? {
            Ipld::Null => Ok(None),
            value => time(field, &value).map(Some),
        }
    }

    pub(super) fn links(&mut self, field: &'static str, limit: usize) -> Result<Vec<Cid>, DecodeError> {
        let Ipld::List(links) = self.required(field)? else {
            return Err(DecodeError::Kind { field, expected: "a list of links" });
        };
        if links.len() > limit {
            return Err(DecodeError::TooManyProofs { found: links.len(), limit });
        }
        links.iter().map(|value| link(field, value)).collect()
    }

    pub(super) fn optional_link(&mut self, field: &'static str) -> Result<Option<Cid>, DecodeError> {
        self.optional(field).map(|value| link(field, &value)).transpose()
    }
}

fn did(field: &'static str, value: Ipld) -> Result<Did, DecodeError> {
    match value {
        Ipld::String(text) => text.parse().map_err(|source| DecodeError::Did { field, source }),
        _ => Err(DecodeError::Kind { field, expected: "a did:key" }),
    }
}

fn time(field: &'static str, value: &Ipld) -> Result<Timestamp, DecodeError> {
    match value {
        Ipld::Integer(seconds) => Timestamp::from_integer(*seconds).map_err(|_| DecodeError::Time { field }),
        _ => Err(DecodeError::Time { field }),
    }
}

fn link(field: &'static str, value: &Ipld) -> Result<Cid, DecodeError> {
    match value {
        Ipld::Link(link) => Cid::try_from(link).map_err(|source| DecodeError::Link { field, source }),
        _ => Err(DecodeError::Kind { field, expected: "a link" }),
    }
}
