//! What members tell each other when they meet: presence records, and the memberships of their authors.

use std::{collections::BTreeSet, sync::Arc};

use clankers_auth::team;
use clankers_protocol::{
    NodeId, TeamId,
    limits::{FRAME_BYTES, PRESENCE_PAGE},
    presence::{Gossiped, Record, Signed, Told},
    request::presence::{MemberChain, ToldRecord},
};

use super::roll::Roll;

/// Bytes of records and memberships in one message: half a frame, so that all else fits besides.
const TOLD_BYTES: usize = FRAME_BYTES as usize / 2;

/// A record that was told, its signature looked at.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) age_ms: u64,
    pub(crate) record: Arc<Signed<Record>>,
    pub(crate) verified: bool,
}

/// Reads what somebody told; what is no record is left out.
pub(crate) fn read(team_id: TeamId, records: &[ToldRecord]) -> Vec<Heard> {
    let one = |told: &ToldRecord| match Gossiped::decode(&told.record) {
        Ok(Gossiped::Presence(signed)) if signed.body.team == team_id => {
            let verified = team::verify(&signed);
            Some(Heard { age_ms: told.age_ms, record: Arc::new(signed), verified })
        }
        _ => None,
    };
    records.iter().filter_map(one).collect()
}

/// Enters the memberships that somebody told, as far as they hold.
pub(crate) fn enter(roll: &Roll, chains: &[MemberChain]) {
    for MemberChain { member, chain } in chains {
        if let Err(error) = roll.enter(*member, chain) {
            tracing::debug!(member = %member.short(), %error, "a membership that was told does not hold");
        }
    }
}

/// Records as they are told, and the memberships of those authors whom the other does not know.
#[derive(Debug, Default)]
pub(crate) struct Telling {
    pub(crate) records: Vec<ToldRecord>,
    pub(crate) chains: Vec<MemberChain>,
    told: BTreeSet<NodeId>,
    bytes: usize,
}

impl Telling {
    /// Adds a record while there is room.
    pub(crate) fn record(&mut self, told: Told) {
        let signed = Arc::unwrap_or_clone(told.record);
        let Ok(record) = Gossiped::Presence(signed).encode() else { return };
        if self.records.len() < PRESENCE_PAGE && self.bytes + record.len() <= TOLD_BYTES {
            self.bytes += record.len();
            self.records.push(ToldRecord { age_ms: told.age_ms, record });
        }
    }

    /// Adds a membership while there is room.
    pub(crate) fn chain(&mut self, roll: &Roll, member: NodeId) {
        let Some(chain) = roll.chain(member) else { return };
        let room = self.chains.len() < PRESENCE_PAGE && self.bytes + chain.len() <= TOLD_BYTES;
        if room && self.told.insert(member) {
            self.bytes += chain.len();
            self.chains.push(MemberChain { member, chain: chain.to_vec() });
        }
    }
}
