//! One stream of bytes over iroh as it comes, from memory to memory: what a transfer could cost at best.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    endpoint::{Connection, presets},
};

use crate::limits::BULK_WRITE_BYTES;

const ALPN: &[u8] = b"clankers-baseline-bulk/1";

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

/// Takes streams and answers each, when it ends, with the number of its bytes.
pub(super) async fn serve(announce: impl FnOnce(String)) {
    let endpoint = bind(vec![ALPN.to_vec()]).await;
    let addr = endpoint.bound_sockets().into_iter().next().expect("a socket");
    announce(format!("{}@{addr}", endpoint.id()));
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                swallow(connection).await;
            }
        });
    }
}

async fn swallow(connection: Connection) {
    while let Ok((mut send, mut recv)) = connection.accept_bi().await {
        tokio::spawn(async move {
            let mut count = 0_u64;
            while let Ok(Some(chunk)) = recv.read_chunk(usize::MAX).await {
                count += u64::try_from(chunk.len()).unwrap_or(0);
            }
            if send.write_all(&count.to_le_bytes()).await.is_ok() {
                let _ended = send.finish();
            }
        });
    }
}

/// Sends so many bytes in one stream: the time from the opened connection to the other side's answer.
pub(super) async fn send(at: &str, bytes: u64) -> Duration {
    let (id, addr) = at.split_once('@').expect("id@address");
    let id: EndpointId = id.parse().expect("an id");
    let addr: SocketAddr = addr.parse().expect("an address");
    let endpoint = bind(Vec::new()).await;
    let to = EndpointAddr::from_parts(id, [TransportAddr::Ip(addr)]);
    let connection = endpoint.connect(to, ALPN).await.expect("the server");
    let began = Instant::now();
    let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
    let block = Bytes::from(vec![0x5a; BULK_WRITE_BYTES]);
    let mut left = bytes;
    while left > 0 {
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        send.write_chunk(block.slice(..len)).await.expect("sent");
        left -= u64::try_from(len).unwrap_or(left);
    }
    send.finish().expect("ended");
    let answer = recv.read_to_end(8).await.expect("answered");
    let took = began.elapsed();
    assert_eq!(answer, bytes.to_le_bytes(), "the other side got another number of bytes");
    connection.close(0_u32.into(), b"");
    endpoint.close().await;
    took
}
