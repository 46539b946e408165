//! The machine under everything that may come.

use super::*;
use crate::{
    presence::Gossiped,
    timing::{Dice, watch},
};

const START: Timestamp = Timestamp(1_800_000_000_000);
const TEAM: TeamId = TeamId([7; 32]);
const DAY: u64 = 24 * 3_600_000;
const STEPS: u32 = 250_000;

fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

fn cid(n: u64) -> CidDigest {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&n.to_le_bytes());
    CidDigest(bytes)
}

fn noted(n: u64) -> Noted {
    Noted { cid: cid(n), subject: TEAM.node(), expires: START.plus_ms(DAY) }
}

fn notice(from: u8, author: u8, revoked: Vec<Noted>) -> Input {
    Input::Notice { from: id(from), notice: Notice { team: TEAM, author: id(author), counter: 1, revoked } }
}

struct Node {
    spread: Spread,
    now: Timestamp,
}

impl Node {
    /// `id(0)` among so many members.
    fn new(members: u8) -> Self {
        let mut node = Self { spread: Spread::new(TEAM, id(0)), now: START };
        (1..=members).for_each(|n| drop(node.step(Input::Member(id(n)))));
        node
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.spread.handle(self.now, input, &mut out);
        out.retain(|output| !matches!(output, Output::WakeAt(_)));
        out
    }

    fn after(&mut self, ms: u64, input: Input) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        self.step(input)
    }

    fn pulled(&mut self, n: u64, from: u8, got: Got) -> Vec<Output> {
        self.step(Input::Pulled { cid: cid(n), from: id(from), got })
    }
}

fn pull(n: u64, from: u8) -> Output {
    Output::Pull { cid: cid(n), from: id(from), subject: TEAM.node() }
}

/// The notices in these.
fn said(out: &[Output]) -> Vec<&Notice> {
    let notice = |output| match output {
        &Output::Broadcast(Say::Revoked(ref notice)) => Some(notice),
        _ => None,
    };
    out.iter().filter_map(notice).collect()
}

#[test]
fn what_is_announced_is_fetched_from_who_handed_it_on() {
    let mut node = Node::new(3);
    assert_eq!(node.step(notice(2, 3, vec![noted(1)])), [pull(1, 2)]);
    assert!(node.step(notice(1, 3, vec![noted(1)])).is_empty(), "it is on its way");
    // Not there yet: from whoever else handed it on, and in turns.
    for (tries, pause) in [50, 100, 200, 200, 200].into_iter().enumerate() {
        let (asked, next) = if tries % 2 == 0 { (2, 1) } else { (1, 2) };
        assert!(node.pulled(1, asked, Got::Missing).is_empty());
        assert!(node.after(pause - 1, Input::Tick).is_empty());
        assert_eq!(node.after(1, Input::Tick), [pull(1, next)]);
    }
    // All would go to the author, so only those do who have tried for long.
    assert!(node.pulled(1, 1, Got::Failed).is_empty());
    assert_eq!(node.after(200, Input::Tick), [pull(1, 3)]);
    assert!(node.pulled(1, 3, Got::Stored).is_empty(), "gossip has told everybody");
    assert!(node.spread.is_known(&cid(1)));
    assert!(node.step(notice(1, 3, vec![noted(1)])).is_empty());
    assert_eq!(node.spread.counts(), (1, 0));
}

#[test]
fn only_whom_it_concerns_fetches_it() {
    let mut node = Node::new(2);
    let of = |subject| Noted { subject, ..noted(1) };
    assert!(node.step(notice(1, 1, vec![of(id(2)), of(id(1))])).is_empty());
    let about_me = Output::Pull { cid: cid(1), from: id(2), subject: id(0) };
    assert_eq!(node.step(notice(1, 2, vec![of(id(0))])), [about_me], "only the author is sure to have it");
}

#[test]
fn what_is_learnt_otherwise_is_announced_once() {
    let mut node = Node::new(2);
    assert!(node.step(Input::Known { noted: noted(1), how: How::Loaded }).is_empty());
    for (n, how) in [(2, How::Own), (3, How::Synced)] {
        let out = node.step(Input::Known { noted: noted(n), how });
        assert_eq!(said(&out)[0].revoked, [noted(n)]);
        assert!(node.step(Input::Known { noted: noted(n), how }).is_empty());
    }
    assert!(node.step(notice(1, 1, vec![noted(1), noted(2), noted(3)])).is_empty());
    // A thousand at once: few notices, each with many.
    let mut all = Vec::new();
    for n in 10..1_010 {
        all.extend(node.step(Input::Known { noted: noted(n), how: How::Own }));
    }
    (0..60).for_each(|_| all.extend(node.after(1_000, Input::Tick)));
    let notices = said(&all);
    assert_eq!(notices.iter().map(|it| it.revoked.len()).sum::<usize>(), 1_000);
    assert!(notices.len() <= 40, "{}", notices.len());
    let counters: BTreeSet<u64> = notices.iter().map(|it| it.counter).collect();
    assert_eq!(counters.len(), notices.len(), "no two are the same");
}

