//! What a node knows besides a chain, at one moment: the time, what was revoked, what was used up.

use clankers_protocol::{CidDigest, NodeId, Timestamp};

/// What a chain is judged against, at one moment.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    /// Now.
    pub now: Timestamp,
    /// The node's epoch: every link that is valid from an earlier time was withdrawn.
    pub epoch: Timestamp,
    /// What was revoked.
    pub revocations: &'a dyn Revocations,
    /// What was used up.
    pub counters: &'a dyn Counters,
}

/// A store that could not be read, and why. It denies: what is not known may have been revoked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// Which links were revoked.
pub trait Revocations {
    /// Whether the link `cid` was revoked. `above` are the issuers of this link and of those before it, root first:
    /// whoever may revoke it. Revocations are judged by their witness before they are stored; a revoker whose
    /// revocations no longer fit counts as having revoked everything that it stands above.
    ///
    /// # Errors
    /// [`Unreadable`] when that cannot be found out.
    fn is_revoked(&self, cid: &CidDigest, above: &[NodeId]) -> Result<bool, Unreadable>;

    /// Whether revocations of links that end at `expires` were forgotten since these were over. Then such a link is over
    /// for good, also when the clock says otherwise now: it was wrong then, or is wrong now.
    ///
    /// # Errors
    /// [`Unreadable`] when that cannot be found out.
    fn is_forgotten(&self, expires: Timestamp) -> Result<bool, Unreadable> {
        let _ = expires;
        Ok(false)
    }
}

/// What was used under each link.
pub trait Counters {
    /// What was used under the link `cid`, reservations included.
    ///
    /// # Errors
    /// [`Unreadable`] when that cannot be found out.
    fn usage(&self, cid: &CidDigest) -> Result<Usage, Unreadable>;
}

/// What was used under one link, by everybody whose chain has it, reservations included.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Money (nano-USD).
    pub spent_nano_usd: u64,
    /// Tokens of models, in and out (count).
    pub tokens_used: u64,
    /// Prompts started within the last minute (count).
    pub per_min: u64,
    /// Prompts running or queued (count).
    pub concurrent: u64,
    /// Content of files that came to this node (bytes).
    pub received_bytes: u64,
}

/// What a request would add to that.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Asks {
    /// Money, at most (nano-USD).
    pub spend_nano_usd: u64,
    /// Tokens of models, at most (count).
    pub tokens: u64,
    /// Prompts started: 1 for a prompt, 0 for what happens under one (count).
    pub starts: u64,
    /// Content of files that would come to this node, at most (bytes).
    pub bytes: u64,
}

impl Usage {
    /// With what a request asks for; sums that do not fit stay at the largest number.
    pub(crate) fn plus(self, asks: Asks) -> Self {
        Self {
            spent_nano_usd: self.spent_nano_usd.saturating_add(asks.spend_nano_usd),
            tokens_used: self.tokens_used.saturating_add(asks.tokens),
            per_min: self.per_min.saturating_add(asks.starts),
            concurrent: self.concurrent.saturating_add(asks.starts),
            received_bytes: self.received_bytes.saturating_add(asks.bytes),
        }
    }
}

/// Nothing was revoked and nothing used: for reading a token away from its node.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Revocations for Nothing {
    fn is_revoked(&self, _: &CidDigest, _: &[NodeId]) -> Result<bool, Unreadable> {
        Ok(false)
    }
}

impl Counters for Nothing {
    fn usage(&self, _: &CidDigest) -> Result<Usage, Unreadable> {
        Ok(Usage::default())
    }
}

impl Standing<'static> {
    /// Away from the node: only the time and the epoch are known.
    #[must_use]
    pub fn offline(now: Timestamp, epoch: Timestamp) -> Self {
        Self { now, epoch, revocations: &Nothing, counters: &Nothing }
    }
}

impl std::fmt::Debug for Standing<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standing").field("now", &self.now).field("epoch", &self.epoch).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_do_not_wrap() {
        let used = Usage {
            spent_nano_usd: u64::MAX,
            tokens_used: 1,
            per_min: 2,
            concurrent: 3,
            received_bytes: u64::MAX - 1,
        };
        let sum = used.plus(Asks { spend_nano_usd: 1, tokens: u64::MAX, starts: 1, bytes: 2 });
        let expected = Usage {
            spent_nano_usd: u64::MAX,
            tokens_used: u64::MAX,
            per_min: 3,
            concurrent: 4,
            received_bytes: u64::MAX,
        };
        assert_eq!(sum, expected);
    }
}
