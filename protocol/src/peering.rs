//! Whom of a team a node talks to: who is dialed, to whom membership is shown, who may gossip.
//!
//! The healer, and gossip itself, name members to be reached. Each is dialed on `clankers/1` and both show their
//! membership; only then gossip may open its own connection to it, or take one from it. Whom nobody has shown to be a
//! member is not dialed. Few are kept: one that is no neighbour makes room.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    NodeId, Timestamp,
    limits::{
        PEERING_DIAL_MS, PEERING_DIALS, PEERING_IDLE_MS, PEERING_REST_MAX_MS, PEERING_REST_MS, PEERING_SHOWN,
        PEERING_UNKNOWN, PEERING_UNKNOWN_MS, PEERING_WAITING, PRESENCE_MEMBERS,
    },
    timing::{Alarm, Elapsed},
};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Its membership is known and good.
    Member(NodeId),
    /// It is no member any more.
    Removed(NodeId),
    /// Reach this member and join gossip with it: the healer's wish, or a bootstrap.
    Dial(NodeId),
    /// Gossip wants to reach this one.
    Want(NodeId),
    /// Both have shown their membership, whoever dialed.
    Shown(NodeId),
    /// The dial came to nothing, or the other did not show what was needed.
    Failed(NodeId),
    /// Gossip won it as a neighbour.
    Up(NodeId),
    /// It is no neighbour any more.
    Down(NodeId),
    /// It is time.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Ask some neighbour for this one's membership and presence.
    Ask(NodeId),
    /// Dial it and show membership.
    Connect(NodeId),
    /// Gossip may talk to it from now on.
    Allow(NodeId),
    /// Gossip may not talk to it any more: its gossip connections are closed.
    Deny(NodeId),
    /// Let gossip join with it.
    Join(NodeId),
    /// Tell gossip that it cannot be reached.
    Unreachable(NodeId),
    /// The team needs the `clankers/1` connection to it no more.
    Close(NodeId),
    /// Call again with [`Input::Tick`] at this time; it takes the place of any time said before.
    WakeAt(Timestamp),
}

/// What was refused (counts).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Wishes for somebody who turned out to be no member, or nobody knew.
    pub strangers: u64,
    /// Wishes for somebody who was just not reached.
    pub resting: u64,
    /// Wishes for which there was no room.
    pub full: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Waiting,
    /// Until when the dial may take (milliseconds elapsed).
    Dialing(u64),
    /// Since when it is no neighbour; `None` while it is one.
    Shown(Option<u64>),
}

#[derive(Debug, Clone, Copy)]
struct Peer {
    state: State,
    /// Gossip waits for it.
    wanted: bool,
    /// Gossip is to join with it.
    join: bool,
    /// Dials in a row that came to nothing (count).
    failed: u32,
    /// Until when gossip's wishes are turned down (milliseconds elapsed).
    rests: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Peering {
    me: NodeId,
    clock: Elapsed,
    alarm: Alarm,
    members: BTreeMap<NodeId, Peer>,
    /// Those that are waiting, being dialed or shown.
    busy: BTreeSet<NodeId>,
    /// Not known as members: until when their membership is waited for (milliseconds elapsed).
    unknown: BTreeMap<NodeId, u64>,
    /// Members whose turn to be dialed has not come.
    waiting: VecDeque<NodeId>,
    dialing: usize,
    shown: usize,
    refused: Refused,
}

impl Peering {
    /// The peering of `me` in one team.
    #[must_use]
    pub fn new(me: NodeId) -> Self {
        Self {
            me,
            clock: Elapsed::default(),
            alarm: Alarm::default(),
            members: BTreeMap::new(),
            busy: BTreeSet::new(),
            unknown: BTreeMap::new(),
            waiting: VecDeque::new(),
            dialing: 0,
            shown: 0,
            refused: Refused::default(),
        }
    }

    /// Whether gossip may talk to it.
    #[must_use]
    pub fn is_shown(&self, id: NodeId) -> bool {
        self.members.get(&id).is_some_and(|peer| matches!(peer.state, State::Shown(_)))
    }

    /// With whom gossip may talk, in order of id.
    pub fn shown(&self) -> impl Iterator<Item = NodeId> {
        self.busy.iter().copied().filter(|id| self.is_shown(*id))
    }

    fn busy(&self) -> impl Iterator<Item = (NodeId, State)> {
        self.busy.iter().filter_map(|id| Some((*id, self.members.get(id)?.state)))
    }

    /// What was refused.
    #[must_use]
    pub fn refused(&self) -> Refused {
        self.refused
    }

