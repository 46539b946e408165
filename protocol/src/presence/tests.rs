//! The machine step by step; `tests/steps.rs` has what holds for any steps.

mod exchange;
mod steps;
mod team;
mod words;

use std::sync::Arc;

use super::{
    Change, Gossiped, Input, Load, Lost, Output, Own, PayloadError, Presence, Record, Say, Seen, Signature,
    Signed, Standing,
    beat::{beat_ms, lease_ms},
};
use crate::{Ext, NodeId, TeamId, Timestamp};

const TEAM: TeamId = TeamId([7; 32]);
const START: Timestamp = Timestamp(1_800_000_000_000);
const YEAR: u64 = 365 * 24 * 3_600_000;

fn id(n: u8) -> NodeId {
    NodeId([n; 32])
}

fn own() -> Own {
    Own { addrs: vec!["10.0.0.1:7".parse().unwrap()], version: "clankers/0.1.0".into(), ..Own::default() }
}

fn record(author: u8, boot_id: u64, counter: u64, at: Timestamp) -> Record {
    let own = own();
    Record {
        team: TEAM,
        author: id(author),
        boot_id,
        counter,
        at,
        lease_ms: lease_ms(beat_ms(0)),
        addrs: own.addrs,
        relay: None,
        label: None,
        version: own.version,
        load: Load::default(),
        leaving: false,
        ext: Ext::default(),
    }
}

fn signed<T>(body: T) -> Signed<T> {
    Signed { body, signature: Signature([0; 64]) }
}

fn heard(record: Record) -> Input {
    Input::Record { from: id(1), age_ms: 0, record: Arc::new(signed(record)), verified: true }
}

fn lost(author: u8, member: u8, boot_id: u64, heard: u64) -> Input {
    let lost = Lost { team: TEAM, author: id(author), counter: heard, member: id(member), boot_id, heard };
    Input::Lost { from: id(1), lost: signed(lost), verified: true }
}

/// A machine and its clock.
struct Node {
    presence: Presence,
    now: Timestamp,
}

impl Node {
    /// `id(0)` in a team with so many others.
    fn new(others: u8) -> Self {
        let mut node = Self { presence: Presence::new(TEAM, id(0), 5, own(), 1), now: START };
        (1..=others).for_each(|n| drop(node.step(Input::Member(id(n)))));
        node
    }

    fn started(others: u8) -> Self {
        let mut node = Self::new(others);
        node.step(Input::Start);
        node
    }

    /// One step; without the wake-ups.
    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.presence.handle(self.now, input, &mut out);
        out.retain(|output| !matches!(output, Output::WakeAt(_)));
        out
    }

    fn after(&mut self, ms: u64, input: Input) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        self.step(input)
    }

    fn standing(&self, n: u8) -> Standing {
        self.presence.seen(id(n)).unwrap().standing
    }
}

/// The beats in these.
fn beats(out: &[Output]) -> Vec<&Record> {
    let beat = |output| match output {
        &Output::Broadcast(Say::Presence(ref record)) => Some(record),
        _ => None,
    };
    out.iter().filter_map(beat).collect()
}

#[test]
fn it_says_at_once_that_it_is_there_and_then_by_the_rule() {
    let mut node = Node::new(3);
    assert!(node.after(60_000, Input::Tick).is_empty(), "not before it was told to begin");
    let first = node.step(Input::Start);
    let [beat] = beats(&first)[..] else { panic!("{first:?}") };
    assert_eq!((beat.author, beat.place(), beat.leaving), (id(0), (5, 1), false));
    assert_eq!(beat.lease_ms, 16_500);
    let count = (0..600).map(|_| beats(&node.after(100, Input::Tick)).len()).sum::<usize>();
    assert!((10..=12).contains(&count), "{count} beats in a minute");
}

#[test]
fn a_change_is_said_within_a_second_and_a_load_a_little_later() {
    let mut node = Node::started(1);
    let moved = Own { addrs: vec!["10.0.0.2:7".parse().unwrap()], ..own() };
    assert_eq!(beats(&node.after(999, Input::Own(Box::new(moved.clone())))).len(), 0);
    let said = node.after(1, Input::Tick);
    assert_eq!(beats(&said)[0].addrs, moved.addrs);
    assert_eq!(beats(&node.after(1_000, Input::Own(Box::new(moved.clone())))).len(), 0, "nothing new");
    let busy = Own { load: Load { sessions: 1, running: 1 }, ..moved };
    assert_eq!(beats(&node.after(200, Input::Own(Box::new(busy)))).len(), 0, "1,200 ms after the last");
    assert_eq!(beats(&node.after(50, Input::Tick))[0].load.running, 1);
}

