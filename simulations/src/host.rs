//! One host: the machines that ship, and what a shell around them keeps.

use std::collections::{BTreeMap, BTreeSet};

use clankers_protocol::{
    CidDigest, NodeId, TeamId, Timestamp,
    healer::Healer,
    peering::Peering,
    presence::{Load, Noted, Own, Presence, Seen, Standing},
    spread::Spread,
};
use iroh_gossip::proto::topic::Message;

use crate::{dice::Dice, event::Machine, gossip::Gossip, names, payload::Passed, queue::Micros};

/// The world's team.
pub const TEAM: TeamId = TeamId([3; 32]);
/// When every world begins, milliseconds since 1970.
pub const BEGIN_MS: u64 = 1_795_000_000_000;

/// What a host keeps on its disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    /// The latest start: rising, and about when it was.
    pub boot_id: u64,
    /// Milliseconds that its clock is ahead.
    pub skew_ms: i64,
    /// Members whose membership it has seen.
    pub members: BTreeSet<u32>,
    /// Revocations that it has judged.
    pub revoked: BTreeMap<CidDigest, Noted>,
    /// Members that are no longer: their membership is among the revoked.
    pub removed: BTreeSet<u32>,
    /// This host has said goodbye.
    pub left: bool,
}

impl Disk {
    /// The host's own clock.
    #[must_use]
    pub fn clock(&self, now: Micros) -> Timestamp {
        Timestamp((BEGIN_MS + now / 1_000).saturating_add_signed(self.skew_ms))
    }
}

/// Messages of gossip for a member that it may not talk to yet.
#[derive(Debug)]
pub struct Waiting {
    /// The how manieth wait.
    pub number: u64,
    /// In order.
    pub messages: Vec<Message<NodeId>>,
}

/// One host while its process runs.
#[derive(Debug)]
pub struct Host {
    /// Gossip's core.
    pub gossip: Gossip,
    /// Who is there.
    pub presence: Presence,
    /// Joins parts again.
    pub healer: Healer,
    /// Whom it is connected with.
    pub peering: Peering,
    /// Revocations.
    pub spread: Spread,
    /// Members that gossip waits for.
    pub waiting: BTreeMap<u32, Waiting>,
    /// Members with which a dial of the team's connection was refused once: membership is being shown again.
    pub again: BTreeSet<u32>,
    /// Revocations that are being fetched, and from whom.
    pub pulls: BTreeMap<CidDigest, u32>,
    /// Pages that may be asked of a member yet, count.
    pub pages: BTreeMap<u32, u32>,
    /// The neighbour that was asked last about somebody unknown.
    pub asked: Option<u32>,
    /// Members that made room in presence: should they be heard of, the machines are told of them anew.
    pub gone: BTreeSet<u32>,
    /// A look at who is a member still is to come.
    pub recheck: bool,
    /// No earlier than this, microseconds.
    pub recheck_at: Micros,
    /// Members that said goodbye and were not heard of since.
    pub left: BTreeSet<u32>,
    /// The newest record of each member that gossip was let bring.
    pub newest: Places,
    /// Payloads that were let through lately.
    pub passed: Passed,
    waits: u64,
    wakes: [u64; 4],
}

impl Host {
    /// A host that has just started.
    #[must_use]
    pub fn new(host: u32, disk: &Disk, dice: &mut Dice) -> Self {
        let me = names::id(host);
        Self {
            gossip: Gossip::new(host, dice.split()),
            presence: Presence::new(TEAM, me, disk.boot_id, own(host), dice.any()),
            healer: Healer::new(me, dice.any()),
            peering: Peering::new(me),
            spread: Spread::new(TEAM, me),
            waiting: BTreeMap::new(),
            again: BTreeSet::new(),
            pulls: BTreeMap::new(),
            pages: BTreeMap::new(),
            asked: None,
            gone: BTreeSet::new(),
            recheck: false,
            recheck_at: 0,
            left: BTreeSet::new(),
            newest: Places::default(),
            passed: Passed::default(),
            waits: 0,
            wakes: [0; 4],
        }
    }

    /// Count a wish to be woken: it replaces the earlier ones.
    pub fn wake(&mut self, machine: Machine) -> u64 {
        let Some(count) = self.wakes.get_mut(place(machine)) else { return 0 };
        *count += 1;
        *count
    }

    /// Whether this is the latest wish.
    #[must_use]
    pub fn is_latest(&self, machine: Machine, number: u64) -> bool {
        self.wakes.get(place(machine)) == Some(&number)
    }

    /// Count a wait.
    pub fn wait(&mut self) -> u64 {
        self.waits += 1;
        self.waits
    }
}

fn place(machine: Machine) -> usize {
    match machine {
        Machine::Presence => 0,
        Machine::Healer => 1,
        Machine::Peering => 2,
        Machine::Spread => 3,
    }
}

/// What a host says of itself: as long as it is in practice.
fn own(host: u32) -> Own {
    let [a, b, c, d] = host.to_be_bytes();
    let addrs = [
        std::net::SocketAddr::from(([10, b, c, d], 41_000)),
        std::net::SocketAddr::from(([192, 168, c, d], 41_000)),
        std::net::SocketAddr::from((
            [0xfd00, 0, 0, 0, 0, 0, u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])],
            41_001,
        )),
    ];
    Own {
        addrs: addrs.into(),
        relay: None,
        label: Some(format!("host-{host}")),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        load: Load { sessions: host % 7, running: host % 3 },
    }
}

/// When a record was made, microseconds since the world began, by the clock of its author.
#[must_use]
pub fn made(at: Timestamp, author: &Disk) -> Micros {
    at.0.saturating_add_signed(author.skew_ms.saturating_neg()).saturating_sub(BEGIN_MS).saturating_mul(1_000)
}

impl Host {
    /// Whether a member is shown as there.
    #[must_use]
    pub fn is_shown(&self, seen: &Seen<'_>) -> bool {
        matches!(seen.standing, Standing::Live | Standing::Suspect)
    }
}

/// A place in what each member says (its start, and the number since then), by host: a table without search.
#[derive(Debug, Default, Clone)]
pub struct Places(Vec<(u64, u64)>);

impl Places {
    /// The place of a host; the very first when there is none.
    #[must_use]
    pub fn get(&self, host: u32) -> (u64, u64) {
        usize::try_from(host).ok().and_then(|host| self.0.get(host)).copied().unwrap_or_default()
    }

    /// Sets the place of a host; gives the one before.
    pub fn set(&mut self, host: u32, place: (u64, u64)) -> (u64, u64) {
        let Ok(host) = usize::try_from(host) else { return place };
        if self.0.len() <= host {
            self.0.resize(host + 1, (0, 0));
        }
        self.0.get_mut(host).map_or(place, |slot| std::mem::replace(slot, place))
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_by_host() {
        let mut places = Places::default();
        assert_eq!(places.get(7), (0, 0));
        assert_eq!(places.set(7, (1, 2)), (0, 0));
        assert_eq!(places.set(7, (1, 3)), (1, 2));
        assert_eq!((places.get(7), places.get(6), places.get(8)), ((1, 3), (0, 0), (0, 0)));
        places.clear();
        assert_eq!(places.get(7), (0, 0));
    }

    #[test]
    fn a_clock_that_is_wrong_tells_when_a_record_was_made() {
        for skew_ms in [0, 5_000, -5_000, 365 * 86_400_000, -365 * 86_400_000] {
            let disk = Disk { skew_ms, ..Disk::default() };
            assert_eq!(made(disk.clock(12_000_000), &disk), 12_000_000);
        }
    }
}
