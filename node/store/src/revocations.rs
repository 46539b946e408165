//! Revocations that this node knows: kept for good, answered from memory.
//!
//! A revocation is judged (its signature, its witness) before it comes here. It is never taken back: it leaves an hour
//! after the expiry of what it revokes, when that is refused anyway. Below each that the subject granted to there is room for so many, whatever keys sign them; when
//! that is full, everything below that grantee counts as revoked, rather than that anything is forgotten. Nobody else's room
//! gets smaller than a few by that, and the subject's own revocations have room of their own.

mod mirror;
mod table;

use std::sync::{PoisonError, RwLockReadGuard, RwLockWriteGuard};

use clankers_protocol::{CidDigest, NodeId, Timestamp};
pub(crate) use mirror::Mirror;
use mirror::Verdict;
use serde::{Deserialize, Serialize};
pub(crate) use table::{insert, insert_mark, open_row, prune};

use crate::{
    Store, StoreError, limits,
    store::{
        Keep,
        rows::{Record, is_over},
        tables::REVOCATIONS,
    },
};

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRow {
    /// What is revoked.
    pub cid: CidDigest,
    /// The node whose rights it carried.
    pub subject: NodeId,
    /// Who revoked it: its issuer, or one above.
    pub revoker: NodeId,
    /// Whom the subject granted to what this comes from (the audience of the chain's first link): whose room it takes.
    pub grantee: NodeId,
    /// When what is revoked expires.
    pub expires: Timestamp,
    /// The signed revocation with its witness: for those who do not know it yet.
    pub container: Vec<u8>,
}

/// What became of a revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is kept and counts from now on.
    New,
    /// It was kept already, or what it revokes is long over.
    Known,
    /// Its grantee has no room left: everything below that grantee counts as revoked from now on.
    OverQuota,
}

/// The revocations in a store.
#[derive(Debug, Clone, Copy)]
pub struct Revocations<'s> {
    store: &'s Store,
}

impl Store {
    /// Its revocations.
    #[must_use]
    pub fn revocations(&self) -> Revocations<'_> {
        Revocations { store: self }
    }
}

/// Some thread broke off in the middle of a change: nobody knows what is revoked.
fn broken<T>(_: PoisonError<T>) -> StoreError {
    StoreError::bad_value("what is revoked was being changed when a thread failed; restart the node")
}

