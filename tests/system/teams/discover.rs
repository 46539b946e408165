//! `rpc discover` as its users meet it: on one machine, by mDNS on a port of the test's own.

use std::{collections::BTreeSet, net::UdpSocket, time::Duration};

use clankers_tests::{Node, NodeHome, Running, Start, wait};
use serde_json::{Value, json};

use super::{HEARD, all_alive, join, node};
use crate::{BIN, main_job::mdns::multicast_works};

/// What the issue promises of each, and what came to it.
const FIELDS: [&str; 11] =
    ["addrs", "claimed", "id", "label", "last_seen", "path", "relay", "rtt_us", "trusted", "version", "via"];

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

/// A machine whose mDNS is on this port of the loopback interface.
fn home(label: &str, port: u16) -> NodeHome {
    let home = NodeHome::new(BIN);
    // The home is made by the first command, so that its mode is the product's.
    let _key = home.id();
    home.settings(&format!(
        "label = \"{label}\"\n[network]\nbind = \"127.0.0.1:0\"\nrelay = \"off\"\nmdns_port = {port}\n"
    ));
    home
}

fn announced(home: &NodeHome) -> Node {
    Start::new().mdns(Some("on")).on(home)
}

fn of<'a>(found: &'a Value, node: &Node) -> Option<&'a Value> {
    let id = node.id().to_string();
    found.as_array().expect("an array").iter().find(|one| one["id"] == id.as_str())
}

/// Two homes on one port; `None`, with the reason printed, where multicast does not come back.
fn two() -> Option<(NodeHome, NodeHome)> {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return None;
    }
    let port = free_port();
    Some((home("desk", port), home("laptop", port)))
}

#[test]
fn without_a_node_it_looks_on_the_network_itself() {
    let Some((desk, laptop)) = two() else { return };
    // Nobody is there: that is no error, and it says what to try.
    let none = laptop.cli(["rpc", "discover", "--timeout", "200ms"]).run().ok();
    assert!(none.out().is_empty() && none.err().contains("rpc discover --doctor"), "{}", none.story());
    let none = laptop.cli(["rpc", "discover", "--timeout", "200ms", "--json"]).run().ok();
    assert_eq!((none.json(), none.err()), (json!([]), ""));

    let desk = announced(&desk);
    let found = wait::until("the desk", HEARD, || {
        let found = laptop.cli(["rpc", "discover", "--json", "--timeout", "5s"]).run().ok().json();
        of(&found, &desk).cloned()
    });
    let fields: BTreeSet<&str> = found.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, BTreeSet::from(FIELDS));
    assert_eq!(found["addrs"], json!([desk.addrs()[0].to_string()]));
    assert_eq!(
        (&found["via"], &found["label"], &found["claimed"], &found["trusted"]),
        (&json!(["mdns"]), &json!(null), &json!("desk"), &json!(false))
    );
    assert_eq!(found["version"], concat!("clankers/", env!("CARGO_PKG_VERSION")));
    assert!(found["last_seen"].as_str().is_some_and(|at| at.ends_with('Z')), "{found}");
    // Nobody was dialed, so nothing is known of the way there; asked to, it dials.
    assert_eq!((&found["path"], &found["rtt_us"]), (&json!(null), &json!(null)));
    let probed = wait::until("the desk, probed", HEARD, || {
        let found = laptop.cli(["rpc", "discover", "--probe", "--json", "--timeout", "5s"]).run().ok().json();
        of(&found, &desk).cloned()
    });
    assert_eq!(probed["path"], "direct", "{probed}");
    assert!(probed["rtt_us"].as_u64().is_some_and(|rtt| rtt > 0), "{probed}");
    let table = laptop.cli(["rpc", "discover", "--timeout", "5s"]).run().ok();
    assert!(table.out().starts_with("LABEL") && table.out().contains("(desk?)"), "{}", table.story());
    // A short id means nobody while no node listens: that is said, and what to do.
    assert!(
        table.err().contains("no node runs here") && table.err().contains("daemon start"),
        "{}",
        table.story()
    );
}

/// With a node here, what the node knows is shown; `--mdns` looks past it.
#[test]
fn the_running_nodes_table_comes_first_and_mdns_looks_past_it() {
    let Some((desk, laptop)) = two() else { return };
    let (desk, quiet) = (announced(&desk), node("quiet"));
    // The laptop's node does not listen to the network: what it knows is a member of its team.
    let laptop = laptop.start();
    laptop.cli(["team", "create", "core"]).run().ok();
    join(&laptop, &quiet, &[]);
    all_alive(&laptop, 2);
    let table = laptop.cli(["rpc", "discover", "--json"]).run().ok().json();
    assert_eq!(of(&table, &quiet).expect("the member")["via"], json!(["gossip"]));
    assert_eq!(of(&table, &desk), None, "{table}");
    let network = wait::until("the desk on the network", HEARD, || {
        let found = laptop.cli(["rpc", "discover", "--mdns", "--json", "--timeout", "5s"]).run().ok().json();
        of(&found, &desk).is_some().then_some(found)
    });
    assert_eq!(of(&network, &quiet), None, "{network}");
    assert_eq!(of(&network, &laptop), None, "it does not announce itself: {network}");
}

