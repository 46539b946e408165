//! Counters in the database, and how many each first link has.

use std::collections::HashMap;

use clankers_protocol::{CidDigest, Timestamp};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use super::CounterRow;
use crate::{
    Store, StoreError, limits,
    store::{
        rows::Counter,
        tables::{COUNTER_EXPIRY, COUNTERS, pack, unpack},
    },
};

/// How many counters were made under each first link (count).
#[derive(Debug, Default)]
pub(crate) struct Groups(HashMap<CidDigest, u64>);

impl Groups {
    pub(crate) fn add(&mut self, group: CidDigest) {
        let count = self.0.entry(group).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn remove(&mut self, group: CidDigest) {
        if let Some(count) = self.0.get_mut(&group) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(&group);
            }
        }
    }

    fn of(&self, group: &CidDigest) -> u64 {
        self.0.get(group).copied().unwrap_or(0)
    }
}

pub(super) fn read(
    table: &impl ReadableTable<[u8; 32], &'static [u8]>,
    cid: CidDigest,
) -> Result<Option<CounterRow>, StoreError> {
    table.get(cid.0)?.map(|row| unpack(row.value())).transpose()
}

/// Whether so many more fit.
pub(super) fn room(
    store: &Store,
    groups: &mut Groups,
    group: CidDigest,
    more: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let own = || groups.of(&group).saturating_add(more) > limits::LEDGER_LINKS_OF_ONE;
    let all = || store.read(|transaction| Ok(transaction.open_table(COUNTERS)?.len()?));
    if own() || all()?.saturating_add(more) > limits::LEDGER_LINKS {
        let gone =
            store.write(crate::store::Keep::Soon, |transaction| extract(transaction, store.past(now)))?;
        gone.into_iter().for_each(|group| groups.remove(group));
    }
    let hint = "use fewer different tokens, or wait for some to expire";
    if groups.of(&group).saturating_add(more) > limits::LEDGER_LINKS_OF_ONE {
        let (what, limit) = ("counted links under one grant", limits::LEDGER_LINKS_OF_ONE);
        return Err(StoreError::Full { what, limit, hint });
    }
    let all = store.read(|transaction| Ok(transaction.open_table(COUNTERS)?.len()?))?;
    if all.saturating_add(more) > limits::LEDGER_LINKS {
        return Err(StoreError::Full { what: "counted links", limit: limits::LEDGER_LINKS, hint });
    }
    Ok(())
}

pub(crate) fn insert(transaction: &WriteTransaction, counter: &Counter) -> Result<(), StoreError> {
    let mut expiry = transaction.open_table(COUNTER_EXPIRY)?;
    let mut rows = transaction.open_table(COUNTERS)?;
    let Counter { cid, row } = counter;
    if let Some(old) = read(&rows, *cid)? {
        expiry.remove((old.expires.0, cid.0))?;
    }
    rows.insert(cid.0, pack(row)?.as_slice())?;
    expiry.insert((row.expires.0, cid.0), ())?;
    Ok(())
}

/// Removes what is over.
pub(crate) fn prune(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    extract(transaction, now).map(drop)
}

/// The same; gives the groups of what was removed.
pub(super) fn extract(transaction: &WriteTransaction, now: Timestamp) -> Result<Vec<CidDigest>, StoreError> {
    let Some(before) = now.0.checked_sub(limits::TOKEN_GRACE_MS) else { return Ok(Vec::new()) };
    let mut expiry = transaction.open_table(COUNTER_EXPIRY)?;
    let mut rows = transaction.open_table(COUNTERS)?;
    let mut gone = Vec::new();
    for entry in expiry.extract_from_if(..(before, [0; 32]), |_, ()| true)? {
        if let Some(row) = rows.remove(entry?.0.value().1)? {
            gone.push(unpack::<CounterRow>(row.value())?.group);
        }
    }
    Ok(gone)
}
