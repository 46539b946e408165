//! SLOW, some five minutes, most of which it waits: a team whose network falls into two halves for three minutes, and
//! heals. Nobody says goodbye, nothing is closed, nobody is told. mDNS is off: whoever is found again was remembered.

use std::{
    thread,
    time::{Duration, Instant},
};

use clankers_tests::Node;

use super::place::{HEALED, HEARD, LOST, Place, greps_soon, see, states, team};

/// How long the halves are apart (time).
const APART: Duration = Duration::from_secs(180);
/// Between two looks at the halves (time).
const LOOK: Duration = Duration::from_secs(10);

/// Hosts of the halves. The fifth is removed while they are apart, by the half in which it is not.
const ONE: [usize; 2] = [0, 1];
const OTHER: [usize; 3] = [2, 3, 4];

fn across(place: &Place, act: impl Fn(usize, usize)) {
    assert_eq!(place.lab.hosts(), ONE.len() + OTHER.len());
    for one in ONE {
        for other in OTHER {
            act(one, other);
        }
    }
}

/// Every second node looks at every other, at the same time, and the slowest is told.
fn each(nodes: &[&Node], look: impl Fn(&Node) -> Duration + Sync) -> Duration {
    thread::scope(|scope| {
        let looking: Vec<_> = nodes.iter().map(|node| scope.spawn(|| look(node))).collect();
        looking.into_iter().map(|looks| looks.join().unwrap()).max().unwrap()
    })
}

#[test]
fn a_partition_of_three_minutes_heals_and_a_removal_crosses_it() {
    let Some(place) = Place::new(5, 21) else { return };
    let node = |host: usize, label: &str| place.node(host, label, "off");
    let (anna, bert) = (node(0, "anna"), node(1, "bert"));
    let (carl, dora, eve) = (node(2, "carl"), node(3, "dora"), node(4, "eve"));
    team("core", &[&anna, &bert, &carl, &dora, &eve]);

    let apart = Instant::now();
    across(&place, |one, other| place.lab.between(one, other).cut());
    anna.cli(["team", "remove", &eve.id().to_string()]).run().ok();
    let lost = thread::scope(|scope| {
        let one = scope.spawn(|| each(&[&anna, &bert], |node| see(node, &[&carl, &dora], "lost", LOST)));
        let other = each(&[&carl, &dora, &eve], |node| see(node, &[&anna, &bert], "lost", LOST));
        one.join().unwrap().max(other)
    });
    println!("partition: every half called the other lost within {lost:?}");
    // Each half goes on as a team, and takes nobody for alive who cannot be heard.
    see(&bert, &[&eve], "removed", HEARD);
    while apart.elapsed() < APART {
        for (here, there) in [(&bert, [&carl, &dora]), (&dora, [&anna, &bert])] {
            assert_eq!(states(here, &there), ["lost", "lost"], "after {:?}", apart.elapsed());
        }
        thread::sleep(LOOK.min(APART.saturating_sub(apart.elapsed())));
    }
    each(&[&anna, &bert], |node| see(node, &[&anna, &bert], "alive", HEARD));
    // Nobody there can know of the removal.
    each(&[&carl, &dora], |node| see(node, &[&carl, &dora, &eve], "alive", HEARD));

    let healed = Instant::now();
    across(&place, |one, other| place.lab.between(one, other).heal());
    let all = [&anna, &bert, &carl, &dora];
    let found = each(&all, |node| see(node, &all, "alive", HEALED));
    println!("partition: all four saw all four alive {found:?} after it was healed");
    each(&[&carl, &dora], |node| see(node, &[&eve], "removed", HEALED));
    println!("partition: the removal was known on the other side within {:?}", healed.elapsed());
    greps_soon(&dora, "anna", HEARD);
    // Who is gone stays gone, and the others stay.
    each(&all, |node| see(node, &[&eve], "removed", HEARD));
    each(&all, |node| see(node, &all, "alive", HEARD));
}
