//! A member whose network changes beneath it: another address, an interface that goes down and comes up, a second one, no
//! way out, IPv6 alone. The meshes of [`super::meshes`] do the same; here it is a team of real nodes.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use clankers_lab::Lab;
use clankers_tests::{Node, node::Start, wait};

use super::{
    place::{HEALED, HEARD, LOST, Place, all_alive, greps_soon, see, team},
    run,
};

/// Processes that dial the same node, one after the other (count).
const DIALS: usize = 10;

/// Where a node says that a member is.
fn addresses(node: &Node, other: &Node) -> Vec<String> {
    let members = node.cli(["team", "members", "--json"]).run().ok().json();
    let id = other.id().to_string();
    let seen = members.as_array().unwrap().iter().find(|member| member["id"] == id.as_str());
    let addrs = seen.and_then(|member| member["addrs"].as_array().cloned()).unwrap_or_default();
    addrs.iter().filter_map(|addr| addr.as_str().map(str::to_owned)).collect()
}

#[test]
fn a_member_that_moves_or_is_cut_off_is_prompted_where_it_is() {
    let Some(place) = Place::new(3, 27) else { return };
    let (bert, anna, carl) =
        (place.node(1, "bert", "on"), place.node(0, "anna", "on"), place.node(2, "carl", "on"));
    team("core", &[&bert, &anna, &carl]);
    greps_soon(&anna, "bert", HEARD);

    let new = Ipv4Addr::from(u32::from(place.lab.host(1).address()) + 100);
    let moved = Instant::now();
    place.lab.host(1).move_to(new);
    for node in [&anna, &carl] {
        wait::until("the member's new address", HEALED, || {
            let there = |addr: &String| addr.starts_with(&format!("{new}:"));
            addresses(node, &bert).iter().any(there).then_some(())
        });
    }
    println!("moved: both others knew the new address {:?} later", moved.elapsed());
    greps_soon(&anna, "bert", HEALED);
    for node in [&anna, &bert, &carl] {
        see(node, &[&anna, &bert, &carl], "alive", HEALED);
    }

    run(&place.lab, 1, "ip", &["link", "set", "eth0", "down"]);
    for node in [&anna, &carl] {
        see(node, &[&bert], "lost", LOST);
    }
    see(&bert, &[&anna, &carl], "lost", LOST);
    run(&place.lab, 1, "ip", &["link", "set", "eth0", "up"]);
    let up = Instant::now();
    for node in [&anna, &bert, &carl] {
        see(node, &[&anna, &bert, &carl], "alive", HEALED);
    }
    println!("cut off: all saw all alive {:?} after the interface came up", up.elapsed());
    greps_soon(&anna, "bert", HEALED);
}

/// Moves in a row (count), and how many more when it is about figures.
const MOVES: u32 = 2;
const MANY_MOVES: u32 = 10;
/// A connection to where a member was is missed by its silence after this (time), on a machine of any speed.
const MISSED: Duration = Duration::from_secs(15);
/// And whatever leads there has long been given up after this (time).
const FORGOTTEN: Duration = Duration::from_secs(60);

/// One move, and until when all others know where the member is, can prompt it there, and are answered.
struct Move {
    known: Duration,
    prompted: Duration,
    asked: Duration,
}

/// A member moves, so many times. The others start anew before each move, so that they have made the connections: those that a
/// member makes move with it, those to it do not.
fn moves(count: u32, seed: u64) -> Vec<Move> {
    let Some(place) = Place::new(3, seed) else { return Vec::new() };
    let (bert, mut anna, mut carl) =
        (place.node(1, "bert", "on"), place.node(0, "anna", "on"), place.node(2, "carl", "on"));
    team("core", &[&bert, &anna, &carl]);
    let base = u32::from(place.lab.host(1).address()) + 100;
    let mut all = Vec::new();
    for step in 0..count {
        for node in [&mut anna, &mut carl] {
            node.kill9();
            node.restart();
        }
        for node in [&anna, &bert, &carl] {
            see(node, &[&anna, &bert, &carl], "alive", HEALED);
        }
        greps_soon(&carl, "bert", HEALED);
        let new = Ipv4Addr::from(base + step);
        let begun = Instant::now();
        place.lab.host(1).move_to(new);
        for node in [&anna, &carl] {
            wait::until("the member's new address", HEALED, || {
                let there = |addr: &String| addr.starts_with(&format!("{new}:"));
                addresses(node, &bert).iter().any(there).then_some(())
            });
        }
        let known = begun.elapsed();
        greps_soon(&carl, "bert", HEALED);
        let prompted = begun.elapsed();
        // This is asked by the node itself, whose endpoint had connections to where the member was.
        for node in [&anna, &carl] {
            wait::until("an answer to the node", HEALED, || {
                let asked = node.cli(["rpc", "peers", "probe", "bert", "--timeout", "1s"]).run();
                (asked.exit.code == Some(0)).then_some(())
            });
        }
        let asked = begun.elapsed();
        println!("move {step}: known after {known:?}, prompted after {prompted:?}, asked after {asked:?}");
        all.push(Move { known, prompted, asked });
    }
    all
}

