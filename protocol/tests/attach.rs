//! A viewer over connections that are cut anywhere, against a node that is a log and a few streams.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

#[path = "attach/redial.rs"]
mod redial;

use std::collections::{BTreeMap, VecDeque};

use clankers_protocol::{
    NodeId, PromptId, SessionId, Timestamp,
    attach::{End, Follower, FromNode, FromViewer, Output, Shown, Step},
    conversation::StopReason,
    event::{Delta, DeltaKind, Durable, Event, MessageEvent, PromptEvent, StreamItem},
    limits::REDIAL_LIMIT_MS,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::{
        attach::{Attached, Detach, Detached, From, Gap, GapWhy, Input, InputTaken, Role, State},
        prompt::When,
    },
};
use proptest::prelude::*;

/// What may happen next.
#[derive(Debug, Clone)]
enum Op {
    Delta(u8),
    Complete,
    Deliver(u8),
    Cut,
    /// A slow viewer: deltas on their way are lost.
    Thin,
    Wait(u16),
    Type,
    /// The viewer's machine has another address.
    Move,
    /// The node loses history: everything after this many events, and has another epoch.
    LoseHistory(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1..9_u8).prop_map(Op::Delta),
        2 => Just(Op::Complete),
        6 => any::<u8>().prop_map(Op::Deliver),
        2 => Just(Op::Cut),
        1 => Just(Op::Thin),
        3 => (0..5_000_u16).prop_map(Op::Wait),
        1 => Just(Op::Type),
        1 => Just(Op::Move),
    ]
}

#[derive(Default)]
struct World {
    now: u64,
    epoch: u64,
    log: Vec<Event>,
    /// The unfinished message's number and text.
    open: (u64, String),
    streams: BTreeMap<u64, VecDeque<FromNode>>,
    shown: Vec<Shown>,
    over: Option<End>,
    typed: Vec<PromptId>,
    dials: u64,
}

fn item(number: u64) -> String {
    format!("m{number}")
}

impl World {
    fn durable(&self, seq: u64) -> FromNode {
        let event = self.log[usize::try_from(seq - 1).unwrap()].clone();
        FromNode::Item(StreamItem::Durable(Durable { seq, at: Timestamp(0), event }))
    }

    fn append(&mut self, event: Event) -> u64 {
        self.log.push(event);
        let seq = self.log.len() as u64;
        let frame = self.durable(seq);
        self.streams.values_mut().for_each(|stream| stream.push_back(frame.clone()));
        seq
    }

    fn attach(&mut self, which: u64, from: From) {
        let head_seq = self.log.len() as u64;
        let (first_seq, gap) = match from {
            From::Begin => (1, None),
            From::Tail(n) => (head_seq.saturating_sub(n) + 1, None),
            From::After { epoch, seq } if epoch.is_none_or(|e| e == self.epoch) && seq <= head_seq => {
                (seq + 1, None)
            }
            From::After { seq, .. } => {
                (1, Some(Gap { from: seq + 1, to: 0, why: GapWhy::Epoch, ext: Ext::default() }))
            }
        };
        let attached = Attached {
            attach_id: which,
            session: SessionId([1; 32]),
            epoch: self.epoch,
            oldest_seq: 1,
            head_seq,
            first_seq,
            role_granted: Role::Type,
            cwd: String::new(),
            state: state(),
            ext: Ext::default(),
        };
        let mut stream = VecDeque::from([FromNode::Attached(Box::new(attached))]);
        stream.extend(gap.map(FromNode::Gap));
        stream.extend((first_seq..=head_seq).map(|seq| self.durable(seq)));
        if !self.open.1.is_empty() {
            stream.push_back(live(self.open.0, 0, &self.open.1));
        }
        self.streams.insert(which, stream);
    }

