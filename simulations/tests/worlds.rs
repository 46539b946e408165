//! Whole worlds: each scenario small, what must be found is found, and the same seed is the same world.

use clankers_simulations::{
    fleet,
    report::Report,
    scenario::{Scenario, Shape},
    world::{Defect, Setup},
};

/// Each scenario in two worlds of a hundred hosts.
fn two_of(scenario: Scenario) -> Report {
    fleet::play(scenario, &Setup::new(1, 100), 2, 2)
}

fn good(scenario: Scenario) {
    let report = two_of(scenario);
    assert!(report.is_good(), "{}", report.text());
    let hashes: std::collections::BTreeSet<&String> = report.outcomes.iter().map(|one| &one.hash).collect();
    assert_eq!(hashes.len(), 2, "two seeds are two worlds");
}

#[test]
fn presence() {
    good(Scenario::Presence);
}

#[test]
fn partition_in_halves() {
    good(Scenario::Partition(Shape::Halves));
}

#[test]
fn partition_of_a_tenth() {
    good(Scenario::Partition(Shape::Tenth));
}

#[test]
fn partition_of_one() {
    good(Scenario::Partition(Shape::Alone));
}

#[test]
fn churn() {
    good(Scenario::Churn);
}

#[test]
fn revocation() {
    good(Scenario::Revocation);
}

#[test]
fn a_seed_is_a_world_on_any_number_of_threads() {
    for scenario in [Scenario::Presence, Scenario::Partition(Shape::Halves), Scenario::Revocation] {
        let setup = Setup::new(7, 16);
        let one = fleet::play(scenario, &setup, 2, 1);
        let many = fleet::play(scenario, &setup, 2, 4);
        assert_eq!(one.hash(), many.hash(), "{scenario}");
        assert_eq!(one.text(), many.text(), "{scenario}");
        let other = fleet::play(scenario, &Setup::new(8, 16), 1, 1);
        assert_ne!(one.hash(), other.hash(), "{scenario}");
    }
}

/// The scenario can fail: gossip alone does not come together again.
#[test]
fn without_the_healer_a_partition_stays() {
    let setup = Setup { healer: false, ..Setup::new(1, 60) };
    let report = fleet::play(Scenario::Partition(Shape::Alone), &setup, 1, 1);
    assert!(!report.is_good());
    let text = report.text();
    assert!(text.contains("after the cut's end: 2 components"), "{text}");
    let again =
        "cargo run --release -p clankers-simulations -- run partition-alone --nodes 60 --seed 1 --no-healer";
    assert!(text.contains(again), "{text}");
}

/// A mistake in every host's shell is found; without it the same scenario is good, as the tests above show.
fn found(defect: Defect, scenario: Scenario, what: &str) {
    let report = fleet::play(scenario, &Setup { defect: Some(defect), ..Setup::new(1, 24) }, 1, 1);
    let text = report.text();
    assert!(!report.is_good() && text.contains(what), "{defect:?} was not found:\n{text}");
}

#[test]
fn leases_that_do_not_end_are_found() {
    found(Defect::Asleep, Scenario::Partition(Shape::Halves), "by a record");
}

#[test]
fn a_removed_member_that_is_still_shown_is_found() {
    found(Defect::Forgiving, Scenario::Revocation, "which it knows to be removed");
}

#[test]
fn a_replay_that_is_taken_is_found() {
    found(Defect::Credulous, Scenario::Presence, "that it never said");
}

#[test]
fn a_dial_after_a_goodbye_is_found() {
    found(Defect::Clinging, Scenario::Presence, "which said goodbye");
}

#[test]
fn a_dial_of_a_stranger_is_found() {
    found(Defect::Open, Scenario::Presence, "whose membership it has not seen");
}

#[test]
fn a_revocation_that_does_not_spread_is_found() {
    found(Defect::Deaf, Scenario::Revocation, "a minute later");
}

#[test]
fn a_connection_that_is_kept_with_a_removed_member_is_found() {
    found(Defect::Hoarding, Scenario::Revocation, "has a team connection with");
}

#[test]
fn a_forged_record_that_is_shown_is_found() {
    found(Defect::Gullible, Scenario::Presence, "has a forged record");
}

#[test]
fn a_healer_that_dials_a_removed_member_is_found() {
    found(Defect::Haunted, Scenario::Revocation, "which it knows to be removed");
}

#[test]
fn a_limit_that_is_passed_is_found() {
    found(Defect::Cramped, Scenario::Presence, "the limit is 4");
}