/// Reads arrays until the node is in one, or in none.
fn until_there(watching: &mut Running, node: &Node, there: bool) -> Value {
    loop {
        let found = watching.json().expect("it goes on");
        if of(&found, node).is_some() == there {
            return found;
        }
    }
}

/// Reads lines until one has all of these words.
fn until_said(watching: &mut Running, words: [&str; 2]) {
    loop {
        let line = watching.line().expect("it goes on").text();
        if words.iter().all(|word| line.contains(word)) {
            return;
        }
    }
}

#[test]
fn a_watcher_is_told_who_comes_and_goes_until_it_is_interrupted() {
    let Some((desk, laptop)) = two() else { return };
    let watch = |json: &[&str]| {
        laptop.cli(["rpc", "discover", "--watch"]).args(json).within(Duration::from_secs(120)).start()
    };
    let (mut programs, mut people) = (watch(&["--json"]), watch(&[]));
    // The first array says that nobody is there: from then on it listens.
    assert_eq!(programs.json(), Some(json!([])));
    let mut desk = announced(&desk);
    until_there(&mut programs, &desk, true);
    until_said(&mut people, ["desk", ""]);
    desk.stop();
    until_there(&mut programs, &desk, false);
    until_said(&mut people, ["✗ (desk?)", "is gone"]);
    desk.restart();
    until_there(&mut programs, &desk, true);
    until_said(&mut people, ["(desk?)", &desk.addrs()[0].to_string()]);
    for watching in [programs, people] {
        watching.interrupt();
        let ran = watching.finish().code(130);
        assert_eq!(ran.err(), "", "{}", ran.story());
    }
}

/// The same by the running node, which hears of its team.
#[test]
fn a_watcher_beside_a_node_is_told_who_of_the_team_comes_and_goes() {
    let (anna, mut bert) = (node("anna"), node("bert"));
    super::team("core", &[&anna, &bert]);
    let mut watching = anna.cli(["rpc", "discover", "--watch", "--json"]).start();
    until_there(&mut watching, &bert, true);
    bert.stop();
    until_there(&mut watching, &bert, false);
    bert.restart();
    until_there(&mut watching, &bert, true);
    watching.interrupt();
    watching.finish().code(130);
}

/// On this machine alone: what is wrong with networks is made in tests/lan.
#[test]
fn the_doctor_says_what_it_saw() {
    let Some((desk, laptop)) = two() else { return };
    let desk = announced(&desk);
    let well = wait::until("the doctor to hear the desk", HEARD, || {
        let seen = laptop.cli(["rpc", "discover", "--doctor", "--json"]).run().ok().json();
        (seen["findings"] == json!([])).then_some(seen)
    });
    assert_eq!(well["nodes"], 1, "{well}");
    assert!(
        well["interfaces"].as_array().is_some_and(|all| all.iter().any(|one| one["echo"] == true)),
        "{well}"
    );
    drop(desk);
    for words in [&["--doctor", "--watch"][..], &["--doctor", "--probe"], &["--timeout", "soon"]] {
        laptop.cli(["rpc", "discover"]).args(words).run().code(2);
    }
}

/// What mDNS has of a killed node stays for two minutes: nobody has seen it since it was killed.
#[test]
fn a_killed_node_was_not_seen_just_now() {
    let Some((desk, laptop)) = two() else { return };
    let (mut desk, laptop) = (announced(&desk), announced(&laptop));
    wait::until("the desk", HEARD, || {
        let found = laptop.cli(["rpc", "discover", "--json"]).run().ok().json();
        of(&found, &desk).cloned()
    });
    desk.kill9();
    let killed = clankers_tests::forge::now();
    // What is said now would be later than that by whole seconds.
    wait::until("time to pass", HEARD, || (clankers_tests::forge::now().since(killed) > 3_000).then_some(()));
    for command in [&["rpc", "discover", "--json"][..], &["mesh", "--json"]] {
        let all = laptop.cli(command).run().ok().json();
        let seen = of(&all, &desk).expect("the desk is remembered");
        let last = seen["last_seen"].as_str().expect("a time");
        assert!(
            last <= killed.plus_ms(1_000).rfc3339().as_str(),
            "{command:?}: {seen}, killed {}",
            killed.rfc3339()
        );
    }
}
