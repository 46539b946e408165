//! A team comes together and rests; some go, with and without a word; somebody repeats and forges what others said.

use clankers_protocol::presence::{Gossiped, Signed};

use super::{Bar, Measures, Unit, stage};
use crate::{
    judge::FORGED_LABEL,
    limits::FAREWELL,
    names,
    payload::FORGED,
    queue::{Micros, SECOND},
    world::World,
};

/// How long the team rests while its traffic is measured, microseconds.
const REST: Micros = 300 * SECOND;
/// By when nobody shows one that said goodbye, microseconds.
const GOODBYE: Micros = 10 * SECOND;
/// By when nobody shows one whose process was killed: 30 s of silence, 10 s to deny it, and a little, microseconds.
const KILLED: Micros = 60 * SECOND;

pub(super) const BARS: &[Bar] = &[
    stage::GATHERED,
    Bar { measure: "one that left is shown by nobody", unit: Unit::Time, percent: 100, most: GOODBYE },
    Bar { measure: "one that was killed is shown by nobody", unit: Unit::Time, percent: 100, most: KILLED },
];

pub(super) fn play(world: &mut World, measures: &mut Measures) {
    if !stage::settled(world, stage::Known::Invites, measures) {
        return;
    }
    rest(world, measures);
    attack(world);
    let hosts = u32::try_from(world.everyone().count()).unwrap_or(u32::MAX);
    let some = usize::try_from(hosts / 20).unwrap_or(1).max(1);
    let mut going = world.dice().some(2 * some, hosts);
    let killed = going.split_off(some.min(going.len()));
    for host in &going {
        world.leave(*host);
    }
    world.run_until(world.now() + FAREWELL);
    let gone = |some: &[u32]| {
        let some = some.to_vec();
        move |world: &World| !some.iter().any(|host| shown(world, *host))
    };
    match stage::wait(world, KILLED, gone(&going)) {
        Some(took) => measures.time("one that left is shown by nobody", took),
        None => return still(world, &going, "left"),
    }
    for host in &killed {
        world.kill(*host);
    }
    match stage::wait(world, 2 * KILLED, gone(&killed)) {
        Some(took) => measures.time("one that was killed is shown by nobody", took),
        None => return still(world, &killed, "was killed"),
    }
    // Nobody dials those who left, and the others stay together.
    world.run_until(world.now() + 120 * SECOND);
    if !stage::is_one(world) || !stage::is_complete(world) {
        stage::lonely(world, "after some went");
    }
}

/// The traffic of a team in which nothing happens.
fn rest(world: &mut World, measures: &mut Measures) {
    let (began, before) = (world.now(), world.tally().clone());
    world.run_until(world.now() + REST);
    let secs = (world.now() - began) / SECOND;
    let hosts = u64::try_from(before.by_host.len()).unwrap_or(1).max(1);
    let after = world.tally();
    let bytes = after.bytes.since(&before.bytes);
    let each = |bytes: u64| bytes / secs.max(1) / hosts;
    measures.add("sent by a host at rest", Unit::Rate, each(bytes.sum()));
    measures.add("of that: beats", Unit::Rate, each(bytes.data));
    measures.add("of that: gossip's own", Unit::Rate, each(bytes.control));
    measures.add("of that: told on meeting", Unit::Rate, each(bytes.sync));
    let most = after.by_host.iter().zip(&before.by_host).map(|(after, before)| after - before).max();
    measures.add("sent by the busiest host at rest", Unit::Rate, most.unwrap_or(0) / secs.max(1));
}

/// A member repeats old records of others as they were, repeats them with another number, and says that members were
/// lost who are there. Gossip does not bring identical bytes twice within 90 s: so it waits.
fn attack(world: &mut World) {
    let hosts = u32::try_from(world.everyone().count()).unwrap_or(u32::MAX);
    let chosen = world.dice().some(9, hosts);
    let Some((evil, victims)) = chosen.split_first() else { return };
    let kept: Vec<Gossiped> = victims
        .iter()
        .filter_map(|victim| {
            let record = world.host(*evil)?.presence.seen(names::id(*victim))?.record?.clone();
            Some(Gossiped::Presence(Signed { body: record, signature: genuine() }))
        })
        .collect();
    world.run_until(world.now() + 100 * SECOND);
    for old in &kept {
        let Gossiped::Presence(old) = old else { continue };
        let mut body = old.body.clone();
        body.counter += 1_000;
        body.label = Some(FORGED_LABEL.to_owned());
        let forged = Gossiped::Presence(Signed { body, signature: FORGED });
        for payload in [Gossiped::Presence(old.clone()), forged] {
            if let Ok(bytes) = payload.encode() {
                world.broadcast(*evil, bytes.into());
            }
        }
        world.run_until(world.now() + SECOND);
    }
}

fn genuine() -> clankers_protocol::presence::Signature {
    clankers_protocol::presence::Signature([0; 64])
}

fn shows(world: &World, host: u32, member: u32) -> bool {
    world
        .host(host)
        .is_some_and(|one| one.presence.seen(names::id(member)).is_some_and(|seen| one.is_shown(&seen)))
}

fn shown(world: &World, member: u32) -> bool {
    world.running().iter().any(|host| shows(world, *host, member))
}

fn still(world: &mut World, gone: &[u32], how: &str) {
    let Some(who) = gone.iter().find(|host| shown(world, **host)) else { return };
    let by: Vec<u32> = world.running().into_iter().filter(|host| shows(world, *host, *who)).collect();
    let first = by.first().copied().unwrap_or_default();
    world.fault(format!("{} hosts, {first} for one, still show {who}, which {how}", by.len()));
}