    fn perform(&mut self, out: Vec<Output>) {
        for output in out {
            assert!(self.over.is_none(), "something came after the end");
            match output {
                Output::Dial(which, from) => {
                    self.dials += 1;
                    self.attach(which, from);
                }
                Output::Drop(which) => drop(self.streams.remove(&which)),
                Output::Send(which, word) => self.hear(which, word),
                Output::Show(shown) => self.shown.push(*shown),
                Output::WakeAt(_) => {}
                Output::Over(end) => self.over = Some(end),
            }
        }
    }

    /// The node takes an input once, whoever sends it again.
    fn hear(&mut self, which: u64, word: FromViewer) {
        if !self.streams.contains_key(&which) {
            return;
        }
        let FromViewer::Input(input) = word else {
            let goodbye = FromNode::Detached(Detached { ext: Ext::default() });
            self.streams.get_mut(&which).unwrap().push_back(goodbye);
            return;
        };
        let id = input.input_id.clone();
        let known = self.log.iter().any(|e| matches!(e, Event::Prompt(p) if p.prompt_id == id));
        if !known {
            self.append(Event::Prompt(PromptEvent {
                prompt_id: id.clone(),
                principal: NodeId([1; 32]),
                leaf: None,
                text: input.text,
                model: String::new(),
            }));
        }
        let taken = InputTaken { input_id: id, prompt_seq: 1, duplicate: known, ext: Ext::default() };
        self.streams.get_mut(&which).unwrap().push_back(FromNode::Taken(taken));
    }

    fn step(&mut self, viewer: &mut Follower, step: Step) {
        let mut out = Vec::new();
        viewer.handle(Timestamp(self.now), step, &mut out);
        self.perform(out);
    }

    fn deliver(&mut self, viewer: &mut Follower, pick: u8) {
        let alive: Vec<u64> = self.streams.keys().copied().collect();
        if alive.is_empty() {
            return;
        }
        let which = alive[usize::from(pick) % alive.len()];
        if let Some(frame) = self.streams.get_mut(&which).unwrap().pop_front() {
            self.step(viewer, Step::Frame(which, frame));
        }
    }

    fn run(&mut self, viewer: &mut Follower, op: Op) {
        match op {
            Op::Delta(len) => {
                let from = self.open.1.len() as u64;
                let piece: String = (0..len)
                    .map(|n| char::from(b'a' + (from.to_le_bytes()[0].wrapping_add(n)) % 26))
                    .collect();
                self.open.1.push_str(&piece);
                let frame = live(self.open.0, from, &piece);
                self.streams.values_mut().for_each(|stream| stream.push_back(frame.clone()));
            }
            Op::Complete => {
                let text = std::mem::take(&mut self.open.1);
                let (item, thinking, stop) = (item(self.open.0), Vec::new(), StopReason::EndTurn);
                self.open.0 += 1;
                self.append(Event::Message(MessageEvent { item, thinking, text, stop }));
            }
            Op::Deliver(pick) => self.deliver(viewer, pick),
            Op::Cut => {
                if let Some((which, _)) = self.streams.pop_last() {
                    self.step(viewer, Step::Lost(which));
                }
            }
            Op::Thin => {
                let live = |frame: &FromNode| matches!(frame, FromNode::Item(StreamItem::Live(..)));
                self.streams.values_mut().for_each(|stream| stream.retain(|frame| !live(frame)));
            }
            Op::Wait(ms) => {
                self.now += u64::from(ms);
                self.step(viewer, Step::Tick);
            }
            Op::Type => {
                let id: PromptId = format!("t{}", self.typed.len()).parse().unwrap();
                self.typed.push(id.clone());
                self.step(viewer, Step::Say(typed(id)));
            }
            Op::Move => self.step(viewer, Step::Moved),
            Op::LoseHistory(keep) => {
                self.log.truncate(usize::from(keep));
                self.epoch += 1;
                for which in std::mem::take(&mut self.streams).into_keys() {
                    self.step(viewer, Step::Lost(which));
                }
            }
        }
    }