#[test]
fn what_nobody_can_show_is_given_up() {
    let mut node = Node::new(3);
    let mut pulls = node.step(notice(1, 2, vec![noted(1)])).len();
    for _ in 0..600 {
        for from in 1..=3 {
            node.pulled(1, from, Got::Missing);
        }
        pulls += node.after(100, Input::Tick).len();
    }
    assert_eq!((pulls, node.spread.counts()), (16, (0, 0)));
    assert_eq!(node.spread.dropped().unshown, 1);
    // A liar is asked once; it does not keep the honest from being asked.
    node.step(notice(1, 1, vec![noted(2)]));
    node.step(notice(3, 1, vec![noted(2)]));
    node.pulled(2, 1, Got::Bad);
    assert_eq!(node.after(50, Input::Tick), [pull(2, 3)]);
    assert!(node.pulled(2, 3, Got::Stored).is_empty() && node.spread.is_known(&cid(2)));
    // One that does not answer at all.
    node.step(notice(1, 1, vec![noted(3)]));
    assert!(node.after(4_999, Input::Tick).is_empty());
    node.after(1, Input::Tick);
    assert_eq!(node.after(50, Input::Tick), [pull(3, 1)]);
}

#[test]
fn one_author_cannot_take_all_the_room() {
    let mut node = Node::new(4);
    for n in 0..100 {
        node.step(notice(1, 1, (n * 32..n * 32 + 32).map(noted).collect()));
    }
    assert_eq!((node.spread.counts().1, node.spread.dropped().full), (32, 3_200 - 32));
    // All fetches are under way at the liar; it answers none. The honest one's turn comes.
    let mut out = node.step(notice(2, 2, vec![noted(9_999)]));
    for _ in 0..100 {
        out.extend(node.after(1_000, Input::Tick));
    }
    assert!(out.contains(&pull(9_999, 2)));
    // It goes on for ten minutes, with 192,000 more: one of them in 10 s is asked for, sixteen times.
    let mut pulls = 0;
    for n in 0..6_000 {
        let out = node.after(100, notice(1, 1, (n * 32 + 10_000..n * 32 + 10_032).map(noted).collect()));
        for output in out {
            let Output::Pull { cid, from, .. } = output else { continue };
            pulls += 1;
            node.step(Input::Pulled { cid, from, got: Got::Missing });
        }
    }
    assert!(pulls <= (32 + 61) * 16, "{pulls}");
}

#[test]
fn who_announces_what_nobody_can_show_is_believed_the_less() {
    let mut node = Node::new(3);
    node.step(notice(1, 2, vec![noted(0)]));
    // Fewer seconds than give a token back.
    for _ in 0..90 {
        for from in 1..=3 {
            node.pulled(0, from, Got::Missing);
        }
        node.after(100, Input::Tick);
    }
    assert_eq!((node.spread.counts(), node.spread.dropped().unshown), ((0, 0), 1));
    node.step(notice(1, 2, (1..=32).map(noted).collect()));
    assert_eq!(node.spread.counts().1, 32 - 1 - 8);
    node.step(notice(1, 3, (100..132).map(noted).collect()));
    assert_eq!(node.spread.counts().1, 23 + 32, "nobody else pays for it");
}

#[test]
fn who_announces_what_is_true_has_all_the_credit() {
    let mut node = Node::new(2);
    for n in 0..1_000 {
        assert_eq!(node.step(notice(1, 1, vec![noted(n)])), [pull(n, 1)]);
        node.pulled(n, 1, Got::Stored);
    }
    assert_eq!((node.spread.counts(), node.spread.dropped().full), ((1_000, 0), 0));
}

#[test]
fn strangers_and_what_is_over_count_for_nothing() {
    let mut node = Node::new(2);
    for input in [notice(9, 1, vec![noted(1)]), notice(1, 9, vec![noted(1)]), notice(1, 0, vec![noted(1)])] {
        assert!(node.step(input).is_empty());
    }
    let over = Noted { expires: Timestamp(START.0 - SPREAD_KEPT_MS - 1), ..noted(1) };
    assert!(node.step(notice(1, 1, vec![over])).is_empty());
    assert!(
        node.step(Input::Known { noted: over, how: How::Own }).is_empty() && node.spread.counts() == (0, 0)
    );
    let elsewhere = Notice { team: TeamId([8; 32]), author: id(1), counter: 1, revoked: vec![noted(1)] };
    assert!(node.step(Input::Notice { from: id(1), notice: elsewhere }).is_empty());
    let dropped = node.spread.dropped();
    assert_eq!((dropped.unknown, dropped.over, dropped.other_team), (2, 1, 1));
}

#[test]
fn a_removed_member_is_asked_no_more() {
    let mut node = Node::new(3);
    node.step(notice(1, 1, vec![noted(1)]));
    node.step(notice(2, 3, vec![noted(2)]));
    node.step(notice(3, 3, vec![noted(2)]));
    assert!(node.step(Input::Removed(id(1))).is_empty());
    assert_eq!(node.spread.counts(), (0, 1), "only it had said that there is one");
    assert_eq!(node.step(Input::Removed(id(2))), [pull(2, 3)], "the other source");
    assert!(node.pulled(1, 1, Got::Stored).is_empty() && !node.spread.is_known(&cid(1)));
}

