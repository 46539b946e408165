//! Which tokens were decoded and verified before: by CID, which covers every byte, signature included.

use std::{collections::BTreeMap, sync::Arc};

use ucan::{Cid, Delegation, Verified};

use crate::limits::VERIFIED_TOKENS;

/// A bounded memory of tokens in two generations: when the young one is full, the old one is forgotten. What the
/// bytes say and that their issuer signed them is all that is remembered; time, audience, policy and revocation
/// are judged each time.
#[derive(Debug, Default)]
pub struct VerifiedTokens {
    young: BTreeMap<Cid, Arc<Verified<Delegation>>>,
    old: BTreeMap<Cid, Arc<Verified<Delegation>>>,
}

impl VerifiedTokens {
    /// The token with this CID, if it was verified before.
    #[must_use]
    pub fn get(&self, cid: &Cid) -> Option<Arc<Verified<Delegation>>> {
        self.young.get(cid).or_else(|| self.old.get(cid)).cloned()
    }

    /// Remembers a token that was verified: no other can be had.
    pub fn remember(&mut self, token: &Arc<Verified<Delegation>>) {
        if self.young.contains_key(token.cid()) {
            return;
        }
        if self.young.len() >= VERIFIED_TOKENS / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(*token.cid(), Arc::clone(token));
    }
}

#[cfg(test)]
mod tests {
    use ucan::{Command, Did, Profile, SigningKey, Timestamp};

    use super::*;

    #[test]
    fn memory_is_bounded_and_the_recent_stays() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let at = Timestamp::from_secs(1).unwrap();
        let token = |n: u64| {
            let nonce = [n.to_be_bytes(), n.to_be_bytes()].concat();
            let built = Delegation::build(Did::from(&key), Did::from([2; 32]), Command::root(), &nonce);
            Arc::new(built.not_before(at).expires(at).sign(&key, Profile::Strict).unwrap())
        };
        let mut verified = VerifiedTokens::default();
        let tokens: Vec<_> = (0..=VERIFIED_TOKENS as u64).map(token).collect();
        tokens.iter().for_each(|token| verified.remember(token));
        assert!(verified.young.len() + verified.old.len() <= VERIFIED_TOKENS);
        assert!(verified.get(tokens.last().unwrap().cid()).is_some());
        assert!(verified.get(tokens[0].cid()).is_none());
    }
}
