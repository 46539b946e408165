//! What makes a team whole again: each node dials remembered members that it has not heard of.
//!
//! Gossip alone does not come together after a long partition, and does not try a lost join again. So a member that is
//! silent is dialed: at once after its connection broke, after a change of this node's network, and at the start; then one
//! of them after each pause. The pause is 10 s for each member that is there, between 10 s and 120 s, a little less at
//! random: all together the nodes of a small team dial once in 10 s. A node that has no gossip neighbour at all takes the
//! shortest pause, and dials some whatever was heard of them. Nobody is dialed because gossip parted from it, or after it
//! said goodbye.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    NodeId, Timestamp,
    limits::{HEALER_AT_ONCE_MS, HEALER_MEMBERS, HEALER_PAUSE_MAX_MS, HEALER_PAUSE_MS, HEALER_TOGETHER},
    timing::{Alarm, Dice, Elapsed},
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Begin: dials a few.
    Start,
    /// A member, of which nothing was heard yet.
    Remember(NodeId),
    /// It is no member any more.
    Forget(NodeId),
    /// Its presence came.
    Heard(NodeId),
    /// It was reached: membership was shown, or gossip won it as a neighbour. After its goodbye that says nothing.
    Reached(NodeId),
    /// Its presence holds no longer.
    Silent(NodeId),
    /// It said goodbye.
    Left(NodeId),
    /// Its connection broke.
    Broken(NodeId),
    /// Gossip parted from it in good order: that is no reason to dial.
    Evicted(NodeId),
    /// How many gossip neighbours there are now (count).
    Neighbors(usize),
    /// This node's addresses changed, or an interface came up.
    NetworkChanged,
    /// It is time.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Reach this member, show membership, and join gossip with it.
    Dial(NodeId),
    /// Call again with [`Input::Tick`] at this time; it takes the place of any time said before.
    WakeAt(Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Quiet,
    There,
    Left,
}

#[derive(Debug, Clone, Copy)]
struct Member {
    state: State,
    /// Tries since it was there last (count).
    tries: u32,
    /// When it was dialed last (milliseconds elapsed).
    tried: Option<u64>,
    /// When it was heard of last (milliseconds elapsed).
    heard: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Healer {
    me: NodeId,
    clock: Elapsed,
    alarm: Alarm,
    dice: Dice,
    members: BTreeMap<NodeId, Member>,
    there: usize,
    quiet: usize,
    /// Their connections broke: they are dialed at once.
    broken: BTreeSet<NodeId>,
    neighbors: usize,
    started: bool,
    /// A few are to be dialed at once.
    burst: bool,
    /// When some were dialed at once last (milliseconds elapsed).
    burst_at: Option<u64>,
    /// When the pause ends (milliseconds elapsed), while somebody is silent.
    next: Option<u64>,
}

impl Healer {
    /// The healer of `me`; `seed` spreads what all would do at once.
    #[must_use]
    pub fn new(me: NodeId, seed: u64) -> Self {
        Self {
            me,
            clock: Elapsed::default(),
            alarm: Alarm::default(),
            dice: Dice::new(seed),
            members: BTreeMap::new(),
            there: 0,
            quiet: 0,
            broken: BTreeSet::new(),
            neighbors: 0,
            started: false,
            burst: false,
            burst_at: None,
            next: None,
        }
    }

    /// Members that it looks after (count).
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.members.len()
    }

