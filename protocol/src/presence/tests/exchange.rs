//! Two members that meet.

use super::*;
use crate::{
    limits::{PRESENCE_RIPPLE_REST_MS, PRESENCE_RIPPLES, PRESENCE_SETTLED_MS},
    presence::Told,
};

/// `a` asks `b`, and gives what `b` lacks.
fn meet(a: &mut Node, b: &mut Node) {
    let (a_id, b_id) = (a.presence.me, b.presence.me);
    let lack = b.presence.compare(&a.presence.digests());
    let give =
        |told: Told, from| Input::Record { from, age_ms: told.age_ms, record: told.record, verified: true };
    for told in b.presence.tell(b.now, &lack.send) {
        a.step(give(told, b_id));
    }
    for told in a.presence.tell(a.now, &lack.want) {
        b.step(give(told, a_id));
    }
}

/// `id(n)` among so many, heard by itself.
fn member(n: u8, others: u8) -> Node {
    let mut node = Node { presence: Presence::new(TEAM, id(n), 1, own(), u64::from(n)), now: START };
    (0..=others).for_each(|n| drop(node.step(Input::Member(id(n)))));
    let said = node.step(Input::Start);
    let record = Arc::new(signed(beats(&said)[0].clone()));
    node.presence.sealed(record);
    node
}

#[test]
fn each_learns_what_the_other_knows() {
    let (mut a, mut b) = (member(0, 9), member(1, 9));
    (2..6).for_each(|n| drop(a.step(heard(record(n, 1, 1, START)))));
    for n in 4..8 {
        let input = heard(record(n, 1, u64::from(n % 2), START));
        let Input::Record { age_ms, record, verified, .. } = input else { unreachable!() };
        b.step(Input::Record { from: id(0), age_ms, record, verified });
    }
    meet(&mut a, &mut b);
    for n in 2..8 {
        assert_eq!((a.standing(n), b.standing(n)), (Standing::Live, Standing::Live), "{n}");
    }
    assert_eq!((a.standing(1), b.standing(0)), (Standing::Live, Standing::Live));
    let same = |node: &Node| node.presence.digests().into_iter().collect::<Vec<_>>();
    let mut all = [same(&a), same(&b)];
    all.iter_mut().for_each(|digests| digests.sort_by_key(|it| it.member));
    assert_eq!(all[0], all[1]);
    let nothing = a.presence.compare(&b.presence.digests());
    assert!(nothing.send.is_empty() && nothing.want.is_empty());
}

#[test]
fn a_record_grows_no_younger_as_it_is_told_on() {
    let (mut a, mut b, mut c) = (member(0, 3), member(1, 3), member(2, 3));
    a.step(heard(record(3, 1, 1, START)));
    // After ten seconds A tells B, after another five B tells C: it ends where it would have ended.
    [&mut a, &mut b, &mut c].into_iter().for_each(|node| drop(node.after(10_000, Input::Tick)));
    meet(&mut a, &mut b);
    assert_eq!(b.standing(3), Standing::Live);
    [&mut a, &mut b, &mut c].into_iter().for_each(|node| drop(node.after(5_000, Input::Tick)));
    meet(&mut b, &mut c);
    assert_eq!(c.standing(3), Standing::Live);
    for node in [&mut a, &mut b, &mut c] {
        node.after(1_500, Input::Tick);
        assert_eq!(node.standing(3), Standing::Silent);
    }
    // Over: nobody tells it any more, whoever lacks it.
    let mut d = member(4, 4);
    d.now = a.now;
    meet(&mut a, &mut d);
    assert_eq!(d.standing(3), Standing::Unheard);
}

#[test]
fn what_was_over_when_it_was_told_is_not_shown_as_there() {
    let mut node = Node::started(2);
    let record = Arc::new(signed(record(2, 1, 1, START)));
    let old = Input::Record { from: id(1), age_ms: 16_500, record, verified: true };
    assert!(node.step(old).is_empty());
    assert_eq!((node.standing(2), node.presence.dropped().late), (Standing::Unheard, 1));
}

