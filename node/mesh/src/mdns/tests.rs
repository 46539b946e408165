//! The subscription's end; what goes over the wire is tested in the crate's `tests/`.

use std::net::UdpSocket;

use super::*;
use tokio::time::timeout;

use crate::limits::CLOSE_MS;

fn own(seed: u8) -> OwnRecord {
    let id = NodeId([seed; 32]);
    OwnRecord { id, ports: vec![SocketAddr::from(([127, 0, 0, 1], 4000))], label: None }
}

fn service(port: u16, seed: u8) -> (MdnsService, Discovery) {
    let discovery = Discovery::new(NodeId([seed; 32]));
    let config = Mdns { port, loopback: true, ..Mdns::default() };
    (MdnsService::start(&config, &own(seed), Some(discovery.clone())).unwrap(), discovery)
}

#[tokio::test]
async fn a_closed_subscription_is_noticed_and_opened_again() {
    let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let (a, heard) = service(port, 1);
    let (b, _) = service(port, 2);
    let limit = Duration::from_secs(20);
    if heard.wait_for(NodeId([2; 32]), Duration::from_secs(3)).await.is_none() {
        println!("skipped: mDNS does not work on this machine's loopback interface");
        return;
    }
    // The same end as that of a subscription that fell behind: the channel is gone.
    a.slot.daemon().stop_browse(SERVICE).unwrap();
    let (c, _) = service(port, 3);
    assert!(heard.wait_for(NodeId([3; 32]), limit).await.is_some(), "nothing is heard any more");
    assert!(heard.resolve(&NodeId([2; 32]).to_string()).is_ok(), "what was known stays known");
    for service in [a, b, c] {
        timeout(Duration::from_millis(CLOSE_MS), service.stop()).await.expect("stops in time");
    }
}

/// Its records are those that listeners keep for a second after the goodbye.
#[tokio::test]
async fn who_is_back_at_once_is_found_again() {
    let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
    let ((a, heard), limit) = (service(port, 1), Duration::from_secs(20));
    let (b, _) = service(port, 2);
    if heard.wait_for(NodeId([2; 32]), Duration::from_secs(3)).await.is_none() {
        println!("skipped: mDNS does not work on this machine's loopback interface");
        return;
    }
    let mut news = heard.subscribe();
    b.stop().await;
    let gone = async {
        while heard.resolve(&NodeId([2; 32]).to_string()).is_ok() {
            news.next().await.expect("it goes on");
        }
    };
    timeout(limit, gone).await.expect("its goodbye is heard");
    let (again, _) = service(port, 2);
    assert!(heard.wait_for(NodeId([2; 32]), limit).await.is_some(), "nobody hears that it is back");
    for service in [a, again] {
        timeout(Duration::from_millis(CLOSE_MS), service.stop()).await.expect("stops in time");
    }
}

#[tokio::test]
async fn port_zero_is_refused() {
    let config = Mdns { port: 0, ..Mdns::default() };
    assert!(MdnsService::start(&config, &own(1), None).is_err());
}
