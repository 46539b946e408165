//! What members sign for gossip: each kind of payload under a context of its own, so that a signature made for one is
//! of no use for anything else that a node's key signs.

use clankers_protocol::presence::{Gossiped, Say, Signable, Signature, Signed};
use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

/// Signs with the key of this seed. Whoever reads it takes it for the author's only if the author has that key.
#[must_use]
pub fn sign<T: Signable>(seed: &[u8; 32], body: T) -> Signed<T> {
    let signature = SigningKey::from_bytes(seed).sign(&body.signing_bytes());
    Signed { body, signature: Signature(signature.to_bytes()) }
}

/// A payload, signed.
#[must_use]
pub fn seal(seed: &[u8; 32], say: Say) -> Gossiped {
    match say {
        Say::Presence(body) => Gossiped::Presence(sign(seed, body)),
        Say::Lost(body) => Gossiped::Lost(sign(seed, body)),
        Say::Revoked(body) => Gossiped::Revoked(sign(seed, body)),
    }
}

/// Whether its author has signed it (`verify_strict`: no small-order keys, S reduced). Takes about 42 µs.
#[must_use]
pub fn verify<T: Signable>(signed: &Signed<T>) -> bool {
    let signature = ed25519_dalek::Signature::from_bytes(&signed.signature.0);
    VerifyingKey::from_bytes(&signed.body.author().0)
        .is_ok_and(|key| key.verify_strict(&signed.body.signing_bytes(), &signature).is_ok())
}
