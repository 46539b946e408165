//! Tokens in the database: rows, what is noted about them, and the indexes.

use clankers_protocol::{NodeId, Timestamp, request::tokens::TokenRecord};
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, Table, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::{
    StoreError, limits,
    store::{
        rows::is_over,
        tables::{DELIVERED, LINES, RENEWALS, TOKEN_CIDS, TOKEN_EXPIRY, TOKEN_NOTES, TOKENS, pack, unpack},
    },
};

/// What the node notes about a token, besides what stands in it.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenNote {
    /// It is to be issued again for its audience, for so long each time (seconds); 0: its line was ended, for good.
    pub renew_secs: Option<u64>,
    /// The CID of the token that this one goes back to by renewals; `None`: it was never renewed.
    pub line: Option<String>,
    /// The peer that delivered it unasked; `None`: the owner issued or imported it.
    pub delivered_by: Option<NodeId>,
}

/// A token with its container and what is noted about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenRow {
    pub(crate) record: TokenRecord,
    pub(crate) container: Vec<u8>,
    pub(crate) note: TokenNote,
}

impl TokenRow {
    /// `i:` or `h:`, the subject, `:`, the CID.
    pub(crate) fn key(&self) -> String {
        let kind = if self.record.issued { 'i' } else { 'h' };
        format!("{kind}:{}:{}", self.record.subject, self.record.cid)
    }

    /// Whether it is not kept any more. One that is to be renewed is kept for longer: its audience may have been away.
    pub(crate) fn is_gone(&self, now: Timestamp) -> bool {
        is_over(Timestamp(self.indexed()), now)
    }

    /// Whether it is to be issued again.
    pub(super) fn is_renewed(&self) -> bool {
        self.note.renew_secs.is_some_and(|secs| secs > 0)
    }

    /// Whether its line was ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.note.renew_secs == Some(0)
    }

    /// Where it stands in the index of expiries (milliseconds since 1970).
    fn indexed(&self) -> u64 {
        let later = if self.is_renewed() { limits::RENEWAL_KEEP_MS } else { 0 };
        self.record.expires.plus_ms(later).0
    }

    /// The CID of the token that it goes back to; its own if it was never renewed.
    pub(crate) fn line(&self) -> &str {
        self.note.line.as_deref().unwrap_or(&self.record.cid)
    }
}

/// The tables that a token is read from.
pub(crate) struct ReadTables {
    pub(super) tokens: ReadOnlyTable<&'static str, &'static [u8]>,
    pub(super) notes: ReadOnlyTable<&'static str, &'static [u8]>,
}

impl ReadTables {
    pub(crate) fn open(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        Ok(Self { tokens: transaction.open_table(TOKENS)?, notes: transaction.open_table(TOKEN_NOTES)? })
    }
}

/// The token of this key.
pub(crate) fn load(tables: &ReadTables, key: &str) -> Result<Option<TokenRow>, StoreError> {
    read(&tables.tokens, &tables.notes, key)
}