    /// One step.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        let elapsed = self.clock.advance(now);
        match input {
            Input::Start => (self.started, self.burst) = (true, true),
            Input::Remember(id) => self.remember(id),
            Input::Forget(id) => self.forget(id),
            Input::Heard(id) => {
                self.remember(id);
                self.change(id, elapsed, State::There);
            }
            Input::Reached(id) => {
                self.remember(id);
                self.reached(id, elapsed);
            }
            Input::Silent(id) => self.change(id, elapsed, State::Quiet),
            Input::Left(id) => self.change(id, elapsed, State::Left),
            Input::Broken(id) => self.broken(id, elapsed),
            Input::Evicted(_) => {}
            Input::Neighbors(count) => {
                if count == 0 && self.neighbors > 0 {
                    self.next = None;
                }
                self.neighbors = count;
            }
            Input::NetworkChanged => self.burst = true,
            Input::Tick => self.alarm.rang(),
        }
        if self.started {
            self.dial(elapsed, out);
        }
        out.extend(self.alarm.set(now, elapsed, self.due()).map(Output::WakeAt));
    }

    /// When there is no room, in place of one that was not heard of for longest.
    fn remember(&mut self, id: NodeId) {
        if id == self.me || self.members.contains_key(&id) {
            return;
        }
        if self.members.len() >= HEALER_MEMBERS {
            let quiet = self.members.iter().filter(|(_, member)| member.state != State::There);
            let longest = quiet.min_by_key(|(_, member)| member.heard).map(|(id, _)| *id);
            let Some(longest) = longest else { return };
            self.forget(longest);
        }
        self.quiet = self.quiet.saturating_add(1);
        self.members.insert(id, Member { state: State::Quiet, tries: 0, tried: None, heard: 0 });
    }

    fn forget(&mut self, id: NodeId) {
        self.change(id, 0, State::Left);
        self.members.remove(&id);
    }

    fn change(&mut self, id: NodeId, elapsed: u64, state: State) {
        let Some(member) = self.members.get_mut(&id) else { return };
        let counts = |there: State| (usize::from(there == State::There), usize::from(there == State::Quiet));
        let (before, after) = (counts(member.state), counts(state));
        self.there = self.there.saturating_add(after.0).saturating_sub(before.0);
        self.quiet = self.quiet.saturating_add(after.1).saturating_sub(before.1);
        member.state = state;
        if state == State::There {
            (member.tries, member.heard) = (0, elapsed);
        }
        self.broken.remove(&id);
    }

    /// One that says goodbye is a neighbour, or met, until its process ends: it is back only when it says so.
    fn reached(&mut self, id: NodeId, elapsed: u64) {
        if self.members.get(&id).is_some_and(|member| member.state != State::Left) {
            self.change(id, elapsed, State::There);
        }
    }

    fn broken(&mut self, id: NodeId, elapsed: u64) {
        let Some(member) = self.members.get(&id).filter(|member| member.state != State::Left) else { return };
        // One whose connection breaks again and again is dialed no more often than any other.
        let rested = member.tried.is_none_or(|last| elapsed.saturating_sub(last) >= HEALER_PAUSE_MS);
        self.change(id, elapsed, State::Quiet);
        if rested {
            self.broken.insert(id);
        }
    }

    fn is_alone(&self) -> bool {
        self.neighbors == 0
    }

    /// Whether somebody is to be dialed when a pause is over.
    fn is_wanting(&self) -> bool {
        self.quiet > 0 || (self.is_alone() && self.there > 0)
    }

    /// The pause now (milliseconds): within its bounds, and up to a quarter less at random.
    fn pause(&mut self) -> u64 {
        let there = if self.is_alone() { 1 } else { self.there.saturating_add(1) };
        let pause = HEALER_PAUSE_MS.saturating_mul(u64::try_from(there).unwrap_or(u64::MAX));
        let pause = pause.min(HEALER_PAUSE_MAX_MS);
        pause.saturating_sub(self.dice.up_to(pause / 4)).max(HEALER_PAUSE_MS)
    }

    fn may_burst(&self, elapsed: u64) -> bool {
        self.burst_at.is_none_or(|last| elapsed.saturating_sub(last) >= HEALER_AT_ONCE_MS)
    }

    fn dial(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        if (self.burst || !self.broken.is_empty()) && self.may_burst(elapsed) {
            self.dial_at_once(elapsed, out);
        }
        if !self.is_wanting() {
            self.next = None;
            return;
        }
        match self.next {
            None => self.next = Some(elapsed.saturating_add(self.pause())),
            Some(next) if next <= elapsed => {
                let alone = self.is_alone();
                let most = if alone { HEALER_TOGETHER } else { 1 };
                let chosen =
                    self.pick(most, |state| state == State::Quiet || (alone && state == State::There));
                self.tried(&chosen, elapsed, out);
                self.next = Some(elapsed.saturating_add(self.pause()));
            }
            Some(_) => {}
        }
    }

    fn dial_at_once(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        let mut chosen: Vec<NodeId> = self.broken.iter().copied().take(HEALER_TOGETHER).collect();
        if std::mem::take(&mut self.burst) {
            let silent = self.pick(HEALER_TOGETHER, |state| state == State::Quiet);
            chosen.extend(silent.into_iter().filter(|id| !self.broken.contains(id)));
            if chosen.is_empty() {
                // All are there; the way to them may have changed.
                chosen = self.pick(HEALER_TOGETHER, |state| state == State::There);
            }
        }
        chosen.truncate(HEALER_TOGETHER);
        if !chosen.is_empty() {
            self.burst_at = Some(elapsed);
            self.tried(&chosen, elapsed, out);
        }
    }

    /// Some of those who fit: who was tried least, then longest ago, then by lot.
    fn pick(&mut self, most: usize, fits: impl Fn(State) -> bool) -> Vec<NodeId> {
        let lot = self.dice.roll();
        let key = |id: &NodeId, member: &Member| {
            let head = id.0.first_chunk::<8>().map_or(0, |head| u64::from_le_bytes(*head));
            (member.tries, member.tried, Dice::new(head ^ lot).roll(), *id)
        };
        let fitting = self.members.iter().filter(|(_, member)| fits(member.state));
        let mut fitting: Vec<_> = fitting.map(|(id, member)| key(id, member)).collect();
        fitting.sort_unstable();
        fitting.into_iter().take(most).map(|(.., id)| id).collect()
    }

    fn tried(&mut self, chosen: &[NodeId], elapsed: u64, out: &mut Vec<Output>) {
        for id in chosen {
            self.broken.remove(id);
            if let Some(member) = self.members.get_mut(id) {
                (member.tries, member.tried) = (member.tries.saturating_add(1), Some(elapsed));
                out.push(Output::Dial(*id));
            }
        }
    }

    fn due(&self) -> Option<u64> {
        if !self.started {
            return None;
        }
        let waits = self.burst || !self.broken.is_empty();
        let burst = self.burst_at.filter(|_| waits).map(|last| last.saturating_add(HEALER_AT_ONCE_MS));
        [self.next, burst].into_iter().flatten().min()
    }
}
