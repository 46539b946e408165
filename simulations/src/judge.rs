//! What must never happen, looked for at each step.

use std::collections::BTreeSet;

use clankers_protocol::{
    limits::{GOSSIP_BYTES, PEERING_SHOWN, PRESENCE_MEMBERS},
    presence::{Change, Record, Standing},
};

use crate::{
    host::{Disk, Host, Places, made},
    limits::{CONNECTIONS, CRAMPED, FAULTS, LEASE_SLACK, LINKS, PAYLOAD_BYTES, SWEEP_EVENTS},
    names,
    queue::{Micros, SECOND},
    wire::{Lane, Wire},
    world::Revoked,
};

/// Who is in an old record that is put on gossip again with a signature that is not its author's.
pub const FORGED_LABEL: &str = "forged";

/// Remembers what each host was shown, and says what was wrong.
#[derive(Debug)]
pub struct Judge {
    faults: Vec<String>,
    /// The newest record that each host showed of each member, in the host's present life.
    shown: Vec<Places>,
    /// The newest record that each host ever said, in any life.
    said: Places,
    removed: BTreeSet<u32>,
    next: usize,
    cramped: bool,
}

impl Judge {
    /// A judge of so many hosts.
    #[must_use]
    pub fn new(hosts: usize) -> Self {
        Self {
            faults: Vec::new(),
            shown: vec![Places::default(); hosts],
            said: Places::default(),
            removed: BTreeSet::new(),
            next: 0,
            cramped: false,
        }
    }

    /// The same, taking every limit for a small one: to see that limits are looked at.
    #[must_use]
    pub fn cramped(self, cramped: bool) -> Self {
        Self { cramped, ..self }
    }

    /// What was wrong, in order.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    /// Something is wrong.
    pub fn fault(&mut self, now: Micros, what: String) {
        if self.faults.len() < FAULTS {
            self.faults.push(format!("at {}.{:06} s: {what}", now / SECOND, now % SECOND));
        }
    }

    /// A host begins a new life: what it showed before is forgotten, as it has forgotten it.
    pub fn started(&mut self, host: u32) {
        if let Some(shown) = usize::try_from(host).ok().and_then(|host| self.shown.get_mut(host)) {
            shown.clear();
        }
    }

    /// Something is taken back from now on.
    pub fn revoked(&mut self, _now: Micros, what: Revoked) {
        if let Revoked::Member(member) = what {
            self.removed.insert(member);
        }
    }

    /// Whether a host is a member no more, whoever knows.
    #[must_use]
    pub fn is_removed(&self, host: u32) -> bool {
        self.removed.contains(&host)
    }

    /// A payload leaves a host.
    pub fn says(&mut self, now: Micros, host: u32, bytes: usize) {
        if bytes > PAYLOAD_BYTES.min(GOSSIP_BYTES) {
            self.fault(now, format!("host {host} broadcasts {bytes} bytes"));
        }
    }

    /// A host says that it is there.
    pub fn beats(&mut self, host: u32, record: &Record) {
        self.said.set(host, (record.boot_id, record.counter));
    }

    /// A host shows something else of a member than before.
    pub fn changed(&mut self, now: Micros, host: u32, one: &Host, disk: &Disk, member: u32, change: Change) {
        if !matches!(change, Change::Came | Change::Updated) {
            return;
        }
        if disk.removed.contains(&member) {
            self.fault(now, format!("host {host} shows {member}, which it knows to be removed"));
        }
        let record = one.presence.seen(names::id(member)).and_then(|seen| seen.record);
        let Some(place) = record.map(|record| (record.boot_id, record.counter)) else {
            return self.fault(now, format!("host {host} shows {member} without a record"));
        };
        if place > self.said.get(member) {
            self.fault(now, format!("host {host} shows a record of {member} that it never said: {place:?}"));
        }
        let shown = usize::try_from(host).ok().and_then(|host| self.shown.get_mut(host));
        let before = shown.map_or((0, 0), |shown| shown.set(member, place));
        if before >= place {
            self.fault(
                now,
                format!("host {host} takes a replayed record of {member}: {place:?} after {before:?}"),
            );
        }
    }

