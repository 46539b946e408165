//! The doctor names what is wrong with a network, on hosts where exactly that is wrong.

use std::{net::UdpSocket, sync::mpsc, thread};

use clankers_lab::Lab;
use clankers_mesh::{Diagnosis, Finding, MDNS_PORT, Mdns, doctor};

use super::{LIMIT, mesh, on, run};

fn ask(lab: &Lab) -> Diagnosis {
    on(lab, 0, || async { doctor(&Mdns::default()).await })
}

fn codes(found: &Diagnosis) -> Vec<&'static str> {
    found.findings.iter().map(Finding::code).collect()
}

#[test]
fn the_doctor_names_what_keeps_nodes_from_being_found() {
    let Some(lab) = Lab::builder().hosts(2).seed(6).start() else { return };
    // Nothing is wrong here, but nobody is there.
    assert_eq!(codes(&ask(&lab)), ["nobody-answers"]);
    // A program that does not share the port.
    let held = lab.host(0).inside(|| UdpSocket::bind(("0.0.0.0", MDNS_PORT)).unwrap());
    assert_eq!(ask(&lab).findings, [Finding::PortHeld { port: MDNS_PORT }]);
    drop(held);
    // A network that carries no multicast.
    run(&lab, 0, "ip", &["link", "set", "eth0", "multicast", "off"]);
    assert_eq!(ask(&lab).findings, [Finding::NoMulticast { interfaces: vec!["eth0".to_owned()] }]);
    run(&lab, 0, "ip", &["link", "set", "eth0", "multicast", "on"]);
    run(&lab, 0, "ip", &["link", "set", "eth0", "down"]);
    assert_eq!(codes(&ask(&lab)), ["no-interface"]);
    run(&lab, 0, "ip", &["link", "set", "eth0", "up"]);
    // With a node beside it, nothing is left to find.
    let (told, is_told) = mpsc::sync_channel(1);
    let (over, is_over) = tokio::sync::oneshot::channel::<()>();
    thread::scope(|scope| {
        let lab = &lab;
        scope.spawn(move || {
            on(lab, 1, || async move {
                let b = mesh(2).await;
                told.send(()).unwrap();
                drop(is_over.await);
                b.close().await;
            });
        });
        is_told.recv_timeout(LIMIT).unwrap();
        let well = ask(lab);
        over.send(()).unwrap();
        assert_eq!((codes(&well), well.nodes), (Vec::new(), 1), "{well:?}");
    });
}
