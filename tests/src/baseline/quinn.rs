//! Echo over quinn, with its default configuration and a certificate of its own.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use quinn::{ClientConfig, Connection, Endpoint, ServerConfig};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

use super::{PAYLOAD, timed};

const LOOPBACK: &str = "127.0.0.1:0";

pub(super) async fn serve(announce: impl FnOnce(String)) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let cert = made.cert.der().clone();
    let config = ServerConfig::with_single_cert(vec![cert.clone()], key.into()).expect("a server");
    let endpoint = Endpoint::server(config, LOOPBACK.parse().expect("an address")).expect("a port");
    let hex = data_encoding::HEXLOWER.encode(&cert);
    announce(format!("{}#{hex}", endpoint.local_addr().expect("an address")));
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
    let (addr, hex) = at.split_once('#').expect("address#certificate");
    let addr: SocketAddr = addr.parse().expect("an address");
    let cert = data_encoding::HEXLOWER.decode(hex.as_bytes()).expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(cert)).expect("a certificate");
    let mut endpoint = Endpoint::client(LOOPBACK.parse().expect("an address")).expect("a port");
    endpoint
        .set_default_client_config(ClientConfig::with_root_certificates(Arc::new(roots)).expect("a client"));
    let connection = endpoint.connect(addr, "localhost").expect("a dial").await.expect("the server");
    let times = timed(count, || async {
        let (mut send, mut recv) = connection.open_bi().await.expect("a stream");
        send.write_all(&PAYLOAD).await.expect("sent");
        send.finish().expect("ended");
        assert_eq!(recv.read_to_end(PAYLOAD.len()).await.expect("echoed"), PAYLOAD);
    });
    let times = times.await;
    connection.close(0_u32.into(), b"");
    endpoint.wait_idle().await;
    times
}