#[test]
fn a_goodbye_is_the_last_word() {
    let mut node = Node::started(1);
    let bye = node.after(10, Input::Leave);
    assert!(beats(&bye)[0].leaving);
    for input in [Input::Tick, Input::Leave, Input::Start, lost(1, 0, 5, 9), Input::Up(id(1))] {
        assert!(beats(&node.after(60_000, input)).is_empty());
    }
    // And as others see it.
    let mut other = Node::started(1);
    other.step(heard(record(1, 1, 1, START)));
    let goodbye = Record { leaving: true, ..record(1, 1, 2, START) };
    assert_eq!(other.step(heard(goodbye)), [Output::Changed(id(1), Change::Left)]);
    assert!(other.step(heard(record(1, 1, 1, START))).is_empty(), "what it said before");
    assert_eq!(other.step(heard(record(1, 2, 1, START))), [Output::Changed(id(1), Change::Came)]);
}

#[test]
fn a_member_that_is_not_heard_is_silent_after_its_lease() {
    let mut node = Node::started(2);
    assert_eq!(node.step(heard(record(2, 1, 1, START))), [Output::Changed(id(2), Change::Came)]);
    node.after(16_499, Input::Tick);
    assert!(node.presence.is_live(node.now, id(2)) && node.standing(2) == Standing::Live);
    assert!(node.after(1, Input::Tick).contains(&Output::Changed(id(2), Change::Silent)));
    assert!(!node.presence.is_live(node.now, id(2)));
    assert!(matches!(node.presence.seen(id(2)), Some(Seen { heard: Some(START), record: Some(_), .. })));
}

#[test]
fn one_that_was_lost_lives_when_it_says_so_and_else_not() {
    let mut node = Node::started(3);
    node.step(heard(record(2, 1, 3, START)));
    node.step(heard(record(3, 1, 3, START)));
    for n in [2, 3] {
        assert_eq!(node.step(lost(1, n, 1, 3)), [Output::Changed(id(n), Change::Suspect)]);
    }
    assert!(node.presence.is_live(node.now, id(3)), "not yet");
    assert_eq!(node.after(400, heard(record(3, 1, 4, START))), [Output::Changed(id(3), Change::Came)]);
    assert!(node.after(9_600, Input::Tick).contains(&Output::Changed(id(2), Change::Silent)));
    assert_eq!((node.standing(2), node.standing(3)), (Standing::Silent, Standing::Live));
    // A loss that is over already.
    assert!(node.step(lost(1, 3, 1, 3)).is_empty());
    assert_eq!(node.presence.dropped().refuted, 1);
}

/// What it said may have been lost on the way here alone.
#[test]
fn a_neighbour_is_asked_about_one_that_has_gone_silent() {
    let mut node = Node::started(3);
    node.step(heard(record(2, 1, 3, START)));
    node.step(Input::Up(id(2)));
    node.step(lost(1, 2, 1, 3));
    let out = node.after(10_000, Input::Tick);
    assert!(out.contains(&Output::Changed(id(2), Change::Silent)));
    assert!(!out.iter().any(|output| matches!(output, Output::Ask { .. })), "not itself: {out:?}");
    node.step(heard(record(2, 1, 4, node.now)));
    node.step(Input::Up(id(3)));
    node.step(lost(1, 2, 1, 4));
    let out = node.after(10_000, Input::Tick);
    let ask = Output::Ask { from: id(3), member: id(2) };
    assert!(out.contains(&ask), "{out:?}");
    // That one may not have heard it either: again, and then it is left at that.
    let again: Vec<u32> = (1..=600).filter(|_| node.after(1_000, Input::Tick).contains(&ask)).collect();
    assert_eq!(again, [10, 30, 70, 150, 310]);
    node.step(heard(record(2, 1, 5, node.now)));
    assert_eq!(node.standing(2), Standing::Live);
}

