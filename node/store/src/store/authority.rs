//! The auth epoch, and whether this node still knows what it has revoked.

use std::sync::PoisonError;

use clankers_protocol::Timestamp;
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::{
    AuthLog, Keep, Store, StoreError,
    rows::Record,
    tables::{AUTHORITY, COUNTER_EXPIRY, OVERFLOWS, REVOCATION_EXPIRY, pack, unpack},
};
use crate::{limits, revocations};

/// The one key of its table.
const KEY: &str = "authority";

/// Whether what this node remembers of grants and revocations is all that there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// It is.
    Whole,
    /// Some of it is lost, so a revoked token might look good: nobody but the owner is let in until
    /// [`Store::move_epoch`].
    Lost {
        /// What is lost.
        why: String,
    },
}

/// The row: of two of them, the higher number counts.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AuthorityRow {
    /// How many changes there were (count).
    pub(crate) number: u64,
    pub(crate) epoch: Timestamp,
    pub(crate) lost: Option<String>,
    /// The latest end of anything whose revocation or counter was forgotten since it was over.
    #[serde(default)]
    pub(crate) forgotten: Timestamp,
    /// The epoch that was set when records were lost: tokens that nobody knows of begin before it, so it never moves back
    /// behind this.
    #[serde(default)]
    pub(crate) floor: Timestamp,
}

impl Store {
    /// The auth epoch: tokens that begin before it are refused. Touches no disk.
    #[must_use]
    pub fn epoch(&self) -> Timestamp {
        self.authority.read().unwrap_or_else(PoisonError::into_inner).epoch
    }

    /// Whether the records of authority are whole. Touches no disk.
    #[must_use]
    pub fn authority(&self) -> Authority {
        let row = self.authority.read().unwrap_or_else(PoisonError::into_inner);
        row.lost.clone().map_or(Authority::Whole, |why| Authority::Lost { why })
    }

    /// Withdraws every token issued until now, and with them all doubt about what was lost or forgotten. Gives the new epoch:
    /// `now`, rounded up to a whole second, since tokens count in seconds; never earlier than before, but for one case: an
    /// epoch over a minute ahead of `now` was set while the clock was wrong, and would withdraw whatever is issued until
    /// then. It goes back to now, though not behind one that was set when records were lost. Issued tokens that begin at the new epoch or later are withdrawn one by one.
    ///
    /// # Errors
    /// Disk: nothing changed then; when only the database failed, the next start may find the epoch moved.
    pub fn move_epoch(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let mut auth = self.auth();
        let old = self.authority.read().unwrap_or_else(PoisonError::into_inner).clone();
        let whole_second = Timestamp::from_secs(now.plus_ms(999).as_secs());
        let ahead = old.epoch > now.plus_ms(limits::EPOCH_AHEAD_MS);
        let epoch = whole_second.max(if ahead { old.floor } else { old.epoch });
        let floor = if old.lost.is_some() { epoch } else { old.floor };
        let number = old.number.saturating_add(1);
        let row = AuthorityRow { number, epoch, lost: None, forgotten: Timestamp(0), floor };
        let withdrawn = self.tokens().withdrawn_by_hand(epoch, now)?;
        let mut records: Vec<Record> = withdrawn.iter().cloned().map(Record::Revocation).collect();
        records.push(Record::Authority(row.clone()));
        auth.append(&records, now, Keep::Now)?;
        self.write(Keep::Now, |transaction| {
            withdrawn.iter().try_for_each(|row| revocations::insert(transaction, row))?;
            insert(transaction, &row)
        })?;
        let mut revoked = self.revoked.write().map_err(|_| {
            StoreError::bad_value("a thread failed while it changed what is revoked; restart the node")
        })?;
        withdrawn.iter().for_each(|row| revoked.insert(row, true));
        drop(revoked);
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = row;
        Ok(epoch)
    }

    /// Up to when what ended may have had a revocation that was forgotten.
    pub(crate) fn forgotten(&self) -> Timestamp {
        self.authority.read().unwrap_or_else(PoisonError::into_inner).forgotten
    }

    /// Before revocations and counters of what is over are forgotten: notes for good that these things are over. `also` is
    /// something that is not even kept for that reason.
    pub(crate) fn forgets(
        &self,
        auth: &mut AuthLog,
        also: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.belief.look(now);
        let before = self.past(now).0.saturating_sub(limits::TOKEN_GRACE_MS);
        let latest = self.read(|transaction| {
            let mut latest = also.unwrap_or_default();
            for table in [REVOCATION_EXPIRY, COUNTER_EXPIRY] {
                let table = transaction.open_table(table)?;
                if let Some(entry) = table.range(..(before, [0; 32]))?.next_back() {
                    latest = latest.max(Timestamp(entry?.0.value().0));
                }
            }
            for entry in transaction.open_table(OVERFLOWS)?.range::<[u8; 32]>(..)? {
                let until: Timestamp = unpack(entry?.1.value())?;
                latest = latest.max(if until.0 < before { until } else { Timestamp(0) });
            }
            Ok(latest)
        })?;
        let old = self.authority.read().unwrap_or_else(PoisonError::into_inner).clone();
        if latest <= old.forgotten {
            return Ok(());
        }
        let row = AuthorityRow { number: old.number.saturating_add(1), forgotten: latest, ..old };
        auth.append(&[Record::Authority(row.clone())], now, Keep::Now)?;
        self.write(Keep::Now, |transaction| insert(transaction, &row))?;
        *self.authority.write().unwrap_or_else(PoisonError::into_inner) = row;
        Ok(())
    }
}

pub(super) fn insert(transaction: &WriteTransaction, row: &AuthorityRow) -> Result<(), StoreError> {
    transaction.open_table(AUTHORITY)?.insert(KEY, pack(row)?.as_slice())?;
    Ok(())
}

pub(super) fn load(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<AuthorityRow, StoreError> {
    Ok(table.get(KEY)?.map(|value| open_row(value.value())).transpose()?.unwrap_or_default())
}

/// The row as it is kept; one of before anything was noted as forgotten has three parts.
fn open_row(bytes: &[u8]) -> Result<AuthorityRow, StoreError> {
    unpack(bytes).or_else(|error| {
        let (number, epoch, lost) = unpack(bytes).map_err(|_| error)?;
        Ok(AuthorityRow { number, epoch, lost, ..AuthorityRow::default() })
    })
}
