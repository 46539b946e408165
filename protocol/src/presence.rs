//! Who of a team is there: a machine for each team that a node belongs to.
//!
//! Each member says now and then that it is there ([`beat`]); that holds for a while. Whoever loses the connection to a
//! member says so, and the member denies it if it lives. Only members whose membership was shown are kept, and only
//! what they signed; a record counts once, and only if it is newer than the last. Times are measured here: the clocks of
//! others may be wrong by years.
//!
//! - [`payload`]: what travels on gossip
//! - [`rate`]: how often somebody may
//!
//! For each payload the shell checks the signature, where [`Presence::is_news`] says that it is worth it, and hands it
//! in with what came of that.

pub mod beat;
mod exchange;
pub mod payload;
pub mod rate;
mod table;
#[cfg(test)]
mod tests;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use beat::Own;
pub use payload::{
    Gossiped, Load, Lost, Noted, Notice, PayloadError, Record, Say, Signable, Signature, Signed, is_own,
};
pub use table::Standing;
pub use words::{Change, Compared, Dropped, Input, Output, Seen, Told};

use crate::{
    NodeId, TeamId, Timestamp,
    limits::{
        PRESENCE_ASKS, PRESENCE_CHANGE_MS, PRESENCE_LOST_WAITING, PRESENCE_LOST_WITHIN_MS,
        PRESENCE_NEIGHBORS, PRESENCE_RIPPLE_MS, PRESENCE_RIPPLE_REST_MS, PRESENCE_RIPPLES,
        PRESENCE_SETTLED_MS, PRESENCE_SYNC_MS,
    },
    timing::{Alarm, Dice, Elapsed},
};
use beat::Beat;
use rate::Bucket;
use table::{Added, Table, Verdict};

/// See the module.
#[derive(Debug)]
pub struct Presence {
    team: TeamId,
    me: NodeId,
    clock: Elapsed,
    alarm: Alarm,
    dice: Dice,
    beat: Beat,
    table: Table,
    neighbors: BTreeSet<NodeId>,
    /// Losses that will be said, if nobody else does first (milliseconds elapsed).
    losses: BTreeMap<NodeId, u64>,
    loss_rate: Bucket,
    ask_rate: Bucket,
    /// Somebody told of members that were missed here: when the neighbours are compared with (milliseconds elapsed).
    ripple: Option<u64>,
    ripple_rate: Bucket,
    dropped: Dropped,
}

impl Presence {
    /// The presence of `me` in a team. `boot_id` is higher than at any earlier start, `seed` spreads what all would do
    /// at once.
    #[must_use]
    pub fn new(team: TeamId, me: NodeId, boot_id: u64, own: Own, seed: u64) -> Self {
        let in_a_row = u32::try_from(PRESENCE_LOST_WAITING).unwrap_or(u32::MAX);
        Self {
            team,
            me,
            clock: Elapsed::default(),
            alarm: Alarm::default(),
            dice: Dice::new(seed),
            beat: Beat::new(boot_id, own),
            table: Table::new(),
            neighbors: BTreeSet::new(),
            losses: BTreeMap::new(),
            loss_rate: Bucket::new(in_a_row, PRESENCE_CHANGE_MS),
            ask_rate: Bucket::new(PRESENCE_ASKS, 1_000),
            ripple: None,
            ripple_rate: Bucket::new(PRESENCE_RIPPLES, PRESENCE_RIPPLE_REST_MS),
            dropped: Dropped::default(),
        }
    }

    /// With room for so many members instead of [`crate::limits::PRESENCE_MEMBERS`], if that is fewer.
    #[must_use]
    pub fn with_room(mut self, members: usize) -> Self {
        self.table.room = members.min(self.table.room);
        self
    }

