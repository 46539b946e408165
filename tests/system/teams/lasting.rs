//! How long a membership lasts: it renews itself, and a removal ends all that was written before.

use std::time::Duration;

use clankers_tests::{Node, NodeHome, wait};

use super::{HEALED, HEARD, all_alive, invite, join, node, sees, team};
use crate::BIN;

/// When this node's membership of its only team ends.
fn ends(node: &Node) -> String {
    let teams = node.cli(["team", "list", "--json"]).run().ok().json();
    teams[0]["expires"].as_str().expect("a time").to_owned()
}

#[test]
fn a_membership_renews_itself_from_half_of_its_life_on() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--expire", "60s", "--renew"]);
    join(&anna, &carl, &["--expire", "30s"]);
    let first = ends(&bert);
    // RFC 3339 in UTC sorts as the times do.
    wait::until("a membership that ends later", Duration::from_secs(120), || {
        (ends(&bert) > first).then_some(())
    });
    // One that is not to renew itself is over when it says.
    wait::until("the other one's end", Duration::from_secs(120), || {
        let teams = carl.cli(["team", "list", "--json"]).run().ok().json();
        (teams[0]["ended"] == "expired").then_some(())
    });
    all_alive(&anna, 2);
    // The inviter knows the new one: no second is written for the same.
    let of_bert = |members: serde_json::Value| {
        let id = bert.id().to_string();
        let members = members.as_array().expect("members").clone();
        members.into_iter().find(|member| member["id"] == id.as_str()).expect("bert")["expires"].clone()
    };
    let members = anna.cli(["team", "members", "--json"]).run().ok().json();
    assert!(of_bert(members).as_str().expect("a time") > first.as_str());
}

#[test]
fn a_removed_member_does_not_come_back_by_an_invite_of_before() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    anna.cli(["team", "create", "core"]).run().ok();
    join(&anna, &bert, &["--admin"]);
    join(&anna, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
    // Written by an admin, kept by its holder, seen by nobody else.
    let kept = invite(&bert, &carl, &["--admin", "--expire", "300days"]);
    anna.cli(["team", "remove", &carl.id().to_string()]).run().ok();
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
    }
    // Its own node forgets what it heard of the removal: it is the others that count.
    carl.cli(["team", "leave"]).run().ok();
    carl.cli(["team", "join", "-"]).stdin(kept).run().ok();
    wait::until("carl is told that it is none", HEALED, || {
        let teams = carl.cli(["team", "list", "--json"]).run().ok().json();
        (!teams[0]["ended"].is_null()).then_some(())
    });
    for node in [&anna, &bert] {
        sees(node, &carl, "removed", HEARD);
        all_alive(node, 2);
    }
    // Asked back: at once, by whoever may.
    carl.cli(["team", "leave"]).run().ok();
    join(&bert, &carl, &[]);
    for node in [&anna, &bert, &carl] {
        all_alive(node, 3);
    }
}

/// Leaving and joining again at once meets what is left of the first time, which is still being heard to say goodbye.
#[test]
fn who_leaves_and_joins_again_at_once_is_there() {
    let (anna, bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let text = invite(&anna, &bert, &[]);
    for _ in 0..3 {
        bert.cli(["team", "leave"]).run().ok();
        bert.cli(["team", "join", &text]).run().ok();
        for node in [&anna, &bert] {
            all_alive(node, 2);
        }
    }
}

/// Bert passes a token of anna's on to somebody outside, and takes it back while anna is away. Nobody tells her but the
/// team: she asks whom she meets what they know of her own.
#[test]
fn what_a_member_has_taken_back_of_anothers_is_known_there_when_that_one_is_back() {
    let (mut anna, bert, guest) = (node("anna"), node("bert"), NodeHome::new(BIN));
    team("core", &[&anna, &bert]);
    anna.grant(bert.home(), &["--reviewer"]);
    let held = bert.cli(["token", "list", "--json"]).run().ok().json();
    let from = held[0]["cid"].as_str().expect("a CID").to_owned();
    let to = guest.id().to_string();
    let made = bert.cli(["token", "delegate", "--json", "--from", &from, "--for", &to]).run().ok().json();
    guest.cli(["token", "import", "-"]).stdin(made["token"].as_str().expect("a token")).run().ok();
    guest.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().ok();
    anna.stop();
    let revoked = bert.cli(["token", "revoke", made["cid"].as_str().expect("a CID"), "--json"]).run().ok();
    assert_eq!(revoked.json()["revoked"][0]["delivered"], false, "{}", revoked.story());
    anna.restart();
    wait::until("the end of the guest's token", HEALED, || {
        (guest.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().exit.code == Some(4)).then_some(())
    });
    // What bert holds itself is as good as before.
    bert.cli(["rpc", "prompt", anna.ticket(), "/ls"]).run().ok();
}