    /// Nothing is cut any more: everything arrives.
    fn settle(&mut self, viewer: &mut Follower) {
        for _ in 0..10_000 {
            if self.streams.values().all(VecDeque::is_empty) && viewer.is_attached() {
                return;
            }
            if self.streams.values().all(VecDeque::is_empty) {
                self.now += 100;
                self.step(viewer, Step::Tick);
            }
            self.deliver(viewer, 0);
            self.deliver(viewer, 1);
        }
        panic!("never settled: {viewer:?}");
    }

    fn events(&self) -> Vec<(u64, Event)> {
        let durable = |shown: &Shown| match shown {
            Shown::Item(StreamItem::Durable(d)) => Some((d.seq, d.event.clone())),
            _ => None,
        };
        self.shown.iter().filter_map(durable).collect()
    }
}

fn state() -> State {
    State {
        roster: Vec::new(),
        attached: 1,
        pending: Vec::new(),
        open_items: Vec::new(),
        model: String::new(),
        running: false,
        queued: 0,
        ext: Ext::default(),
    }
}

fn live(number: u64, offset: u64, text: &str) -> FromNode {
    let delta = Delta { item: item(number), offset, text: text.to_owned() };
    FromNode::Item(StreamItem::Live(DeltaKind::Text, delta))
}

fn typed(input_id: PromptId) -> FromViewer {
    let (text, when) = ("do it".to_owned(), When::Queue);
    FromViewer::Input(Input { input_id, text, when, model: None, ext: Ext::default() })
}

fn viewer(world: &mut World, from: From) -> Follower {
    let mut viewer = Follower::new(from);
    world.step(&mut viewer, Step::Start);
    // It is attached once: whoever never was gives up at once.
    world.deliver(&mut viewer, 0);
    viewer
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_is_cut_every_event_is_shown_once_and_in_order(ops in prop::collection::vec(op(), 1..200)) {
        let mut world = World::default();
        let mut viewer = viewer(&mut world, From::Begin);
        for op in ops {
            world.run(&mut viewer, op);
        }
        prop_assert!(world.over.is_none(), "{:?}", world.over);
        world.settle(&mut viewer);
        let expected: Vec<(u64, Event)> = (1..).zip(world.log.clone()).collect();
        prop_assert_eq!(world.events(), expected);
        // What was typed is there once each, but for what was said not to be sent.
        let unsent = |id: &PromptId| world.shown.iter().any(|s| matches!(s, Shown::NotSent(other) if other == id));
        for id in &world.typed {
            let times = world.log.iter().filter(|e| matches!(e, Event::Prompt(p) if p.prompt_id == *id)).count();
            prop_assert_eq!(times, usize::from(!unsent(id)), "{}", id);
        }
        prop_assert_eq!(viewer.waiting(), 0);
        // No piece is shown twice, and each is what stands there.
        let mut texts: BTreeMap<String, String> = BTreeMap::new();
        for event in &world.log {
            if let Event::Message(m) = event {
                texts.insert(m.item.clone(), m.text.clone());
            }
        }
        texts.insert(item(world.open.0), world.open.1.clone());
        let mut ends: BTreeMap<String, u64> = BTreeMap::new();
        for shown in &world.shown {
            let Shown::Item(StreamItem::Live(_, delta)) = shown else { continue };
            let end = ends.entry(delta.item.clone()).or_default();
            prop_assert!(delta.offset >= *end, "{} shown twice at {}", delta.item, delta.offset);
            let at = usize::try_from(delta.offset).unwrap();
            prop_assert_eq!(&texts[&delta.item][at..at + delta.text.len()], delta.text.as_str());
            *end = delta.offset + delta.text.len() as u64;
        }
    }

    #[test]
    fn lost_history_is_said_and_the_rest_is_whole(
        before in prop::collection::vec(op(), 1..80),
        keep in any::<u8>(),
        after in prop::collection::vec(op(), 0..80),
    ) {
        let mut world = World::default();
        let mut viewer = viewer(&mut world, From::Begin);
        before.into_iter().for_each(|op| world.run(&mut viewer, op));
        let keep = keep.min(u8::try_from(world.log.len()).unwrap_or(u8::MAX));
        world.run(&mut viewer, Op::LoseHistory(keep));
        // What is typed while the node forgets is another property.
        after.into_iter().filter(|op| !matches!(op, Op::Type)).for_each(|op| world.run(&mut viewer, op));
        world.settle(&mut viewer);
        let last = world.shown.iter().rposition(|s| matches!(s, Shown::Gap(gap) if gap.why == GapWhy::Epoch));
        prop_assert!(last.is_some(), "nobody said that history is lost");
        world.shown.drain(..=last.unwrap());
        let expected: Vec<(u64, Event)> = (1..).zip(world.log.clone()).collect();
        prop_assert_eq!(world.events(), expected);
    }
}

