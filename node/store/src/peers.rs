//! The peer book: whom this node knows, how to reach them, and what the owner calls them.
//!
//! The owner's entries are trusted and kept. What is merely heard of is capped: the stranger that was silent longest makes
//! room, so that a flood of made-up peers costs a fixed amount and never a friend.

mod error;
mod label;
mod names;
mod row;

use clankers_protocol::{NodeId, Timestamp, request::peers::PeerRecord};
pub use error::PeerError;
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use row::Row;

use crate::{
    Store, limits,
    store::{
        Keep,
        tables::{LABELS, PEERS, STRANGERS, pack, unpack},
    },
};

/// What was heard of a peer. Text that is too long, and addresses beyond the limit, are left out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Heard<'a> {
    /// Where: `mdns`, `dial`, `hello`, ... Addresses of one kind replace earlier ones of the same kind.
    pub via: &'a str,
    /// Socket addresses, as text.
    pub addrs: &'a [String],
    /// The relay it can be reached through.
    pub relay: Option<&'a str>,
    /// The label it claims for itself.
    pub claimed: Option<&'a str>,
    /// Its software.
    pub version: Option<&'a str>,
}

/// The peer book in a store.
#[derive(Debug, Clone, Copy)]
pub struct PeerBook<'s> {
    store: &'s Store,
}

impl Store {
    /// Its peer book.
    #[must_use]
    pub fn peers(&self) -> PeerBook<'_> {
        PeerBook { store: self }
    }
}

impl PeerBook<'_> {
    /// All peers, in order of label, then id.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub fn list(&self) -> Result<Vec<PeerRecord>, PeerError> {
        let mut peers: Vec<PeerRecord> = self.rows()?.into_iter().map(|(id, row)| row.record(id)).collect();
        peers.sort_by(|a, b| (a.label.is_none(), &a.label, a.id).cmp(&(b.label.is_none(), &b.label, b.id)));
        Ok(peers)
    }

    fn rows(&self) -> Result<Vec<(NodeId, Row)>, PeerError> {
        Ok(self.store.read(|transaction| {
            let table = transaction.open_table(PEERS)?;
            let rows = table.iter()?.map(|entry| {
                let (id, value) = entry?;
                Ok((NodeId(id.value()), unpack::<Row>(value.value())?))
            });
            rows.collect()
        })?)
    }

    /// One peer.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub fn get(&self, id: NodeId) -> Result<Option<PeerRecord>, PeerError> {
        Ok(self.row(id)?.map(|row| row.record(id)))
    }

    fn row(&self, id: NodeId) -> Result<Option<Row>, PeerError> {
        Ok(self.store.read(|transaction| {
            transaction.open_table(PEERS)?.get(id.0)?.map(|value| unpack(value.value())).transpose()
        })?)
    }

    /// Adds a peer for the owner, or more addresses of a known one; it is trusted from now on.
    ///
    /// # Errors
    /// [`PeerError`]: the label is taken or cannot be one, an address is too long, the book is full.
    pub fn add(
        &self,
        id: NodeId,
        addrs: &[String],
        relay: Option<&str>,
        label: Option<&str>,
        now: Timestamp,
    ) -> Result<PeerRecord, PeerError> {
        if let Some(label) = label {
            label::check(label)?;
        }
        row::check_addresses(addrs, relay)?;
        self.change(Keep::Now, |transaction| {
            let mut row = take(transaction, id)?.unwrap_or_default();
            if !row.trusted {
                room_for_trusted(transaction)?;
            }
            row.trusted = true;
            row.take_addresses(row::BOOK, addrs, now);
            row.relay = relay.map(ToOwned::to_owned).or(row.relay);
            if label.is_some() {
                relabel(transaction, id, &mut row, label)?;
            }
            put(transaction, id, &row)?;
            Ok(row.record(id))
        })
    }

    /// Notes what was heard of a peer. A stranger stays one. A crash may undo it.
    ///
    /// Gives whether anything changed: being heard again within a minute changes nothing and costs no write.
    ///
    /// # Errors
    /// [`PeerError::Store`].
    pub fn heard(&self, id: NodeId, heard: Heard<'_>, now: Timestamp) -> Result<bool, PeerError> {
        let old = self.row(id)?;
        let mut row = old.clone().unwrap_or_default();
        row.hear(heard, now);
        if old.as_ref().is_some_and(|old| old.says_the_same(&row)) {
            return Ok(false);
        }
        self.change(Keep::Soon, |transaction| {
            let mut row = take(transaction, id)?.unwrap_or_default();
            row.hear(heard, now);
            put(transaction, id, &row)?;
            if !row.trusted {
                evict(transaction)?;
            }
            Ok(true)
        })
    }

    /// Forgets a peer; gives what was known of it.
    ///
    /// # Errors
    /// [`PeerError::NotFound`], [`PeerError::Store`].
    pub fn remove(&self, id: NodeId) -> Result<PeerRecord, PeerError> {
        self.change(Keep::Now, |transaction| {
            let row = take(transaction, id)?.ok_or_else(|| PeerError::NotFound(id.to_string()))?;
            if let Some(label) = &row.label {
                transaction.open_table(LABELS)?.remove(label::key(label).as_str())?;
            }
            Ok(row.record(id))
        })
    }

    /// Gives a known peer a label, or takes it away. A label of one's own makes no peer trusted.
    ///
    /// # Errors
    /// [`PeerError`]: unknown peer, the label is taken or cannot be one.
    pub fn set_label(&self, id: NodeId, label: Option<&str>) -> Result<PeerRecord, PeerError> {
        if let Some(label) = label {
            label::check(label)?;
        }
        self.change(Keep::Now, |transaction| {
            let mut row = take(transaction, id)?.ok_or_else(|| PeerError::NotFound(id.to_string()))?;
            relabel(transaction, id, &mut row, label)?;
            put(transaction, id, &row)?;
            Ok(row.record(id))
        })
    }

    /// Trusts a known peer, or does not any more: a label that it claims names it only while it is trusted. One that is
    /// neither trusted nor labelled is a stranger again.
    ///
    /// # Errors
    /// [`PeerError`]: unknown peer, the book is full.
    pub fn set_trusted(&self, id: NodeId, trusted: bool) -> Result<PeerRecord, PeerError> {
        self.change(Keep::Now, |transaction| {
            let mut row = take(transaction, id)?.ok_or_else(|| PeerError::NotFound(id.to_string()))?;
            if trusted && !row.is_kept() {
                room_for_trusted(transaction)?;
            }
            row.trusted = trusted;
            put(transaction, id, &row)?;
            if !row.is_kept() {
                evict(transaction)?;
            }
            Ok(row.record(id))
        })
    }

    /// A change that may fail for a reason of its own; any failure undoes all of it.
    fn change<T>(
        &self,
        keep: Keep,
        act: impl FnOnce(&WriteTransaction) -> Result<T, PeerError>,
    ) -> Result<T, PeerError> {
        let mut refused = None;
        let done = self.store.write(keep, |transaction| {
            act(transaction).map_err(|error| match error {
                PeerError::Store(error) => error,
                other => {
                    refused = Some(other);
                    // Only its being an error counts here.
                    crate::StoreError::Full { what: "", limit: 0, hint: "" }
                }
            })
        });
        match refused {
            Some(error) => Err(error),
            None => Ok(done?),
        }
    }
}