fn all_quick(count: u32, seed: u64) {
    for Move { known, prompted, asked } in moves(count, seed) {
        assert!(known < MISSED && prompted < MISSED && asked < FORGOTTEN);
    }
}

#[test]
fn a_member_that_moved_is_known_prompted_and_asked_there_before_it_is_missed_where_it_was() {
    all_quick(MOVES, 32);
}

#[test]
#[ignore = "figures: 'cargo test -p clankers --test lan many_moves -- --ignored --nocapture'"]
fn many_moves_in_figures() {
    all_quick(MANY_MOVES, 33);
}

/// Two nodes whose hosts' networks were changed before they started form a team, by mDNS alone.
fn team_after(seed: u64, ipv6: bool, bind: &str, change: impl Fn(&Lab, usize)) {
    let lab = Lab::builder().hosts(2).ipv6(ipv6).seed(seed).start();
    let Some(place) = lab.map(Place::of) else { return };
    for host in 0..2 {
        change(&place.lab, host);
    }
    let start = Start::new().bind(Some(bind)).mdns(Some("on"));
    let (anna, bert) = (start.on(&place.home(0, "anna")), start.on(&place.home(1, "bert")));
    anna.cli(["team", "create", "core"]).run().ok();
    anna.cli(["team", "grant", "--reviewer"]).run().ok();
    let invite = super::place::invite(&anna, &bert);
    bert.cli(["team", "join", "-"]).stdin(invite).run().ok();
    for node in [&anna, &bert] {
        all_alive(node, &[&anna, &bert]);
    }
    greps_soon(&bert, "anna", HEARD);
}

#[test]
fn a_team_forms_without_a_default_route() {
    team_after(28, false, "0.0.0.0:0", |lab, host| drop(run(lab, host, "ip", &["route", "del", "default"])));
}

#[test]
fn a_team_forms_over_ipv6_alone() {
    team_after(29, true, "[::]:0", |lab, host| {
        drop(run(lab, host, "ip", &["-4", "addr", "flush", "dev", "eth0"]));
    });
}

/// The second one leads nowhere, and its address is the same on both: each takes its own for the other's.
#[test]
fn a_team_forms_across_hosts_with_two_interfaces() {
    team_after(30, false, "0.0.0.0:0", |lab, host| {
        run(lab, host, "ip", &["link", "add", "eth1", "type", "veth", "peer", "name", "eth1far"]);
        run(lab, host, "ip", &["addr", "add", "192.168.77.1/24", "dev", "eth1"]);
        run(lab, host, "ip", &["link", "set", "eth1", "up"]);
        run(lab, host, "ip", &["link", "set", "eth1far", "up"]);
    });
}

/// Link-local addresses are announced as well, and answers to those go nowhere: whoever is looked for is found all the same.
#[test]
fn an_id_is_enough_where_link_local_addresses_are_announced_too() {
    let lab = Lab::builder().hosts(2).ipv6(true).seed(31).start();
    let Some(place) = lab.map(Place::of) else { return };
    let start = Start::new().bind(None).mdns(Some("on"));
    let (anna, bert) = (start.on(&place.home(0, "anna")), place.home(1, "bert"));
    bert.settings("[network]\nrelay = \"off\"\n");
    let id = anna.id().to_string();
    for _ in 0..DIALS {
        let pong = bert.cli(["rpc", "ping", &id, "--json"]).run().ok();
        assert_eq!(pong.json()["path"], "direct", "{}", pong.story());
    }
}
