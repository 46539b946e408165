//! Memberships that this node wrote, whether or not somebody ever showed them: what `team remove` takes back. They make
//! nobody a member here: only what was shown does.

use clankers_protocol::{NodeId, TeamId};
use redb::ReadableTable;

use super::TeamBook;
use crate::{
    StoreError, limits,
    store::{
        Keep,
        tables::{TEAM_INVITED, pack, unpack},
    },
};

/// Containers in raw form, the newest first.
type Chains = Vec<Vec<u8>>;

impl TeamBook<'_> {
    /// Keeps a membership that was written for somebody, synced. The oldest of that node makes room; when too many nodes
    /// were invited, one of the others does: a removal is dated, so what is forgotten here is ended by it all the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn invite(&self, team: TeamId, id: NodeId, chain: &[u8]) -> Result<(), StoreError> {
        let mut chains = self.invited(team, id)?;
        chains.retain(|known| known != chain);
        chains.insert(0, chain.to_vec());
        chains.truncate(limits::MEMBER_CHAINS);
        let bytes = pack(&chains)?;
        self.store.write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAM_INVITED)?;
            let mut others = Vec::new();
            for entry in table.range((team.0, [0; 32])..=(team.0, [0xff; 32]))? {
                let (_, other) = entry?.0.value();
                others.extend((other != id.0).then_some(other));
            }
            if let Some(other) = others.first().filter(|_| others.len() >= limits::TEAM_MEMBERS_KEPT) {
                table.remove((team.0, *other))?;
            }
            table.insert((team.0, id.0), bytes.as_slice())?;
            Ok(())
        })
    }

    /// What was written for one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn invited(&self, team: TeamId, id: NodeId) -> Result<Chains, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_INVITED)?;
            table.get((team.0, id.0))?.map_or(Ok(Vec::new()), |value| unpack(value.value()))
        })
    }

    /// What was written for all, in order of id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn all_invited(&self, team: TeamId) -> Result<Vec<(NodeId, Chains)>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_INVITED)?;
            let rows = table.range((team.0, [0; 32])..=(team.0, [0xff; 32]))?.map(|entry| {
                let (key, value) = entry?;
                Ok((NodeId(key.value().1), unpack(value.value())?))
            });
            rows.collect()
        })
    }
}
