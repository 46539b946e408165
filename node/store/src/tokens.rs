//! Tokens that this node issued and tokens that it holds.

use clankers_protocol::{NodeId, Timestamp, request::tokens::TokenRecord};
use redb::{ReadableTable, WriteTransaction};

use crate::{
    Store, StoreError, limits,
    store::{
        Keep, TokenRow,
        tables::{TOKEN_EXPIRY, TOKENS, pack, unpack},
    },
};

/// A kept token: in words, and its container's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptToken {
    /// The token in words.
    pub record: TokenRecord,
    /// Its UCAN container.
    pub container: Vec<u8>,
}

/// The tokens in a store.
///
/// A token is in `auth.log`, synced, before it is in the database; expired ones are dropped an hour after their expiry.
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

    /// Keeps a token that this node holds; `record.issued` is cleared. Gives whether it was held already.
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
        let row = TokenRow { record, container: container.to_vec() };
        let key = key(&row.record);
        // Held to the end: nobody else may put the same token between the look and the commit.
        let mut auth = self.store.auth();
        let known = self.store.read(|transaction| {
            let table = transaction.open_table(TOKENS)?;
            let known =
                table.get(key.as_str())?.map(|value| unpack::<TokenRow>(value.value())).transpose()?;
            if known.is_none() {
                room(&table, row.record.issued, now)?;
            }
            Ok(known)
        })?;
        if known.as_ref() == Some(&row) {
            return Ok(true);
        }
        auth.append(&row, now)?;
        self.store.write(Keep::Now, |transaction| {
            prune(transaction, now)?;
            insert(transaction, &row)
        })?;
        Ok(known.is_some())
    }

    /// All tokens: issued first, then held; the latest to expire first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = rows(self.store)?.into_iter().map(|row| row.record);
        let mut records: Vec<TokenRecord> = rows.filter(|record| !is_over(record, now)).collect();
        records.sort_by(|a, b| (b.issued, b.expires, &a.cid).cmp(&(a.issued, a.expires, &b.cid)));
        Ok(records)
    }

    /// The token whose leaf has this CID, issued or held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, cid: &str, now: Timestamp) -> Result<Option<KeptToken>, StoreError> {
        self.store.read(|transaction| {
            for entry in transaction.open_table(TOKENS)?.iter()? {
                let (key, value) = entry?;
                if key.value().rsplit(':').next() == Some(cid) {
                    let TokenRow { record, container } = unpack(value.value())?;
                    return Ok((!is_over(&record, now)).then_some(KeptToken { record, container }));
                }
            }
            Ok(None)
        })
    }

    /// Containers of the tokens held here that carry rights of `subject` and have begun and not expired; the latest to expire
    /// first, at most `limit`.
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
            let (from, to) = (format!("h:{subject}:"), format!("h:{subject};"));
            let mut held = Vec::new();
            for entry in transaction.open_table(TOKENS)?.range(from.as_str()..to.as_str())? {
                let row: TokenRow = unpack(entry?.1.value())?;
                if row.record.expires > now {
                    held.push(row);
                }
            }
            Ok(held)
        })?;
        held.sort_by(|a, b| (b.record.expires, &a.record.cid).cmp(&(a.record.expires, &b.record.cid)));
        held.truncate(limit);
        Ok(held.into_iter().map(|row| row.container).collect())
    }
}

fn key(record: &TokenRecord) -> String {
    let kind = if record.issued { 'i' } else { 'h' };
    format!("{kind}:{}:{}", record.subject, record.cid)
}

/// Whether it expired longer ago than tokens are kept.
pub(crate) fn is_over(record: &TokenRecord, now: Timestamp) -> bool {
    record.expires.plus_ms(limits::TOKEN_GRACE_MS) < now
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

/// Whether one more fits beside those that are not over.
fn room(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    issued: bool,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (from, to) = if issued { ("i:", "i;") } else { ("h:", "h;") };
    let limit = if issued { limits::TOKENS_ISSUED } else { limits::TOKENS_HELD };
    // Counting is only worth it when all of them together could be too many.
    if table.len()? < limit {
        return Ok(());
    }
    let mut count = 0_u64;
    for entry in table.range(from..to)? {
        let row: TokenRow = unpack(entry?.1.value())?;
        count = count.saturating_add(u64::from(!is_over(&row.record, now)));
    }
    if count < limit {
        return Ok(());
    }
    let what = if issued { "issued tokens" } else { "held tokens" };
    Err(StoreError::Full { what, limit, hint: "wait for some to expire, and give new ones a shorter life" })
}

fn insert(transaction: &WriteTransaction, row: &TokenRow) -> Result<(), StoreError> {
    let key = key(&row.record);
    let mut tokens = transaction.open_table(TOKENS)?;
    let mut expiry = transaction.open_table(TOKEN_EXPIRY)?;
    if let Some(old) = tokens.get(key.as_str())? {
        let old: TokenRow = unpack(old.value())?;
        expiry.remove((old.record.expires.0, key.as_str()))?;
    }
    tokens.insert(key.as_str(), pack(row)?.as_slice())?;
    expiry.insert((row.record.expires.0, key.as_str()), ())?;
    Ok(())
}

fn prune(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let Some(before) = now.0.checked_sub(limits::TOKEN_GRACE_MS) else { return Ok(()) };
    let mut expiry = transaction.open_table(TOKEN_EXPIRY)?;
    let mut tokens = transaction.open_table(TOKENS)?;
    for entry in expiry.extract_from_if(..(before, ""), |_, ()| true)? {
        tokens.remove(entry?.0.value().1)?;
    }
    Ok(())
}

/// All tokens of the database, in the order of their keys.
pub(crate) fn rows(store: &Store) -> Result<Vec<TokenRow>, StoreError> {
    store.read(|transaction| {
        transaction.open_table(TOKENS)?.iter()?.map(|entry| unpack(entry?.1.value())).collect()
    })
}

/// Takes the tokens of `auth.log` that the database lacks; gives how many they were, and those that the log lacks.
pub(crate) fn merge(
    store: &Store,
    logged: &[TokenRow],
    now: Timestamp,
) -> Result<(u64, Vec<TokenRow>), StoreError> {
    // The last line of a token counts.
    let mut latest = std::collections::BTreeMap::new();
    for row in logged {
        latest.insert(key(&row.record), row);
    }
    let mut missing = rows(store)?;
    let all = missing.len();
    missing.retain(|row| !is_over(&row.record, now));
    let any_over = missing.len() < all;
    missing.retain(|row| !latest.contains_key(&key(&row.record)));
    let lacking: Vec<&TokenRow> = store.read(|transaction| {
        let table = transaction.open_table(TOKENS)?;
        let mut lacking = Vec::new();
        for (key, row) in &latest {
            if table.get(key.as_str())?.is_none() {
                lacking.push(*row);
            }
        }
        Ok(lacking)
    })?;
    if any_over || !lacking.is_empty() {
        store.write(Keep::Now, |transaction| {
            prune(transaction, now)?;
            lacking.iter().try_for_each(|row| insert(transaction, row))
        })?;
    }
    Ok((lacking.len() as u64, missing))
}

#[cfg(test)]
mod tests;
