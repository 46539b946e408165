//! One stream of bytes over iroh as it comes, from memory to memory: what a transfer could cost at best.

use std::time::{Duration, Instant};

use bytes::Bytes;
use iroh::endpoint::Connection;

use super::endpoint;
use crate::limits::BULK_WRITE_BYTES;

const ALPN: &[u8] = b"clankers-baseline-bulk/1";

/// Takes streams and answers each, when it ends, with the number of its bytes.
pub(super) async fn serve(announce: impl FnOnce(String)) {
    endpoint::serve(ALPN, announce, swallow).await;
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
    let (endpoint, connection) = endpoint::connect(at, ALPN).await;
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