    /// One step.
    pub fn handle(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        let elapsed = self.clock.advance(now);
        match input {
            Input::Member(id) => self.member(id, out),
            Input::Removed(id) => self.removed(id, out),
            Input::Dial(id) => self.dial(id, out),
            Input::Want(id) => self.want(elapsed, id, out),
            Input::Shown(id) => self.is_shown_now(elapsed, id, out),
            Input::Failed(id) => self.failed(elapsed, id, out),
            Input::Up(id) => self.neighbor(id, None),
            Input::Down(id) => self.neighbor(id, Some(elapsed)),
            Input::Tick => self.alarm.rang(),
        }
        self.expire(elapsed, out);
        self.connect(elapsed, out);
        out.extend(self.alarm.set(now, elapsed, self.due()).map(Output::WakeAt));
    }

    fn member(&mut self, id: NodeId, out: &mut Vec<Output>) {
        let waited = self.unknown.remove(&id).is_some();
        if id == self.me {
            return;
        }
        if self.members.len() < PRESENCE_MEMBERS || self.members.contains_key(&id) {
            let fresh = Peer { state: State::Idle, wanted: false, join: false, failed: 0, rests: 0 };
            self.members.entry(id).or_insert(fresh);
            if waited {
                self.reach(id, false, out);
            }
        } else {
            self.refused.full += 1;
            out.extend(waited.then_some(Output::Unreachable(id)));
        }
    }

    /// Whatever is known of it here, gossip talks to it no more.
    fn removed(&mut self, id: NodeId, out: &mut Vec<Output>) {
        let waited = self.unknown.remove(&id).is_some();
        let Some(peer) = self.state(id, State::Idle) else {
            out.extend(waited.then_some(Output::Unreachable(id)));
            return;
        };
        self.members.remove(&id);
        out.extend(peer.wanted.then_some(Output::Unreachable(id)));
        out.extend([Output::Deny(id), Output::Close(id)]);
    }

    /// The healer keeps its own pauses: it is not turned down.
    fn dial(&mut self, id: NodeId, out: &mut Vec<Output>) {
        match self.members.get_mut(&id) {
            Some(peer) if matches!(peer.state, State::Shown(_)) => out.push(Output::Join(id)),
            Some(peer) => {
                peer.join = true;
                self.reach(id, true, out);
            }
            None => self.refused.strangers += 1,
        }
    }

    fn want(&mut self, elapsed: u64, id: NodeId, out: &mut Vec<Output>) {
        let Some(peer) = self.members.get(&id) else { return self.ask(elapsed, id, out) };
        let shown = matches!(peer.state, State::Shown(_));
        if (shown || peer.state == State::Idle) && peer.rests > elapsed {
            self.refused.resting += 1;
            out.push(Output::Unreachable(id));
            return;
        }
        if shown {
            // Gossip may talk to it, and cannot: the other side has let go. It is shown anew, now and then.
            out.push(Output::Deny(id));
            self.state(id, State::Idle);
            if let Some(peer) = self.members.get_mut(&id) {
                peer.rests = elapsed.saturating_add(PEERING_REST_MS);
            }
        }
        self.reach(id, false, out);
    }

    /// Gossip heard of it from a member, so it may well be one: its neighbours will know.
    fn ask(&mut self, elapsed: u64, id: NodeId, out: &mut Vec<Output>) {
        if self.unknown.contains_key(&id) {
            return;
        }
        if id == self.me || self.unknown.len() >= PEERING_UNKNOWN {
            self.refused.full += 1;
            out.push(Output::Unreachable(id));
            return;
        }
        self.unknown.insert(id, elapsed.saturating_add(PEERING_UNKNOWN_MS));
        out.push(Output::Ask(id));
    }

    /// Puts a member among those to be dialed; for gossip, unless it is the healer who wants it.
    fn reach(&mut self, id: NodeId, healer: bool, out: &mut Vec<Output>) {
        let Some(peer) = self.members.get_mut(&id) else { return };
        peer.wanted |= !healer;
        match peer.state {
            State::Waiting | State::Dialing(_) | State::Shown(_) => {}
            State::Idle if self.waiting.len() < PEERING_WAITING => {
                self.waiting.push_back(id);
                self.state(id, State::Waiting);
            }
            State::Idle => {
                self.refused.full += 1;
                out.extend(std::mem::take(&mut peer.wanted).then_some(Output::Unreachable(id)));
                peer.join = false;
            }
        }
    }

    fn connect(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        while self.dialing < PEERING_DIALS {
            let Some(id) = self.waiting.pop_front() else { return };
            if self.state(id, State::Dialing(elapsed.saturating_add(PEERING_DIAL_MS))).is_some() {
                out.push(Output::Connect(id));
            }
        }
    }

