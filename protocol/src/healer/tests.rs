//! The machine under everything that may come.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::timing::watch;

const START: Timestamp = Timestamp(1_800_000_000_000);
const STEPS: u32 = 400_000;

fn id(n: u16) -> NodeId {
    let mut bytes = [1; 32];
    bytes[..2].copy_from_slice(&n.to_le_bytes());
    NodeId(bytes)
}

struct Node {
    healer: Healer,
    now: Timestamp,
}

impl Node {
    /// `id(0)` with so many remembered members, and a gossip neighbour.
    fn new(members: u16, seed: u64) -> Self {
        let mut node = Self { healer: Healer::new(id(0), seed), now: START };
        (1..=members).for_each(|n| drop(node.step(Input::Remember(id(n)))));
        node.step(Input::Neighbors(1));
        node
    }

    fn step(&mut self, input: Input) -> Vec<NodeId> {
        let mut out = Vec::new();
        self.healer.handle(self.now, input, &mut out);
        let dial = |output| match output {
            Output::Dial(id) => Some(id),
            Output::WakeAt(_) => None,
        };
        out.into_iter().filter_map(dial).collect()
    }

    fn after(&mut self, ms: u64, input: Input) -> Vec<NodeId> {
        self.now = self.now.plus_ms(ms);
        self.step(input)
    }

    /// The pauses between dials over so long (milliseconds).
    fn pauses(&mut self, ms: u64) -> Vec<u64> {
        let mut last = None;
        let mut pauses = Vec::new();
        for at in (0..ms).step_by(100) {
            if !self.after(100, Input::Tick).is_empty() {
                pauses.extend(last.map(|last| at - last));
                last = Some(at);
            }
        }
        pauses
    }
}

#[test]
fn it_joins_through_several_and_then_takes_its_time() {
    let mut node = Node::new(9, 1);
    assert!(node.after(600_000, Input::Tick).is_empty(), "not before it was told to begin");
    let first = node.step(Input::Start);
    assert_eq!(first.len(), 3);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3);
    first.iter().for_each(|id| drop(node.step(Input::Reached(*id))));
    let pauses = node.pauses(600_000);
    // Four are there: thirty to forty seconds.
    assert!(pauses.iter().all(|pause| (30_000..=40_100).contains(pause)), "{pauses:?}");
    assert!(pauses.len() >= 14);
}

#[test]
fn the_pause_grows_with_those_who_are_there() {
    for (there, from, to) in
        [(0, 10_000, 10_000), (2, 22_500, 30_000), (11, 90_000, 120_000), (400, 90_000, 120_000)]
    {
        let mut node = Node::new(there + 1, 5);
        node.step(Input::Start);
        (2..there + 2).for_each(|n| drop(node.step(Input::Heard(id(n)))));
        node.pauses(130_000);
        let pauses = node.pauses(3_600_000);
        assert!(pauses.iter().all(|pause| (from..=to + 100).contains(pause)), "{there}: {pauses:?}");
        assert!(there == 0 || pauses.iter().collect::<BTreeSet<_>>().len() > 10, "{pauses:?}");
    }
}

#[test]
fn a_broken_connection_is_tried_at_once_and_a_parting_is_not() {
    let mut node = Node::new(4, 1);
    node.step(Input::Start);
    (1..=4).for_each(|n| drop(node.step(Input::Heard(id(n)))));
    node.after(60_000, Input::Tick);
    assert_eq!(node.step(Input::Broken(id(2))), [id(2)]);
    node.step(Input::Reached(id(2)));
    for (n, input) in [(1, Input::Evicted(id(1))), (3, Input::Left(id(3)))] {
        assert!(node.after(1_000, input).is_empty());
        assert!(node.pauses(600_000).is_empty(), "{n}");
    }
    // A connection that breaks again and again.
    let dials: usize = (0..600).map(|_| node.after(100, Input::Broken(id(4))).len()).sum();
    assert!((2..=8).contains(&dials), "{dials} dials in a minute");
    // It said goodbye before its connection broke.
    node.step(Input::Reached(id(4)));
    assert!(node.after(60_000, Input::Broken(id(3))).is_empty());
    // It was met, or gossip won it, in the moment between its goodbye and its end.
    node.step(Input::Reached(id(3)));
    assert!(node.after(60_000, Input::Broken(id(3))).is_empty());
    assert!(node.pauses(600_000).is_empty());
    // Its presence says that it is back.
    node.step(Input::Heard(id(3)));
    assert_eq!(node.after(60_000, Input::Broken(id(3))), [id(3)]);
}

#[test]
fn a_change_of_network_is_tried_at_once_however_often_it_comes() {
    let mut node = Node::new(6, 1);
    node.step(Input::Start);
    (1..=6).for_each(|n| drop(node.step(Input::Heard(id(n)))));
    assert_eq!(node.after(60_000, Input::NetworkChanged).len(), 3, "all are there, and still");
    node.step(Input::Silent(id(5)));
    assert!(node.after(100, Input::NetworkChanged).is_empty());
    assert_eq!(node.after(900, Input::Tick), [id(5)], "silent ones first");
    let dials: usize = (0..1_000).map(|_| node.after(10, Input::NetworkChanged).len()).sum();
    assert!(dials <= 30, "{dials} dials in ten seconds");
}