/// A machine, and what a bystander knows.
struct Watched {
    node: Node,
    dice: Dice,
    members: BTreeSet<NodeId>,
    pulls: BTreeMap<CidDigest, NodeId>,
    elapsed: u64,
    notices: u64,
}

impl Watched {
    fn new(seed: u64) -> Self {
        Self {
            node: Node::new(0),
            dice: Dice::new(seed),
            members: BTreeSet::new(),
            pulls: BTreeMap::new(),
            elapsed: 0,
            notices: 0,
        }
    }

    fn time(&mut self) {
        let ms = if self.dice.up_to(2) == 0 { self.dice.up_to(2_000) } else { 0 };
        (self.node.now, self.elapsed) = (self.node.now.plus_ms(ms), self.elapsed + ms);
        if self.dice.up_to(1_000) == 0 {
            self.node.now = Timestamp(START.0 - self.dice.up_to(DAY));
        }
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let last = u64::try_from(all.len()).unwrap().checked_sub(1)?;
        Some(all[usize::try_from(self.dice.up_to(last)).unwrap()])
    }

    fn somebody(&mut self) -> NodeId {
        id(u8::try_from(self.dice.up_to(9)).unwrap())
    }

    fn link(&mut self) -> Noted {
        Noted {
            subject: if self.dice.up_to(3) == 0 { id(9) } else { TEAM.node() },
            expires: Timestamp(START.0 + self.dice.up_to(2 * DAY) - DAY),
            ..noted(self.dice.up_to(2_000))
        }
    }

    fn input(&mut self) -> Input {
        let who = self.somebody();
        match self.dice.up_to(12) {
            0 | 1 => Input::Member(who),
            2 if self.dice.up_to(4) == 0 => Input::Removed(who),
            3 => {
                let how = self.one_of(&[How::Own, How::Synced, How::Loaded]).unwrap();
                Input::Known { noted: self.link(), how }
            }
            4..=6 => {
                let revoked = (0..=self.dice.up_to(5)).map(|_| self.link()).collect();
                let (author, counter) = (self.somebody(), self.dice.up_to(9));
                Input::Notice { from: who, notice: Notice { team: TEAM, author, counter, revoked } }
            }
            7..=10 => {
                let got = self.one_of(&[Got::Stored, Got::Missing, Got::Bad, Got::Failed]).unwrap();
                let open: Vec<_> = self.pulls.iter().map(|(cid, from)| (*cid, *from)).collect();
                let (cid, from) = self.one_of(&open).unwrap_or((cid(1), who));
                Input::Pulled { cid, from, got }
            }
            _ => Input::Tick,
        }
    }

    fn note(&mut self, input: &Input) {
        match input {
            Input::Member(id) if *id != self::id(0) => {
                self.members.insert(*id);
            }
            Input::Removed(id) => {
                self.members.remove(id);
                self.pulls.retain(|_, from| from != id);
            }
            Input::Known { noted, .. } => {
                self.pulls.remove(&noted.cid);
            }
            Input::Pulled { cid, .. } => {
                self.pulls.remove(cid);
            }
            _ => {}
        }
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Pull { cid, from, .. } => {
                assert!(self.members.contains(&from) && !self.node.spread.is_known(&cid));
                self.pulls.insert(cid, from);
            }
            Output::Broadcast(say) => {
                assert!(Gossiped::unsigned(say).encode().is_ok());
                self.notices += 1;
                let most = u64::from(SPREAD_NOTICES) + self.elapsed / SPREAD_NOTICE_MS;
                assert!(self.notices <= most, "{} notices in {} ms", self.notices, self.elapsed);
            }
            Output::WakeAt(at) => assert!(at > self.node.now, "it would never sleep"),
        }
    }

    fn step(&mut self) {
        self.time();
        let input = self.input();
        self.note(&input);
        let mut out = Vec::new();
        self.node.spread.handle(self.node.now, input, &mut out);
        out.into_iter().for_each(|output| self.output(output));
        let spread = &self.node.spread;
        let under_way = spread.wanted.values().filter(|it| it.pulling.is_some()).count();
        assert!(spread.pulls <= SPREAD_PULLS && spread.pulls == under_way);
        assert!(spread.known.len() <= SPREAD_KNOWN && spread.wanted.len() <= SPREAD_WANTED);
        assert!(spread.news.len() <= SPREAD_ANNOUNCED);
        for wanted in spread.wanted.values() {
            assert!(wanted.sources.len() <= SPREAD_SOURCES + 1);
            assert!(wanted.sources.iter().all(|it| self.members.contains(it)));
        }
    }
}

#[test]
fn nothing_that_comes_breaks_the_rules() {
    watch(STEPS, Watched::new, Watched::step);
}
