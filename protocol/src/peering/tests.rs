//! The machine under everything that may come.

use super::*;
use crate::timing::{Dice, watch};

const START: Timestamp = Timestamp(1_800_000_000_000);
const STEPS: u32 = 100_000;

fn id(n: u64) -> NodeId {
    let mut bytes = [1; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    NodeId(bytes)
}

struct Node {
    peering: Peering,
    now: Timestamp,
}

impl Node {
    /// `id(0)` among so many members.
    fn new(members: u64) -> Self {
        let mut node = Self { peering: Peering::new(id(0)), now: START };
        (1..=members).for_each(|n| drop(node.step(Input::Member(id(n)))));
        node
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.peering.handle(self.now, input, &mut out);
        out.retain(|output| !matches!(output, Output::WakeAt(_)));
        out
    }

    fn after(&mut self, ms: u64, input: Input) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        self.step(input)
    }
}

#[test]
fn first_membership_is_shown_and_then_gossip_may() {
    let mut node = Node::new(3);
    assert_eq!(node.step(Input::Dial(id(1))), [Output::Connect(id(1))]);
    assert!(node.step(Input::Dial(id(1))).is_empty(), "it is on its way");
    assert_eq!(node.step(Input::Shown(id(1))), [Output::Allow(id(1)), Output::Join(id(1))]);
    assert_eq!(node.step(Input::Dial(id(1))), [Output::Join(id(1))]);
    // Gossip joins by itself whom it asked for, and whoever came to this node.
    assert_eq!(node.step(Input::Want(id(2))), [Output::Connect(id(2))]);
    assert_eq!(node.step(Input::Shown(id(2))), [Output::Allow(id(2))]);
    assert_eq!(node.step(Input::Shown(id(3))), [Output::Allow(id(3))]);
    assert_eq!(node.peering.shown().collect::<Vec<_>>(), [id(1), id(2), id(3)]);
}

#[test]
fn strangers_are_not_dialed() {
    let mut node = Node::new(1);
    assert!(node.step(Input::Dial(id(9))).is_empty());
    assert_eq!(node.step(Input::Shown(id(9))), [Output::Deny(id(9))]);
    assert_eq!(node.step(Input::Want(id(9))), [Output::Ask(id(9))]);
    assert!(node.step(Input::Want(id(9))).is_empty(), "once");
    assert_eq!(node.after(2_000, Input::Tick), [Output::Unreachable(id(9))]);
    // One whose membership is found in time.
    assert_eq!(node.step(Input::Want(id(8))), [Output::Ask(id(8))]);
    assert_eq!(node.after(300, Input::Member(id(8))), [Output::Connect(id(8))]);
    assert_eq!(node.peering.refused().strangers, 3);
    // Gossip names a thousand.
    let asks: usize = (100..1_100)
        .map(|n| node.step(Input::Want(id(n))).iter().filter(|it| matches!(it, Output::Ask(_))).count())
        .sum();
    assert_eq!(asks, PEERING_UNKNOWN);
}

#[test]
fn a_removed_member_is_let_go_whatever_was_under_way() {
    let set_up: [&[Input]; 5] = [
        &[],
        &[Input::Want(id(1))],
        &[Input::Dial(id(1))],
        &[Input::Shown(id(1)), Input::Up(id(1))],
        &[Input::Want(id(1)), Input::Failed(id(1)), Input::Dial(id(1))],
    ];
    for inputs in set_up {
        let mut node = Node::new(2);
        inputs.iter().for_each(|input| drop(node.step(*input)));
        let out = node.step(Input::Removed(id(1)));
        assert!(out.ends_with(&[Output::Deny(id(1)), Output::Close(id(1))]), "{inputs:?}: {out:?}");
        assert_eq!(out.contains(&Output::Unreachable(id(1))), inputs == [Input::Want(id(1))]);
        // The dial that was under way comes through after all.
        assert_eq!(node.step(Input::Shown(id(1))), [Output::Deny(id(1))]);
        assert!(node.step(Input::Dial(id(1))).is_empty() && !node.peering.is_shown(id(1)));
    }
}

#[test]
fn a_dial_that_fails_is_rested_from_by_gossip_and_not_by_the_healer() {
    let mut node = Node::new(1);
    for failed in 0..9 {
        assert_eq!(node.step(Input::Want(id(1))), [Output::Connect(id(1))]);
        assert_eq!(node.step(Input::Failed(id(1))), [Output::Unreachable(id(1))]);
        let rest = (1_000 << failed).min(60_000);
        assert_eq!(node.after(rest - 1, Input::Want(id(1))), [Output::Unreachable(id(1))]);
        node.after(1, Input::Tick);
    }
    node.step(Input::Want(id(1)));
    node.step(Input::Failed(id(1)));
    assert_eq!(node.step(Input::Dial(id(1))), [Output::Connect(id(1))]);
    // One that says nothing at all.
    assert!(node.after(9_999, Input::Tick).is_empty());
    assert!(node.after(1, Input::Tick).is_empty(), "the healer's: gossip does not wait");
    assert_eq!(node.step(Input::Dial(id(1))), [Output::Connect(id(1))]);
}

