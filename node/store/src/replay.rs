//! Signed invocations that were seen: each counts once, also after a restart.

use clankers_protocol::{CidDigest, Timestamp};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};

use crate::{
    Store, StoreError, limits,
    store::{
        Keep,
        rows::Record,
        tables::{REPLAY, REPLAY_EXPIRY, pack, unpack},
    },
};

/// The seen invocations in a store.
#[derive(Debug, Clone, Copy)]
pub struct Replay<'s> {
    store: &'s Store,
}

impl Store {
    /// The invocations that it has seen.
    #[must_use]
    pub fn replay(&self) -> Replay<'_> {
        Replay { store: self }
    }
}

impl Replay<'_> {
    /// Whether this invocation is seen for the first time; it is remembered until then, on the disk when this returns.
    /// One whose time is over counts as seen.
    ///
    /// # Errors
    /// [`StoreError::Full`] when too many are remembered, disk: then it must be denied.
    pub fn is_first(&self, cid: &CidDigest, until: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        if until <= now {
            return Ok(false);
        }
        let mut auth = self.store.auth();
        let (known, full) = self.store.read(|transaction| {
            let table = transaction.open_table(REPLAY)?;
            let known = table.get(cid.0)?.map(|until| unpack::<Timestamp>(until.value())).transpose()?;
            let mut full = table.len()? >= limits::REPLAYS;
            if full {
                let expiry = transaction.open_table(REPLAY_EXPIRY)?;
                full = expiry.first()?.is_some_and(|(first, _)| first.value().0 > now.0);
            }
            Ok((known, full))
        })?;
        if known.is_some_and(|until| until > now) {
            return Ok(false);
        }
        if full {
            let hint = "try again in a few minutes";
            return Err(StoreError::Full { what: "signed requests", limit: limits::REPLAYS, hint });
        }
        auth.append(&[Record::Replay(*cid, until)], now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction| {
            prune(transaction, now)?;
            insert(transaction, *cid, until)
        })?;
        self.store.tidy(&mut auth, now);
        Ok(true)
    }
}

pub(crate) fn insert(
    transaction: &WriteTransaction,
    cid: CidDigest,
    until: Timestamp,
) -> Result<(), StoreError> {
    let mut expiry = transaction.open_table(REPLAY_EXPIRY)?;
    let mut seen = transaction.open_table(REPLAY)?;
    if let Some(old) = seen.insert(cid.0, pack(&until)?.as_slice())? {
        expiry.remove((unpack::<Timestamp>(old.value())?.0, cid.0))?;
    }
    expiry.insert((until.0, cid.0), ())?;
    Ok(())
}

/// Forgets those whose time is over.
pub(crate) fn prune(transaction: &WriteTransaction, now: Timestamp) -> Result<(), StoreError> {
    let mut expiry = transaction.open_table(REPLAY_EXPIRY)?;
    let mut seen = transaction.open_table(REPLAY)?;
    for entry in expiry.extract_from_if(..=(now.0, [0xff; 32]), |_, ()| true)? {
        seen.remove(entry?.0.value().1)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
