//! Each cause from what it looks like, and a run on this machine.

use std::{
    collections::BTreeSet,
    io,
    net::UdpSocket,
    time::{Duration, Instant},
};

use super::*;

fn interface(name: &str, echo: Option<bool>) -> InterfaceSeen {
    InterfaceSeen {
        name: name.to_owned(),
        ipv4: vec![Ipv4Addr::new(10, 0, 0, 1)],
        ipv6: Vec::new(),
        up: true,
        multicast: true,
        loopback: name == "lo",
        echo,
    }
}

fn codes(interfaces: Vec<InterfaceSeen>, heard: &Heard) -> Vec<&'static str> {
    conclude(interfaces, heard, 5353, false).findings.iter().map(Finding::code).collect()
}

#[test]
fn every_cause_is_told_by_its_signs() {
    let none = Heard::default();
    let lo = || interface("lo", None);
    assert_eq!(codes(vec![lo()], &none), ["no-interface"]);
    let bare = InterfaceSeen { ipv4: Vec::new(), ..interface("eth0", None) };
    assert_eq!(codes(vec![lo(), bare], &none), ["no-interface"]);
    let down = InterfaceSeen { up: false, ..interface("eth0", None) };
    assert_eq!(codes(vec![down], &none), ["no-interface"]);
    let tunnel = InterfaceSeen { multicast: false, ..interface("wg0", None) };
    assert_eq!(codes(vec![lo(), tunnel.clone()], &none), ["no-multicast"]);
    // A VPN beside a network that works is nobody's fault.
    assert_eq!(codes(vec![tunnel, interface("eth0", Some(true))], &none), ["nobody-answers"]);
    let held = Heard { refused: Some(io::ErrorKind::AddrInUse.into()), ..Heard::default() };
    assert_eq!(codes(vec![interface("eth0", None)], &held), ["port-held"]);
    let refused = Heard { refused: Some(io::ErrorKind::PermissionDenied.into()), ..Heard::default() };
    assert_eq!(codes(vec![interface("eth0", None)], &refused), ["port-refused"]);
    assert_eq!(codes(vec![interface("eth0", Some(false))], &none), ["no-echo"]);
    let elsewhere = Heard { elsewhere: BTreeSet::from(["eth0".to_owned()]), ..Heard::default() };
    assert_eq!(codes(vec![interface("eth0", Some(false))], &elsewhere), ["firewall"]);
    let two = vec![interface("eth0", Some(false)), interface("wlan0", Some(false))];
    assert_eq!(codes(two, &elsewhere), ["firewall", "no-echo"]);
    let others = Heard { others: BTreeSet::from([[10, 0, 0, 9].into()]), ..Heard::default() };
    assert_eq!(codes(vec![interface("eth0", Some(true))], &others), ["no-nodes"]);
    let nodes = Heard { nodes: BTreeSet::from([[10, 0, 0, 9].into()]), ..Heard::default() };
    assert!(codes(vec![interface("eth0", Some(true))], &nodes).is_empty());
}

#[test]
fn every_finding_says_what_it_is_and_what_to_do() {
    let names = || vec!["eth0".to_owned()];
    let all = [
        Finding::NoInterface,
        Finding::NoMulticast { interfaces: names() },
        Finding::PortHeld { port: 5353 },
        Finding::PortRefused { port: 5353, cause: "no".to_owned() },
        Finding::NoEcho { interfaces: names() },
        Finding::Firewall { port: 5353, interfaces: names() },
        Finding::NobodyAnswers,
        Finding::MdnsOff,
        Finding::NoNodes { others: 3 },
    ];
    let codes: BTreeSet<_> = all.iter().map(Finding::code).collect();
    assert_eq!(codes.len(), all.len());
    assert!(all.iter().all(|f| !f.what().is_empty() && f.todo().len() > 20));
    assert_eq!(all.iter().filter(|f| f.is_certain()).count(), 7);
}

#[tokio::test]
async fn a_port_that_is_held_is_named_and_a_free_one_hears_itself() {
    let held = UdpSocket::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let mdns = Mdns { port, loopback: true, ..Mdns::default() };
    let found = doctor(&mdns).await;
    assert_eq!(found.findings, [Finding::PortHeld { port }]);
    drop(held);
    let begun = Instant::now();
    let found = doctor(&mdns).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    if found.interfaces.iter().any(|i| i.loopback && i.echo == Some(true)) {
        assert_eq!(found.findings, [Finding::NobodyAnswers], "{:?}", found.interfaces);
    } else {
        println!("skipped: multicast does not work on this machine's loopback interface: {found:?}");
        assert!(!found.findings.is_empty());
    }
}
