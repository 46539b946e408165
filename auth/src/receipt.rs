//! A receiver's word that files arrived: an Ed25519 signature over a [`Receipt`], under a context of its own.

use clankers_protocol::{NodeId, transfer::receipt::Receipt};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

/// Signs what arrived at the node with this secret key (32 bytes), from `sender`.
#[must_use]
pub fn sign(seed: &[u8; 32], receipt: &Receipt, sender: NodeId) -> Vec<u8> {
    let key = SigningKey::from_bytes(seed);
    let receiver = NodeId(key.verifying_key().to_bytes());
    key.sign(&receipt.signing_bytes(sender, receiver)).to_bytes().to_vec()
}

/// Whether `receiver` signed this, to `sender`; strictly (no small-order keys, S reduced).
#[must_use]
pub fn is_signed(receipt: &Receipt, sender: NodeId, receiver: NodeId, signature: &[u8]) -> bool {
    let Ok(bytes) = <[u8; 64]>::try_from(signature) else { return false };
    let Ok(key) = VerifyingKey::from_bytes(&receiver.0) else { return false };
    key.verify_strict(&receipt.signing_bytes(sender, receiver), &Signature::from_bytes(&bytes)).is_ok()
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        Timestamp,
        transfer::{Root, SourceIdentity, TransferId},
    };

    use super::*;

    #[test]
    fn a_receipt_is_good_for_one_sender_and_as_it_was_signed() {
        let receipt = Receipt {
            transfer: TransferId([1; 16]),
            source: SourceIdentity([2; 32]),
            name: "photos".into(),
            root: Root([3; 32]),
            files: 9,
            bytes: 1 << 40,
            sent_bytes: 1 << 20,
            bad: 0,
            declined: 0,
            at: Timestamp(1_763_683_200_123),
        };
        let receiver = NodeId(SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes());
        let (sender, other) = (NodeId([8; 32]), NodeId([9; 32]));
        let signature = sign(&[7; 32], &receipt, sender);
        assert!(is_signed(&receipt, sender, receiver, &signature));
        assert!(!is_signed(&receipt, other, receiver, &signature));
        assert!(!is_signed(&receipt, sender, other, &signature));
        assert!(!is_signed(&Receipt { bytes: 1, ..receipt.clone() }, sender, receiver, &signature));
        let mut flipped = signature.clone();
        flipped[0] ^= 1;
        assert!(!is_signed(&receipt, sender, receiver, &flipped));
        assert!(!is_signed(&receipt, sender, receiver, &signature[..63]));
        assert!(!is_signed(&receipt, sender, NodeId([0; 32]), &[0; 64]), "a small-order key signs nothing");
    }
}
