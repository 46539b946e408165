//! What is shown of the mesh.

use clankers_tests::wait;
use serde_json::{Value, json};

use super::{HEARD, greps, node, sees, team};

fn of<'a>(list: &'a Value, id: &str) -> &'a Value {
    list.as_array().and_then(|all| all.iter().find(|one| one["id"] == id)).unwrap_or(&Value::Null)
}

#[test]
fn mesh_and_discover_and_peers_show_the_members_and_what_they_let_one_see() {
    let (anna, bert, carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    bert.cli(["team", "grant", "--reviewer"]).run().ok();
    let (code, said) = greps(&anna, "bert");
    assert_eq!(code, Some(0), "{said}");
    let id = bert.id().to_string();
    let mesh = wait::until("bert's load", HEARD, || {
        let mesh = anna.cli(["mesh", "--json"]).run().ok().json();
        (of(&mesh, &id)["load"]["sessions"] == 1).then_some(mesh)
    });
    let seen = of(&mesh, &id);
    assert_eq!(
        (&seen["teams"], &seen["state"], &seen["me"]),
        (&json!(["core"]), &json!("alive"), &json!(false))
    );
    assert_eq!((&seen["claimed"], &seen["path"]), (&json!("bert"), &json!("direct")));
    assert!(seen["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0) && seen["version"].is_string(), "{seen}");
    // The session that anna began there, and nobody else's; carl shows none, and was asked for none.
    assert_eq!(seen["sessions"].as_array().map(Vec::len), Some(1), "{seen}");
    assert_eq!(of(&mesh, &carl.id().to_string())["sessions"], Value::Null);
    let own = of(&mesh, &anna.id().to_string());
    assert_eq!((&own["me"], &own["state"]), (&json!(true), &json!("alive")));
    let table = anna.cli(["mesh"]).run().ok();
    assert!(table.out().contains("bert") && table.out().contains("/grep TODO"), "{}", table.out());

    let found = anna.cli(["rpc", "discover", "--json"]).run().ok().json();
    let seen = of(&found, &id);
    for field in ["id", "label", "via", "addrs", "path", "rtt_us", "version", "last_seen", "trusted"] {
        assert!(seen.get(field).is_some(), "{field} in {seen}");
    }
    assert_eq!((&seen["via"], &seen["trusted"]), (&json!(["gossip"]), &json!(false)));
    assert_eq!(of(&found, &anna.id().to_string()), &Value::Null, "oneself is not discovered");

    let peers = anna.cli(["rpc", "peers", "list", "--json"]).run().ok().json();
    assert_eq!(of(&peers, &id)["via"], json!(["gossip"]));
    let (path, rtt) = (&of(&peers, &id)["path"], &of(&peers, &id)["rtt_us"]);
    assert!(path == "direct" && rtt.as_u64().is_some_and(|rtt| rtt > 0), "{peers}");
    let probed = anna.cli(["rpc", "peers", "probe", "bert", "--json"]).run().ok().json();
    assert!(probed["path"] == "direct" && probed["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0), "{probed}");
    // Now it is in the book, as one that was heard of; and then as one that is trusted.
    let trusted = anna.cli(["rpc", "peers", "trust", "bert", "--json"]).run().ok().json();
    assert_eq!(trusted["trusted"], true);
    let not = anna.cli(["rpc", "peers", "trust", "--no", "bert", "--json"]).run().ok().json();
    assert_eq!(not["trusted"], false);
    anna.cli(["rpc", "peers", "probe", &"ab".repeat(32), "--timeout", "300ms"]).run().code(6);
}

#[test]
fn mesh_goes_on_and_shows_what_changes() {
    let (mut anna, mut bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let id = bert.id().to_string();
    let mut watching = anna.cli(["mesh", "--watch", "--json"]).start();
    let first = watching.json().expect("a view");
    assert_eq!(of(&first, &id)["state"], "alive");
    bert.stop();
    while of(&watching.json().expect("a view"), &id)["state"] != "left" {}
    // Its own node may go and come back as well.
    anna.stop();
    anna.restart();
    bert.restart();
    while of(&watching.json().expect("a view"), &id)["state"] != "alive" {}
    watching.interrupt();
    assert_eq!(watching.finish().exit.code, Some(130));
}

#[test]
fn members_who_are_away_are_remembered_over_a_restart() {
    let (mut anna, mut bert, mut carl) = (node("anna"), node("bert"), node("carl"));
    team("core", &[&anna, &bert, &carl]);
    let (b, c) = (bert.id().to_string(), carl.id().to_string());
    // One says goodbye and one does not; both are remembered when this node comes back.
    bert.stop();
    sees(&anna, &bert, "left", HEARD);
    anna.stop();
    carl.kill9();
    anna.restart();
    let mesh = anna.cli(["mesh", "--json"]).run().ok().json();
    let found = anna.cli(["rpc", "discover", "--json"]).run().ok().json();
    for (id, label, state) in [(&b, "bert", "left"), (&c, "carl", "unknown")] {
        let seen = of(&mesh, id);
        assert_eq!((&seen["claimed"], &seen["state"]), (&json!(label), &json!(state)), "{mesh}");
        assert_eq!((&seen["teams"], &seen["via"]), (&json!(["core"]), &json!(["team"])), "{mesh}");
        assert!(seen["last_seen"].is_string() && seen["version"].is_string(), "{mesh}");
        let seen = of(&found, id);
        assert_eq!((&seen["claimed"], &seen["via"]), (&json!(label), &json!(["team"])), "{found}");
        assert!(seen["last_seen"].is_string() && seen["version"].is_string(), "{found}");
        // Whoever is only away is not unknown: by name, and by the beginning of the id.
        for name in [label, &id[..8]] {
            let ran = anna.cli(["rpc", "ping", name, "--timeout", "1s", "--json"]).run().code(6);
            assert!(ran.error()["hints"].to_string().contains("it was last seen "), "{}", ran.story());
        }
    }
    anna.cli(["rpc", "prompt", "bert", "/grep TODO"]).run().code(6);
    anna.cli(["rpc", "ping", "nobody"]).run().code(7);
    let table = anna.cli(["rpc", "discover"]).run().ok();
    assert!(table.out().contains("(bert?)") && table.out().contains("team"), "{}", table.story());
    // Back again, it is there as ever.
    bert.restart();
    sees(&anna, &bert, "alive", HEARD);
    let mesh = anna.cli(["mesh", "--json"]).run().ok().json();
    let seen = of(&mesh, &b);
    assert_eq!((&seen["state"], &seen["via"]), (&json!("alive"), &json!(["gossip"])), "{mesh}");
    assert_eq!(seen["teams"], json!(["core"]), "{mesh}");
}

/// How long a node has what it heard only in memory, and a little (time).
const FLUSHED: std::time::Duration = std::time::Duration::from_secs(12);

/// Where members are, and what they are called, is not only in the memory of a node: it may be killed.
#[test]
fn a_killed_node_has_not_forgotten_who_its_members_are_and_where() {
    let (mut anna, mut bert) = (node("anna"), node("bert"));
    team("core", &[&anna, &bert]);
    let id = bert.id().to_string();
    let addr = bert.addrs()[0].to_string();
    wait::until("what outlives a kill", HEARD * 3, || {
        let began = std::time::Instant::now();
        wait::until("a while", HEARD, || (began.elapsed() > FLUSHED).then_some(()));
        anna.kill9();
        // No node runs: this is what lies on the disk.
        let members = anna.cli(["team", "members", "--json"]).run().ok().json();
        let seen = of(&members, &id).clone();
        let whole = seen["claimed"] == "bert"
            && seen["version"].is_string()
            && seen["last_seen"].is_string()
            && seen["addrs"].as_array().is_some_and(|addrs| addrs.iter().any(|one| *one == addr));
        if !whole {
            println!("not yet: {seen}");
            anna.restart();
            super::all_alive(&anna, 2);
        }
        whole.then_some(())
    });
    bert.kill9();
}