#[test]
fn one_that_is_alone_asks_everybody() {
    let mut node = Node::new(40, 1);
    node.step(Input::Start);
    (1..=40).for_each(|n| drop(node.step(Input::Heard(id(n)))));
    assert!(node.pauses(600_000).is_empty());
    node.step(Input::Neighbors(0));
    let mut dialed = BTreeSet::new();
    for _ in 0..150 {
        dialed.extend(node.after(1_000, Input::Tick));
    }
    assert_eq!(dialed.len(), 40, "3 in 10 seconds, each before any is tried twice");
}

#[test]
fn a_team_larger_than_the_memory_is_remembered_in_part() {
    let mut node = Node::new(600, 1);
    assert_eq!(node.healer.remembered(), HEALER_MEMBERS);
    (1..=600).for_each(|n| drop(node.step(Input::Heard(id(n)))));
    assert_eq!(node.healer.remembered(), HEALER_MEMBERS);
    node.step(Input::Forget(id(600)));
    node.step(Input::Remember(id(0)));
    assert!(node.healer.remembered() <= HEALER_MEMBERS);
}

/// A machine, and what a bystander knows: who may be dialed, and since when nobody was though somebody waits.
struct Watched {
    node: Node,
    dice: Dice,
    state: BTreeMap<NodeId, State>,
    neighbors: usize,
    elapsed: u64,
    last_pause: u64,
    waits_since: Option<u64>,
}

impl Watched {
    fn new(seed: u64) -> Self {
        Self {
            node: Node::new(0, seed),
            dice: Dice::new(seed),
            state: BTreeMap::new(),
            neighbors: 1,
            elapsed: 0,
            last_pause: 0,
            waits_since: None,
        }
    }

    fn time(&mut self) {
        let ms = if self.dice.up_to(3) == 0 { self.dice.up_to(4_000) } else { 0 };
        self.elapsed += ms;
        self.node.now = self.node.now.plus_ms(ms);
        if self.dice.up_to(500) == 0 {
            self.node.now = Timestamp(self.node.now.0 / 2 + self.dice.up_to(START.0));
            self.elapsed = self.elapsed.max(self.node.healer.clock.at(self.node.now));
        }
    }

    fn input(&mut self) -> Input {
        let who = id(u16::try_from(self.dice.up_to(20)).unwrap());
        match self.dice.up_to(40) {
            0 => Input::Start,
            1 => Input::Remember(who),
            2 => Input::Forget(who),
            3..=9 => Input::Heard(who),
            10 | 11 => Input::Reached(who),
            12..=14 => Input::Silent(who),
            15 => Input::Left(who),
            16 => Input::Broken(who),
            17..=20 => Input::Evicted(who),
            21 if self.dice.up_to(20) == 0 => Input::Neighbors(usize::try_from(self.dice.up_to(2)).unwrap()),
            22 if self.dice.up_to(20) == 0 => Input::NetworkChanged,
            _ => Input::Tick,
        }
    }

    fn becomes(&mut self, id: NodeId, state: State) {
        if let Some(known) = self.state.get_mut(&id) {
            *known = state;
        }
    }

    fn note(&mut self, input: Input) {
        match input {
            Input::Remember(id) if id != self::id(0) => {
                self.state.entry(id).or_insert(State::Quiet);
            }
            Input::Reached(id) if self.state.get(&id) == Some(&State::Left) => {}
            Input::Heard(id) | Input::Reached(id) if id != self::id(0) => {
                self.state.insert(id, State::There);
            }
            Input::Broken(id) if self.state.get(&id) == Some(&State::Left) => {}
            Input::Silent(id) | Input::Broken(id) => self.becomes(id, State::Quiet),
            Input::Left(id) => self.becomes(id, State::Left),
            Input::Forget(id) => {
                self.state.remove(&id);
            }
            Input::Neighbors(count) => self.neighbors = count,
            _ => {}
        }
    }

    fn step(&mut self) {
        self.time();
        let input = self.input();
        self.note(input);
        let healer = &self.node.healer;
        let at_once = matches!(input, Input::Start | Input::NetworkChanged | Input::Broken(_))
            || healer.burst
            || !healer.broken.is_empty();
        let dials = self.node.step(input);
        assert!(dials.len() <= 2 * HEALER_TOGETHER, "{input:?} {dials:?}");
        for id in &dials {
            let allowed = match self.state.get(id) {
                Some(State::Quiet) => true,
                Some(State::There) => self.neighbors == 0 || at_once,
                Some(State::Left) | None => false,
            };
            assert!(allowed, "{input:?} {dials:?}");
        }
        if !dials.is_empty() && !at_once {
            let pause = self.elapsed - self.last_pause;
            assert!(pause >= HEALER_PAUSE_MS, "{pause} ms: {input:?} {dials:?}");
            self.last_pause = self.elapsed;
        }
        let alone = self.neighbors == 0;
        let waits = |it: &State| *it == State::Quiet || (alone && *it == State::There);
        let waits = self.node.healer.started && self.state.values().any(waits);
        let since = self.waits_since.filter(|_| dials.is_empty()).unwrap_or(self.elapsed);
        // Steps are up to four seconds apart.
        assert!(
            !waits || self.elapsed - since <= HEALER_PAUSE_MAX_MS + 40_000,
            "{} ms",
            self.elapsed - since
        );
        self.waits_since = waits.then_some(since);
        assert!(self.node.healer.remembered() <= 20);
    }
}

#[test]
fn nothing_that_comes_breaks_the_rules() {
    watch(STEPS, Watched::new, Watched::step);
}
