//! Files that come: what is reserved for them is kept with what they are, so that a crash leaves nothing charged that did
//! not arrive.
//!
//! The database has a reservation before `auth.log` has it, and `auth.log` a settlement before the database: a kill in
//! between leaves the arrival in the database, and it is settled at the next start. Of two totals the higher counts, so
//! the other way round it would stay charged in full.

use clankers_protocol::{CidDigest, Timestamp, transfer::TransferId};
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{Amount, Charging, Ledger, LedgerUsage, log, read};
use crate::{
    StoreError,
    store::{
        Keep,
        rows::Counter,
        tables::{ARRIVALS, COUNTERS, pack, unpack},
    },
};

/// What comes, as it has to be found after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The id of its part directory.
    pub part: String,
    /// The transfer.
    pub transfer: TransferId,
    /// What of it was there before (bytes).
    pub had: u64,
    /// What is reserved for it (bytes).
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct ArrivalRow {
    of: Arrival,
    /// What was added to each link (bytes).
    links: Vec<(CidDigest, u64)>,
}

fn find(
    table: &impl ReadableTable<u64, &'static [u8]>,
    number: u64,
) -> Result<Option<ArrivalRow>, StoreError> {
    table.get(number)?.map(|row| unpack(row.value())).transpose()
}

fn put(transaction: &WriteTransaction, number: u64, row: &ArrivalRow) -> Result<(), StoreError> {
    transaction.open_table(ARRIVALS)?.insert(number, pack(row)?.as_slice())?;
    Ok(())
}

impl Ledger<'_> {
    /// Reserves `of.bytes` under every link, as [`Ledger::reserve`] does, for what comes; or so many more for what
    /// `before` names. Gives its number, for [`Ledger::arrived`].
    ///
    /// # Errors
    /// [`StoreError`]: nothing more was charged, and it must be denied. The inner error is `check`'s.
    pub fn arrive<E>(
        &self,
        links: &[(CidDigest, Timestamp)],
        of: &Arrival,
        before: Option<u64>,
        now: Timestamp,
        check: impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), E>,
    ) -> Result<Result<u64, E>, StoreError> {
        let amount = Amount { bytes: of.bytes, ..Amount::default() };
        let mut charging = match self.charging(links, amount, now, check)? {
            Ok(charging) => charging,
            Err(error) => return Ok(Err(error)),
        };
        let (number, old) = self.store.read(|transaction| {
            let table = transaction.open_table(ARRIVALS)?;
            let next = table.last()?.map_or(0, |(last, _)| last.value().wrapping_add(1));
            let old = before.map(|number| find(&table, number)).transpose()?.flatten();
            Ok((before.unwrap_or(next), old))
        })?;
        let mut links: Vec<(CidDigest, u64)> =
            charging.charged.iter().map(|link| (link.cid, link.bytes)).collect();
        let mut of = of.clone();
        if let Some(old) = &old {
            of = Arrival { bytes: old.of.bytes.saturating_add(of.bytes), ..old.of.clone() };
            for (cid, bytes) in &mut links {
                let known = old.links.iter().find(|(known, _)| known == cid).map_or(0, |(_, bytes)| *bytes);
                *bytes = bytes.saturating_add(known);
            }
        }
        let row = ArrivalRow { of, links };
        self.store.forgets(&mut charging.auth, None, now)?;
        let Charging { mut auth, counters, charged, fresh } = charging;
        self.write(&counters, Keep::Now, now, |transaction| put(transaction, number, &row))?;
        self.grouped(fresh);
        match log(&mut auth, counters, Keep::Now, now) {
            Ok(_) => self.store.tidy(&mut auth, now),
            Err(error) => {
                // As it was: a total that only one of the two has would stay.
                let charged: Vec<_> = charged.iter().map(|link| (link.cid, link.bytes)).collect();
                let counters = self.lowered(&charged, 0)?;
                self.write(&counters, Keep::Now, now, |transaction| match &old {
                    Some(old) => put(transaction, number, old),
                    None => transaction.open_table(ARRIVALS)?.remove(number).map(drop).map_err(Into::into),
                })?;
                return Err(error);
            }
        }
        Ok(Ok(number))
    }

    /// It is over: what really came takes the place of what was reserved. Nothing when it was settled before.
    ///
    /// # Errors
    /// [`StoreError`]: the reservation stays, until the next start settles it.
    pub fn arrived(&self, number: u64, bytes: u64, now: Timestamp) -> Result<(), StoreError> {
        let mut auth = self.store.auth();
        let row = self.store.read(|transaction| find(&transaction.open_table(ARRIVALS)?, number))?;
        let Some(row) = row else { return Ok(()) };
        let mut counters = self.lowered(&row.links, bytes.min(row.of.bytes))?;
        self.store.forgets(&mut auth, None, now)?;
        if !counters.is_empty() {
            counters = log(&mut auth, counters, Keep::Now, now)?;
        }
        self.write(&counters, Keep::Now, now, |transaction| {
            transaction.open_table(ARRIVALS)?.remove(number)?;
            Ok(())
        })?;
        self.store.tidy(&mut auth, now);
        Ok(())
    }

    /// What is reserved and not settled, with numbers: at a start, what a crash left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn arrivals(&self) -> Result<Vec<(u64, Arrival)>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(ARRIVALS)?;
            let mut all = Vec::new();
            for entry in table.range::<u64>(..)? {
                let (number, row) = entry?;
                all.push((number.value(), unpack::<ArrivalRow>(row.value())?.of));
            }
            Ok(all)
        })
    }

    /// Counters with so much in place of what was added to them; those that are gone are long over.
    fn lowered(&self, links: &[(CidDigest, u64)], actual: u64) -> Result<Vec<Counter>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(COUNTERS)?;
            let mut counters = Vec::new();
            for (cid, added) in links {
                let Some(mut row) = read(&table, *cid)? else { continue };
                row.received = row.received.saturating_sub(*added).saturating_add(actual);
                counters.push(Counter { cid: *cid, row });
            }
            Ok(counters)
        })
    }
}

#[cfg(test)]
mod tests;
