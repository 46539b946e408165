//! Echo over iroh as it comes: loopback only, no relay, no lookup.

use std::time::Duration;

use iroh::endpoint::Connection;

use super::{PAYLOAD, endpoint, timed};

const ALPN: &[u8] = b"clankers-baseline/1";

pub(super) async fn serve(announce: impl FnOnce(String)) {
    endpoint::serve(ALPN, announce, echo).await;
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
    let (endpoint, connection) = endpoint::connect(at, ALPN).await;
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