#[test]
fn a_hole_that_nobody_explains_ends_the_stream_and_is_filled() {
    let mut world = World::default();
    let mut viewer = viewer(&mut world, From::Begin);
    (0..3).for_each(|_| world.run(&mut viewer, Op::Complete));
    let stream = world.streams.get_mut(&1).unwrap();
    stream.remove(1);
    world.settle(&mut viewer);
    assert_eq!(world.events().iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(world.dials > 1);
}

#[test]
fn what_is_typed_offline_is_kept_and_a_cancellation_is_not() {
    let mut world = World::default();
    let mut viewer = viewer(&mut world, From::Begin);
    world.run(&mut viewer, Op::Cut);
    world.run(&mut viewer, Op::Type);
    assert!(matches!(world.shown.last(), Some(Shown::Kept(_))));
    let input_id: PromptId = "c".parse().unwrap();
    let cancel =
        clankers_protocol::request::attach::AttachCancel { input_id, prompt_id: None, ext: Ext::default() };
    world.step(&mut viewer, Step::Say(FromViewer::Cancel(cancel)));
    assert!(matches!(world.shown.last(), Some(Shown::NotSent(_))));
    world.settle(&mut viewer);
    assert_eq!(world.log.len(), 1);
    assert_eq!(viewer.waiting(), 0);
}

#[test]
fn it_ends_when_refused_when_left_and_when_nobody_is_there() {
    let refusal = Refusal::new(RefusalCode::Revoked, "revoked", NodeId([1; 32]));
    let mut world = World::default();
    let mut one = viewer(&mut world, From::Begin);
    world.step(&mut one, Step::Frame(1, FromNode::Refusal(Box::new(refusal.clone()))));
    assert_eq!(world.over, Some(End::Refused(Box::new(refusal))));

    let mut world = World::default();
    let mut one = viewer(&mut world, From::Begin);
    world.step(&mut one, Step::Say(FromViewer::Detach(Detach { ext: Ext::default() })));
    world.deliver(&mut one, 0);
    assert_eq!(world.over, Some(End::Detached));

    let mut world = World::default();
    let mut never = Follower::new(From::Begin);
    world.step(&mut never, Step::Start);
    world.step(&mut never, Step::Lost(1));
    assert_eq!(world.over, Some(End::Unreachable));

    let mut world = World::default();
    let mut one = viewer(&mut world, From::Begin);
    let stopping = Refusal::new(RefusalCode::Stopping, "stopping", NodeId([1; 32]));
    world.step(&mut one, Step::Frame(1, FromNode::Refusal(Box::new(stopping))));
    assert_eq!(world.over, None, "a node that stops may come back");
    world.streams.clear();
    for _ in 0..REDIAL_LIMIT_MS / 1000 + 1 {
        world.now += 1000;
        for which in std::mem::take(&mut world.streams).into_keys() {
            world.step(&mut one, Step::Lost(which));
        }
        world.step(&mut one, Step::Tick);
    }
    assert_eq!(world.over, Some(End::Unreachable));
}
