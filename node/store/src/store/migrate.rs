//! Databases of earlier versions.

use clankers_protocol::{CidDigest, Timestamp};
use redb::{Database, ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    StoreError,
    tables::{self, COUNTERS, MERGED, META, SCHEMA, SCHEMA_VERSION, TEAMS, pack, unpack},
};
use crate::{ledger::CounterRow, teams};

/// Brings a database of an earlier version up to date: what was added since are tables; since 1 also the names of its
/// tokens, since 3 totals of files.
pub(super) fn migrate(database: Database, from: u64) -> Result<Database, StoreError> {
    let transaction = database.begin_write()?;
    tables::make_all(&transaction)?;
    if from == 1 {
        crate::tokens::index_all(&transaction)?;
        // It was in use before there was this mark: whatever auth.log lost, this database has.
        transaction.open_table(META)?.insert(MERGED, 1)?;
    }
    rewrite::<CounterRow, Counter3>(&transaction, COUNTERS)?;
    rewrite::<teams::TeamRow, teams::TeamRow3>(&transaction, TEAMS)?;
    transaction.open_table(META)?.insert(SCHEMA, SCHEMA_VERSION)?;
    transaction.commit()?;
    tracing::info!("the database was brought up to version {SCHEMA_VERSION}");
    Ok(database)
}

/// Writes rows of the older form in the newer one. No bytes are of both: the newer form is longer at its end.
fn rewrite<New: Serialize + DeserializeOwned, Old: DeserializeOwned + Into<New>>(
    transaction: &WriteTransaction,
    table: redb::TableDefinition<'_, [u8; 32], &'static [u8]>,
) -> Result<(), StoreError> {
    let mut table = transaction.open_table(table)?;
    let mut older: Vec<([u8; 32], New)> = Vec::new();
    for entry in table.range::<[u8; 32]>(..)? {
        let (key, value) = entry?;
        if unpack::<New>(value.value()).is_err() {
            older.push((key.value(), unpack::<Old>(value.value())?.into()));
        }
    }
    for (key, row) in older {
        table.insert(key, pack(&row)?.as_slice())?;
    }
    Ok(())
}

/// A link's totals up to version 3.
#[derive(Serialize, Deserialize)]
pub(super) struct Counter3 {
    pub(super) group: CidDigest,
    pub(super) expires: Timestamp,
    pub(super) spent: u64,
    pub(super) tokens: u64,
    pub(super) starts: Vec<(u64, u64)>,
}

impl From<Counter3> for CounterRow {
    fn from(old: Counter3) -> Self {
        let Counter3 { group, expires, spent, tokens, starts } = old;
        Self { group, expires, spent, tokens, starts, received: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Home, Store};

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    #[test]
    fn what_version_3_counted_is_still_counted() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let store = Store::open(&home, NOW).unwrap();
        let (cid, expires) = (CidDigest([7; 32]), NOW.plus_ms(9_000_000));
        let old = Counter3 { group: cid, expires, spent: 70, tokens: 7, starts: vec![(1, 2)] };
        store
            .write(super::super::Keep::Now, |transaction| {
                transaction.open_table(COUNTERS)?.insert(cid.0, pack(&old)?.as_slice())?;
                transaction.open_table(tables::COUNTER_EXPIRY)?.insert((expires.0, cid.0), ())?;
                transaction.delete_table(tables::ARRIVALS)?;
                transaction.open_table(META)?.insert(SCHEMA, 3)?;
                Ok(())
            })
            .unwrap();
        drop(store);
        let store = Store::open(&home, NOW).unwrap();
        let used = store.ledger().usage(&cid, NOW).unwrap();
        assert_eq!((used.spent_nano_usd, used.tokens_used, used.received_bytes), (70, 7, 0));
        assert!(store.ledger().arrivals().unwrap().is_empty());
    }
}