fn read(
    tokens: &impl ReadableTable<&'static str, &'static [u8]>,
    notes: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Result<Option<TokenRow>, StoreError> {
    let Some(value) = tokens.get(key)? else { return Ok(None) };
    let (record, container) = unpack(value.value())?;
    let note = notes.get(key)?.map(|value| unpack(value.value())).transpose()?.unwrap_or_default();
    Ok(Some(TokenRow { record, container, note }))
}

/// All tables of tokens, for a change.
struct Tables<'t> {
    tokens: Table<'t, &'static str, &'static [u8]>,
    notes: Table<'t, &'static str, &'static [u8]>,
    expiry: Table<'t, (u64, &'static str), ()>,
    cids: Table<'t, (&'static str, u8), &'static str>,
    delivered: Table<'t, ([u8; 32], &'static str), ()>,
    renewals: Table<'t, ([u8; 32], &'static str), ()>,
    lines: Table<'t, (&'static str, &'static str), ()>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            tokens: transaction.open_table(TOKENS)?,
            notes: transaction.open_table(TOKEN_NOTES)?,
            expiry: transaction.open_table(TOKEN_EXPIRY)?,
            cids: transaction.open_table(TOKEN_CIDS)?,
            delivered: transaction.open_table(DELIVERED)?,
            renewals: transaction.open_table(RENEWALS)?,
            lines: transaction.open_table(LINES)?,
        })
    }

    fn remove(&mut self, key: &str) -> Result<(), StoreError> {
        let Some(row) = read(&self.tokens, &self.notes, key)? else { return Ok(()) };
        self.tokens.remove(key)?;
        self.notes.remove(key)?;
        self.expiry.remove((row.indexed(), key))?;
        self.cids.remove((row.record.cid.as_str(), u8::from(row.record.issued)))?;
        if let Some(from) = row.note.delivered_by {
            self.delivered.remove((from.0, key))?;
        }
        self.renewals.remove((row.record.audience.0, key))?;
        self.lines.remove((row.line(), key))?;
        Ok(())
    }

    fn insert(&mut self, row: &TokenRow) -> Result<(), StoreError> {
        let key = row.key();
        let key = key.as_str();
        self.remove(key)?;
        self.tokens.insert(key, pack(&(&row.record, &row.container))?.as_slice())?;
        self.expiry.insert((row.indexed(), key), ())?;
        self.cids.insert((row.record.cid.as_str(), u8::from(row.record.issued)), key)?;
        if row.note != TokenNote::default() {
            self.notes.insert(key, pack(&row.note)?.as_slice())?;
        }
        if let Some(from) = row.note.delivered_by {
            self.delivered.insert((from.0, key), ())?;
        }
        if row.is_renewed() {
            self.renewals.insert((row.record.audience.0, key), ())?;
        }
        if row.note.line.is_some() || row.note.renew_secs.is_some() {
            self.lines.insert((row.line(), key), ())?;
        }
        Ok(())
    }
}

/// Inserts a token, or replaces it.
pub(crate) fn insert(transaction: &WriteTransaction, row: &TokenRow) -> Result<(), StoreError> {
    Tables::open(transaction)?.insert(row)
}

/// Removes a token and all that points to it.
pub(crate) fn remove(transaction: &WriteTransaction, key: &str) -> Result<(), StoreError> {
    Tables::open(transaction)?.remove(key)
}

/// Removes what expired long enough ago.
pub(crate) fn prune(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let Some(before) = now.0.checked_sub(limits::TOKEN_GRACE_MS) else { return Ok(()) };
    let mut tables = Tables::open(transaction)?;
    let mut over = Vec::new();
    for entry in tables.expiry.range(..(before, ""))? {
        over.push(entry?.0.value().1.to_owned());
    }
    over.iter().try_for_each(|key| tables.remove(key))
}

/// Makes the index by CID of a database that had none.
pub(crate) fn index_all(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let tokens = transaction.open_table(TOKENS)?;
    let mut cids = transaction.open_table(TOKEN_CIDS)?;
    for entry in tokens.iter()? {
        let (key, value) = entry?;
        let (record, _): (TokenRecord, Vec<u8>) = unpack(value.value())?;
        cids.insert((record.cid.as_str(), u8::from(record.issued)), key.value())?;
    }
    Ok(())
}

/// Where one index points to: keys of tokens that stand under this id.
pub(super) fn keys_of(
    table: &impl ReadableTable<([u8; 32], &'static str), ()>,
    id: NodeId,
) -> Result<Vec<String>, StoreError> {
    let mut keys = Vec::new();
    for entry in table.range((id.0, "")..=(id.0, KEYS_END))? {
        keys.push(entry?.0.value().1.to_owned());
    }
    Ok(keys)
}

/// After every key.
pub(super) const KEYS_END: &str = "~";

/// The subject in a key.
pub(super) fn subject_of(key: &str) -> Option<&str> {
    key.split(':').nth(1)
}

/// The CID in a key.
pub(super) fn cid_of(key: &str) -> &str {
    key.rsplit(':').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use clankers_protocol::CidDigest;

    use super::*;

    #[test]
    fn keys_sort_before_their_end() {
        let digest = CidDigest([0xff; 32]).to_string();
        for key in [format!("i:{digest}:z"), format!("h:{digest}:bafy"), "i:".to_owned()] {
            assert!(key.as_str() < KEYS_END);
        }
        assert_eq!(cid_of("i:00:bafy"), "bafy");
    }
}
