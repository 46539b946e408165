//! The text of a CID, and back: tokens are kept by the one, revocations by the other.

use clankers_protocol::CidDigest;
use data_encoding::BASE32_NOPAD;

/// Version 1, DAG-CBOR, SHA-256, 32 bytes.
const PREFIX: [u8; 4] = [0x01, 0x71, 0x12, 0x20];

/// The text: `b`, then base32 in lower case.
pub(super) fn text_of(cid: &CidDigest) -> String {
    let bytes = [PREFIX.as_slice(), &cid.0].concat();
    format!("b{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

/// The digest in such a text; `None` for any other.
pub(super) fn digest_of(text: &str) -> Option<CidDigest> {
    let bytes = BASE32_NOPAD.decode(text.strip_prefix('b')?.to_ascii_uppercase().as_bytes()).ok()?;
    let digest = bytes.strip_prefix(PREFIX.as_slice())?;
    let cid = CidDigest(digest.try_into().ok()?);
    (text_of(&cid) == text).then_some(cid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let cid = CidDigest(std::array::from_fn(|n| u8::try_from(n).unwrap()));
        assert_eq!(text_of(&cid), "bafyreiaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4");
        assert_eq!(digest_of(&text_of(&cid)), Some(cid));
        assert_eq!(digest_of(&text_of(&cid).to_ascii_uppercase()), None);
        for other in ["", "b", "bafy", "a", "bafkreiaaaebagbafaydqqcikbmga2dqpcaireeyuculbogazdinryhi6d4"] {
            assert_eq!(digest_of(other), None);
        }
    }
}
