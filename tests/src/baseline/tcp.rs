//! Echo over TCP.

use std::time::{Duration, Instant};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::PAYLOAD;

pub(super) async fn serve(announce: impl FnOnce(String)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    announce(listener.local_addr().expect("an address").to_string());
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) {
    let mut buffer = [0; PAYLOAD.len()];
    if stream.set_nodelay(true).is_err() {
        return;
    }
    while stream.read_exact(&mut buffer).await.is_ok() && stream.write_all(&buffer).await.is_ok() {}
}

pub(super) async fn ping(at: &str, count: u32) -> Vec<Duration> {
    let mut stream = TcpStream::connect(at).await.expect("the server");
    stream.set_nodelay(true).expect("no delay");
    let mut buffer = [0; PAYLOAD.len()];
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        stream.write_all(&PAYLOAD).await.expect("sent");
        stream.read_exact(&mut buffer).await.expect("echoed");
        times.push(start.elapsed());
        assert_eq!(buffer, PAYLOAD);
    }
    times
}
