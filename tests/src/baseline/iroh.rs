//! Echo over iroh as it comes: loopback only, no relay, no lookup.

use std::{net::SocketAddr, time::Duration};

use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    endpoint::{Connection, presets},
};

use super::{PAYLOAD, timed};

const ALPN: &[u8] = b"clankers-baseline/1";

async fn bind(alpns: Vec<Vec<u8>>) -> Endpoint {
    Endpoint::builder(presets::Minimal)
        .alpns(alpns)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .expect("an address")
        .bind()
        .await
        .expect("an endpoint")
}

pub(super) async fn serve(announce: impl FnOnce(String)) {
    let endpoint = bind(vec![ALPN.to_vec()]).await;
    let addr = endpoint.bound_sockets().into_iter().next().expect("a socket");
    announce(format!("{}@{addr}", endpoint.id()));
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                echo(connection).await;
            }
        });
    }
}

async fn echo(connection: Connection) {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let mut buffer = [0; PAYLOAD.len()];
            if recv.read_exact(&mut buffer).await.is_ok() && send.write_all(&buffer).await.is_ok() {
                let _ended = send.finish();
            }
        });
    }
}

pub(super) async fn ping(at: &str, count: u32) -> Vec<Duration> {
    let (id, addr) = at.split_once('@').expect("id@address");
    let id: EndpointId = id.parse().expect("an id");
    let addr: SocketAddr = addr.parse().expect("an address");
    let endpoint = bind(Vec::new()).await;
    let to = EndpointAddr::from_parts(id, [TransportAddr::Ip(addr)]);
    let connection = endpoint.connect(to, ALPN).await.expect("the server");
    let times = timed(count, || async {
        let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
        send.write_all(&PAYLOAD).await.expect("sent");
        send.finish().expect("ended");
        assert_eq!(recv.read_to_end(PAYLOAD.len()).await.expect("echoed"), PAYLOAD);
    });
    let times = times.await;
    connection.close(0_u32.into(), b"");
    endpoint.close().await;
    times
}