/// Takes a row out, from the strangers' order too.
fn take(transaction: &WriteTransaction, id: NodeId) -> Result<Option<Row>, PeerError> {
    let mut peers = transaction.open_table(PEERS)?;
    let Some(row) = peers.remove(id.0)?.map(|value| unpack::<Row>(value.value())).transpose()? else {
        return Ok(None);
    };
    if !row.is_kept() {
        transaction.open_table(STRANGERS)?.remove((row.last_seen, id.0))?;
    }
    Ok(Some(row))
}

fn put(transaction: &WriteTransaction, id: NodeId, row: &Row) -> Result<(), PeerError> {
    transaction.open_table(PEERS)?.insert(id.0, pack(row)?.as_slice())?;
    if !row.is_kept() {
        transaction.open_table(STRANGERS)?.insert((row.last_seen, id.0), ())?;
    }
    Ok(())
}

fn relabel(
    transaction: &WriteTransaction,
    id: NodeId,
    row: &mut Row,
    label: Option<&str>,
) -> Result<(), PeerError> {
    let mut labels = transaction.open_table(LABELS)?;
    if let Some(label) = label {
        let holder = labels.get(label::key(label).as_str())?.map(|holder| NodeId(holder.value()));
        if let Some(holder) = holder.filter(|holder| *holder != id) {
            return Err(PeerError::LabelTaken { label: label.to_owned(), holder });
        }
        if row.label.is_none() && !row.trusted {
            // A labelled stranger is kept like a friend.
            room_for_trusted(transaction)?;
        }
    }
    if let Some(old) = &row.label {
        labels.remove(label::key(old).as_str())?;
    }
    if let Some(label) = label {
        labels.insert(label::key(label).as_str(), id.0)?;
    }
    row.label = label.map(ToOwned::to_owned);
    Ok(())
}

fn room_for_trusted(transaction: &WriteTransaction) -> Result<(), PeerError> {
    let all = transaction.open_table(PEERS)?.len()?;
    let strangers = transaction.open_table(STRANGERS)?.len()?;
    if all.saturating_sub(strangers) < limits::PEERS_TRUSTED {
        return Ok(());
    }
    Err(PeerError::Full { limit: limits::PEERS_TRUSTED })
}

/// Makes the strangers few enough again.
fn evict(transaction: &WriteTransaction) -> Result<(), PeerError> {
    let mut strangers = transaction.open_table(STRANGERS)?;
    let mut peers = transaction.open_table(PEERS)?;
    while strangers.len()? > limits::PEERS_STRANGERS {
        let Some(silent) = strangers.pop_first()?.map(|(key, _)| key.value().1) else { break };
        peers.remove(silent)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
