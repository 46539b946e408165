//! Members that a node remembers: whom to dial after a restart, and what proved that they belong.

use clankers_protocol::{NodeId, TeamId};
use redb::{ReadableTable, WriteTransaction};
use serde::{Deserialize, Serialize};

use super::TeamBook;
use crate::{
    StoreError, limits,
    store::{
        Keep,
        tables::{TEAM_MEMBERS, pack, unpack},
    },
};

/// Why a member is not there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parting {
    /// It said goodbye.
    Left,
    /// It was removed, or its membership has ended.
    Removed,
}

/// A member as it is remembered; also the stored form: frozen with the schema's version.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMember {
    /// Its memberships as far as they were seen, the newest first: containers in raw form.
    pub chains: Vec<Vec<u8>>,
    /// The label that it claims.
    pub label: Option<String>,
    /// Where it was last.
    pub addrs: Vec<String>,
    /// The relay where it was last.
    pub relay: Option<String>,
    /// Its software.
    pub version: Option<String>,
    /// When it was last heard (milliseconds since 1970); 0: never.
    pub last_seen: u64,
    /// It is not expected any more.
    pub parting: Option<Parting>,
}

impl KeptMember {
    /// Whether the difference is not worth a write: only the time, and little of it.
    fn says_the_same(&self, new: &Self) -> bool {
        let same = Self { last_seen: self.last_seen, ..new.clone() } == *self;
        same && new.last_seen.saturating_sub(self.last_seen) < limits::LAST_SEEN_GRAIN_MS
    }

    /// Takes in a membership, unless it is known; the oldest makes room.
    pub fn take_chain(&mut self, chain: &[u8]) {
        if !self.chains.iter().any(|known| known == chain) {
            self.chains.insert(0, chain.to_vec());
            self.chains.truncate(limits::MEMBER_CHAINS);
        }
    }

    fn is_bounded(&self) -> bool {
        let short = |text: &Option<String>, limit| text.as_ref().is_none_or(|text| text.len() <= limit);
        self.chains.len() <= limits::MEMBER_CHAINS
            && self.chains.iter().all(|chain| chain.len() <= limits::CONTAINER_BYTES)
            && short(&self.label, limits::LABEL_BYTES)
            && short(&self.relay, limits::RELAY_BYTES)
            && short(&self.version, limits::WORD_BYTES)
            && self.addrs.len() <= limits::PEER_ADDRESSES
            && self.addrs.iter().all(|addr| addr.len() <= limits::ADDRESS_BYTES)
    }
}

impl TeamBook<'_> {
    /// Everybody whom it remembers in a team, in order of id.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn members(&self, team: TeamId) -> Result<Vec<(NodeId, KeptMember)>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_MEMBERS)?;
            let rows = table.range((team.0, [0; 32])..=(team.0, [0xff; 32]))?.map(|entry| {
                let (key, value) = entry?;
                Ok((NodeId(key.value().1), unpack(value.value())?))
            });
            rows.collect()
        })
    }

    /// One of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn member(&self, team: TeamId, id: NodeId) -> Result<Option<KeptMember>, StoreError> {
        self.store.read(|transaction| {
            let table = transaction.open_table(TEAM_MEMBERS)?;
            table.get((team.0, id.0))?.map(|value| unpack(value.value())).transpose()
        })
    }

    /// Changes what is remembered of a member, from what is known or from nothing. What merely was heard may be undone by
    /// a crash; a new membership or a parting may not. When there are too many, who parted, and then who was silent longest,
    /// makes room. What does not fit its limits is not kept. Gives whether anything was written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remember(
        &self,
        team: TeamId,
        id: NodeId,
        change: impl FnOnce(&mut KeptMember),
    ) -> Result<bool, StoreError> {
        let old = self.member(team, id)?;
        let mut new = old.clone().unwrap_or_default();
        change(&mut new);
        if !new.is_bounded() || old.as_ref().is_some_and(|old| old.says_the_same(&new)) {
            return Ok(false);
        }
        let matters = old.as_ref().is_none_or(|old| old.chains != new.chains || old.parting != new.parting);
        let keep = if matters { Keep::Now } else { Keep::Soon };
        self.store.write(keep, |transaction| {
            if old.is_none() {
                make_room(transaction, team)?;
            }
            let bytes = pack(&new)?;
            transaction.open_table(TEAM_MEMBERS)?.insert((team.0, id.0), bytes.as_slice())?;
            Ok(true)
        })
    }
}

fn make_room(transaction: &WriteTransaction, team: TeamId) -> Result<(), StoreError> {
    let mut table = transaction.open_table(TEAM_MEMBERS)?;
    let mut leaves: Option<(bool, u64, [u8; 32])> = None;
    let mut count = 0;
    for entry in table.range((team.0, [0; 32])..=(team.0, [0xff; 32]))? {
        let (key, value) = entry?;
        let member: KeptMember = unpack(value.value())?;
        let rank = (member.parting.is_none(), member.last_seen, key.value().1);
        leaves = Some(leaves.map_or(rank, |least| least.min(rank)));
        count += 1;
    }
    match leaves.filter(|_| count >= limits::TEAM_MEMBERS_KEPT) {
        Some((_, _, id)) => table.remove((team.0, id)).map(drop).map_err(Into::into),
        None => Ok(()),
    }
}
