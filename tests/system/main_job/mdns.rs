//! Two nodes on one network find each other, on a port of the test's own.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use clankers_tests::{NodeHome, Start, limits::STEP, wait};
use serde_json::json;

use crate::BIN;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// Whether a multicast packet comes back on the loopback interface of this machine.
fn multicast_works() -> bool {
    let Ok(listener) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) else { return false };
    let port = listener.local_addr().expect("an address").port();
    let sent = listener.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST).and_then(|()| {
        listener.set_read_timeout(Some(Duration::from_secs(2)))?;
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.send_to(b"anyone?", (GROUP, port))
    });
    sent.is_ok() && listener.recv(&mut [0; 16]).is_ok()
}

#[test]
fn found_by_mdns_is_reached_by_its_id_but_not_by_the_name_it_claims() {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return;
    }
    let port = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.local_addr());
    let port = port.expect("a free port").port();
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
        let peers = list.as_array().expect("an array").iter();
        peers.filter(|peer| peer["id"] == id && peer["addrs"] != json!([])).cloned().next()
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