    /// One step.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        let elapsed = self.clock.advance(now);
        match input {
            Input::Start => self.beat.start(elapsed),
            Input::Own(own) => self.beat.own(*own),
            Input::Member(id) => self.member(id, out),
            Input::Removed(id) => self.removed(id, out),
            Input::Record { from, age_ms, record, verified } => {
                self.record((now, elapsed), (from, age_ms), &record, verified, out);
            }
            Input::Lost { from, lost, verified } => self.lost(elapsed, from, &lost.body, verified, out),
            Input::Up(id) => self.up(elapsed, id, out),
            Input::Down { member, broken } => self.down(elapsed, member, broken),
            Input::Leave => self.beat.leave(),
            Input::Tick => self.alarm.rang(),
        }
        self.due(now, elapsed, out);
    }

    /// All that is due, and when the next is.
    fn due(&mut self, now: Timestamp, elapsed: u64, out: &mut Vec<Output>) {
        while let Some((id, first)) = self.table.expire(elapsed) {
            if first {
                self.losses.remove(&id);
                out.push(Output::Changed(id, Change::Silent));
            }
            self.ask_about(elapsed, id, out);
        }
        self.say_losses(elapsed, out);
        self.pass_on(elapsed, out);
        let live = self.live();
        let beat = self.beat.take((now, elapsed), (self.team, self.me), live, &mut self.dice);
        out.extend(beat.map(|record| Output::Broadcast(Say::Presence(record))));
        let loss = self.losses.values().min().map(|due| (*due).max(self.loss_rate.next()));
        let due = [self.beat.due(), self.table.next_due(), loss, self.ripple].into_iter().flatten().min();
        out.extend(self.alarm.set(now, elapsed, due).map(Output::WakeAt));
    }

    /// It may have said that it lives, and that was lost on the way here: a neighbour has heard it then.
    fn ask_about(&mut self, elapsed: u64, member: NodeId, out: &mut Vec<Output>) {
        let others = || self.neighbors.iter().filter(|id| **id != member);
        let most = u64::try_from(others().count()).unwrap_or(u64::MAX).saturating_sub(1);
        let place = usize::try_from(self.dice.up_to(most)).unwrap_or(0);
        if let Some(from) = others().nth(place).copied()
            && self.ask_rate.take(elapsed)
        {
            out.push(Output::Ask { from, member });
        }
    }

    fn member(&mut self, id: NodeId, out: &mut Vec<Output>) {
        if id == self.me {
            return;
        }
        match self.table.add(id) {
            Added::There(None) => {}
            Added::There(Some(gone)) => {
                self.neighbors.remove(&gone);
                self.losses.remove(&gone);
                out.push(Output::Changed(gone, Change::Gone));
            }
            Added::Full => self.dropped.full += 1,
        }
    }

    fn removed(&mut self, id: NodeId, out: &mut Vec<Output>) {
        self.neighbors.remove(&id);
        self.losses.remove(&id);
        if self.table.remove(id) {
            out.push(Output::Changed(id, Change::Gone));
        }
    }

    fn is_member(&self, id: NodeId) -> bool {
        self.table.get(id).is_some()
    }

    fn record(
        &mut self,
        at: (Timestamp, u64),
        (from, age_ms): (NodeId, u64),
        record: &Arc<Signed<Record>>,
        verified: bool,
        out: &mut Vec<Output>,
    ) {
        let author = record.body.author;
        if record.body.team != self.team {
            self.dropped.other_team += 1;
        } else if !self.is_member(from) {
            self.dropped.unknown += 1;
        } else if author == self.me {
            self.myself(at.1, record, verified);
        } else if !verified {
            self.count_unverified(&record.body);
        } else if self.table.get(author).is_none() {
            // Fresh keys are free to make: whoever signs with them gets a bounded number of questions out of this node.
            self.dropped.unknown += 1;
            if self.ask_rate.take(at.1) {
                out.push(Output::Ask { from, member: author });
            }
        } else {
            self.taken(at, (from, age_ms), record, out);
        }
    }

    fn taken(
        &mut self,
        at: (Timestamp, u64),
        (from, age_ms): (NodeId, u64),
        record: &Arc<Signed<Record>>,
        out: &mut Vec<Output>,
    ) {
        let id = record.body.author;
        let missed = match self.table.get(id).map(|entry| entry.standing) {
            Some(Standing::Silent) => true,
            // Somebody else has heard of it, and gossip has not brought it here. Who has just started was told of everybody.
            Some(Standing::Unheard) => id != from && at.1 >= PRESENCE_SETTLED_MS,
            _ => false,
        };
        let change = match self.table.take(at, age_ms, record) {
            None | Some(Verdict::Same) => None,
            Some(Verdict::Stale) => return self.dropped.stale += 1,
            Some(Verdict::Late) => return self.dropped.late += 1,
            Some(Verdict::Came) => Some(Change::Came),
            Some(Verdict::Updated) => Some(Change::Updated),
            Some(Verdict::Left) => Some(Change::Left),
        };
        self.losses.remove(&id);
        if missed && age_ms > 0 && change == Some(Change::Came) {
            let soon = PRESENCE_RIPPLE_MS.saturating_add(self.dice.up_to(PRESENCE_RIPPLE_MS));
            self.ripple.get_or_insert(at.1.saturating_add(soon));
        }
        out.extend(change.map(|change| Output::Changed(id, change)));
    }

    /// What was told on meeting others did not hear: gossip does not say it again, and after a long cut it is about half a
    /// team; nor did who was not yet connected well when they began. So whoever learns of them so compares with its neighbours, and they with theirs.
    fn pass_on(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        if self.ripple.is_none_or(|due| due > elapsed) {
            return;
        }
        if !self.ripple_rate.take(elapsed) {
            self.ripple = Some(self.ripple_rate.next());
            return;
        }
        self.ripple = None;
        for id in &self.neighbors {
            self.table.synced(*id, elapsed);
            out.push(Output::Sync(*id));
        }
    }

    /// The shell need not look at the signature of what is old.
    fn count_unverified(&mut self, record: &Record) {
        if self.is_news(record) {
            self.dropped.forged += 1;
        } else {
            self.dropped.stale += 1;
        }
    }

    /// A record in this node's name: its own, come round, or one that it does not know of.
    fn myself(&mut self, elapsed: u64, record: &Arc<Signed<Record>>, verified: bool) {
        if record.body.place() <= self.beat.place() {
            self.dropped.stale += 1;
        } else if !verified {
            self.dropped.forged += 1;
        } else {
            self.dropped.myself += 1;
            self.beat.overtake(record.body.boot_id, elapsed);
        }
    }

    fn lost(&mut self, elapsed: u64, from: NodeId, lost: &Lost, verified: bool, out: &mut Vec<Output>) {
        if lost.team != self.team {
            self.dropped.other_team += 1;
        } else if lost.author == self.me {
            // Come round.
            self.dropped.stale += 1;
        } else if !self.is_member(from)
            || !self.is_member(lost.author)
            || !(lost.member == self.me || self.is_member(lost.member))
        {
            self.dropped.unknown += 1;
        } else if !verified {
            self.dropped.forged += 1;
        } else if lost.author == lost.member {
            self.dropped.stale += 1;
        } else if lost.member == self.me {
            if lost.boot_id >= self.beat.place().0 {
                self.beat.refute(elapsed);
            }
        } else {
            let last = self.table.get(lost.member).and_then(table::Entry::place);
            if last.is_some_and(|last| (lost.boot_id, lost.heard) < last) {
                self.dropped.refuted += 1;
                return;
            }
            self.losses.remove(&lost.member);
            if self.table.suspect(lost.member, elapsed) {
                out.push(Output::Changed(lost.member, Change::Suspect));
            }
        }
    }

    fn up(&mut self, elapsed: u64, id: NodeId, out: &mut Vec<Output>) {
        let Some(entry) = self.table.get(id) else { return };
        let synced = entry.synced;
        self.losses.remove(&id);
        if self.neighbors.is_empty() {
            self.beat.announce();
        }
        if self.neighbors.len() < PRESENCE_NEIGHBORS {
            self.neighbors.insert(id);
        }
        if synced.is_none_or(|last| elapsed.saturating_sub(last) >= PRESENCE_SYNC_MS) {
            self.table.synced(id, elapsed);
            out.push(Output::Sync(id));
        }
    }

    fn down(&mut self, elapsed: u64, id: NodeId, broken: bool) {
        self.neighbors.remove(&id);
        let live = self.table.get(id).is_some_and(|entry| entry.standing == Standing::Live);
        if broken && live && self.beat.is_there() && self.losses.len() < PRESENCE_LOST_WAITING {
            let due = elapsed.saturating_add(self.dice.up_to(PRESENCE_LOST_WITHIN_MS));
            self.losses.entry(id).or_insert(due);
        }
    }

    /// Says the losses that nobody else said. A node without a neighbour is the one that was lost.
    fn say_losses(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        if self.neighbors.is_empty() || !self.beat.is_there() {
            self.losses.retain(|_, due| *due > elapsed);
            return;
        }
        let due: Vec<NodeId> =
            self.losses.iter().filter(|(_, due)| **due <= elapsed).map(|(id, _)| *id).collect();
        for id in due {
            if !self.loss_rate.take(elapsed) {
                return;
            }
            self.losses.remove(&id);
            let place = self.table.get(id).and_then(table::Entry::place);
            let Some((boot_id, heard)) = place else { continue };
            if self.table.suspect(id, elapsed) {
                let (team, author, counter) = (self.team, self.me, self.beat.number());
                let lost = Lost { team, author, counter, member: id, boot_id, heard };
                out.push(Output::Broadcast(Say::Lost(lost)));
                out.push(Output::Changed(id, Change::Suspect));
            }
        }
    }

    /// Whether a record could say something new: only then its signature is worth a check.
    #[must_use]
    pub fn is_news(&self, record: &Record) -> bool {
        let last = match record.author == self.me {
            true => Some(self.beat.place()),
            false => self.table.get(record.author).and_then(table::Entry::place),
        };
        record.team == self.team && last.is_none_or(|last| record.place() > last)
    }

    /// Members that are there, this node included (count).
    #[must_use]
    pub fn live(&self) -> usize {
        self.table.live().saturating_add(1)
    }

    /// Whether what was heard of a member holds at this time.
    #[must_use]
    pub fn is_live(&self, now: Timestamp, id: NodeId) -> bool {
        self.table.is_live_at(id, self.clock.at(now))
    }

    /// Known members, there or not, without this node (count).
    #[must_use]
    pub fn known(&self) -> usize {
        self.table.len()
    }

    /// What is known of all members but this node, in order of id.
    pub fn members(&self) -> impl Iterator<Item = Seen<'_>> {
        self.table.iter().map(|(id, entry)| view(id, entry))
    }

    /// What is known of one.
    #[must_use]
    pub fn seen(&self, id: NodeId) -> Option<Seen<'_>> {
        self.table.get(id).map(|entry| view(id, entry))
    }

    /// What came and was without effect.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }
}

fn view(id: NodeId, entry: &table::Entry) -> Seen<'_> {
    Seen {
        id,
        standing: entry.standing,
        record: entry.record.as_deref().map(|signed| &signed.body),
        heard: entry.heard.map(|(at, _)| at),
    }
}
