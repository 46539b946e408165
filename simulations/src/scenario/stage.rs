//! What every scenario begins with and looks at: a team that comes together.

use crate::{
    limits::BOOTSTRAPS,
    names,
    queue::{MILLI, Micros, SECOND},
    scenario::{Bar, Measures, Unit},
    world::World,
};

/// Within this all hosts of a world have started, microseconds.
pub(super) const ARRIVAL: Micros = 60 * SECOND;
/// A year, milliseconds.
const YEAR_MS: i64 = 365 * 86_400_000;
/// Between two looks at the world as a whole, microseconds.
pub(super) const LOOK: Micros = 250 * MILLI;
/// How long a team may need to know itself, microseconds.
const SETTLE: Micros = 300 * SECOND;

/// What hosts know of each other when a world begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Each has an invite that names a few who started before it.
    Invites,
    /// The team is old: each has seen everyone's membership before.
    Everyone,
}

/// Start all hosts one after the other.
fn gather(world: &mut World, known: Known) {
    let everyone: Vec<u32> = world.everyone().collect();
    let pause = ARRIVAL / u64::try_from(everyone.len()).unwrap_or(1).max(1);
    clocks(world);
    for host in &everyone {
        let known = match known {
            Known::Invites => world.dice().some(BOOTSTRAPS, *host),
            Known::Everyone => everyone.iter().copied().filter(|other| other != host).collect(),
        };
        if let Some(disk) = world.disk_mut(*host) {
            disk.members.extend(known);
        }
        world.start(*host);
        world.run_until(world.now() + pause);
    }
}

/// Clocks differ: most by less than a second, some by a minute, one is a year ahead and one a year behind.
fn clocks(world: &mut World) {
    let everyone: Vec<u32> = world.everyone().collect();
    for host in &everyone {
        let most = if world.dice().chance(50_000) { 60_000 } else { 1_000 };
        let ahead = i64::try_from(world.dice().between(0, 2 * most)).unwrap_or(0) - most.cast_signed();
        set_clock(world, *host, ahead);
    }
    let hosts = u32::try_from(everyone.len()).unwrap_or(u32::MAX);
    for (host, ahead) in world.dice().some(2, hosts).into_iter().zip([YEAR_MS, -YEAR_MS]) {
        set_clock(world, host, ahead);
    }
}

fn set_clock(world: &mut World, host: u32, skew_ms: i64) {
    if let Some(disk) = world.disk_mut(host) {
        disk.skew_ms = skew_ms;
    }
}

/// Run until this holds; looks four times a second. Says how long it took, or `None` after `limit`.
pub(super) fn wait(world: &mut World, limit: Micros, holds: impl Fn(&World) -> bool) -> Option<Micros> {
    let began = world.now();
    loop {
        if holds(world) {
            return Some(world.now() - began);
        }
        if world.now() >= began + limit || !world.faults().is_empty() {
            return None;
        }
        world.run_until(world.now() + LOOK);
    }
}

/// Whether all running hosts are one component.
pub(super) fn is_one(world: &World) -> bool {
    world.components().len() <= 1
}

/// Whether every running host shows every other as live, and nobody else.
pub(super) fn is_complete(world: &World) -> bool {
    let running = world.running();
    running.iter().all(|host| world.host(*host).is_some_and(|one| one.presence.live() == running.len()))
}

/// By when everyone knows everyone, after the last has started.
pub(super) const GATHERED: Bar =
    Bar { measure: "the last to come is known to all", unit: Unit::Time, percent: 100, most: 30 * SECOND };

/// A team that knows itself: the stage is set.
pub(super) fn settled(world: &mut World, known: Known, measures: &mut Measures) -> bool {
    gather(world, known);
    let Some(took) = wait(world, SETTLE, |world| is_one(world) && is_complete(world)) else {
        lonely(world, "after the team came together");
        return false;
    };
    measures.time(GATHERED.measure, took);
    world.together();
    // Rest: dials and views find their balance.
    world.run_until(world.now() + 60 * SECOND);
    true
}

/// Says that the world is not as it should be.
pub(super) fn lonely(world: &mut World, when: &str) {
    if !world.faults().is_empty() {
        return;
    }
    let mut parts = world.components();
    let count = parts.len();
    parts.truncate(5);
    let running = world.running();
    let poor =
        running.iter().filter_map(|host| Some((world.host(*host)?.presence.live(), *host))).min().map(
            |(live, host)| format!("host {host} shows {live} of {}{}", running.len(), lacks(world, host)),
        );
    let text = format!("{when}: {count} components ({parts:?} ...), {}", poor.unwrap_or_default());
    world.fault(text);
}

/// One that a host does not show though it runs, and what it has of it.
fn lacks(world: &World, host: u32) -> String {
    let Some(one) = world.host(host) else { return String::new() };
    let lacked = world.running().into_iter().find(|other| {
        *other != host && !one.presence.seen(names::id(*other)).is_some_and(|seen| one.is_shown(&seen))
    });
    let Some(lacked) = lacked else { return String::new() };
    match one.presence.seen(names::id(lacked)) {
        Some(seen) => {
            format!(", of {lacked} it has {:?} {:?}", seen.standing, seen.record.map(|r| r.counter))
        }
        None => format!(", it does not know {lacked}"),
    }
}

/// How right the views of all hosts are: counts those shown as live that do not run, and those that run and are not
/// shown, each in hundredths of a percent of all that could be.
pub(super) fn views(world: &World, measures: &mut Measures) {
    let running = world.running();
    let all = u64::try_from(running.len() * running.len().saturating_sub(1)).unwrap_or(1).max(1);
    let (mut ghosts, mut missed) = (0, 0);
    for host in &running {
        let Some(one) = world.host(*host) else { continue };
        let mut seen = 0;
        for member in one.presence.members() {
            let lives = world.host(names::host(&member.id)).is_some();
            match (one.is_shown(&member), lives) {
                (true, true) => seen += 1,
                (true, false) => ghosts += 1,
                _ => {}
            }
        }
        missed += u64::try_from(running.len() - 1).unwrap_or(0).saturating_sub(seen);
    }
    measures.add("gone and still shown", Unit::Share, ghosts * 10_000 / all);
    measures.add("there and not shown", Unit::Share, missed * 10_000 / all);
}
