//! A node whose clock was ahead for so long that it believed it: it forgot what had been revoked of what was over by then, and
//! takes none of that any more. It says so, and there are two ways out.

use std::time::Duration;

use clankers_protocol::{CidDigest, NodeId, Timestamp};
use clankers_store::{Home, Put, RevocationRow, Store};
use clankers_tests::{Node, forge};

use super::{all_alive, invite, join, members, node, team};

const DAY: Duration = Duration::from_secs(86_400);

/// What a node's store is after it forgot, while the node is down: of what ends until then, nothing is known.
fn forgets(node: &Node, until: Timestamp) {
    let home = Home::open(&node.home().path()).expect("its home");
    let store = Store::open(&home, forge::now()).expect("its store");
    let some = NodeId(forge::random());
    let row = RevocationRow {
        cid: CidDigest(forge::random()),
        subject: some,
        revoker: some,
        grantee: some,
        expires: until,
        container: vec![1],
    };
    let ahead = until.plus_ms(2 * 3_600_000);
    assert_eq!(store.revocations().put(&row, ahead).expect("it is noted"), Put::Known);
}

/// When its membership ends.
fn ends(node: &Node) -> Timestamp {
    let home = Home::open(&node.home().path()).expect("its home");
    let store = Store::open(&home, forge::now()).expect("its store");
    let kept = store.teams().list().expect("its teams").pop().expect("a team");
    clankers_auth::words::read(&kept.chain).expect("a membership").expires
}

#[test]
fn a_membership_that_is_refused_since_the_clock_was_ahead_has_two_ways_out() {
    let (anna, mut bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    bert.stop();
    let end = ends(&bert);
    forgets(&bert, end);
    bert.restart();
    let listed = bert.cli(["team", "list", "--json"]).run().ok().json();
    assert_eq!(listed[0]["ended"], "expired");
    let told = bert.cli(["team", "list"]).run().ok();
    for part in ["core holds until", "its clock was later", "a new invite", "clankers token revoke --all"] {
        assert!(told.err().contains(part), "{part}: {}", told.story());
    }

    // A membership that ends later than anything that it forgot.
    join(&anna, &bert, &["--expire", "390d"]);
    for node in [&anna, &bert] {
        all_alive(node, 2);
    }

    // Longer than any membership lasts.
    bert.stop();
    forgets(&bert, forge::now().plus_ms(u64::try_from((DAY * 900).as_millis()).expect("it fits")));
    bert.restart();
    let again = invite(&anna, &bert, &["--expire", "390d"]);
    let refused = bert.cli(["team", "join", "-", "--json"]).stdin(again).run().code(4);
    let words = refused.error().to_string();
    assert!(words.contains("clock was later") && words.contains("clankers token revoke --all"), "{words}");
    assert!(members(&bert).iter().all(|member| member["state"] != "alive"), "{}", refused.story());
    bert.cli(["token", "revoke", "--all", "--yes"]).run().ok();
    for node in [&anna, &bert] {
        all_alive(node, 2);
    }
}
