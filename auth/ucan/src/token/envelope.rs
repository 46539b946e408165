//! The envelope of every UCAN: `[signature, {"h": varsig, tag: payload}]`.
//!
//! Source: UCAN 1.0, "Envelope"; Varsig 1.0.

use std::collections::BTreeMap;

use ipld_core::ipld::Ipld;

use super::DecodeError;
use crate::codec;
use crate::profile::Profile;

/// Varsig 1.0 header: prefix 0x34, version 1, EdDSA (0xed) on curve Ed25519 (0xed) with SHA-512
/// (0x13), payload encoding DAG-CBOR (0x71); all as unsigned varints.
pub(crate) const VARSIG: [u8; 8] = [0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71];
/// The key of the varsig header.
pub(crate) const HEADER_KEY: &str = "h";
/// Bytes in front of the signed map: list of two, byte string of 64, the signature.
pub(crate) const SIGNED_FROM: usize = 1 + 2 + 64;

/// An envelope taken apart.
pub(super) struct Envelope {
    pub(super) payload: BTreeMap<String, Ipld>,
    pub(super) signature: [u8; 64],
    pub(super) signed_from: usize,
}

/// Takes a token of this tag apart.
pub(super) fn open(bytes: &[u8], tag: &'static str, profile: Profile) -> Result<Envelope, DecodeError> {
    let Ipld::List(parts) = codec::decode(bytes, &profile.bounds())? else {
        return Err(DecodeError::EnvelopeShape);
    };
    let found = parts.len();
    let [Ipld::Bytes(signature), Ipld::Map(signed)] =
        <[Ipld; 2]>::try_from(parts).map_err(|_| DecodeError::EnvelopeLength { found })?
    else {
        return Err(DecodeError::EnvelopeShape);
    };
    let payload = payload(signed, tag)?;
    let found = signature.len();
    let signature = signature.try_into().map_err(|_| DecodeError::SignatureLength { found })?;
    // In canonical encoding the position follows from the length of the signature.
    Ok(Envelope { payload, signature, signed_from: SIGNED_FROM })
}

/// The tag of a token, read without checking the payload: for dispatch only.
pub(crate) fn peek_tag(bytes: &[u8], profile: Profile) -> Result<String, DecodeError> {
    match codec::decode(bytes, &profile.bounds())? {
        Ipld::List(parts) => match parts.into_iter().nth(1) {
            Some(Ipld::Map(signed)) => {
                signed.into_keys().find(|key| key != HEADER_KEY).ok_or(DecodeError::NoPayload)
            }
            _ => Err(DecodeError::EnvelopeShape),
        },
        _ => Err(DecodeError::EnvelopeShape),
    }
}

fn payload(
    mut signed: BTreeMap<String, Ipld>,
    tag: &'static str,
) -> Result<BTreeMap<String, Ipld>, DecodeError> {
    match signed.remove(HEADER_KEY) {
        Some(Ipld::Bytes(header)) if header == VARSIG => {}
        Some(_) => return Err(DecodeError::WrongVarsig),
        None => return Err(DecodeError::NoVarsig),
    }
    if signed.len() > 1 {
        return Err(DecodeError::ManyPayloads);
    }
    match signed.pop_first() {
        None => Err(DecodeError::NoPayload),
        Some((found, _)) if found != tag => {
            Err(DecodeError::WrongTag { found: found.chars().take(40).collect(), expected: tag })
        }
        Some((_, Ipld::Map(payload))) => Ok(payload),
        Some(_) => Err(DecodeError::PayloadShape),
    }
}