    /// A host's healer dials.
    pub fn heals(&mut self, now: Micros, host: u32, one: &Host, disk: &Disk, to: u32) {
        if one.left.contains(&to) {
            self.fault(now, format!("host {host} dials {to}, which said goodbye"));
        }
        if disk.removed.contains(&to) {
            self.fault(now, format!("the healer of host {host} dials {to}, which it knows to be removed"));
        }
    }

    /// A host dials, for whatever reason.
    pub fn connects(&mut self, now: Micros, host: u32, disk: &Disk, to: u32) {
        if disk.removed.contains(&to) {
            self.fault(now, format!("host {host} dials {to}, which it knows to be removed"));
        }
        if !disk.members.contains(&to) {
            self.fault(now, format!("host {host} dials {to}, whose membership it has not seen"));
        }
    }

    /// Whose turn it is to be looked at as a whole.
    pub fn turn(&mut self, events: u64) -> Option<u32> {
        let every = SWEEP_EVENTS.max(u64::try_from(self.shown.len()).unwrap_or(u64::MAX));
        if !events.is_multiple_of(every) {
            return None;
        }
        self.next = (self.next + 1) % self.shown.len().max(1);
        u32::try_from(self.next).ok()
    }

    /// Look at a host as a whole.
    pub fn sweep(&mut self, now: Micros, host: u32, one: &Host, disk: &Disk, disks: &[Disk], wire: &Wire) {
        let clock = disk.clock(now);
        for seen in one.presence.members() {
            let member = names::host(&seen.id);
            if disk.removed.contains(&member) {
                self.fault(
                    now,
                    format!("host {host} has {member} in its table, which it knows to be removed"),
                );
            }
            let Some(record) = seen.record else { continue };
            if record.label.as_deref() == Some(FORGED_LABEL) {
                self.fault(now, format!("host {host} has a forged record of {member} in its table"));
            }
            let Some(its) = usize::try_from(member).ok().and_then(|member| disks.get(member)) else {
                continue;
            };
            let age = now.saturating_sub(made(record.at, its));
            let lease = record.lease_ms * 1_000 + LEASE_SLACK;
            let shown = matches!(seen.standing, Standing::Live | Standing::Suspect);
            if shown && age > lease {
                let (age, lease) = (age / SECOND, lease / SECOND);
                self.fault(
                    now,
                    format!("host {host} shows {member} as live by a record {age} s old, good for {lease} s"),
                );
            }
            if one.presence.is_live(clock, seen.id) && !shown {
                self.fault(
                    now,
                    format!("host {host} says {member} lives and shows it as {:?}", seen.standing),
                );
            }
        }
        self.caps(now, host, one, wire);
        for member in &disk.removed {
            if wire.known(host, *member, Lane::Team) {
                self.fault(
                    now,
                    format!("host {host} has a team connection with {member}, which it knows to be removed"),
                );
            }
        }
    }

    fn caps(&mut self, now: Micros, host: u32, one: &Host, wire: &Wire) {
        let shown = one.peering.shown().count();
        for (what, is, most) in [
            ("members in presence", one.presence.known(), PRESENCE_MEMBERS),
            ("members shown", shown, PEERING_SHOWN),
            ("connections for requests", wire.count(host, Lane::Hall), CONNECTIONS),
            ("of them dialed", wire.dialed(host, Lane::Hall), LINKS),
            ("connections of the team", wire.count(host, Lane::Team), PEERING_SHOWN),
        ] {
            let most = if self.cramped { CRAMPED } else { most };
            if is > most {
                self.fault(now, format!("host {host} has {is} {what}, the limit is {most}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Judge, PAYLOAD_BYTES};

    #[test]
    fn a_payload_that_is_too_long_is_a_fault() {
        let mut judge = Judge::new(1);
        judge.says(0, 0, PAYLOAD_BYTES);
        assert!(judge.faults().is_empty());
        judge.says(0, 0, PAYLOAD_BYTES + 1);
        assert_eq!(judge.faults().len(), 1);
    }
}
