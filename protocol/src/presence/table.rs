//! What is known of each member, and when that ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{
    beat::{beat_ms, lease_ms},
    payload::{Record, Signed},
};
use crate::{
    NodeId, Timestamp,
    limits::{PRESENCE_DOUBTS, PRESENCE_MEMBERS, PRESENCE_REFUTE_MS},
};

/// How a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing was heard of it yet.
    Unheard,
    /// Its last record holds.
    Live,
    /// Its last record holds, and somebody lost it.
    Suspect,
    /// Its last record holds no longer, or it did not say that it lives.
    Silent,
    /// It said goodbye.
    Left,
}

/// What came of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was there already, or is older.
    Stale,
    /// It says how things were, longer ago than it holds.
    Late,
    /// The member is there, and was not before.
    Came,
    /// It says something new.
    Updated,
    /// It says what is known.
    Same,
    /// A goodbye.
    Left,
}

/// Whether a member was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Added {
    /// It is there; this one made room.
    There(Option<NodeId>),
    /// All others are there.
    Full,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) standing: Standing,
    pub(super) record: Option<Arc<Signed<Record>>>,
    /// When the newest record came: by the clock, and elapsed, less the age that it was told with.
    pub(super) heard: Option<(Timestamp, u64)>,
    /// When its standing ends, or others are asked about it (milliseconds elapsed).
    due: Option<u64>,
    /// How often others were asked about it since it went silent (count).
    doubts: u32,
    /// This node's time less the author's, for the record of this start that was fastest. Only differences count.
    fastest: u64,
    /// The last record was late.
    late: bool,
    /// When presence was exchanged with it last (milliseconds elapsed).
    pub(super) synced: Option<u64>,
}

impl Entry {
    fn new() -> Self {
        Self {
            standing: Standing::Unheard,
            record: None,
            heard: None,
            due: None,
            doubts: 0,
            fastest: 0,
            late: false,
            synced: None,
        }
    }

    pub(super) fn is_live(&self) -> bool {
        matches!(self.standing, Standing::Live | Standing::Suspect)
    }

    pub(super) fn place(&self) -> Option<(u64, u64)> {
        self.record.as_ref().map(|record| record.body.place())
    }

    /// Whether the record took longer than it holds, as its author's own clock tells, measured by the fastest record of
    /// that start. Two in a row are a clock that was set, not two late ones: a member that holds records back gains one
    /// lease at most with them.
    fn is_late(&mut self, record: &Record, elapsed: u64) -> bool {
        let offset = elapsed.wrapping_sub(record.at.0);
        let same_start = self.record.as_ref().is_some_and(|last| last.body.boot_id == record.boot_id);
        let slower = offset.wrapping_sub(self.fastest).cast_signed();
        let lease = i64::try_from(lease_of(record)).unwrap_or(i64::MAX);
        if same_start && slower > lease && !self.late {
            self.late = true;
            return true;
        }
        if !same_start || self.late || slower < 0 {
            self.fastest = offset;
        }
        self.late = false;
        false
    }
}

/// For how long a record holds (milliseconds): what it says, within what an honest node would say.
fn lease_of(record: &Record) -> u64 {
    record.lease_ms.clamp(lease_ms(beat_ms(0)), lease_ms(beat_ms(PRESENCE_MEMBERS)))
}

#[derive(Debug)]
pub(super) struct Table {
    members: BTreeMap<NodeId, Entry>,
    due: BTreeSet<(u64, NodeId)>,
    live: usize,
    pub(super) room: usize,
}

impl Table {
    pub(super) fn new() -> Self {
        Self { members: BTreeMap::new(), due: BTreeSet::new(), live: 0, room: PRESENCE_MEMBERS }
    }

    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn get(&self, id: NodeId) -> Option<&Entry> {
        self.members.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, &Entry)> {
        self.members.iter().map(|(id, entry)| (*id, entry))
    }

    /// Takes a member in; when there is no room, in place of one that was not heard for longest: that one is given.
    pub(super) fn add(&mut self, id: NodeId) -> Added {
        if self.members.contains_key(&id) {
            return Added::There(None);
        }
        let mut gone = None;
        if self.members.len() >= self.room {
            let silent = self.members.iter().filter(|(_, entry)| !entry.is_live());
            let Some(longest) = silent.min_by_key(|(_, entry)| entry.heard).map(|(id, _)| *id) else {
                return Added::Full;
            };
            self.remove(longest);
            gone = Some(longest);
        }
        self.members.insert(id, Entry::new());
        Added::There(gone)
    }

