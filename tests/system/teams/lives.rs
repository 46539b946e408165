//! Members come and go.

use std::time::{Duration, Instant};

use clankers_tests::{Node, wait};
use rustix::process::Signal;

use super::{HEALED, HEARD, all_alive, greps, join, members, node, sees, state_of, team};

#[test]
fn three_nodes_form_a_team_find_each_other_and_prompt_by_label() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    // Who invited carl is not who made the team.
    join(&bert, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
    let list = carl.cli(["team", "list", "--json"]).run().ok().json();
    assert_eq!(
        (&list[0]["name"], &list[0]["admin"], &list[0]["keeper"]),
        (&"core".into(), &false.into(), &false.into())
    );
    assert_eq!((&list[0]["members"], &list[0]["alive"]), (&3.into(), &3.into()));
    // Nothing is given before somebody gives it.
    assert_eq!(greps(&carl, "anna").0, Some(4));
    anna.cli(["team", "grant", "core", "--reviewer"]).run().ok();
    wait::until("what anna gives to members", HEARD, || (greps(&carl, "anna").0 == Some(0)).then_some(()));
    let (code, said) = greps(&bert, "anna");
    assert!(code == Some(0) && said.contains("TODO of anna"), "{said}");
    // Each has its own token there, and each can be taken back by itself.
    let issued = anna.cli(["token", "list", "--json"]).run().ok().json();
    assert_eq!(issued.as_array().expect("an array").len(), 2, "{issued}");
}

#[test]
fn a_member_that_is_killed_is_lost_and_comes_back() {
    let (anna, mut bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    bert.kill9();
    // The lease is three beats of 5 s, and a connection is missed after 30 s.
    for node in [&anna, &carl] {
        sees(node, &bert, "lost", HEARD * 2);
    }
    assert_eq!(state_of(&anna, &carl), "alive");
    bert.restart();
    for node in [&anna, &carl] {
        sees(node, &bert, "alive", HEARD);
    }
    all_alive(&bert, 3);
}

#[test]
fn a_node_that_stops_says_goodbye_and_is_not_called_lost() {
    let (anna, mut bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    bert.stop();
    sees(&anna, &bert, "left", HEARD);
    assert_eq!(goodbye(&anna, &bert), "stopped");
    bert.restart();
    sees(&anna, &bert, "alive", HEARD);
    assert_eq!(goodbye(&anna, &bert), serde_json::Value::Null);
}

/// What its goodbye meant, as another sees it; `mesh` and the tables say the same.
fn goodbye(node: &Node, other: &Node) -> serde_json::Value {
    let id = other.id().to_string();
    let seen = |all: Vec<serde_json::Value>| all.into_iter().find(|one| one["id"] == id.as_str());
    let said = seen(members(node)).expect("a member")["goodbye"].clone();
    let mesh = node.cli(["mesh", "--json"]).run().ok().json();
    let in_mesh = seen(mesh.as_array().expect("an array").clone()).expect("a node")["goodbye"].clone();
    assert_eq!(in_mesh, said);
    for words in [&["team", "members"][..], &["mesh"]] {
        let table = node.cli(words).run().ok();
        let line = table.out().lines().find(|line| line.contains(&id[..10])).expect("its line").to_owned();
        let word = said.as_str().unwrap_or("alive");
        assert!(line.contains(word) && !line.contains("stopped or left"), "{line}");
    }
    said
}

#[test]
fn a_member_that_left_the_team_is_told_from_one_that_was_stopped() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    bert.cli(["team", "leave"]).run().ok();
    sees(&anna, &bert, "left", HEARD);
    assert_eq!(goodbye(&anna, &bert), "left");
}

/// Nodes that are stopped, and how long the quickest of them took.
const STOPS: usize = 3;
/// What the goodbye may add to that (time): it waits for 300 ms, and for nobody's answer.
const GOODBYE: Duration = Duration::from_secs(2);

#[test]
fn a_goodbye_holds_up_the_end_of_a_node_for_a_moment_only() {
    let stopped = |node: &mut Node| {
        let begun = Instant::now();
        node.stop();
        begun.elapsed()
    };
    let (anna, mut bert, mut dora) = (node("anna"), node("bert"), node("dora"));
    team("core", &[&anna, &bert]);
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..STOPS {
        alone.push(stopped(&mut dora));
        all_alive(&bert, 2);
        together.push(stopped(&mut bert));
        dora.restart();
        bert.restart();
    }
    let (alone, together) = (alone.iter().min().expect("some"), together.iter().min().expect("some"));
    println!("stopped alone {alone:?}, in a team {together:?}");
    assert!(*together < *alone * 3 + GOODBYE, "alone {alone:?}, in a team {together:?}");
}

#[test]
fn all_are_killed_and_find_each_other_again_without_any_network_service() {
    let (mut anna, mut bert, mut carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    for node in [&mut anna, &mut bert, &mut carl] {
        node.kill9();
    }
    for node in [&mut anna, &mut bert, &mut carl] {
        node.restart();
    }
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
}

/// A process that is stopped for longer than connections live is a partition: nobody says goodbye, nobody closes.
#[test]
fn a_node_that_was_frozen_for_longer_than_connections_live_is_one_of_them_again() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    bert.signal(Signal::STOP);
    sees(&anna, &bert, "lost", HEARD * 2);
    wait::until("the end of the connections to it", HEARD * 2, || {
        let path = members(&anna).into_iter().find(|member| member["id"] == bert.id().to_string().as_str());
        path.is_some_and(|member| member["path"].is_null()).then_some(())
    });
    bert.signal(Signal::CONT);
    for node in [&anna, &carl] {
        sees(node, &bert, "alive", HEALED);
    }
    all_alive(&bert, 3);
}
