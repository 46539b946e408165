//! Bringing database and `auth.log` together: what one lost the other still has, and what both lost is said.

use std::sync::PoisonError;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use redb::{ReadTransaction, WriteTransaction};

use super::{
    Keep, Store, StoreError,
    auth_log::Replayed,
    authority,
    rows::{Record, Records},
    tables::{AUTHORITY, COUNTERS, MERGED, META, OVERFLOWS, REPLAY, REVOCATIONS, TOKENS, unpack},
};
use crate::{Home, ledger, limits, replay, revocations, tokens};

/// Makes both the same, and loads what is kept in memory; gives how many tokens the log gave back.
///
/// The log goes first: a database that was not merged yet counts as missing at the next start, and is judged again.
pub(super) fn reconcile(
    store: &Store,
    home: &Home,
    replayed: Replayed,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let (merged, mut database) = store.read(|transaction| {
        let merged = transaction.open_table(META)?.get(MERGED)?.is_some();
        Ok((merged, read_all(transaction)?))
    })?;
    let Replayed { records: mut log, lines, missing, lost } = replayed;
    let stale = database.count();
    let past = store.past(now);
    database.forget(past, now);
    // What only the log has was forgotten here, unless the database is new.
    log.forget_but(&database, now, now);
    let stale = stale != database.count();
    let recovered = log.tokens.keys().filter(|key| !database.tokens.contains_key(*key)).count();
    let mut both = log.clone();
    both.merge(database.clone());
    if !merged && both.authority.lost.is_none() {
        let has_key = home.identity().symlink_metadata().is_ok();
        if let Some(why) = what_is_lost(missing && has_key, lost) {
            tracing::warn!(why, "authority is lost: peers are refused until the epoch is moved");
            both.authority.number = both.authority.number.saturating_add(1);
            both.authority.lost = Some(why);
        }
    }
    if both.dropped > both.authority.forgotten {
        // Should the clock be wrong now: what was revoked among that stays over.
        both.authority.number = both.authority.number.saturating_add(1);
        both.authority.forgotten = both.dropped;
    }
    {
        let mut auth = store.auth();
        let lacking = both.lacking_in(&log);
        let few = lacking.len() <= limits::AUTH_LOG_CATCH_UP;
        if missing || lost > 0 || !few || auth.is_mostly_over(lines, both.count()) {
            auth.rewrite(&both, now, lost > 0)?;
        } else if !lacking.is_empty() {
            auth.append(&lacking, now, Keep::Now)?;
        }
    }
    let lacking = both.lacking_in(&database);
    if !merged || stale || !lacking.is_empty() {
        store.write(Keep::Now, |transaction| {
            forget(transaction, past, now)?;
            lacking.iter().try_for_each(|record| insert(transaction, record))?;
            transaction.open_table(META)?.insert(MERGED, 1)?;
            Ok(())
        })?;
    }
    load(store, both);
    Ok(recovered as u64)
}

fn what_is_lost(missing: bool, lost: u64) -> Option<String> {
    if missing {
        return Some("the node's key is there, but store.redb and auth.log are both missing".into());
    }
    (lost > 0).then(|| format!("store.redb is missing, and {lost} lines of auth.log are damaged"))
}

fn load(store: &Store, records: Records) {
    *store.authority.write().unwrap_or_else(PoisonError::into_inner) = records.authority;
    let mut mirror = store.revoked.write().unwrap_or_else(PoisonError::into_inner);
    records.revocations.values().for_each(|row| mirror.insert(row, true));
    records.overflows.iter().for_each(|(revoker, until)| mirror.mark(*revoker, *until));
    drop(mirror);
    let mut groups = store.groups.lock().unwrap_or_else(PoisonError::into_inner);
    records.counters.values().for_each(|row| groups.add(row.group));
}

/// Everything in the database.
pub(super) fn read_all(transaction: &ReadTransaction) -> Result<Records, StoreError> {
    let mut all = Records::default();
    for entry in transaction.open_table(TOKENS)?.range::<&str>(..)? {
        let (key, _) = entry?;
        let row = tokens::load(&tokens::ReadTables::open(transaction)?, key.value())?;
        all.tokens.extend(row.map(|row| (key.value().to_owned(), row)));
    }
    for entry in transaction.open_table(REVOCATIONS)?.range::<[u8; 32]>(..)? {
        let (cid, row) = entry?;
        all.revocations.insert(CidDigest(cid.value()), revocations::open_row(row.value())?);
    }
    for entry in transaction.open_table(OVERFLOWS)?.range::<[u8; 32]>(..)? {
        let (revoker, until) = entry?;
        all.overflows.insert(NodeId(revoker.value()), unpack(until.value())?);
    }
    for entry in transaction.open_table(COUNTERS)?.range::<[u8; 32]>(..)? {
        let (cid, row) = entry?;
        all.counters.insert(CidDigest(cid.value()), unpack(row.value())?);
    }
    for entry in transaction.open_table(REPLAY)?.range::<[u8; 32]>(..)? {
        let (cid, until) = entry?;
        all.replay.insert(CidDigest(cid.value()), unpack(until.value())?);
    }
    all.authority = authority::load(&transaction.open_table(AUTHORITY)?)?;
    Ok(all)
}

fn insert(transaction: &WriteTransaction, record: &Record) -> Result<(), StoreError> {
    match record {
        Record::Token(row) => tokens::insert(transaction, row),
        Record::Dropped(key) => tokens::remove(transaction, key),
        Record::Revocation(row) => revocations::insert(transaction, row),
        Record::Overflow(revoker, until) => revocations::insert_mark(transaction, *revoker, *until),
        Record::Counters(counters) => {
            counters.iter().try_for_each(|counter| ledger::insert(transaction, counter))
        }
        Record::Replay(cid, until) => replay::insert(transaction, *cid, *until),
        Record::Authority(row) => authority::insert(transaction, row),
    }
}

fn forget(transaction: &WriteTransaction, past: Timestamp, now: Timestamp) -> Result<(), StoreError> {
    tokens::prune(transaction, past)?;
    revocations::prune(transaction, past)?;
    ledger::prune(transaction, past)?;
    replay::prune(transaction, now)
}
