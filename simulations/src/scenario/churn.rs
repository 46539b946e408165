//! A tenth of the team is replaced every minute, half of them without a word.

use super::{Bar, Measures, Unit, stage};
use crate::{
    queue::{Micros, SECOND},
    world::World,
};

/// How long hosts come and go, microseconds.
const CHURN: Micros = 600 * SECOND;
/// How long one that went is away, microseconds.
const AWAY: Micros = 30 * SECOND;
/// How long the team has to be one afterwards, microseconds.
const HEAL: Micros = 120 * SECOND;

pub(super) const BARS: &[Bar] = &[
    stage::GATHERED,
    Bar { measure: "one component after the last change", unit: Unit::Time, percent: 99, most: 60 * SECOND },
    Bar { measure: "one component after the last change", unit: Unit::Time, percent: 100, most: HEAL },
];

pub(super) fn play(world: &mut World, measures: &mut Measures) {
    if !stage::settled(world, stage::Known::Everyone, measures) {
        return;
    }
    let hosts = u64::try_from(world.everyone().count()).unwrap_or(1);
    // One after the other, evenly.
    let pause = 60 * SECOND * 10 / hosts.max(1);
    let ends = world.now() + CHURN;
    let mut back: Vec<(Micros, u32)> = Vec::new();
    let (mut with_word, mut look) = (false, world.now() + 60 * SECOND);
    while world.now() < ends && world.faults().is_empty() {
        let next = world.now() + pause;
        while let Some(place) = back.iter().position(|(when, _)| *when <= next) {
            let (when, host) = back.swap_remove(place);
            world.run_until(when.max(world.now()));
            world.start(host);
        }
        world.run_until(next);
        // One that is saying goodbye goes but once.
        let stays = |host: &u32| !back.iter().any(|(_, gone)| gone == host);
        let running: Vec<u32> = world.running().into_iter().filter(stays).collect();
        let chosen = world.dice().below(u64::try_from(running.len()).unwrap_or(0));
        if let Some(host) = usize::try_from(chosen).ok().and_then(|chosen| running.get(chosen)) {
            if with_word {
                world.leave(*host)
            } else {
                world.kill(*host)
            }
            with_word = !with_word;
            back.push((world.now() + AWAY, *host));
        }
        if world.now() >= look {
            look += 60 * SECOND;
            let apart = world.running().len() - world.components().first().copied().unwrap_or(0);
            let share = apart * 10_000 / world.running().len().max(1);
            measures.add(
                "outside the largest component",
                Unit::Share,
                u64::try_from(share).unwrap_or(10_000),
            );
            stage::views(world, measures);
        }
    }
    back.sort_unstable();
    for (when, host) in back {
        world.run_until(when.max(world.now()));
        world.start(host);
    }
    let Some(one) = stage::wait(world, 2 * HEAL, stage::is_one) else {
        return stage::lonely(world, "after hosts came and went");
    };
    measures.time("one component after the last change", one);
    let Some(took) = stage::wait(world, 5 * HEAL, stage::is_complete) else {
        return stage::lonely(world, "tables after hosts came and went");
    };
    measures.time("every table right after that", took);
}
