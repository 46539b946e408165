//! What holds for any steps in any order: a quarter of a million of them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    presence::Gossiped,
    timing::{Dice, watch},
};

const STEPS: u32 = 250_000;
const ROOM: usize = 8;
const IDS: u8 = 14;

/// How a member is, and by which of its records.
type Known = (NodeId, Standing, Option<(u64, u64)>);

/// A machine, and what a bystander knows of what it may do.
struct Watched {
    node: Node,
    dice: Dice,
    members: BTreeSet<NodeId>,
    /// The newest place that was heard, signed, of each member since it was taken in.
    newest: BTreeMap<NodeId, (u64, u64)>,
    elapsed: u64,
    beat: Option<(u64, u64)>,
    /// Something gave a reason for an early beat since the last one.
    reason: bool,
    own: Own,
    left: bool,
    places: BTreeSet<(u64, u64)>,
}

impl Watched {
    fn new(seed: u64) -> Self {
        let mut node =
            Node { presence: Presence::new(TEAM, id(0), 5, own(), seed).with_room(ROOM), now: START };
        node.step(Input::Own(Box::new(own())));
        Self {
            node,
            dice: Dice::new(seed),
            members: BTreeSet::new(),
            newest: BTreeMap::new(),
            elapsed: 0,
            beat: None,
            reason: true,
            own: own(),
            left: false,
            places: BTreeSet::new(),
        }
    }

    fn pick(&mut self, most: u64) -> u64 {
        self.dice.up_to(most)
    }

    fn somebody(&mut self) -> NodeId {
        id(u8::try_from(self.pick(u64::from(IDS))).unwrap())
    }

    /// Time goes on by a little, by a lot, or the clock is set.
    fn time(&mut self) {
        let ms = match self.pick(200) {
            0 => {
                let back = self.pick(YEAR);
                self.node.now = Timestamp(self.node.now.0.saturating_sub(back));
                0
            }
            1 => self.pick(60_000),
            n if n < 60 => self.pick(3_000),
            n if n < 120 => self.pick(200),
            _ => 0,
        };
        self.node.now = self.node.now.plus_ms(ms);
        self.elapsed += ms;
    }

    fn input(&mut self) -> Input {
        match self.pick(30) {
            0 => Input::Start,
            1 | 2 => Input::Member(self.somebody()),
            3 => Input::Removed(self.somebody()),
            4 => {
                let mut own = own();
                own.load.running = u32::try_from(self.pick(2)).unwrap();
                own.label = (self.pick(3) == 0).then(|| "x".into());
                Input::Own(Box::new(own))
            }
            5 | 6 => Input::Up(self.somebody()),
            7 | 8 => Input::Down { member: self.somebody(), broken: self.pick(1) == 0 },
            9 if self.pick(3_000) == 0 => Input::Leave,
            10..=13 => {
                let lost = Lost {
                    team: if self.pick(9) == 0 { TeamId([8; 32]) } else { TEAM },
                    author: self.somebody(),
                    counter: self.pick(9),
                    member: self.somebody(),
                    boot_id: self.pick(8),
                    heard: self.pick(30),
                };
                Input::Lost { from: self.somebody(), lost: signed(lost), verified: self.pick(3) > 0 }
            }
            14..=24 => self.record(),
            _ => Input::Tick,
        }
    }

    fn record(&mut self) -> Input {
        let author = self.somebody();
        let mut record = record(author.0[0], self.pick(8), self.pick(40), self.node.now);
        record.lease_ms = self.pick(60_000);
        record.leaving = self.pick(20) == 0;
        if self.pick(9) == 0 {
            record.at = Timestamp(self.dice.roll());
        }
        if self.pick(9) == 0 {
            record.team = TeamId([8; 32]);
        }
        let age_ms = if self.pick(3) == 0 { self.pick(30_000) } else { 0 };
        let verified = self.pick(3) > 0;
        Input::Record { from: self.somebody(), age_ms, record: Arc::new(signed(record)), verified }
    }