#[test]
fn a_removed_member_is_neither_told_nor_kept() {
    let (mut a, mut b) = (member(0, 3), member(1, 3));
    a.step(heard(record(3, 1, 1, START)));
    assert_eq!(a.step(Input::Removed(id(3))), [Output::Changed(id(3), Change::Gone)]);
    assert!(a.step(heard(record(3, 1, 2, START))).contains(&Output::Ask { from: id(1), member: id(3) }));
    meet(&mut a, &mut b);
    assert_eq!(b.standing(3), Standing::Unheard);
    assert!(a.presence.tell(a.now, &[id(3)]).is_empty());
    // B still has it: A is told, and takes it for a stranger's.
    b.step(Input::Member(id(3)));
    let from_b = Input::Record {
        from: id(0),
        age_ms: 0,
        record: Arc::new(signed(record(3, 1, 5, START))),
        verified: true,
    };
    b.step(from_b);
    meet(&mut a, &mut b);
    assert!(a.presence.seen(id(3)).is_none());
}

fn told(author: u8, counter: u64, at: Timestamp) -> Input {
    let record = Arc::new(signed(record(author, 1, counter, at)));
    Input::Record { from: id(1), age_ms: 1_000, record, verified: true }
}

fn syncs(out: &[Output]) -> Vec<NodeId> {
    let sync = |output: &Output| match output {
        Output::Sync(id) => Some(*id),
        _ => None,
    };
    out.iter().filter_map(sync).collect()
}

/// After a long cut a meeting tells of half a team: gossip does not say that again.
#[test]
fn what_is_told_of_silent_members_is_passed_on_to_neighbours() {
    let mut node = Node::started(9);
    for n in [1, 2] {
        node.step(Input::Up(id(n)));
    }
    // Of somebody who was never heard, one is told on joining: that is nobody's news.
    assert!(syncs(&node.step(told(5, 1, node.now))).is_empty());
    assert!(syncs(&node.after(5_000, Input::Tick)).is_empty());
    let mut counter = 1;
    let mut passed = Vec::new();
    for _ in 0..5 {
        while node.standing(5) != Standing::Silent {
            node.after(5_000, Input::Tick);
        }
        counter += 1;
        let told = told(5, counter, node.now);
        let mut out = syncs(&node.step(told));
        out.extend((0..30).flat_map(|_| syncs(&node.after(100, Input::Tick))));
        passed.push(out);
    }
    assert_eq!(passed[0], [id(1), id(2)], "{passed:?}");
    // By gossip everybody hears it.
    while node.standing(5) != Standing::Silent {
        node.after(5_000, Input::Tick);
    }
    node.step(heard(record(5, 1, counter + 1, node.now)));
    assert_eq!(node.standing(5), Standing::Live);
    assert!((0..30).all(|_| syncs(&node.after(100, Input::Tick)).is_empty()));
}

/// Whoever began where gossip did not reach this node, and is told of long after this node's own start, is news to more.
#[test]
fn what_is_told_of_a_member_that_was_never_heard_is_passed_on_once_this_node_has_settled() {
    let mut node = Node::started(9);
    node.step(Input::Up(id(1)));
    node.after(PRESENCE_SETTLED_MS, Input::Tick);
    // A newcomer tells of itself to everybody.
    let Input::Record { age_ms, record, verified, .. } = told(6, 1, node.now) else { unreachable!() };
    let mut out = syncs(&node.step(Input::Record { from: id(6), age_ms, record, verified }));
    out.extend((0..30).flat_map(|_| syncs(&node.after(100, Input::Tick))));
    assert!(out.is_empty(), "{out:?}");
    let mut out = syncs(&node.step(told(5, 1, node.now)));
    out.extend((0..30).flat_map(|_| syncs(&node.after(100, Input::Tick))));
    assert_eq!(out, [id(1)]);
}

/// A member that goes and comes again and again makes nobody compare without end.
#[test]
fn what_is_passed_on_has_a_limit() {
    let mut node = Node::started(9);
    node.step(Input::Up(id(1)));
    let begun = node.now;
    let mut passed = 0;
    for counter in 1..200 {
        node.step(told(5, counter, node.now));
        // Somebody lost it, and nobody denies it.
        node.step(lost(2, 5, 1, counter));
        passed += (0..110).map(|_| syncs(&node.after(100, Input::Tick)).len()).sum::<usize>();
    }
    let took = node.now.since(begun);
    let most =
        usize::try_from(took / PRESENCE_RIPPLE_REST_MS).unwrap() + usize::try_from(PRESENCE_RIPPLES).unwrap();
    assert!((10..=most).contains(&passed), "{passed} of at most {most} in {took} ms");
}
