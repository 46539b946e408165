//! Labels that members claim: a claim names somebody only while it can mean nobody else.

use clankers_tests::wait;

use super::{HEARD, join, members, node, team};

#[test]
fn a_label_that_two_members_claim_names_neither_and_the_owners_name_wins() {
    let (anna, first, second) = (node("anna"), node("desk"), node("desk"));
    team("core", &[&anna, &first, &second]);
    // Both labels must have come.
    wait::until("both desks", HEARD, || {
        let desks = members(&anna).iter().filter(|member| member["claimed"] == "desk").count();
        (desks == 2).then_some(())
    });
    let unclear = anna.cli(["rpc", "ping", "desk", "--json"]).run().code(2);
    assert!(unclear.error()["message"].as_str().expect("words").contains('2'), "{}", unclear.story());
    anna.cli(["rpc", "peers", "add", first.ticket(), "--label", "desk"]).run().ok();
    let pong = anna.cli(["rpc", "ping", "desk"]).run().ok();
    assert!(pong.out().contains(&first.addrs()[0].to_string()), "{}", pong.story());
    // Whom the owner calls otherwise is meant by that name only: the other one has the claim for itself.
    anna.cli(["rpc", "peers", "label", &first.id().to_string(), "first"]).run().ok();
    let pong = anna.cli(["rpc", "ping", "desk"]).run().ok();
    assert!(pong.out().contains(&second.addrs()[0].to_string()), "{}", pong.story());
}

#[test]
fn a_label_in_any_case_and_an_unknown_one() {
    let (anna, bert) = (node("anna"), node("Bert"));
    team("core", &[&anna, &bert]);
    for name in ["bert", "BERT", "Bert"] {
        wait::until(name, HEARD, || {
            anna.cli(["rpc", "ping", name]).run().exit.code.filter(|code| *code == 0)
        });
    }
    anna.cli(["rpc", "ping", "bertha"]).run().code(7);
    // Out of the team, out of its names.
    anna.cli(["team", "remove", "bert"]).run().ok();
    anna.cli(["rpc", "ping", "bert"]).run().code(7);
    join(&anna, &bert, &[]);
    wait::until("bert again", HEARD, || {
        anna.cli(["rpc", "ping", "bert"]).run().exit.code.filter(|code| *code == 0)
    });
}
