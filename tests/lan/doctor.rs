//! The doctor names what is wrong with a network, on hosts where exactly that is wrong: asked through the binary.

use std::{
    net::UdpSocket,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use clankers_lab::Lab;
use clankers_mesh::{MDNS_PORT, Mdns, doctor};
use clankers_tests::{NodeHome, wait};
use serde_json::{Value, json};

use super::{LIMIT, mesh, on, place::Place, run};

/// What `rpc discover --doctor --json` says.
fn ask(home: &NodeHome) -> Value {
    home.cli(["rpc", "discover", "--doctor", "--json"]).run().ok().json()
}

/// The words for programs, the gravest first.
fn codes(said: &Value) -> Vec<String> {
    let findings = said["findings"].as_array().expect("an array");
    findings.iter().map(|finding| finding["code"].as_str().expect("a word").to_owned()).collect()
}

/// That is all it finds, whether it is sure of it, and it says what, and what to do.
fn names(home: &NodeHome, code: &str, certain: bool, what: &str) {
    let said = ask(home);
    assert_eq!(codes(&said), [code], "{said}");
    let finding = &said["findings"][0];
    assert_eq!(finding["certain"], certain, "{said}");
    assert!(finding["what"].as_str().is_some_and(|text| text.contains(what)), "{said}");
    assert!(finding["todo"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
    let told = home.cli(["rpc", "discover", "--doctor"]).run().ok();
    let mark = if certain { "✗" } else { "!" };
    let line = told.out().lines().find(|line| line.starts_with(mark));
    assert!(line.is_some_and(|line| line.contains(what)), "{}", told.story());
}

#[test]
fn the_doctor_names_what_keeps_nodes_from_being_found() {
    let Some(place) = Place::new(2, 6) else { return };
    let (lab, home) = (&place.lab, place.home(0, "anna"));
    // Nothing is wrong here, but nobody is there: of that nobody can be sure.
    names(&home, "nobody-answers", false, "nobody else");
    assert!(ask(&home)["findings"][0]["todo"].to_string().contains("keeps its guests apart"));
    // A program that does not share the port.
    let held = lab.host(0).inside(|| UdpSocket::bind(("0.0.0.0", MDNS_PORT)).unwrap());
    names(&home, "port-held", true, "UDP port 5353");
    drop(held);
    // A network that carries no multicast.
    run(lab, 0, "ip", &["link", "set", "eth0", "multicast", "off"]);
    names(&home, "no-multicast", true, "eth0");
    run(lab, 0, "ip", &["link", "set", "eth0", "multicast", "on"]);
    run(lab, 0, "ip", &["link", "set", "eth0", "down"]);
    names(&home, "no-interface", true, "no network interface");
    run(lab, 0, "ip", &["link", "set", "eth0", "up"]);
    names(&home, "nobody-answers", false, "nobody else");
}

/// Lines for nft; whether it took them.
fn nft(lab: &Lab, line: &str) -> Result<(), String> {
    let ran = lab.host(0).command("nft").args(line.split(' ')).output().map_err(|error| error.to_string())?;
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&ran.stderr).into_owned()) }
}

#[test]
fn the_doctor_tells_a_firewall_from_a_network_without_echo() {
    let Some(place) = Place::new(2, 16) else { return };
    let (lab, home) = (&place.lab, place.home(0, "anna"));
    let made = nft(lab, "add table inet t")
        .and_then(|()| nft(lab, "add chain inet t in { type filter hook input priority 0 ; }"));
    if let Err(why) = made {
        return println!("skipped: nft makes no firewall here: {why}");
    }
    nft(lab, "add rule inet t in udp dport 5353 drop").unwrap();
    names(&home, "firewall", true, "drops UDP port 5353 on eth0");
    nft(lab, "flush chain inet t in").unwrap();
    nft(lab, "add rule inet t in ip daddr 224.0.0.251 drop").unwrap();
    names(&home, "no-echo", true, "eth0 does not come back");
}

/// Others speak mDNS, and no node is among them; then one is, and nothing is left to find.
#[test]
fn the_doctor_tells_nodes_from_others_who_speak_mdns() {
    let Some(place) = Place::new(2, 17) else { return };
    let (lab, home) = (&place.lab, place.home(0, "anna"));
    let (told, is_told) = mpsc::sync_channel(1);
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    let silent = AtomicBool::new(false);
    thread::scope(|scope| {
        // A printer, say: it answers for a service that is none of ours, over and over.
        let printer = scope.spawn(|| {
            lab.host(1).inside(|| {
                let socket = UdpSocket::bind((lab.host(1).address(), 0)).unwrap();
                let answer = b"\0\0\x84\0\0\0\0\x01\0\0\0\0\x04_ipp\x04_tcp\x05local\0\0\x0c\0\x01\0\0\0\x78\0\x02\xc0\x0c";
                let begun = Instant::now();
                while !silent.load(Ordering::Relaxed) && begun.elapsed() < LIMIT {
                    // The network may be busy.
                    let _lost = socket.send_to(answer, ("224.0.0.251", MDNS_PORT));
                    thread::sleep(Duration::from_millis(50));
                }
            });
        });
        names(&home, "no-nodes", false, "one other machine");
        silent.store(true, Ordering::Relaxed);
        printer.join().unwrap();
        scope.spawn(move || {
            on(lab, 1, || async move {
                let b = mesh(2).await;
                told.send(()).unwrap();
                drop(is_over.await);
                b.close().await;
            });
        });
        is_told.recv_timeout(LIMIT).unwrap();
        let well = wait::until("the node to be heard", LIMIT, || {
            let said = ask(&home);
            codes(&said).is_empty().then_some(said)
        });
        assert_eq!((&well["nodes"], &well["others"]), (&json!(1), &json!(1)), "{well}");
        // The library says the same.
        let found = on(lab, 0, || async { doctor(&Mdns::default()).await });
        assert_eq!((found.findings.len(), found.nodes), (0, 1), "{found:?}");
        over.send(()).unwrap();
    });
}