#[test]
fn dials_take_turns() {
    let mut node = Node::new(200);
    let connects = |out: &[Output]| out.iter().filter(|it| matches!(it, Output::Connect(_))).count();
    let unreachable = |out: &[Output]| out.iter().filter(|it| matches!(it, Output::Unreachable(_))).count();
    let (mut dialed, mut turned_down) = (0, 0);
    for n in 1..=200 {
        let out = node.step(Input::Want(id(n)));
        dialed += connects(&out);
        turned_down += unreachable(&out);
    }
    assert_eq!((dialed, turned_down), (PEERING_DIALS, 200 - PEERING_DIALS - PEERING_WAITING));
    assert_eq!(node.step(Input::Failed(id(3))), [Output::Unreachable(id(3)), Output::Connect(id(9))]);
    let over = node.after(PEERING_DIAL_MS, Input::Tick);
    assert_eq!((unreachable(&over), connects(&over)), (PEERING_DIALS, PEERING_DIALS));
}

#[test]
fn who_is_no_neighbour_makes_room_and_neighbours_do_not() {
    let mut node = Node::new(200);
    for n in 1..=64 {
        node.after(1, Input::Shown(id(n)));
        node.step(Input::Up(id(n)));
    }
    assert_eq!(node.step(Input::Shown(id(65))), [Output::Deny(id(65)), Output::Close(id(65))]);
    node.step(Input::Down(id(7)));
    let out = node.after(1, Input::Shown(id(66)));
    assert_eq!(out, [Output::Deny(id(7)), Output::Close(id(7)), Output::Allow(id(66))]);
    node.after(PEERING_IDLE_MS - 1, Input::Tick);
    assert_eq!(node.after(1, Input::Tick), [Output::Deny(id(66)), Output::Close(id(66))]);
    assert_eq!(node.peering.shown().count(), 63);
}

#[test]
fn one_that_has_forgotten_is_shown_anew_but_not_without_end() {
    let mut node = Node::new(1);
    node.step(Input::Shown(id(1)));
    assert_eq!(node.step(Input::Want(id(1))), [Output::Deny(id(1)), Output::Connect(id(1))]);
    node.step(Input::Shown(id(1)));
    let mut connects = 0;
    for _ in 0..1_000 {
        connects += node.after(10, Input::Want(id(1))).contains(&Output::Connect(id(1))) as usize;
        node.step(Input::Shown(id(1)));
    }
    assert!(connects <= 10, "{connects} dials in ten seconds");
}

/// A machine, and what a bystander knows: who is a member, and with whom gossip may talk.
struct Watched {
    node: Node,
    dice: Dice,
    members: BTreeSet<NodeId>,
    allowed: BTreeSet<NodeId>,
}

impl Watched {
    fn new(seed: u64) -> Self {
        Self { node: Node::new(0), dice: Dice::new(seed), members: BTreeSet::new(), allowed: BTreeSet::new() }
    }

    fn time(&mut self) {
        let ms = match self.dice.up_to(40) {
            0 => 60_000,
            n if n < 12 => self.dice.up_to(900),
            _ => 0,
        };
        self.node.now = self.node.now.plus_ms(ms);
        if self.dice.up_to(500) == 0 {
            self.node.now = Timestamp(self.dice.up_to(2 * START.0));
        }
    }

    fn input(&mut self) -> Input {
        let who = id(self.dice.up_to(120));
        let input = match self.dice.up_to(20) {
            0..=3 => Input::Member(who),
            4 => Input::Removed(who),
            5..=7 => Input::Dial(who),
            8..=10 => Input::Want(who),
            11..=13 => Input::Shown(who),
            14 => Input::Failed(who),
            15..=17 => Input::Up(who),
            18 => Input::Down(who),
            _ => Input::Tick,
        };
        match input {
            Input::Member(id) if id != self::id(0) => {
                self.members.insert(id);
            }
            Input::Removed(id) => {
                self.members.remove(&id);
            }
            _ => {}
        }
        input
    }

    fn output(&mut self, output: Output, told: &mut BTreeSet<NodeId>) {
        match output {
            Output::Connect(id) => assert!(self.members.contains(&id)),
            Output::Allow(id) => {
                assert!(self.members.contains(&id));
                self.allowed.insert(id);
            }
            Output::Join(id) => assert!(self.allowed.contains(&id)),
            Output::Deny(id) => {
                self.allowed.remove(&id);
            }
            Output::Ask(id) => assert!(!self.members.contains(&id)),
            Output::Unreachable(id) => assert!(told.insert(id), "told twice"),
            Output::Close(_) => {}
            Output::WakeAt(at) => assert!(at > self.node.now, "it would never sleep"),
        }
    }

    fn step(&mut self) {
        self.time();
        let input = self.input();
        let mut out = Vec::new();
        self.node.peering.handle(self.node.now, input, &mut out);
        let mut told = BTreeSet::new();
        out.iter().for_each(|output| self.output(*output, &mut told));
        let peering = &self.node.peering;
        assert_eq!(self.allowed, peering.shown().collect(), "{input:?} {out:?}");
        assert!(self.allowed.len() <= PEERING_SHOWN && self.allowed.is_subset(&self.members));
        assert!(peering.unknown.len() <= PEERING_UNKNOWN && peering.waiting.len() <= PEERING_WAITING);
        let count = |fits: fn(State) -> bool| peering.busy().filter(|(_, it)| fits(*it)).count();
        assert_eq!(peering.dialing, count(|it| matches!(it, State::Dialing(_))), "{input:?} {out:?}");
        assert_eq!(peering.waiting.len(), count(|it| it == State::Waiting), "{input:?} {out:?}");
        assert!(peering.dialing <= PEERING_DIALS);
    }
}

#[test]
fn nothing_that_comes_breaks_the_rules() {
    watch(STEPS, Watched::new, Watched::step);
}