#[test]
fn it_denies_that_it_was_lost_but_not_without_end() {
    let mut node = Node::started(2);
    let denied = node.after(1_000, lost(1, 0, 5, 1));
    assert_eq!(beats(&denied).len(), 1);
    assert_eq!(beats(&node.after(10, lost(2, 0, 5, 2))).len(), 0, "one a second");
    assert_eq!(beats(&node.after(990, Input::Tick)).len(), 1);
    assert!(beats(&node.after(1_000, lost(1, 0, 4, 2))).is_empty(), "of an earlier start");
    // Somebody says so a hundred times a second for a minute.
    let count: usize = (0..6_000).map(|n| beats(&node.after(10, lost(1, 0, 5, n))).len()).sum();
    assert!(count <= 30, "{count} beats in a minute");
}

#[test]
fn whoever_loses_a_neighbour_says_so_unless_another_did() {
    let losing = |broken, heal: Option<Input>| {
        let mut node = Node::started(3);
        [1, 2].into_iter().for_each(|n| drop(node.step(Input::Up(id(n)))));
        node.step(heard(record(2, 1, 4, START)));
        let mut out = node.step(Input::Down { member: id(2), broken });
        heal.into_iter().for_each(|input| out.extend(node.step(input)));
        out.extend(node.after(1_000, Input::Tick));
        out.into_iter().find_map(|output| match output {
            Output::Broadcast(Say::Lost(lost)) => Some((lost.member, lost.boot_id, lost.heard)),
            _ => None,
        })
    };
    assert_eq!(losing(true, None), Some((id(2), 1, 4)));
    assert_eq!(losing(false, None), None, "gossip parted from it");
    assert_eq!(losing(true, Some(lost(1, 2, 1, 4))), None);
    assert_eq!(losing(true, Some(heard(record(2, 1, 5, START)))), None);
    assert_eq!(losing(true, Some(Input::Up(id(2)))), None);
    assert_eq!(losing(true, Some(Input::Removed(id(2)))), None);
    assert_eq!(losing(true, Some(Input::Down { member: id(1), broken: true })), None, "it is itself lost");
}

#[test]
fn a_neighbour_is_greeted_and_presence_exchanged_now_and_then() {
    let mut node = Node::started(2);
    assert_eq!(node.after(500, Input::Up(id(1))), [Output::Sync(id(1))]);
    assert_eq!(beats(&node.after(500, Input::Tick)).len(), 1, "nobody heard the first beat");
    assert_eq!(node.step(Input::Up(id(2))), [Output::Sync(id(2))]);
    node.step(Input::Down { member: id(1), broken: false });
    assert!(node.after(1_000, Input::Up(id(1))).is_empty());
    node.step(Input::Down { member: id(1), broken: false });
    assert!(node.after(60_000, Input::Up(id(1))).contains(&Output::Sync(id(1))));
    assert!(node.step(Input::Up(id(9))).is_empty(), "no member");
}

#[test]
fn clocks_may_be_wrong_by_a_year() {
    // The others'.
    let mut node = Node::started(3);
    for (n, at) in [(1, Timestamp(START.0 - YEAR)), (2, START.plus_ms(YEAR)), (3, Timestamp(u64::MAX))] {
        assert_eq!(node.step(heard(record(n, 1, 1, at))), [Output::Changed(id(n), Change::Came)]);
        assert!(node.after(0, heard(record(n, 1, 2, at))).is_empty());
    }
    node.after(16_500, Input::Tick);
    assert!((1..=3).all(|n| node.standing(n) == Standing::Silent));
    // This node's, set back and forth while it runs.
    let mut node = Node::started(1);
    node.step(heard(record(1, 1, 1, START)));
    node.now = Timestamp(START.0 - YEAR);
    node.step(Input::Tick);
    assert!(node.presence.is_live(node.now, id(1)));
    assert!(node.after(16_500, Input::Tick).contains(&Output::Changed(id(1), Change::Silent)));
    let beats: usize = (0..60).map(|_| beats(&node.after(1_000, Input::Tick)).len()).sum();
    assert!((10..=12).contains(&beats), "{beats}");
    // Forward: all are due once, and come back with their next beat or the one after.
    node.after(YEAR, heard(record(1, 1, 2, START)));
    node.after(5_000, heard(record(1, 1, 3, START.plus_ms(5_000))));
    assert_eq!(node.standing(1), Standing::Live);
}

