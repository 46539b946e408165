//! The teams of a node: what proves that it belongs to each, whom it remembers there, and what it gives members.
//!
//! A membership is an offer of others, so it may be lost and asked for again; a team's own key may not. That lies in a
//! file of its own ([`TeamKeys`]), made like the node's.

mod claims;
mod invited;
mod keys;
mod members;
mod removals;
mod row;

pub use claims::TAKEN_BACK;
use clankers_protocol::{TeamId, Timestamp};
pub use keys::TeamKeys;
pub use members::{KeptMember, Parting};
use redb::{ReadableTable, ReadableTableMetadata};
pub use removals::KeptRemoval;
pub use row::{KeptTeam, Template};
pub(crate) use row::{TeamRow, TeamRow3};

use crate::{
    Store, StoreError, limits,
    store::{
        Keep,
        tables::{META, TEAM_CLAIMS, TEAM_INVITED, TEAM_MEMBERS, TEAMS, pack, unpack},
    },
};

/// Where the number of the last start stands in [`META`].
const BOOT: &str = "boot";

/// The teams in a store.
#[derive(Debug, Clone, Copy)]
pub struct TeamBook<'s> {
    store: &'s Store,
}

impl Store {
    /// Its teams.
    #[must_use]
    pub fn teams(&self) -> TeamBook<'_> {
        TeamBook { store: self }
    }
}

impl TeamBook<'_> {
    /// All teams, in order of id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn list(&self) -> Result<Vec<KeptTeam>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAMS)?;
            let rows = table.iter()?.map(|entry| {
                let (id, value) = entry?;
                Ok(unpack::<TeamRow>(value.value())?.kept(TeamId(id.value())))
            });
            rows.collect()
        })
    }

    /// One team.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, id: TeamId) -> Result<Option<KeptTeam>, StoreError> {
        self.store.read(|transaction| {
            let row = transaction.open_table(TEAMS)?.get(id.0)?.map(|value| unpack(value.value()));
            Ok(row.transpose()?.map(|row: TeamRow| row.kept(id)))
        })
    }

    /// Keeps a team, or what is new about a known one.
    ///
    /// # Errors
    /// [`StoreError::Full`], disk.
    pub fn put(&self, team: &KeptTeam) -> Result<(), StoreError> {
        self.store.write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAMS)?;
            if table.get(team.id.0)?.is_none() && table.len()? >= limits::TEAMS {
                let (what, hint) = ("teams", "leave one: clankers team leave");
                return Err(StoreError::Full { what, limit: limits::TEAMS, hint });
            }
            table.insert(team.id.0, pack(&TeamRow::of(team))?.as_slice())?;
            Ok(())
        })
    }

    /// Forgets a team, its members, and which tokens they were given. Its key stays where it is, and who was removed stays
    /// known: this node may join again, and what proves a removal is told to nobody a second time. Gives whether there was such a
    /// team.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove(&self, id: TeamId) -> Result<bool, StoreError> {
        self.store.write(Keep::Now, |transaction| {
            let all = (id.0, [0; 32])..=(id.0, [0xff; 32]);
            transaction.open_table(TEAM_MEMBERS)?.retain_in(all.clone(), |_, _| false)?;
            transaction.open_table(TEAM_INVITED)?.retain_in(all, |_, _| false)?;
            let claims = (id.0, [0; 32], "")..=(id.0, [0xff; 32], "\u{10ffff}");
            transaction.open_table(TEAM_CLAIMS)?.retain_in(claims, |_, _| false)?;
            let known = transaction.open_table(TEAMS)?.remove(id.0)?.is_some();
            Ok(known)
        })
    }

    /// The number of this start: larger than that of every earlier one, also when the clock was set back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn next_boot(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.store.write(Keep::Now, |transaction| {
            let mut meta = transaction.open_table(META)?;
            let last = meta.get(BOOT)?.map_or(0, |last| last.value());
            let next = last.saturating_add(1).max(now.0);
            meta.insert(BOOT, next)?;
            Ok(next)
        })
    }
}

#[cfg(test)]
mod tests;
