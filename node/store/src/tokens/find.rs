//! Finding tokens: by name, by the beginning of a name, page by page.

use std::{cmp::Reverse, collections::BTreeSet};

use clankers_protocol::{Timestamp, request::tokens::TokenRecord};
use redb::ReadTransaction;

use super::{KeptToken, ReadTables, TokenRow, TokenStore, load, table::cid_of};
use crate::{
    StoreError, limits,
    store::{
        rows::is_over,
        tables::{RENEWALS, TOKEN_CIDS, TOKEN_EXPIRY},
    },
};

/// What a name or its beginning stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundToken {
    /// Just this token.
    One(Box<KeptToken>),
    /// None, or too few characters to say.
    None,
    /// Several: the first CIDs of them.
    Many(Vec<String>),
}

impl TokenStore<'_> {
    /// All tokens: issued first, then held; the latest to expire first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self, now: Timestamp) -> Result<Vec<TokenRecord>, StoreError> {
        Ok(self.page(0, usize::MAX, now)?.0)
    }

    /// The same without the first `skip`, and at most `limit` of them; with how many there are after these.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn page(
        &self,
        skip: u64,
        limit: usize,
        now: Timestamp,
    ) -> Result<(Vec<TokenRecord>, u64), StoreError> {
        self.store.read(|transaction| {
            let keys = keys(transaction, now)?;
            let tables = ReadTables::open(transaction)?;
            let skip = usize::try_from(skip).unwrap_or(usize::MAX);
            let mut records = Vec::new();
            for key in keys.iter().skip(skip).take(limit) {
                records.extend(load(&tables, key)?.map(|row| row.record));
            }
            let more = keys.len().saturating_sub(skip).saturating_sub(limit);
            Ok((records, more as u64))
        })
    }

    /// The token whose leaf has this CID, issued or held.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, cid: &str, now: Timestamp) -> Result<Option<KeptToken>, StoreError> {
        let row = self.by_cid(cid, None)?;
        Ok(row.filter(|row| !row.is_gone(now)).map(KeptToken::from))
    }

    /// The token, issued or held, whose CID is this or begins with this (10 characters at least).
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn find(&self, name: &str, now: Timestamp) -> Result<FoundToken, StoreError> {
        if let Some(kept) = self.get(name, now)? {
            return Ok(FoundToken::One(Box::new(kept)));
        }
        if name.len() < limits::CID_PREFIX_CHARS {
            return Ok(FoundToken::None);
        }
        self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            let mut found: Vec<TokenRow> = Vec::new();
            for entry in transaction.open_table(TOKEN_CIDS)?.range((name, 0)..)? {
                let (cid, key) = entry?;
                if !cid.value().0.starts_with(name) || found.len() > limits::CID_CANDIDATES {
                    break;
                }
                let row = load(&tables, key.value())?.filter(|row| !row.is_gone(now));
                found.extend(row.filter(|row| found.last().is_none_or(|l| l.record.cid != row.record.cid)));
            }
            Ok(match found.len() {
                0 | 1 => found.pop().map_or(FoundToken::None, |row| FoundToken::One(Box::new(row.into()))),
                _ => {
                    found.truncate(limits::CID_CANDIDATES);
                    FoundToken::Many(found.into_iter().map(|row| row.record.cid).collect())
                }
            })
        })
    }

    /// The row of this CID, issued or held; `issued` narrows it.
    pub(super) fn by_cid(&self, cid: &str, issued: Option<bool>) -> Result<Option<TokenRow>, StoreError> {
        self.store.read(|transaction| {
            let cids = transaction.open_table(TOKEN_CIDS)?;
            let (from, to) = issued.map_or((0, 1), |issued| (u8::from(issued), u8::from(issued)));
            // The issued one first, should there be both.
            let Some(entry) = cids.range((cid, from)..=(cid, to))?.next_back() else { return Ok(None) };
            load(&ReadTables::open(transaction)?, entry?.1.value())
        })
    }
}

/// The keys of all tokens that are shown, in the order of the list; reads indexes only.
fn keys(transaction: &ReadTransaction, now: Timestamp) -> Result<Vec<String>, StoreError> {
    let mut renewed = BTreeSet::new();
    for entry in transaction.open_table(RENEWALS)?.range::<([u8; 32], &str)>(..)? {
        renewed.insert(entry?.0.value().1.to_owned());
    }
    let mut all = Vec::new();
    let from = now.0.saturating_sub(limits::TOKEN_GRACE_MS);
    for entry in transaction.open_table(TOKEN_EXPIRY)?.range((from, "")..)? {
        let (place, _) = entry?;
        let (at, key) = place.value();
        let later = if renewed.contains(key) { limits::RENEWAL_KEEP_MS } else { 0 };
        let expires = Timestamp(at.saturating_sub(later));
        // One that is to be renewed is shown as long as that may be: else nobody could revoke it.
        if !is_over(Timestamp(at), now) {
            all.push((expires, key.to_owned()));
        }
    }
    // Held sorts before issued, so the other way round.
    all.sort_by_cached_key(|(expires, key)| {
        (!key.starts_with('i'), Reverse(*expires), cid_of(key).to_owned())
    });
    Ok(all.into_iter().map(|(_, key)| key).collect())
}
