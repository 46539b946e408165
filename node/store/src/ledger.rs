//! What was used under each link of a chain: money, tokens, starts; and what runs now.
//!
//! A reservation is charged to all links at once, before anything is spent; settling replaces it by what was really used.
//! One that is never settled (a crash, a lost connection) stays charged in full: there is nothing to repair at a start.
//! `auth.log` and the database have the new totals, synced, before a reservation is given. A settlement that lowers them
//! may be taken back by a crash: more is charged then, never less.
//!
//! - [`arrivals`]: files that come: what a crash leaves of their reservations is known, and settled by what is there

mod arrivals;
mod counter;
mod running;
mod table;

use std::sync::{MutexGuard, PoisonError};

pub use arrivals::Arrival;
use clankers_protocol::{CidDigest, Timestamp};
pub(crate) use counter::CounterRow;
pub use counter::{Amount, LedgerUsage};
use redb::WriteTransaction;
pub use running::Running;
pub(crate) use running::RunningCounts;
pub(crate) use table::{Groups, insert, prune};
use table::{read, room};

use crate::{
    Store, StoreError, limits,
    store::{
        AuthLog, Keep,
        rows::{Counter, Record},
        tables::COUNTERS,
    },
};

/// The counters in a store.
#[derive(Debug, Clone, Copy)]
pub struct Ledger<'s> {
    store: &'s Store,
}

/// What was charged in advance. Give it to [`Ledger::settle`]; if it is dropped instead, all of it stays charged.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "what is not settled stays charged in full"]
pub struct Reservation {
    links: Vec<Charged>,
}

/// What is about to be charged; nobody else charges meanwhile.
struct Charging<'s> {
    auth: MutexGuard<'s, AuthLog>,
    /// As they will be.
    counters: Vec<Counter>,
    charged: Vec<Charged>,
    /// The groups of those that were not kept before.
    fresh: Vec<CidDigest>,
}

/// What a reservation added to one link: less than was asked for where a counter is at its end.
#[derive(Debug, PartialEq, Eq)]
struct Charged {
    cid: CidDigest,
    nano_usd: u64,
    tokens: u64,
    bytes: u64,
}

impl Store {
    /// Its counters.
    #[must_use]
    pub fn ledger(&self) -> Ledger<'_> {
        Ledger { store: self }
    }
}

