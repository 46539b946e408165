//! Digests that name things within this room. The hashes of files are the protocol's
//! ([`clankers_protocol::transfer::tree`]).

use blake3::Hasher;

/// A digest that names something: 32 bytes of BLAKE3 under a context of its own, each part with its length.
pub(crate) fn name_of(context: &'static str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

/// The same, 16 bytes of it.
pub(crate) fn short_name_of(context: &'static str, parts: &[&[u8]]) -> [u8; 16] {
    let mut short = [0; 16];
    short.iter_mut().zip(name_of(context, parts)).for_each(|(to, from)| *to = from);
    short
}