impl Revocations<'_> {
    fn mirror(&self) -> Result<RwLockReadGuard<'_, Mirror>, StoreError> {
        self.store.sound()?;
        self.store.revoked.read().map_err(broken)
    }

    fn change(&self) -> Result<RwLockWriteGuard<'_, Mirror>, StoreError> {
        self.store.revoked.write().map_err(broken)
    }

    /// Keeps a revocation. When this fails, it counts in memory all the same until the node ends; put it again.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put(&self, row: &RevocationRow, now: Timestamp) -> Result<Put, StoreError> {
        if row.container.len() > limits::CONTAINER_BYTES {
            let (limit, hint) =
                (limits::CONTAINER_BYTES as u64, "it cannot be kept; revoke a link further up");
            return Err(StoreError::Full { what: "bytes of a revocation", limit, hint });
        }
        let mut auth = self.store.auth();
        if is_over(row.expires, self.store.past(now)) {
            // Over or not, whoever revokes one of a line means the line.
            self.store.tokens().stop_line_of(&mut auth, &row.cid, now)?;
            self.store.forgets(&mut auth, Some(row.expires), now)?;
            return Ok(Put::Known);
        }
        let noted = self.store.forgets(&mut auth, None, now);
        let verdict = {
            let mut mirror = self.change()?;
            if noted.is_ok() {
                mirror.forget(self.store.past(now));
            }
            let verdict = mirror.judge(row);
            match verdict {
                Verdict::New => mirror.insert(row, false),
                Verdict::Mark(whose, until) => mirror.mark(whose, until),
                Verdict::Known | Verdict::Marked | Verdict::NoRoom => {}
            }
            verdict
        };
        noted?;
        self.store.tokens().stop_line_of(&mut auth, &row.cid, now)?;
        let (record, put) = match verdict {
            Verdict::Known => return Ok(Put::Known),
            Verdict::Marked => return Ok(Put::OverQuota),
            Verdict::New => (Record::Revocation(row.clone()), Put::New),
            Verdict::Mark(whose, until) => (Record::Overflow(whose, until), Put::OverQuota),
            Verdict::NoRoom => {
                let (what, limit) =
                    ("peers below whom there are too many revocations", limits::REVOKERS_OVER_QUOTA as u64);
                let hint = "withdraw all tokens by moving the auth epoch, and grant anew";
                return Err(StoreError::Full { what, limit, hint });
            }
        };
        let records = std::slice::from_ref(&record);
        if row.revoker == row.subject || put == Put::OverQuota {
            auth.append(records, now, Keep::Now)?;
        } else {
            auth.append_of_others(records, now)?;
        }
        self.store.write(Keep::Now, |transaction| {
            prune(transaction, self.store.past(now))?;
            match &record {
                Record::Overflow(whose, until) => insert_mark(transaction, *whose, *until),
                _ => insert(transaction, row),
            }
        })?;
        if put == Put::New {
            self.change()?.insert(row, true);
        }
        self.store.tidy(&mut auth, now);
        Ok(put)
    }

    /// Whether this link was revoked. Answers from memory.
    ///
    /// # Errors
    /// When what is in memory cannot be believed: then it must be denied.
    pub fn is_revoked(&self, cid: &CidDigest) -> Result<bool, StoreError> {
        Ok(self.mirror()?.contains(cid))
    }

    /// The same, and whether any of those `above` it (the issuers of the link and of those before it) has no room left for
    /// revocations.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn is_revoked_under(&self, cid: &CidDigest, above: &[NodeId]) -> Result<bool, StoreError> {
        let mirror = self.mirror()?;
        Ok(mirror.contains(cid) || above.iter().any(|issuer| mirror.is_marked(issuer)))
    }

    /// Whether this one has no room left: what it issued, and all below, counts as revoked.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn overflowed(&self, revoker: &NodeId) -> Result<bool, StoreError> {
        Ok(self.mirror()?.is_marked(revoker))
    }

    /// How many revocations about this subject there are that matter still (count), and the SHA-256 of their digests, sorted:
    /// two nodes that say the same know the same.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn count_and_hash(&self, subject: NodeId, now: Timestamp) -> Result<(u64, [u8; 32]), StoreError> {
        use sha2::Digest;
        let cids = self.cids(subject, now)?;
        let mut hasher = sha2::Sha256::new();
        cids.iter().for_each(|cid| hasher.update(cid.0));
        Ok((cids.len() as u64, hasher.finalize().into()))
    }

    /// What they revoke, sorted.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn cids(&self, subject: NodeId, now: Timestamp) -> Result<Vec<CidDigest>, StoreError> {
        Ok(self.mirror()?.of(subject, now))
    }

    /// The revocation of this link.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, cid: &CidDigest) -> Result<Option<RevocationRow>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(REVOCATIONS)?;
            table.get(cid.0)?.map(|row| open_row(row.value())).transpose()
        })
    }

    /// Whether revocations of what ends at `expires` were forgotten, since they were over. Also when the clock has been set
    /// back since: what was revoked stays so. Touches no disk.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn is_forgotten(&self, expires: Timestamp) -> Result<bool, StoreError> {
        self.store.sound()?;
        Ok(expires <= self.store.forgotten())
    }

    /// A number that grows with every revocation and every mark: who has seen this one has nothing to look up.
    ///
    /// # Errors
    /// As [`Revocations::is_revoked`].
    pub fn generation(&self) -> Result<u64, StoreError> {
        Ok(self.mirror()?.generation())
    }
}

#[cfg(test)]
mod tests;