    pub(super) fn remove(&mut self, id: NodeId) -> bool {
        let Some(entry) = self.members.remove(&id) else { return false };
        self.live = self.live.saturating_sub(usize::from(entry.is_live()));
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        true
    }

    pub(super) fn synced(&mut self, id: NodeId, elapsed: u64) {
        if let Some(entry) = self.members.get_mut(&id) {
            entry.synced = Some(elapsed);
        }
    }

    /// Takes a member's record, which it signed.
    pub(super) fn take(
        &mut self,
        (now, elapsed): (Timestamp, u64),
        age_ms: u64,
        record: &Arc<Signed<Record>>,
    ) -> Option<Verdict> {
        let id = record.body.author;
        let entry = self.members.get_mut(&id)?;
        if entry.place().is_some_and(|last| last >= record.body.place()) {
            return Some(Verdict::Stale);
        }
        let late = entry.is_late(&record.body, elapsed);
        let lease = lease_of(&record.body);
        let before = entry.record.replace(Arc::clone(record));
        if record.body.leaving {
            entry.heard = Some((now, elapsed));
            self.stand(id, Standing::Left, None);
            return Some(Verdict::Left);
        }
        if late || age_ms >= lease {
            return Some(Verdict::Late);
        }
        entry.heard = Some((Timestamp(now.0.saturating_sub(age_ms)), elapsed.saturating_sub(age_ms)));
        let was_there = entry.standing == Standing::Live;
        let same = before.is_some_and(|before| says(&before.body) == says(&record.body));
        let ends = elapsed.saturating_add(lease.saturating_sub(age_ms));
        self.stand(id, Standing::Live, Some(ends));
        Some(match (was_there, same) {
            (false, _) => Verdict::Came,
            (true, true) => Verdict::Same,
            (true, false) => Verdict::Updated,
        })
    }

    /// Somebody lost a live member: it has a while to say that it lives.
    pub(super) fn suspect(&mut self, id: NodeId, elapsed: u64) -> bool {
        let Some(entry) = self.members.get(&id).filter(|entry| entry.standing == Standing::Live) else {
            return false;
        };
        let ends = elapsed.saturating_add(PRESENCE_REFUTE_MS);
        let ends = entry.due.map_or(ends, |due| due.min(ends));
        self.stand(id, Standing::Suspect, Some(ends));
        true
    }

    /// The next member whose record holds no longer (then true), or that has been silent for a while.
    pub(super) fn expire(&mut self, elapsed: u64) -> Option<(NodeId, bool)> {
        let (due, id) = *self.due.first()?;
        if due > elapsed {
            return None;
        }
        let entry = self.members.get_mut(&id);
        let (first, doubts) =
            entry.map_or((true, 0), |entry| (entry.standing != Standing::Silent, entry.doubts));
        let doubts = if first { 0 } else { doubts.saturating_add(1) };
        let pause = PRESENCE_REFUTE_MS.saturating_mul(1 << doubts.min(PRESENCE_DOUBTS));
        self.stand(id, Standing::Silent, (doubts < PRESENCE_DOUBTS).then(|| elapsed.saturating_add(pause)));
        if let Some(entry) = self.members.get_mut(&id) {
            entry.doubts = doubts;
        }
        Some((id, first))
    }

    /// When the next one ends (milliseconds elapsed).
    pub(super) fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Whether a member's record holds at that time.
    pub(super) fn is_live_at(&self, id: NodeId, elapsed: u64) -> bool {
        self.members
            .get(&id)
            .is_some_and(|entry| entry.is_live() && entry.due.is_some_and(|due| due > elapsed))
    }

    fn stand(&mut self, id: NodeId, standing: Standing, due: Option<u64>) {
        let Some(entry) = self.members.get_mut(&id) else { return };
        self.live = self.live.saturating_sub(usize::from(entry.is_live()));
        if let Some(due) = entry.due {
            self.due.remove(&(due, id));
        }
        (entry.standing, entry.due) = (standing, due);
        self.live = self.live.saturating_add(usize::from(entry.is_live()));
        if let Some(due) = due {
            self.due.insert((due, id));
        }
    }
}

/// What a record says to people: all but its place and times.
fn says(record: &Record) -> impl PartialEq + '_ {
    (&record.addrs, &record.relay, &record.label, &record.version, record.load, record.boot_id)
}
