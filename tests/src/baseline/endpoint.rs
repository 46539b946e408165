//! Endpoints of iroh as it comes: loopback only, no relay, no lookup.

use std::net::SocketAddr;

use iroh::{
    Endpoint, EndpointAddr, EndpointId, TransportAddr,
    endpoint::{Connection, presets},
};

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

/// Announces `id@address`, and does this with each connection.
pub(super) async fn serve<F: Future<Output = ()> + Send + 'static>(
    alpn: &[u8],
    announce: impl FnOnce(String),
    with: impl Fn(Connection) -> F + Copy + Send + 'static,
) {
    let endpoint = bind(vec![alpn.to_vec()]).await;
    let addr = endpoint.bound_sockets().into_iter().next().expect("a socket");
    announce(format!("{}@{addr}", endpoint.id()));
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(async move {
            if let Ok(connection) = incoming.await {
                with(connection).await;
            }
        });
    }
}

/// A connection to whoever announced that.
pub(super) async fn connect(at: &str, alpn: &[u8]) -> (Endpoint, Connection) {
    let (id, addr) = at.split_once('@').expect("id@address");
    let id: EndpointId = id.parse().expect("an id");
    let addr: SocketAddr = addr.parse().expect("an address");
    let endpoint = bind(Vec::new()).await;
    let to = EndpointAddr::from_parts(id, [TransportAddr::Ip(addr)]);
    let connection = endpoint.connect(to, alpn).await.expect("the server");
    (endpoint, connection)
}
