//! Principals: `did:key` of an Ed25519 public key, in its one canonical spelling.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use thiserror::Error;

/// The multicodec `ed25519-pub` (0xed) as an unsigned varint.
const ED25519_PUB: [u8; 2] = [0xed, 0x01];
/// Scheme, method and the multibase letter of base58btc.
const PREFIX: &str = "did:key:z";
/// Length of the whole text: the prefix and 47 characters of base58btc.
const TEXT_BYTES: usize = 56;

/// A principal: the `did:key` of an Ed25519 public key (32 bytes).
///
/// Text and bytes correspond one to one: parsing accepts only the text that [`fmt::Display`]
/// prints. A `Did` says nothing about whether the 32 bytes are a usable curve point; that shows
/// when a signature is verified.
///
/// Source: did:key method, section "Ed25519".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Did([u8; 32]);

/// Why a text is not an Ed25519 `did:key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DidError {
    /// The text does not begin with `did:key:z`.
    #[error("not a did:key in base58btc: it must begin with `did:key:z`; use the principal's did:key")]
    Prefix,
    /// The text has not exactly the length of an Ed25519 did:key.
    #[error("a did:key of an Ed25519 key has 56 characters, this has {found}; check that it is complete")]
    Length {
        /// Bytes of text found.
        found: usize,
    },
    /// A character is not in the base58btc alphabet, or the value has not 34 bytes.
    #[error("the key part of the did:key is not base58btc of 34 bytes; copy it again")]
    Base58,
    /// The key is of another kind than Ed25519.
    #[error("the did:key is not of an Ed25519 key (multicodec 0xed); only those are supported")]
    Multicodec,
    /// The text decodes, but is not the canonical spelling.
    #[error("the did:key is not in its canonical spelling; copy it again")]
    NotCanonical,
}

impl Did {
    /// The `did:key` of these 32 bytes of an Ed25519 public key.
    pub const fn from_bytes(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// The 32 bytes of the public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key, when the bytes are a point of the curve.
    pub(crate) fn verifying_key(&self) -> Option<VerifyingKey> {
        VerifyingKey::from_bytes(&self.0).ok()
    }
}

impl From<[u8; 32]> for Did {
    fn from(key: [u8; 32]) -> Self {
        Self(key)
    }
}

impl From<Did> for [u8; 32] {
    fn from(did: Did) -> Self {
        did.0
    }
}

impl From<&VerifyingKey> for Did {
    fn from(key: &VerifyingKey) -> Self {
        Self(key.to_bytes())
    }
}

impl From<&ed25519_dalek::SigningKey> for Did {
    fn from(key: &ed25519_dalek::SigningKey) -> Self {
        Self(key.verifying_key().to_bytes())
    }
}

impl FromStr for Did {
    type Err = DidError;

    fn from_str(text: &str) -> Result<Self, DidError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(DidError::Prefix)?;
        if text.len() != TEXT_BYTES {
            return Err(DidError::Length { found: text.len() });
        }
        let mut raw = [0u8; 34];
        match bs58::decode(encoded).onto(&mut raw[..]) {
            Ok(34) => {}
            Ok(_) | Err(_) => return Err(DidError::Base58),
        }
        let key = raw.strip_prefix(&ED25519_PUB).ok_or(DidError::Multicodec)?;
        let did = Self(key.try_into().map_err(|_| DidError::Base58)?);
        if did.to_string() == text { Ok(did) } else { Err(DidError::NotCanonical) }
    }
}

impl fmt::Display for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut raw = Vec::with_capacity(34);
        raw.extend_from_slice(&ED25519_PUB);
        raw.extend_from_slice(&self.0);
        write!(f, "{PREFIX}{}", bs58::encode(raw).into_string())
    }
}

impl fmt::Debug for Did {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "ASCII texts cut on purpose")]
mod tests {
    use super::*;

    const BOB: &str = "did:key:z6MkmT9j6fVZqzXV8u2wVVSu49gYSRYGSQnduWXF6foAJrqz";

    fn with_codec(prefix: &[u8], key_len: usize) -> String {
        let mut raw = prefix.to_vec();
        raw.extend(std::iter::repeat_n(7u8, key_len));
        format!("did:key:z{}", bs58::encode(raw).into_string())
    }

    #[test]
    fn text_round_trips() {
        let did: Did = BOB.parse().unwrap();
        assert_eq!(did.to_string(), BOB);
        assert_eq!(Did::from(<[u8; 32]>::from(did)), did);
    }

    #[test]
    fn every_key_has_the_same_length_of_text() {
        for key in [[0u8; 32], [0xff; 32], [1; 32]] {
            let text = Did::from_bytes(key).to_string();
            assert_eq!(text.len(), TEXT_BYTES);
            assert_eq!(text.parse::<Did>().unwrap().as_bytes(), &key);
        }
    }

    #[test]
    fn other_methods_bases_and_fragments_are_refused() {
        for text in ["", "did:key:", "did:web:example.com", "DID:KEY:z6Mk", "did:key:u7QE", "key:z6Mk"] {
            assert_eq!(text.parse::<Did>(), Err(DidError::Prefix), "{text}");
        }
        assert_eq!("did:key:z".parse::<Did>(), Err(DidError::Length { found: 9 }));
        assert!(matches!(format!("{BOB}#{}", &BOB[8..]).parse::<Did>(), Err(DidError::Length { .. })));
        assert!(matches!(format!("{BOB} ").parse::<Did>(), Err(DidError::Length { .. })));
    }

    #[test]
    fn other_kinds_and_lengths_of_keys_are_refused() {
        // secp256k1 and P-256, X25519, and Ed25519 with a byte more or less.
        assert!(with_codec(&[0xe7, 0x01], 33).parse::<Did>().is_err());
        assert_eq!(with_codec(&[0xec, 0x01], 32).parse::<Did>(), Err(DidError::Multicodec));
        assert!(with_codec(&ED25519_PUB, 31).parse::<Did>().is_err());
        assert!(with_codec(&ED25519_PUB, 33).parse::<Did>().is_err());
    }

    #[test]
    fn changed_case_is_another_key_or_refused() {
        let upper = BOB.replace("z6Mkm", "z6MKm");
        assert_ne!(upper.parse::<Did>().ok().map(|d| d.to_string()), Some(BOB.to_owned()));
        assert_eq!(BOB.replace("6fV", "0OI").parse::<Did>(), Err(DidError::Base58));
    }
}
