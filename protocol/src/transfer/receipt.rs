//! What a receiver signs when everything is written, synced and named.

use serde::{Deserialize, Serialize};

use super::{Root, SourceIdentity, TransferId};
use crate::{NodeId, Timestamp};

/// Stands in front of what is signed, so that the signature is good for nothing else. Ends in a zero byte, which no
/// other context of this protocol holds before its end.
pub const CONTEXT: &[u8] = b"clankers/1 file receipt\0";

/// What arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The transfer.
    pub transfer: TransferId,
    /// The source, as its sender named it.
    pub source: SourceIdentity,
    /// The root's final name.
    pub name: String,
    /// The hash of all that arrived: the file's, or the directory's
    /// ([`crate::transfer::manifest::directory_root`]) without files that did not arrive.
    pub root: Root,
    /// Files that are whole under their final names (count).
    pub files: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of blocks that came in this conversation: less than `bytes` when it was resumed.
    pub sent_bytes: u64,
    /// Files that did not arrive (count).
    pub bad: u32,
    /// Files that the receiver did not want (count).
    pub declined: u32,
    /// When.
    pub at: Timestamp,
}

impl Receipt {
    /// What is signed: the context, both nodes, and every field; each of known length but the name, which is the last.
    #[must_use]
    pub fn signing_bytes(&self, sender: NodeId, receiver: NodeId) -> Vec<u8> {
        let mut out = Vec::with_capacity(CONTEXT.len() + 190 + self.name.len());
        out.extend_from_slice(CONTEXT);
        for part in [&sender.0[..], &receiver.0, &self.transfer.0, &self.source.0, &self.root.0] {
            out.extend_from_slice(part);
        }
        for count in [self.files, self.bad, self.declined] {
            out.extend_from_slice(&count.to_le_bytes());
        }
        for number in [self.bytes, self.sent_bytes, self.at.0] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(self.name.as_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_field_is_signed() {
        let base = Receipt {
            transfer: TransferId([1; 16]),
            source: SourceIdentity([2; 32]),
            name: "a".into(),
            root: Root([3; 32]),
            files: 1,
            bytes: 2,
            sent_bytes: 3,
            bad: 4,
            declined: 5,
            at: Timestamp(6),
        };
        let (us, them) = (NodeId([7; 32]), NodeId([8; 32]));
        let changed = [
            Receipt { transfer: TransferId([9; 16]), ..base.clone() },
            Receipt { source: SourceIdentity([9; 32]), ..base.clone() },
            Receipt { name: "b".into(), ..base.clone() },
            Receipt { root: Root([9; 32]), ..base.clone() },
            Receipt { files: 9, ..base.clone() },
            Receipt { bytes: 9, ..base.clone() },
            Receipt { sent_bytes: 9, ..base.clone() },
            Receipt { bad: 9, ..base.clone() },
            Receipt { declined: 9, ..base.clone() },
            Receipt { at: Timestamp(9), ..base.clone() },
        ];
        let mut all: BTreeSet<Vec<u8>> = changed.iter().map(|r| r.signing_bytes(us, them)).collect();
        all.insert(base.signing_bytes(us, them));
        all.insert(base.signing_bytes(them, us));
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|bytes| bytes.starts_with(CONTEXT)));
    }
}
