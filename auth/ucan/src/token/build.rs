//! Signing: from the fields of a payload to a verified token.

use std::collections::BTreeMap;

use ed25519_dalek::{Signer, SigningKey};
use ipld_core::ipld::Ipld;

use super::envelope::{HEADER_KEY, VARSIG};
use super::{BuildError, Payload, Unverified, Verified};
use crate::codec;
use crate::profile::Profile;

/// The fields of a payload being written.
#[derive(Default)]
pub(crate) struct PayloadMap(BTreeMap<String, Ipld>);

impl PayloadMap {
    pub(crate) fn put(&mut self, field: &str, value: Ipld) {
        self.0.insert(field.to_owned(), value);
    }

    pub(crate) fn put_text(&mut self, field: &str, value: impl ToString) {
        self.put(field, Ipld::String(value.to_string()));
    }

    pub(crate) fn put_some(&mut self, field: &str, value: Option<Ipld>) {
        if let Some(value) = value {
            self.put(field, value);
        }
    }
}

/// Signs a payload. The result is read back under the rules of `profile`, so that nothing is
/// issued that a reader would refuse.
pub(crate) fn sign<T: Payload>(
    payload: PayloadMap,
    key: &SigningKey,
    profile: Profile,
) -> Result<Verified<T>, BuildError> {
    let signed = Ipld::Map(BTreeMap::from([
        (HEADER_KEY.to_owned(), Ipld::Bytes(VARSIG.to_vec())),
        (T::TAG.to_owned(), Ipld::Map(payload.0)),
    ]));
    let signed_bytes = codec::encode(&signed).map_err(BuildError::Encode)?;
    let signature = key.sign(&signed_bytes).to_bytes().to_vec();
    let bytes =
        codec::encode(&Ipld::List(vec![Ipld::Bytes(signature), signed])).map_err(BuildError::Encode)?;
    let token = Unverified::<T>::decode(&bytes, profile)?;
    // Just signed with the issuer's key: the builders set `iss` from the key itself.
    Ok(Verified(token.0))
}