#[test]
fn a_record_that_was_held_back_does_not_wake_the_dead() {
    let mut node = Node::started(3);
    node.step(heard(record(2, 1, 1, START)));
    node.after(60_000, Input::Tick);
    // It was made a second after the first, and comes a minute late.
    assert!(node.step(heard(record(2, 1, 2, START.plus_ms(1_000)))).is_empty());
    assert_eq!((node.standing(2), node.presence.dropped().late), (Standing::Silent, 1));
    // A living member whose clock was set back by an hour is there with its second beat.
    let back = Timestamp(START.0 - 3_600_000);
    node.step(heard(record(3, 1, 1, START)));
    assert!(node.after(5_000, heard(record(3, 1, 2, back))).is_empty());
    node.after(5_000, heard(record(3, 1, 3, back.plus_ms(5_000))));
    node.after(11_000, Input::Tick);
    assert_eq!(node.standing(3), Standing::Live, "its lease was never over");
}

#[test]
fn an_earlier_life_is_overtaken() {
    let mut node = Node::started(1);
    let later = node.after(5_600, heard(record(0, 9, 77, START)));
    assert_eq!(beats(&later).last().map(|beat| beat.place().0), Some(10));
    assert_eq!(node.presence.dropped().myself, 1);
    let forged = Input::Record {
        from: id(1),
        age_ms: 0,
        record: Arc::new(signed(record(0, 99, 1, START))),
        verified: false,
    };
    node.after(2_000, forged);
    assert_eq!((node.presence.dropped().forged, node.presence.dropped().myself), (1, 1));
}

#[test]
fn strangers_are_asked_after_and_not_shown() {
    let mut node = Node::started(1);
    let asked = node.step(heard(record(9, 1, 1, START)));
    assert_eq!(asked, [Output::Ask { from: id(1), member: id(9) }]);
    assert!(node.presence.seen(id(9)).is_none());
    // Somebody makes keys by the thousand.
    let asks: usize = (0..5_000_u64)
        .map(|n| {
            let mut made = record(9, 1, 1, START);
            made.author.0[..8].copy_from_slice(&n.to_le_bytes());
            node.after(1, heard(made)).len()
        })
        .sum();
    assert!(asks <= 31 + 5, "{asks}");
    assert_eq!(node.presence.known(), 1);
    // What strangers hand on counts for nothing.
    let input = Input::Record {
        from: id(9),
        age_ms: 0,
        record: Arc::new(signed(record(1, 1, 1, START))),
        verified: true,
    };
    assert!(node.step(input).is_empty());
    assert_eq!(node.standing(1), Standing::Unheard);
}

#[test]
fn a_member_makes_room_only_for_one_that_may_live() {
    let mut node = Node { presence: Presence::new(TEAM, id(0), 1, own(), 1).with_room(3), now: START };
    for n in 1..=3 {
        node.step(Input::Member(id(n)));
        node.step(heard(record(n, 1, 1, START)));
    }
    node.step(Input::Member(id(4)));
    assert_eq!((node.presence.known(), node.presence.dropped().full), (3, 1));
    node.after(10_000, heard(record(2, 1, 2, START.plus_ms(10_000))));
    node.after(6_500, Input::Tick);
    // Whoever looks after the other machines hears who made room.
    assert_eq!(node.step(Input::Member(id(4))), [Output::Changed(id(1), Change::Gone)]);
    assert!(node.presence.seen(id(1)).is_none() && node.presence.seen(id(4)).is_some());
    assert_eq!((node.presence.known(), node.presence.live()), (3, 2));
}

#[test]
fn an_address_that_is_not_one_nodes_own_is_refused() {
    let said = |addr: &str| {
        let addrs = vec!["10.0.0.1:7".parse().unwrap(), addr.parse().unwrap()];
        Gossiped::Presence(signed(Record { addrs, ..record(1, 1, 1, START) }))
    };
    for addr in ["127.0.0.1:7", "[::1]:7", "192.168.0.255:7", "[fe80::1]:7", "[fd00::1]:65535"] {
        assert!(said(addr).encode().is_ok(), "{addr}");
    }
    for addr in [
        "10.0.0.2:0",
        "0.0.0.0:7",
        "[::]:7",
        "224.0.0.251:5353",
        "[ff02::fb]:5353",
        "255.255.255.255:7",
        "[::ffff:0.0.0.0]:7",
        "[::ffff:224.0.0.1]:7",
    ] {
        let refused = PayloadError::Address(addr.parse().unwrap());
        assert_eq!(said(addr).encode(), Err(refused.clone()), "{addr}");
        assert_eq!(Gossiped::decode(&postcard::to_stdvec(&said(addr)).unwrap()), Err(refused), "{addr}");
    }
}