    /// Whether this one can have no effect on what is known of anybody.
    fn is_void(&self, input: &Input) -> bool {
        match input {
            Input::Record { from, record, verified, .. } => {
                let body = &record.body;
                let old = self.newest.get(&body.author).is_some_and(|newest| body.place() <= *newest);
                body.team != TEAM || !verified || !self.members.contains(from) || old
            }
            Input::Lost { from, lost, verified } => {
                let member = |id: NodeId| self.members.contains(&id);
                lost.body.team != TEAM
                    || !verified
                    || !member(*from)
                    || !member(lost.body.author)
                    || !(lost.body.member == id_me() || member(lost.body.member))
            }
            _ => false,
        }
    }

    fn note(&mut self, input: &Input) {
        match input {
            Input::Member(id) if *id != id_me() => {
                self.members.insert(*id);
            }
            Input::Removed(id) => {
                self.members.remove(id);
                self.newest.remove(id);
            }
            Input::Record { record, .. } if !self.is_void(input) => {
                self.reason |= record.body.author == id_me();
                self.newest.insert(record.body.author, record.body.place());
            }
            Input::Lost { lost, .. } if !self.is_void(input) => self.reason |= lost.body.member == id_me(),
            Input::Own(own) => {
                self.reason |= **own != self.own;
                self.own = (**own).clone();
            }
            Input::Up(_) => self.reason = true,
            _ => {}
        }
        // Whoever had to make room is known no more, and with it what it said.
        self.newest.retain(|id, _| self.node.presence.seen(*id).is_some());
        self.members.retain(|id| self.node.presence.seen(*id).is_some());
    }

    fn beat(&mut self, record: &Record) {
        assert!(!self.left, "after the goodbye");
        assert!(self.places.insert(record.place()), "a place is used once");
        self.left = record.leaving;
        if let Some((last, rule)) = self.beat.filter(|_| !record.leaving) {
            let pause = self.elapsed - last;
            assert!(pause >= 1_000, "{pause} ms between two beats");
            assert!(self.reason || pause >= rule, "{pause} ms without a reason, the rule is {rule}");
        }
        self.beat = Some((self.elapsed, beat_ms(self.node.presence.live())));
        self.reason = false;
    }

    fn output(&mut self, output: &Output) {
        match output {
            Output::Broadcast(say) => {
                let bytes = Gossiped::unsigned(say.clone()).encode().unwrap();
                assert!(Gossiped::decode(&bytes).is_ok());
                match say {
                    Say::Presence(record) => self.beat(record),
                    Say::Lost(lost) => assert!(self.members.contains(&lost.member) && !self.left),
                    Say::Revoked(_) => panic!("not its business"),
                }
            }
            Output::Changed(id, Change::Gone) => assert!(!self.members.contains(id)),
            Output::Changed(id, _) | Output::Sync(id) => assert!(self.members.contains(id)),
            Output::Ask { from, member } => {
                assert!(self.members.contains(from) && from != member);
                let silent = |it: Seen<'_>| it.standing == Standing::Silent;
                assert!(
                    !self.members.contains(member) || self.node.presence.seen(*member).is_some_and(silent)
                );
            }
            Output::WakeAt(at) => assert!(*at > self.node.now, "it would never sleep"),
        }
    }

    fn standings(&self) -> Vec<Known> {
        self.node.presence.members().map(|it| (it.id, it.standing, it.record.map(Record::place))).collect()
    }

    fn step(&mut self) {
        self.time();
        let mut out = Vec::new();
        self.node.presence.handle(self.node.now, Input::Tick, &mut out);
        out.drain(..).for_each(|output| self.output(&output));
        let before = self.standings();
        let input = self.input();
        let void = self.is_void(&input);
        self.node.presence.handle(self.node.now, input.clone(), &mut out);
        if void {
            assert_eq!(self.standings(), before, "{input:?}");
        }
        self.note(&input);
        out.iter().for_each(|output| self.output(output));
        let presence = &self.node.presence;
        assert!(presence.known() <= ROOM);
        assert!(presence.losses.len() <= 16 && presence.neighbors.len() <= 64);
        let live = presence.members().filter(|it| matches!(it.standing, Standing::Live | Standing::Suspect));
        let live: Vec<NodeId> = live.map(|it| it.id).collect();
        assert!(live.iter().all(|id| presence.is_live(self.node.now, *id)), "shown as there after its lease");
        assert_eq!(presence.live(), live.len() + 1);
    }
}

fn id_me() -> NodeId {
    id(0)
}

#[test]
fn nothing_that_comes_breaks_the_rules() {
    watch(STEPS, Watched::new, Watched::step);
}