    fn is_shown_now(&mut self, elapsed: u64, id: NodeId, out: &mut Vec<Output>) {
        let Some(peer) = self.members.get(&id) else {
            self.refused.strangers += 1;
            out.push(Output::Deny(id));
            return;
        };
        if !matches!(peer.state, State::Shown(_)) {
            if self.shown >= PEERING_SHOWN && !self.make_room(out) {
                self.refused.full += 1;
                if let Some(peer) = self.state(id, State::Idle) {
                    out.extend(peer.wanted.then_some(Output::Unreachable(id)));
                }
                self.settle(id);
                out.extend([Output::Deny(id), Output::Close(id)]);
                return;
            }
            self.state(id, State::Shown(Some(elapsed)));
        }
        let Some(join) = self.settle(id) else { return };
        out.push(Output::Allow(id));
        out.extend(join.then_some(Output::Join(id)));
    }

    /// Nothing is waited for any more; says whether gossip was to join.
    fn settle(&mut self, id: NodeId) -> Option<bool> {
        let peer = self.members.get_mut(&id)?;
        let join = peer.join;
        (peer.wanted, peer.join, peer.failed) = (false, false, 0);
        Some(join)
    }

    /// Lets go of the one that was no neighbour for longest.
    fn make_room(&mut self, out: &mut Vec<Output>) -> bool {
        let idle = self.busy().filter_map(|(id, state)| match state {
            State::Shown(Some(since)) => Some((since, id)),
            _ => None,
        });
        let Some((_, id)) = idle.min() else { return false };
        self.let_go(id, out);
        true
    }

    fn let_go(&mut self, id: NodeId, out: &mut Vec<Output>) {
        self.state(id, State::Idle);
        out.extend([Output::Deny(id), Output::Close(id)]);
    }

    fn failed(&mut self, elapsed: u64, id: NodeId, out: &mut Vec<Output>) {
        if !self.members.get(&id).is_some_and(|peer| matches!(peer.state, State::Dialing(_))) {
            return;
        }
        self.state(id, State::Idle);
        let Some(peer) = self.members.get_mut(&id) else { return };
        let rest = PEERING_REST_MS.saturating_mul(1 << peer.failed.min(16)).min(PEERING_REST_MAX_MS);
        (peer.failed, peer.rests) = (peer.failed.saturating_add(1), elapsed.saturating_add(rest));
        peer.join = false;
        out.extend(std::mem::take(&mut peer.wanted).then_some(Output::Unreachable(id)));
    }

    fn neighbor(&mut self, id: NodeId, idle: Option<u64>) {
        if let Some(Peer { state: State::Shown(since), .. }) = self.members.get_mut(&id) {
            *since = idle;
        }
    }

    /// Dials that take too long, ids that nobody knew, members that have been no neighbours for long.
    fn expire(&mut self, elapsed: u64, out: &mut Vec<Output>) {
        let unknown: Vec<_> =
            self.unknown.iter().filter(|(_, due)| **due <= elapsed).map(|(id, _)| *id).collect();
        for id in unknown {
            self.unknown.remove(&id);
            self.refused.strangers += 1;
            out.push(Output::Unreachable(id));
        }
        let over: Vec<_> = self
            .busy()
            .filter(|(_, state)| ends(*state).is_some_and(|due| due <= elapsed))
            .map(|(id, _)| id)
            .collect();
        for id in over {
            if self.is_shown(id) {
                self.let_go(id, out);
            } else {
                self.failed(elapsed, id, out);
            }
        }
    }

    fn due(&self) -> Option<u64> {
        let peers = self.busy().filter_map(|(_, state)| ends(state));
        peers.chain(self.unknown.values().copied()).min()
    }

    /// Changes a member's state, with the counts; the member as it was.
    fn state(&mut self, id: NodeId, state: State) -> Option<Peer> {
        let peer = self.members.get_mut(&id)?;
        let before = *peer;
        peer.state = state;
        let counts = |state: State| {
            (usize::from(matches!(state, State::Dialing(_))), usize::from(matches!(state, State::Shown(_))))
        };
        let (from, to) = (counts(before.state), counts(state));
        self.dialing = self.dialing.saturating_add(to.0).saturating_sub(from.0);
        self.shown = self.shown.saturating_add(to.1).saturating_sub(from.1);
        if before.state == State::Waiting && state != State::Waiting {
            self.waiting.retain(|waiting| *waiting != id);
        }
        if state == State::Idle {
            self.busy.remove(&id);
        } else {
            self.busy.insert(id);
        }
        Some(before)
    }
}

/// When this state is over by itself (milliseconds elapsed).
fn ends(state: State) -> Option<u64> {
    match state {
        State::Dialing(due) => Some(due),
        State::Shown(Some(since)) => Some(since.saturating_add(PEERING_IDLE_MS)),
        State::Idle | State::Waiting | State::Shown(None) => None,
    }
}
