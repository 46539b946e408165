//! Who was removed from a team, when and by whom: for as long as a membership of before may last, also when this node leaves the
//! team meanwhile.

use std::collections::BTreeSet;

use clankers_protocol::{CidDigest, NodeId, TeamId, Timestamp};
use redb::{ReadableTable, ReadableTableMetadata, Table};

use super::TeamBook;
use crate::{
    StoreError, limits,
    store::{
        Keep,
        tables::{TEAM_REMOVALS, TEAMS},
    },
};

/// Key: team, who, by whom. Value: when, and the link that was taken back.
type Key = ([u8; 32], [u8; 32], [u8; 32]);
type Value = (u64, [u8; 32]);

/// A removal as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptRemoval {
    /// Who was removed.
    pub member: NodeId,
    /// By whom.
    pub by: NodeId,
    /// When.
    pub at: Timestamp,
    /// The link that was taken back.
    pub cid: CidDigest,
}

impl TeamBook<'_> {
    /// Keeps a removal, unless a later one by the same is known. When there are too many, what is over is forgotten, then the
    /// oldest of a team that was left, then the oldest. Gives whether it was news.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_removal(
        &self,
        team: TeamId,
        removal: &KeptRemoval,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = (team.0, removal.member.0, removal.by.0);
        let known = self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_REMOVALS)?;
            Ok(table.get(key)?.is_some_and(|known| known.value().0 >= removal.at.0))
        })?;
        if known {
            return Ok(false);
        }
        self.store.write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAM_REMOVALS)?;
            let joined = transaction.open_table(TEAMS)?;
            let joined = joined.iter()?.map(|entry| Ok(entry?.0.value()));
            make_room(&mut table, &joined.collect::<Result<_, StoreError>>()?, now)?;
            table.insert(key, (removal.at.0, removal.cid.0))?;
            Ok(true)
        })
    }

    /// All removals of a team.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn removals(&self, team: TeamId) -> Result<Vec<KeptRemoval>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_REMOVALS)?;
            let all = (team.0, [0; 32], [0; 32])..=(team.0, [0xff; 32], [0xff; 32]);
            let rows = table.range(all)?.map(|entry| {
                let (key, value) = entry?;
                let ((_, member, by), (at, cid)) = (key.value(), value.value());
                let (member, by) = (NodeId(member), NodeId(by));
                Ok(KeptRemoval { member, by, at: Timestamp(at), cid: CidDigest(cid) })
            });
            rows.collect()
        })
    }
}

fn make_room(
    table: &mut Table<'_, Key, Value>,
    joined: &BTreeSet<[u8; 32]>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if table.len()? < limits::TEAM_REMOVALS {
        return Ok(());
    }
    let over = now.0.saturating_sub(limits::TEAM_REMOVAL_KEPT_MS);
    table.retain(|_, (at, _)| at >= over)?;
    if table.len()? < limits::TEAM_REMOVALS {
        return Ok(());
    }
    let mut oldest: Option<(bool, u64, Key)> = None;
    for entry in table.iter()? {
        let (key, value) = entry?;
        let key = key.value();
        let rank = (joined.contains(&key.0), value.value().0, key);
        oldest = Some(oldest.map_or(rank, |least| least.min(rank)));
    }
    if let Some((_, _, key)) = oldest {
        table.remove(key)?;
    }
    Ok(())
}