impl Ledger<'_> {
    /// What was used under this link until now, reservations included.
    ///
    /// # Errors
    /// [`StoreError`]: then it must be denied.
    pub fn usage(&self, cid: &CidDigest, now: Timestamp) -> Result<LedgerUsage, StoreError> {
        let row = self.store.read(|transaction| read(&transaction.open_table(COUNTERS)?, *cid))?;
        Ok(row.map_or_else(LedgerUsage::default, |row| row.usage(now)).with(self.store.running.of(cid)))
    }

    /// Charges `amount` to every link (CID, expiry), if `check` agrees with what was used under each before. Nobody else
    /// reserves in between: of many that ask for the last cent, exactly as many get it as it is enough for.
    ///
    /// Give the chain's first link first, metered or not: how many links are counted is limited for each first link, so
    /// that one who may delegate cannot take the room of others by making links.
    ///
    /// # Errors
    /// [`StoreError`]: nothing was charged, and it must be denied. The inner error is `check`'s.
    pub fn reserve<E>(
        &self,
        links: &[(CidDigest, Timestamp)],
        amount: Amount,
        now: Timestamp,
        check: impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), E>,
    ) -> Result<Result<Reservation, E>, StoreError> {
        let charged = self.charge(links, amount, now, check, |_| ())?;
        Ok(charged.map(|(reservation, ())| reservation))
    }

    /// The same, and counts a prompt as running under these links until the guard is dropped: as one step, so that two that
    /// begin at once see each other.
    ///
    /// # Errors
    /// As [`Ledger::reserve`].
    pub fn start<E>(
        &self,
        links: &[(CidDigest, Timestamp)],
        amount: Amount,
        now: Timestamp,
        check: impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), E>,
    ) -> Result<Result<(Reservation, Running), E>, StoreError> {
        self.charge(links, amount, now, check, |cids| self.begin(cids))
    }

    /// Counts a prompt as running under these links until the guard is dropped; none is running after a restart.
    pub fn begin(&self, cids: &[CidDigest]) -> Running {
        self.store.running.begin(cids)
    }

    fn charge<E, R>(
        &self,
        links: &[(CidDigest, Timestamp)],
        amount: Amount,
        now: Timestamp,
        check: impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), E>,
        begin: impl FnOnce(&[CidDigest]) -> R,
    ) -> Result<Result<(Reservation, R), E>, StoreError> {
        let Charging { mut auth, counters, charged, fresh } =
            match self.charging(links, amount, now, check)? {
                Ok(charging) => charging,
                Err(error) => return Ok(Err(error)),
            };
        self.keep(&mut auth, counters, Keep::Now, now)?;
        self.grouped(fresh);
        let cids: Vec<CidDigest> = charged.iter().map(|link| link.cid).collect();
        Ok(Ok((Reservation { links: charged }, begin(&cids))))
    }

    /// Those groups have one counter more each.
    fn grouped(&self, fresh: Vec<CidDigest>) {
        let mut groups = self.store.groups.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.into_iter().for_each(|group| groups.add(group));
    }

    /// Counters as they are after the charge, if `check` agrees and there is room; nothing is written yet.
    fn charging<E>(
        &self,
        links: &[(CidDigest, Timestamp)],
        amount: Amount,
        now: Timestamp,
        check: impl FnOnce(&[(CidDigest, LedgerUsage)]) -> Result<(), E>,
    ) -> Result<Result<Charging<'_>, E>, StoreError> {
        if links.len() > limits::LEDGER_CHAIN {
            let (limit, hint) = (limits::LEDGER_CHAIN as u64, "use a shorter chain");
            return Err(StoreError::Full { what: "links of a chain", limit, hint });
        }
        // Whoever charges or settles holds this: what is read here is so until it is written.
        let mut auth = self.store.auth();
        let mut counters = self.counters(links)?;
        let running = &self.store.running;
        let before: Vec<(CidDigest, LedgerUsage)> = counters
            .iter()
            .map(|(counter, _)| (counter.cid, counter.row.usage(now).with(running.of(&counter.cid))))
            .collect();
        if let Err(error) = check(&before) {
            return Ok(Err(error));
        }
        let fresh = counters.iter().filter(|(_, known)| !known).count() as u64;
        if let Some((first, _)) = counters.first().filter(|_| fresh > 0) {
            self.store.forgets(&mut auth, None, now)?;
            let mut groups = self.store.groups.lock().unwrap_or_else(PoisonError::into_inner);
            room(self.store, &mut groups, first.row.group, fresh, now)?;
        }
        let mut charged = Vec::new();
        for (counter, _) in &mut counters {
            let (nano_usd, tokens, bytes) = counter.row.charge(amount, now);
            charged.push(Charged { cid: counter.cid, nano_usd, tokens, bytes });
        }
        let fresh: Vec<CidDigest> =
            counters.iter().filter(|(_, known)| !known).map(|(counter, _)| counter.row.group).collect();
        let counters: Vec<Counter> = counters.into_iter().map(|(counter, _)| counter).collect();
        Ok(Ok(Charging { auth, counters, charged, fresh }))
    }

    /// The counters of these links, each once, and whether each is kept already.
    fn counters(&self, links: &[(CidDigest, Timestamp)]) -> Result<Vec<(Counter, bool)>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(COUNTERS)?;
            let mut counters: Vec<(Counter, bool)> = Vec::new();
            let Some((group, _)) = links.first().copied() else { return Ok(counters) };
            for (cid, expires) in links.iter().copied() {
                if counters.iter().any(|(counter, _)| counter.cid == cid) {
                    continue;
                }
                let known = read(&table, cid)?;
                let is_known = known.is_some();
                let mut row = known.unwrap_or_else(|| CounterRow::new(group, expires));
                row.expires = row.expires.max(expires);
                counters.push((Counter { cid, row }, is_known));
            }
            Ok(counters)
        })
    }

    /// Replaces a reservation by what was really used (more than was reserved, perhaps). What was started stays started,
    /// whatever `actual.starts` says.
    ///
    /// # Errors
    /// [`StoreError`]: the reservation stays charged.
    pub fn settle(&self, reservation: Reservation, actual: Amount, now: Timestamp) -> Result<(), StoreError> {
        let mut auth = self.store.auth();
        let mut counters = Vec::new();
        let mut keep = Keep::Soon;
        for link in &reservation.links {
            let row = self.store.read(|transaction| read(&transaction.open_table(COUNTERS)?, link.cid))?;
            // Gone: the link is long over.
            let Some(mut row) = row else { continue };
            row.spent = row.spent.saturating_sub(link.nano_usd).saturating_add(actual.nano_usd);
            row.tokens = row.tokens.saturating_sub(link.tokens).saturating_add(actual.tokens);
            row.received = row.received.saturating_sub(link.bytes).saturating_add(actual.bytes);
            if actual.nano_usd > link.nano_usd || actual.tokens > link.tokens || actual.bytes > link.bytes {
                keep = Keep::Now;
            }
            counters.push(Counter { cid: link.cid, row });
        }
        // What a crash takes back of a settlement leaves more charged, never less.
        self.keep(&mut auth, counters, keep, now)
    }

    fn keep(
        &self,
        auth: &mut AuthLog,
        counters: Vec<Counter>,
        keep: Keep,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if counters.is_empty() {
            return Ok(());
        }
        self.store.forgets(auth, None, now)?;
        let counters = log(auth, counters, keep, now)?;
        self.write(&counters, keep, now, |_| Ok(()))?;
        self.store.tidy(auth, now);
        Ok(())
    }

    /// Writes counters to the database, and something else with them.
    fn write(
        &self,
        counters: &[Counter],
        keep: Keep,
        now: Timestamp,
        also: impl FnOnce(&WriteTransaction) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let gone = self.store.write(keep, |transaction| {
            let gone = table::extract(transaction, self.store.past(now))?;
            counters.iter().try_for_each(|counter| insert(transaction, counter))?;
            also(transaction)?;
            Ok(gone)
        })?;
        let mut groups = self.store.groups.lock().unwrap_or_else(PoisonError::into_inner);
        gone.into_iter().for_each(|group| groups.remove(group));
        Ok(())
    }
}

/// Writes counters to `auth.log`, and gives them back.
fn log(
    auth: &mut AuthLog,
    counters: Vec<Counter>,
    keep: Keep,
    now: Timestamp,
) -> Result<Vec<Counter>, StoreError> {
    let record = Record::Counters(counters);
    auth.append(std::slice::from_ref(&record), now, keep)?;
    Ok(if let Record::Counters(counters) = record { counters } else { Vec::new() })
}

#[cfg(test)]
mod tests;
