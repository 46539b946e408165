//! Two nodes on one network find each other, on a port of the test's own.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use clankers_mesh::{Mdns, Mesh, MeshConfig};
use clankers_protocol::ALPN;
use clankers_tests::{NodeHome, Start, forge, limits::STEP, wait};
use serde_json::json;

use crate::BIN;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// Whether a multicast packet comes back on the loopback interface of this machine.
pub(crate) fn multicast_works() -> bool {
    let Ok(listener) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return false };
    let port = listener.local_addr().expect("an address").port();
    let sent = listener.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST).and_then(|()| {
        listener.set_read_timeout(Some(Duration::from_secs(2)))?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"anyone?", (GROUP, port))
    });
    sent.is_ok() && listener.recv(&mut [0; 16]).is_ok()
}

fn free_port() -> u16 {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}

#[test]
fn found_by_mdns_is_reached_by_its_id_but_not_by_the_name_it_claims() {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return;
    }
    let port = free_port();
    let (desk_home, laptop_home) = (NodeHome::new(BIN), NodeHome::new(BIN));
    for (home, label) in [(&desk_home, "desk"), (&laptop_home, "laptop")] {
        // The home is made by the first command, so that its mode is the product's.
        let _key = home.id();
        home.settings(&format!("label = \"{label}\"\n[network]\nmdns_port = {port}\n"));
    }
    let desk = Start::new().mdns(Some("on")).on(&desk_home);
    let laptop = Start::new().mdns(Some("on")).on(&laptop_home);
    let id = desk.id().to_string();
    let found = wait::until("the desk among the laptop's peers", STEP, || {
        let list = laptop.cli(["rpc", "peers", "list", "--json"]).run().ok().json();
        let mut peers = list.as_array().expect("an array").iter();
        peers.find(|peer| peer["id"] == id && peer["addrs"] != json!([])).cloned()
    });
    assert_eq!((&found["claimed"], &found["label"]), (&json!("desk"), &json!(null)));
    assert_eq!((&found["via"], &found["trusted"]), (&json!(["mdns"]), &json!(false)));
    for name in [id.as_str(), &id[..8]] {
        let pong = laptop.cli(["rpc", "ping", name, "--json"]).run().ok().json();
        assert_eq!(pong["path"], "direct");
    }
    // Anybody may claim any name: it takes one to whom it belongs only when this owner has given it.
    laptop.cli(["rpc", "ping", "desk"]).run().code(7);
    laptop.cli(["rpc", "prompt", &id, "hi"]).run().code(4);
    laptop.cli(["rpc", "peers", "add", &id, "--label", "desk"]).run().ok();
    laptop.cli(["rpc", "ping", "desk"]).run().ok();
}

/// Whoever shares the network may announce anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_stranger_announces_takes_no_name_and_drives_no_terminal() {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return;
    }
    let port = free_port();
    let mut strangers = Vec::new();
    for label in ["desk", "\u{1b}[2Jowned\u{202e}\r", "local"] {
        let mdns =
            Mdns { port, loopback: true, label: Some(label.to_owned()), advertise: true, browse: false };
        let seed: [u8; 32] = forge::random();
        let config =
            MeshConfig { mdns: Some(mdns), alpns: vec![ALPN.to_vec()], ..MeshConfig::dial_only(seed.into()) };
        match Mesh::start(config).await {
            Ok(mesh) => strangers.push(mesh),
            // Not even our own code would announce such a label: then there is less to see.
            Err(error) => eprintln!("{label:?}: {error}"),
        }
    }
    let ids: Vec<String> = strangers.iter().map(|mesh| mesh.id().to_string()).collect();
    assert!(!ids.is_empty());
    tokio::task::spawn_blocking(move || look_at_strangers(port, &ids)).await.expect("the checks");
    for mesh in strangers {
        mesh.close().await;
    }
}

fn look_at_strangers(port: u16, ids: &[String]) {
    let (desk_home, home) = (NodeHome::new(BIN), NodeHome::new(BIN));
    let desk = desk_home.start();
    home.cli(["rpc", "peers", "add", desk.ticket(), "--label", "desk"]).run().ok();
    home.settings(&format!("[network]\nmdns_port = {port}\n"));
    let node = Start::new().mdns(Some("on")).on(&home);
    let list = wait::until("the strangers among the peers", STEP, || {
        let list = node.cli(["rpc", "peers", "list", "--json"]).run().ok();
        let all = list.json();
        let seen =
            |id: &String| all.as_array().is_some_and(|all| all.iter().any(|peer| peer["id"] == id.as_str()));
        ids.iter().all(seen).then_some(list)
    });
    assert!(!list.stdout.contains(&0x1b) && !list.stdout.contains(&b'\r'), "{}", list.story());
    let table = node.cli(["rpc", "peers", "list"]).run().ok();
    assert!(!table.out().contains(['\u{1b}', '\u{202e}', '\r']), "{:?}", table.out());
    for peer in
        list.json().as_array().expect("an array").iter().filter(|peer| peer["id"] != desk.id().to_string())
    {
        assert_eq!((&peer["trusted"], &peer["label"]), (&json!(false), &json!(null)), "{peer}");
    }
    // The name is still the one that its owner gave; a refusal there names this node, so it was reached.
    let refused = node.cli(["rpc", "prompt", "desk", "hi", "--mode", "json"]).run().code(4);
    assert!(refused.error()["hints"].to_string().contains(&node.id().to_string()), "{}", refused.story());
    let pong = node.cli(["rpc", "ping", "local"]).run().ok();
    assert!(pong.out().contains(&node.addrs()[0].to_string()), "{}", pong.story());
}
