//! Tokens that this node issued and tokens that it holds.

mod cid;
mod delivered;
mod find;
mod forget;
mod renewal;
mod table;

use std::cmp::Reverse;

use clankers_protocol::{NodeId, Timestamp, request::tokens::TokenRecord};
pub use delivered::Delivered;
pub use find::FoundToken;
pub use table::TokenNote;
pub(crate) use table::{ReadTables, TokenRow, index_all, insert, load, prune, remove};

use crate::{
    Store, StoreError, limits,
    store::{
        Keep,
        rows::Record,
        tables::{DELIVERED, TOKEN_EXPIRY},
    },
};

/// A kept token: in words, and its container's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// The token in words.
    pub record: TokenRecord,
    /// Its UCAN container.
    pub container: Vec<u8>,
    /// What is noted about it.
    pub note: TokenNote,
}

impl From<TokenRow> for KeptToken {
    fn from(TokenRow { record, container, note }: TokenRow) -> Self {
        Self { record, container, note }
    }
}

/// The tokens in a store.
///
/// A token is in `auth.log`, synced, before it is in the database; expired ones are dropped an hour after their expiry,
/// those that are to be renewed 30 days after.
#[derive(Debug, Clone, Copy)]
pub struct TokenStore<'s> {
    store: &'s Store,
}

impl Store {
    /// Its tokens.
    #[must_use]
    pub fn tokens(&self) -> TokenStore<'_> {
        TokenStore { store: self }
    }
}

impl TokenStore<'_> {
    /// Keeps a token that this node issued; `record.issued` is set. Gives whether it was kept already.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put_issued(
        &self,
        record: &TokenRecord,
        container: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.put(TokenRecord { issued: true, ..record.clone() }, container, now)
    }

    /// Keeps a token that this node holds; `record.issued` is cleared. Gives whether it was held already. One that a peer
    /// had delivered is from now on the owner's own choice.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put_held(
        &self,
        record: &TokenRecord,
        container: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.put(TokenRecord { issued: false, ..record.clone() }, container, now)
    }

    fn put(&self, record: TokenRecord, container: &[u8], now: Timestamp) -> Result<bool, StoreError> {
        bounded(&record, container)?;
        let mut row = TokenRow { record, container: container.to_vec(), note: TokenNote::default() };
        let key = row.key();
        // Held to the end: nobody else may put the same token between the look and the commit.
        let mut auth = self.store.auth();
        let known = self.row(&key)?;
        if let Some(known) = &known {
            row.note = TokenNote { delivered_by: None, ..known.note.clone() };
            if *known == row {
                return Ok(true);
            }
        }
        if known.as_ref().is_none_or(|known| known.note.delivered_by.is_some()) {
            self.room(row.record.issued, now)?;
        }
        auth.append(&[Record::Token(row.clone())], now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction| {
            prune(transaction, self.store.past(now))?;
            insert(transaction, &row)
        })?;
        self.store.tidy(&mut auth, now);
        Ok(known.is_some())
    }

    fn row(&self, key: &str) -> Result<Option<TokenRow>, StoreError> {
        self.store.read(|transaction| load(&ReadTables::open(transaction)?, key))
    }

    /// Containers of the tokens held here that carry rights of `subject` and have not expired, at most `limit`: those that the
    /// owner imported first, then those that were delivered; of each the latest to expire first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn held_for_subject(
        &self,
        subject: NodeId,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut held = self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            let (from, to) = (format!("h:{subject}:"), format!("h:{subject};"));
            let mut held = Vec::new();
            for entry in tables.tokens.range(from.as_str()..to.as_str())? {
                let row = load(&tables, entry?.0.value())?;
                held.extend(row.filter(|row| row.record.expires > now));
            }
            Ok(held)
        })?;
        held.sort_by_cached_key(|row| {
            (row.note.delivered_by.is_some(), Reverse(row.record.expires), row.record.cid.clone())
        });
        held.truncate(limit);
        Ok(held.into_iter().map(|row| row.container).collect())
    }

    /// Whether one more fits beside those that are not over; what peers delivered takes none of the owner's room.
    fn room(&self, issued: bool, now: Timestamp) -> Result<(), StoreError> {
        let (kind, what, limit) = if issued {
            ("i:", "issued tokens", limits::TOKENS_ISSUED)
        } else {
            ("h:", "held tokens", limits::TOKENS_HELD)
        };
        let count = self.store.read(|transaction| {
            let mut count = 0_u64;
            let from = now.0.saturating_sub(limits::TOKEN_GRACE_MS);
            let expiry = transaction.open_table(TOKEN_EXPIRY)?;
            // Counting is only worth it when all of them together could be too many.
            if redb::ReadableTableMetadata::len(&expiry)? < limit {
                return Ok(0);
            }
            for entry in expiry.range((from, "")..)? {
                count = count.saturating_add(u64::from(entry?.0.value().1.starts_with(kind)));
            }
            if issued {
                return Ok(count);
            }
            let delivered = redb::ReadableTableMetadata::len(&transaction.open_table(DELIVERED)?)?;
            Ok(count.saturating_sub(delivered))
        })?;
        if count < limit {
            return Ok(());
        }
        Err(StoreError::Full {
            what,
            limit,
            hint: "wait for some to expire, and give new ones a shorter life",
        })
    }
}

fn bounded(record: &TokenRecord, container: &[u8]) -> Result<(), StoreError> {
    let hint = "this token cannot be kept; ask for one with fewer conditions";
    let check = |what, size: usize, limit: usize| {
        if size <= limit { Ok(()) } else { Err(StoreError::Full { what, limit: limit as u64, hint }) }
    };
    check("bytes of a token", container.len(), limits::CONTAINER_BYTES)?;
    check("bytes of a CID", record.cid.len(), limits::CID_BYTES)?;
    check("lines of what a token grants", record.grants.len(), limits::GRANT_LINES)?;
    record
        .grants
        .iter()
        .try_for_each(|line| check("bytes of a grant's line", line.len(), limits::GRANT_BYTES))
}

#[cfg(test)]
mod tests;
