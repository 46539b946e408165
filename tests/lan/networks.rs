//! Two networks between the same two machines: when the one that is in use goes down, the other one serves.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{
    place::{HEALED, HEARD, Place, greps_soon, states, team},
    run,
};

/// Within this a member is called lost whose network is gone, or its connections have taken the other one (time).
const NOTICED: Duration = Duration::from_secs(40);
/// QUIC gives up what leads nowhere after 30 s of silence, and until then an endpoint dials a peer where it has connections
/// already: a member that was called lost is back within this (time). It took 36 s.
const SILENT: Duration = Duration::from_secs(90);

#[test]
fn a_member_whose_network_goes_down_is_found_by_the_other_one() {
    let Some(place) = Place::new(2, 41) else { return };
    let (anna, bert) = (place.node(0, "anna", "on"), place.node(1, "bert", "on"));
    team("core", &[&anna, &bert]);
    let pid = bert.pid().to_string();
    run(&place.lab, 0, "ip", &["link", "add", "eth1", "type", "veth", "peer", "name", "eth1", "netns", &pid]);
    for host in 0..2 {
        let address = format!("192.168.77.{}/24", host + 1);
        run(&place.lab, host, "ip", &["addr", "add", &address, "dev", "eth1"]);
        run(&place.lab, host, "ip", &["link", "set", "eth1", "up"]);
    }
    let told = |node: &clankers_tests::Node| {
        let members = node.cli(["team", "members", "--json"]).run().ok().json().to_string();
        members.matches("192.168.77.").count() >= 2
    };
    clankers_tests::wait::until("both know both addresses", HEARD, || {
        (told(&anna) && told(&bert)).then_some(())
    });
    greps_soon(&bert, "anna", HEARD);

    run(&place.lab, 1, "ip", &["link", "set", "eth0", "down"]);
    let down = Instant::now();
    let (mut lost, mut back) = (None, None);
    while back.is_none() && down.elapsed() < HEALED {
        let alive = [states(&anna, &[&bert]), states(&bert, &[&anna])] == [["alive"], ["alive"]];
        match lost {
            None if !alive => lost = Some(down.elapsed()),
            None if down.elapsed() > NOTICED => break,
            Some(_) if alive => back = Some(down.elapsed()),
            _ => {}
        }
        thread::sleep(Duration::from_millis(200));
    }
    println!("down: called lost after {lost:?}, alive again after {back:?}");
    if lost.is_some() {
        assert!(back.is_some_and(|back| back < SILENT), "lost after {lost:?}, alive again after {back:?}");
    }
    greps_soon(&bert, "anna", HEARD);
}
