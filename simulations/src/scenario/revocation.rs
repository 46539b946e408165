//! Tokens and memberships are taken back, and everyone is to know soon; also one that was away.

use super::{Bar, Measures, Unit, stage};
use crate::{
    queue::{Micros, SECOND},
    world::{Revoked, World},
};

/// Revocations of one world, count.
const REVOCATIONS: u32 = 20;
/// Between two of them, microseconds.
const PAUSE: Micros = 3 * SECOND;
/// By when everyone knows, microseconds.
const KNOWN: Micros = 60 * SECOND;
/// How soon one that was away knows after it is back, microseconds.
const CAUGHT_UP: Micros = 30 * SECOND;

pub(super) const BARS: &[Bar] = &[
    stage::GATHERED,
    Bar { measure: "known to a member", unit: Unit::Time, percent: 99, most: 2 * SECOND },
    Bar { measure: "known to a member", unit: Unit::Time, percent: 100, most: KNOWN },
    Bar { measure: "known to the node it is about", unit: Unit::Time, percent: 99, most: 2 * SECOND },
    Bar { measure: "known to the node it is about", unit: Unit::Time, percent: 100, most: KNOWN },
    Bar { measure: "known to one that was away", unit: Unit::Time, percent: 100, most: CAUGHT_UP },
];

pub(super) fn play(world: &mut World, measures: &mut Measures) {
    if !stage::settled(world, stage::Known::Everyone, measures) {
        return;
    }
    let hosts = u32::try_from(world.everyone().count()).unwrap_or(u32::MAX);
    // Who is away, who revokes, who is removed and whose tokens are revoked are different hosts.
    let mut chosen = world.dice().some(16, hosts);
    let Some(away) = chosen.pop() else { return };
    world.kill(away);
    let mut removed = chosen.split_off(chosen.len().saturating_sub(5));
    let mut subjects = chosen.split_off(chosen.len().saturating_sub(5));
    let mut made: Vec<(Revoked, Micros)> = Vec::new();
    for number in 0..REVOCATIONS {
        let what = match number % 4 {
            1 => removed.pop().map(Revoked::Member),
            3 => subjects.pop().map(Revoked::Token),
            _ => Some(Revoked::Link(number)),
        };
        let Some(what) = what else { continue };
        let by = chosen.get(usize::try_from(number).unwrap_or(0) % chosen.len().max(1)).copied().unwrap_or(0);
        made.push((what, world.now()));
        world.revoke(by, what);
        world.run_until(world.now() + PAUSE);
    }
    let gone: Vec<u32> = made.iter().filter_map(|(what, _)| what.member()).collect();
    let back = world.now();
    world.start(away);
    if stage::wait(world, KNOWN, |world| unknown(world, &made, &gone).is_none()).is_none() {
        if let Some((host, what)) = unknown(world, &made, &gone) {
            world.fault(format!("host {host} does not know of {what:?} a minute later"));
        }
        return;
    }
    for (what, when) in &made {
        for (host, known) in world.learned(&what.cid()).into_iter().flatten() {
            if !what.concerns(*host) || gone.contains(host) {
                continue;
            }
            if *host == away {
                measures.time("known to one that was away", known.saturating_sub(back));
            } else if matches!(what, Revoked::Token(_)) {
                measures.time("known to the node it is about", known - when);
            } else {
                measures.time("known to a member", known - when);
            }
        }
    }
    // Those who were removed come to nothing, however long they try.
    world.run_until(world.now() + 120 * SECOND);
    if !stage::is_one(world) {
        stage::lonely(world, "after members were removed");
    }
}

/// Somebody who does not know something.
fn unknown(world: &World, made: &[(Revoked, Micros)], gone: &[u32]) -> Option<(u32, Revoked)> {
    let running: Vec<u32> = world.running().into_iter().filter(|host| !gone.contains(host)).collect();
    made.iter().find_map(|(what, _)| {
        let known = world.learned(&what.cid());
        let mut concerned = running.iter().filter(|host| what.concerns(**host));
        let host = concerned.find(|host| !known.is_some_and(|known| known.contains_key(host)))?;
        Some((*host, *what))
    })
}
