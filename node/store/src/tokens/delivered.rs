//! Tokens that peers deliver unasked: few about each subject, never at the cost of what the owner chose.

use std::cmp::Reverse;

use clankers_protocol::{NodeId, Timestamp, request::tokens::TokenRecord};
use redb::{ReadableTableMetadata, WriteTransaction};

use super::{
    ReadTables, TokenNote, TokenRow, TokenStore, bounded, insert, load, prune, remove, table::subject_of,
};
use crate::{
    StoreError, limits,
    store::{Keep, rows::Record, tables::DELIVERED},
};

/// What became of a delivered token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// It is kept from now on.
    New,
    /// It was kept already: delivered before, or imported by the owner.
    Known,
}

/// What the look before keeping found.
enum Before {
    Known,
    /// Room for one more.
    Room,
    /// This one makes room.
    Instead(String),
}

impl TokenStore<'_> {
    /// Keeps a token for this node that `from` delivered unasked. About each subject there is room for a few, whoever brings
    /// them (keys are free to make, nodes that this one knows are not): beyond that one of the peer that brought most about
    /// it makes room, and of these the soonest to expire. All subjects together have room for some: so take tokens about known peers only.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put_delivered(
        &self,
        record: &TokenRecord,
        container: &[u8],
        from: NodeId,
        now: Timestamp,
    ) -> Result<Delivered, StoreError> {
        bounded(record, container)?;
        let record = TokenRecord { issued: false, ..record.clone() };
        let note = TokenNote { delivered_by: Some(from), ..TokenNote::default() };
        let row = TokenRow { record, container: container.to_vec(), note };
        let mut auth = self.store.auth();
        let before = self.before(&row, from, now)?;
        let mut records = vec![Record::Token(row.clone())];
        let mut leaving = None;
        match before {
            Before::Known => return Ok(Delivered::Known),
            Before::Room => {}
            Before::Instead(key) => {
                records.insert(0, Record::Dropped(key.clone()));
                leaving = Some(key);
            }
        }
        auth.append(&records, now, Keep::Now)?;
        self.store.write(Keep::Now, |transaction: &WriteTransaction| {
            prune(transaction, self.store.past(now))?;
            leaving.iter().try_for_each(|key| remove(transaction, key))?;
            insert(transaction, &row)
        })?;
        self.store.tidy(&mut auth, now);
        Ok(Delivered::New)
    }

    fn before(&self, row: &TokenRow, from: NodeId, now: Timestamp) -> Result<Before, StoreError> {
        self.store.read(|transaction| {
            let tables = ReadTables::open(transaction)?;
            // A token is what its CID says: other proofs around it are not worth replacing what is kept.
            if load(&tables, &row.key())?.is_some() {
                return Ok(Before::Known);
            }
            let delivered = transaction.open_table(DELIVERED)?;
            let mut about = Vec::new();
            for entry in delivered.range::<([u8; 32], &str)>(..)? {
                let key = entry?;
                if subject_of(key.0.value().1) == Some(row.record.subject.to_string().as_str()) {
                    about.extend(load(&tables, key.0.value().1)?.filter(|row| !row.is_gone(now)));
                }
            }
            if about.len() >= limits::TOKENS_DELIVERED_OF_ONE {
                let leaves = crowding(&about, from);
                return Ok(leaves.map_or(Before::Room, |row| Before::Instead(row.key())));
            }
            let mut count = delivered.len()?;
            if count >= limits::TOKENS_DELIVERED {
                count = 0;
                for entry in delivered.range::<([u8; 32], &str)>(..)? {
                    let row = load(&tables, entry?.0.value().1)?;
                    count = count.saturating_add(u64::from(row.is_some_and(|row| !row.is_gone(now))));
                }
            }
            if count >= limits::TOKENS_DELIVERED {
                let hint = "wait for some to expire, or import this one";
                let (what, limit) = ("tokens that peers delivered", limits::TOKENS_DELIVERED);
                return Err(StoreError::Full { what, limit, hint });
            }
            Ok(Before::Room)
        })
    }
}

/// Which of these makes room for one more that `from` brings: the soonest to expire of the peer that brought most, `from`
/// itself when it is among those.
fn crowding(about: &[TokenRow], from: NodeId) -> Option<&TokenRow> {
    let by = |row: &TokenRow| row.note.delivered_by;
    let brought = |who: Option<NodeId>| {
        about.iter().filter(|row| by(row) == who).count().saturating_add(usize::from(who == Some(from)))
    };
    about.iter().max_by_key(|row| (brought(by(row)), by(row) == Some(from), Reverse(row.record.expires)))
}
