//! Tokens that leave before their time.

use clankers_protocol::Timestamp;

use super::{ReadTables, TokenStore, cid::digest_of, load, prune, remove};
use crate::{
    StoreError,
    revocations::RevocationRow,
    store::{Keep, rows::Record, tables::TOKENS},
};

impl TokenStore<'_> {
    /// Forgets a token that is held here, imported or delivered; gives whether there was one. Tokens that this node issued
    /// stay: they are there to be revoked.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn forget(&self, cid: &str, now: Timestamp) -> Result<bool, StoreError> {
        let mut auth = self.store.auth();
        let Some(row) = self.by_cid(cid, Some(false))?.filter(|row| !row.is_gone(now)) else {
            return Ok(false);
        };
        let key = row.key();
        auth.append(&[Record::Dropped(key.clone())], now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction| {
            remove(transaction, &key)?;
            prune(transaction, self.store.past(now))
        })?;
        self.store.tidy(&mut auth, now);
        Ok(true)
    }

    /// Issued tokens that begin at `epoch` or later, as revoked: an epoch that moves to there does not withdraw them, and
    /// they were issued before, while the clock was wrong. These rows bring no signature: they are this node's own.
    pub(crate) fn withdrawn_by_hand(
        &self,
        epoch: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<RevocationRow>, StoreError> {
        self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            let mut rows = Vec::new();
            for entry in transaction.open_table(TOKENS)?.range("i:".."i;")? {
                let Some(row) = load(&tables, entry?.0.value())? else { continue };
                let record = row.record;
                let Some(cid) = digest_of(&record.cid) else { continue };
                if record.not_before < epoch || record.expires < now {
                    continue;
                }
                rows.push(RevocationRow {
                    cid,
                    subject: record.subject,
                    revoker: record.subject,
                    grantee: record.audience,
                    expires: record.expires,
                    container: Vec::new(),
                });
            }
            Ok(rows)
        })
    }
}
