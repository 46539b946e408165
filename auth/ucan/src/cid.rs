//! Names of tokens: CIDv1, DAG-CBOR, SHA-256, the only configuration that UCAN uses.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use ipld_core::cid::multihash::Multihash;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// CID version 1, codec dag-cbor (0x71), multihash sha2-256 (0x12) of 32 bytes (0x20).
const HEADER: [u8; 4] = [0x01, 0x71, 0x12, 0x20];
/// Codec number of DAG-CBOR.
const DAG_CBOR: u64 = 0x71;
/// Code of the multihash SHA2-256.
const SHA2_256: u64 = 0x12;
/// Length of the text: the multibase letter `b` and 58 characters of base32.
const TEXT_BYTES: usize = 59;

/// The name of a token: the SHA-256 of its encoded bytes, as a CIDv1.
///
/// It covers the whole envelope, signature included: two tokens with the same `Cid` are the same
/// bytes. Text is base32 in lower case with the multibase prefix `b` (59 characters).
///
/// Source: UCAN 1.0, "Canonical CID".
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cid([u8; 32]);

/// Why something is not the CID of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CidError {
    /// The text is not base32 in lower case with the prefix `b`, 59 characters long.
    #[error("not a token's CID: expected `b` and 58 characters of lower-case base32; copy it again")]
    Text,
    /// Version, codec, hash or length is not CIDv1, dag-cbor, sha2-256, 32 bytes.
    #[error("not a token's CID: it must be CIDv1 with dag-cbor and sha2-256")]
    Kind,
}

impl Cid {
    /// The CID of these encoded bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// A CID with this SHA-256 digest.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The SHA-256 digest.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 36 bytes of the binary CID.
    pub fn to_bytes(&self) -> [u8; 36] {
        let mut bytes = [0u8; 36];
        for (to, from) in bytes.iter_mut().zip(HEADER.iter().chain(self.0.iter())) {
            *to = *from;
        }
        bytes
    }

    /// Reads the 36 bytes of a binary CID.
    ///
    /// # Errors
    /// [`CidError::Kind`] for any other kind or length of CID.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CidError> {
        let digest = bytes.strip_prefix(&HEADER).ok_or(CidError::Kind)?;
        Ok(Self(digest.try_into().map_err(|_| CidError::Kind)?))
    }

    /// As an IPLD link.
    pub fn to_link(&self) -> ipld_core::cid::Cid {
        // 32 bytes always fit the 64 of a multihash; the default is never reached.
        let hash = Multihash::wrap(SHA2_256, &self.0).unwrap_or_default();
        ipld_core::cid::Cid::new_v1(DAG_CBOR, hash)
    }
}

impl TryFrom<&ipld_core::cid::Cid> for Cid {
    type Error = CidError;

    fn try_from(link: &ipld_core::cid::Cid) -> Result<Self, CidError> {
        Self::from_bytes(&link.to_bytes())
    }
}

impl FromStr for Cid {
    type Err = CidError;

    fn from_str(text: &str) -> Result<Self, CidError> {
        if text.len() != TEXT_BYTES || text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(CidError::Text);
        }
        let encoded = text.strip_prefix('b').ok_or(CidError::Text)?;
        let raw = BASE32_NOPAD.decode(encoded.to_ascii_uppercase().as_bytes()).map_err(|_| CidError::Text)?;
        Self::from_bytes(&raw)
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", BASE32_NOPAD.encode(&self.to_bytes()).to_ascii_lowercase())
    }
}

impl fmt::Debug for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "ASCII texts cut on purpose")]
mod tests {
    use super::*;

    #[test]
    fn text_bytes_and_link_round_trip() {
        let cid = Cid::of(b"a token");
        assert_eq!(cid.to_string().parse::<Cid>(), Ok(cid));
        assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
        assert_eq!(Cid::try_from(&cid.to_link()), Ok(cid));
        assert_eq!(cid.to_link().to_string(), cid.to_string());
    }

    #[test]
    fn other_kinds_are_refused() {
        let cid = Cid::of(b"a token");
        let mut raw = cid.to_bytes();
        raw[1] = 0x55;
        assert_eq!(Cid::from_bytes(&raw), Err(CidError::Kind));
        assert_eq!(Cid::from_bytes(&cid.to_bytes()[..35]), Err(CidError::Kind));
        assert_eq!(Cid::from_bytes(&[]), Err(CidError::Kind));
    }

    #[test]
    fn other_spellings_are_refused() {
        let text = Cid::of(b"a token").to_string();
        assert_eq!(text.to_uppercase().parse::<Cid>(), Err(CidError::Text));
        assert_eq!(format!("z{}", &text[1..]).parse::<Cid>(), Err(CidError::Text));
        assert_eq!(format!("{text}=").parse::<Cid>(), Err(CidError::Text));
        assert_eq!(text.replace(&text[20..21], "1").parse::<Cid>(), Err(CidError::Text));
    }

    #[test]
    fn trailing_bits_of_the_text_must_be_zero() {
        // 36 bytes are 57.6 base32 characters: the last one has two spare bits.
        let text = Cid::from_digest([0; 32]).to_string();
        assert!(text.ends_with('a'));
        assert_eq!(format!("{}b", &text[..58]).parse::<Cid>(), Err(CidError::Text));
    }
}
