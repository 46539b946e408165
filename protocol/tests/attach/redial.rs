//! When a viewer tries to reach its node again, and when it lets that be.

use clankers_protocol::limits::{QUIET_MS, REDIAL_FAST_MS, REDIAL_LIMIT_MS, REDIAL_MS, REDIALS, STALE_MS};

use super::*;
use clankers_protocol::request::attach::Unattended;

#[test]
fn silence_is_noticed_and_another_connection_takes_over() {
    let mut world = World::default();
    let mut viewer = viewer(&mut world, From::Begin);
    world.now += QUIET_MS - 1;
    world.step(&mut viewer, Step::Tick);
    assert_eq!(world.dials, 1);
    world.now += 1;
    world.step(&mut viewer, Step::Tick);
    assert_eq!(world.dials, 2, "another one is tried at once");
    assert!(!world.shown.iter().any(|s| matches!(s, Shown::Stale)), "and nobody is worried yet");
    world.now += STALE_MS - QUIET_MS;
    world.step(&mut viewer, Step::Tick);
    assert!(matches!(world.shown.last(), Some(Shown::Stale)));
    assert!(world.streams.contains_key(&1), "the first one is kept");
    for _ in 0..200 {
        world.now += 250;
        world.step(&mut viewer, Step::Tick);
        assert!(world.streams.len() <= REDIALS + 1, "not more at a time than allowed");
    }
    world.deliver(&mut viewer, 1);
    assert!(matches!(world.shown.last(), Some(Shown::Attached(_, true))));
    assert_eq!(world.streams.len(), 1, "the others are dropped");
}

#[test]
fn a_node_that_is_heard_again_is_not_dialed_any_more() {
    let mut world = World::default();
    let mut viewer = viewer(&mut world, From::Begin);
    world.now += QUIET_MS;
    world.step(&mut viewer, Step::Tick);
    assert_eq!(world.streams.len(), 2);
    world.run(&mut viewer, Op::Complete);
    world.deliver(&mut viewer, 0);
    assert_eq!(world.streams.keys().copied().collect::<Vec<_>>(), [1], "the try beside it is dropped");
    assert!(!world.shown.iter().any(|s| matches!(s, Shown::Stale | Shown::Back)), "nobody was told");
    world.now += QUIET_MS - 1;
    world.step(&mut viewer, Step::Tick);
    assert_eq!(world.dials, 2);
}

#[test]
fn there_is_always_a_fresh_try_and_one_that_is_patient() {
    let mut world = World::default();
    let mut viewer = viewer(&mut world, From::Begin);
    world.run(&mut viewer, Op::Cut);
    let since = world.now;
    while world.now - since < REDIAL_FAST_MS - REDIAL_MS {
        let tried = world.dials;
        world.now += REDIAL_MS;
        world.step(&mut viewer, Step::Tick);
        assert_eq!(world.dials, tried + 1, "a fresh one, {} ms after the loss", world.now - since);
        assert!(world.streams.len() <= REDIALS);
    }
    assert_eq!(world.streams.len(), REDIALS);
    assert!(world.streams.contains_key(&2), "the oldest is let be");
    let newest = *world.streams.keys().last().unwrap();
    assert!(world.streams.contains_key(&(newest + 2 - u64::try_from(REDIALS).unwrap())));
    // The patient one, after all: a node that took 15 s to answer.
    world.deliver(&mut viewer, 0);
    assert!(viewer.is_attached());
    assert_eq!(world.streams.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn who_moves_dials_at_once_whatever_still_arrives_and_keeps_what_works() {
    let mut world = World::default();
    let mut one = viewer(&mut world, From::Begin);
    world.run(&mut one, Op::Move);
    assert_eq!(world.dials, 2);
    world.run(&mut one, Op::Complete);
    world.deliver(&mut one, 0);
    assert_eq!(world.streams.len(), 2, "a frame that was under way says nothing of the new place");
    world.deliver(&mut one, 1);
    assert_eq!(world.streams.keys().copied().collect::<Vec<_>>(), [2]);
    world.settle(&mut one);
    assert_eq!(world.events().len(), 1);

    // The new place leads nowhere, and the stream of before goes on.
    let mut world = World::default();
    let mut other = viewer(&mut world, From::Begin);
    world.run(&mut other, Op::Move);
    for _ in 0..=REDIAL_LIMIT_MS / 500 {
        world.now += 500;
        world.streams.retain(|which, _| *which == 1);
        world.run(&mut other, Op::Complete);
        world.deliver(&mut other, 0);
        world.step(&mut other, Step::Tick);
    }
    assert_eq!(world.over, None);
    let tried = world.dials;
    world.run(&mut other, Op::Complete);
    world.deliver(&mut other, 0);
    assert_eq!(world.dials, tried, "it is let be");
}

#[test]
fn pieces_of_what_is_complete_are_not_shown_again_by_a_stream_that_was_asked_for_before() {
    let mut world = World::default();
    let mut one = viewer(&mut world, From::Begin);
    world.run(&mut one, Op::Move);
    assert_eq!(world.streams.len(), 2);
    world.run(&mut one, Op::Delta(3));
    world.run(&mut one, Op::Complete);
    // The old stream brings all of it, and only then the new one opens.
    world.deliver(&mut one, 0);
    world.deliver(&mut one, 0);
    world.settle(&mut one);
    let pieces = world.shown.iter().filter(|s| matches!(s, Shown::Item(StreamItem::Live(..)))).count();
    assert_eq!((pieces, world.events().len()), (1, 1));
    world.run(&mut one, Op::Delta(2));
    world.settle(&mut one);
    assert!(matches!(world.shown.last(), Some(Shown::Item(StreamItem::Live(..)))), "what is new is shown");
}

#[test]
fn who_answers_no_more_says_so_on_each_new_stream() {
    let mut world = World::default();
    world.attach(1, From::Begin);
    let attached = world.streams[&1][0].clone();
    let nobody = FromViewer::Unattended(Unattended { ext: Ext::default() });
    let (mut one, mut out) = (Follower::new(From::Begin), Vec::new());
    one.handle(Timestamp(0), Step::Start, &mut out);
    one.handle(Timestamp(0), Step::Frame(1, attached.clone()), &mut out);
    one.handle(Timestamp(0), Step::Say(nobody.clone()), &mut out);
    assert!(out.contains(&Output::Send(1, nobody.clone())), "{out:?}");
    assert_eq!(one.waiting(), 0, "nobody answers it");
    one.handle(Timestamp(1), Step::Lost(1), &mut out);
    one.handle(Timestamp(2), Step::Frame(2, attached), &mut out);
    assert!(out.contains(&Output::Send(2, nobody)), "{out:?}");
    assert!(one.is_attached() && !out.iter().any(|output| matches!(output, Output::Over(_))));
}
