//! A member that is killed.

use std::time::Instant;

use super::place::{HEARD, LOST, Place, all_alive, greps, greps_soon, see, team};

#[test]
fn a_member_that_is_killed_is_missed_and_prompted_by_its_label_when_it_is_back() {
    let Some(place) = Place::new(3, 22) else { return };
    let node = |host: usize, label: &str| place.node(host, label, "on");
    // The first gives the others what a reviewer has.
    let (mut bert, anna, carl) = (node(1, "bert"), node(0, "anna"), node(2, "carl"));
    team("core", &[&bert, &anna, &carl]);
    greps_soon(&anna, "bert", HEARD);
    let killed = Instant::now();
    bert.kill9();
    for node in [&anna, &carl] {
        see(node, &[&bert], "lost", LOST);
    }
    println!("killed: both others missed it within {:?}", killed.elapsed());
    see(&anna, &[&carl], "alive", HEARD);
    let (code, said) = greps(&anna, "bert");
    assert_eq!(code, Some(6), "nobody is there to answer: {said}");
    bert.restart();
    let back = Instant::now();
    for node in [&anna, &carl] {
        see(node, &[&bert], "alive", HEARD);
    }
    println!("killed: both others saw it again within {:?} of its start", back.elapsed());
    all_alive(&bert, &[&anna, &bert, &carl]);
    let took = greps_soon(&anna, "bert", HEARD);
    println!("killed: prompted by its label again after {took:?}");
}
