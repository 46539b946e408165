//! What two members tell each other when they meet: each what the other lacks.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Compared, Presence, Told,
    payload::{Record, Signed},
    table::{Entry, Standing},
};
use crate::{
    NodeId, Timestamp,
    limits::{PRESENCE_PAGE, TEAM_DIGESTS},
    request::presence::PresenceDigest,
};

impl Presence {
    /// The record that this node gave out last, as it was signed: others are told it with those of the members.
    pub fn sealed(&mut self, record: Arc<Signed<Record>>) {
        if record.body.author == self.me && record.body.team == self.team {
            self.beat.sealed = Some(record);
        }
    }

    /// What is known, in short, this node included: for whoever it is compared with.
    #[must_use]
    pub fn digests(&self) -> Vec<PresenceDigest> {
        let own = self.beat.sealed.iter().map(|record| (self.me, record.body.place()));
        let others = self.table.iter().filter_map(|(id, entry)| Some((id, entry.place()?)));
        own.chain(others)
            .take(TEAM_DIGESTS)
            .map(|(member, (boot_id, counter))| PresenceDigest { member, boot_id, counter })
            .collect()
    }

    /// What the two lack of each other's: all ids that this node would want, and at most a page of those that it would
    /// send.
    #[must_use]
    pub fn compare(&self, theirs: &[PresenceDigest]) -> Compared {
        let theirs: BTreeMap<NodeId, (u64, u64)> =
            theirs.iter().take(TEAM_DIGESTS).map(|it| (it.member, (it.boot_id, it.counter))).collect();
        let mine = |id: &NodeId| match *id == self.me {
            true => Some(self.beat.place()),
            false => self.table.get(*id).and_then(Entry::place),
        };
        let newer = |id: &NodeId, place: (u64, u64)| theirs.get(id).is_none_or(|their| place > *their);
        let own = self.beat.sealed.iter().map(|record| (self.me, record.body.place()));
        let others =
            self.table.iter().filter(|(_, entry)| entry.is_live() || entry.standing == Standing::Left);
        let others = others.filter_map(|(id, entry)| Some((id, entry.place()?)));
        Compared {
            send: own
                .chain(others)
                .filter(|(id, place)| newer(id, *place))
                .map(|(id, _)| id)
                .take(PRESENCE_PAGE)
                .collect(),
            want: theirs
                .iter()
                .filter(|(id, their)| mine(id).is_none_or(|mine| **their > mine))
                .map(|(id, _)| *id)
                .collect(),
        }
    }

    /// The records of these that hold, at most a page.
    #[must_use]
    pub fn tell(&self, now: Timestamp, ids: &[NodeId]) -> Vec<Told> {
        let elapsed = self.clock.at(now);
        let told = |id: &NodeId| {
            if *id == self.me {
                return self.beat.sealed.clone().map(|record| Told { age_ms: 0, record });
            }
            let entry = self.table.get(*id)?;
            let holds = self.table.is_live_at(*id, elapsed) || entry.standing == Standing::Left;
            let record = entry.record.clone().filter(|_| holds)?;
            Some(Told { age_ms: elapsed.saturating_sub(entry.heard?.1), record })
        };
        ids.iter().filter_map(told).take(PRESENCE_PAGE).collect()
    }
}
