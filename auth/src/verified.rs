//! Which signatures were checked before: by CID, which covers every byte of a token, signature included.

use std::collections::BTreeSet;

use ucan::Cid;

use crate::limits::VERIFIED_CIDS;

/// A bounded memory of CIDs in two generations: when the young one is full, the old one is forgotten. That a
/// signature is good is all that is remembered; time, policy and revocation are judged each time.
#[derive(Debug, Default)]
pub struct VerifiedCids {
    young: BTreeSet<Cid>,
    old: BTreeSet<Cid>,
}

impl VerifiedCids {
    /// Whether this token's signature was checked before.
    #[must_use]
    pub fn knows(&self, cid: &Cid) -> bool {
        self.young.contains(cid) || self.old.contains(cid)
    }

    /// Remembers a token whose signature was checked.
    pub fn remember(&mut self, cid: Cid) {
        if self.young.len() >= VERIFIED_CIDS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(cid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded_and_the_recent_stays() {
        let mut verified = VerifiedCids::default();
        let cid = |n: usize| Cid::of(&n.to_be_bytes());
        (0..10 * VERIFIED_CIDS).for_each(|n| verified.remember(cid(n)));
        assert!(verified.young.len() + verified.old.len() <= VERIFIED_CIDS);
        assert!(verified.knows(&cid(10 * VERIFIED_CIDS - 1)));
        assert!(!verified.knows(&cid(0)));
    }
}
