//! A team is cut apart for a quarter of an hour, and is to be one again soon after.

use super::{Bar, Measures, Unit, stage};
use crate::{
    queue::{Micros, SECOND},
    world::World,
};

/// How a team is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// One half from the other.
    Halves,
    /// A tenth from the rest.
    Tenth,
    /// One host from all others.
    Alone,
}

/// How long the cut lasts, microseconds.
const CUT: Micros = 900 * SECOND;
/// How long the parts have to find each other, and the tables to be right, microseconds.
const HEAL: Micros = 240 * SECOND;

pub(super) const BARS: &[Bar] = &[
    stage::GATHERED,
    Bar { measure: "one component again", unit: Unit::Time, percent: 99, most: 60 * SECOND },
    Bar { measure: "one component again", unit: Unit::Time, percent: 100, most: 120 * SECOND },
];

pub(super) fn play(world: &mut World, shape: Shape, measures: &mut Measures) {
    if !stage::settled(world, stage::Known::Everyone, measures) {
        return;
    }
    let everyone: Vec<u32> = world.everyone().collect();
    let beyond = match shape {
        Shape::Halves => everyone.len() / 2,
        Shape::Tenth => everyone.len() / 10,
        Shape::Alone => 1,
    };
    let hosts = u32::try_from(everyone.len()).unwrap_or(u32::MAX);
    let chosen = world.dice().some(beyond.max(1), hosts);
    let sides: Vec<(u32, u8)> =
        everyone.iter().map(|host| (*host, u8::from(chosen.contains(host)))).collect();
    world.cut(&sides);
    world.run_until(world.now() + CUT);
    let parts = world.components().len();
    measures.add("parts during the cut", Unit::Count, u64::try_from(parts).unwrap_or(u64::MAX));
    if parts < 2 {
        return world.fault("a cut team is one component".to_owned());
    }
    let whole: Vec<(u32, u8)> = everyone.iter().map(|host| (*host, 0)).collect();
    world.cut(&whole);
    let healed = world.now();
    let Some(one) = stage::wait(world, HEAL, stage::is_one) else {
        return stage::lonely(world, "after the cut's end");
    };
    measures.time("one component again", one);
    if stage::wait(world, HEAL, stage::is_complete).is_none() {
        return stage::lonely(world, "tables after the cut's end");
    }
    measures.time("every table right again", world.now() - healed);
    // It stays so.
    world.run_until(world.now() + 60 * SECOND);
    if !stage::is_one(world) && stage::wait(world, 30 * SECOND, stage::is_one).is_none() {
        stage::lonely(world, "a minute after the parts met");
    }
}
