//! Echo over raw iroh, raw quinn and TCP: the same request without any of ours, in processes of its own.
//!
//! A server prints where it is (one line) and echoes until its standard input ends, so that it never outlives
//! whoever started it. A client binds, connects, and sends [`ECHO_BYTES`] at a time: over QUIC each on a bi stream
//! of its own, as our requests are; over TCP all on one connection.

mod bulk;
mod endpoint;
mod iroh;
pub mod lan;
mod quinn;
mod tcp;

use std::{
    future::Future,
    str::FromStr,
    time::{Duration, Instant},
};

use crate::limits::ECHO_BYTES;

/// What carries the echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// A TCP connection without Nagle's algorithm.
    Tcp,
    /// quinn with its default configuration.
    Quinn,
    /// iroh, loopback only, no relay, no lookup.
    Iroh,
}

impl Carrier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::Quinn, Self::Iroh];

    /// Its name on a command line and in a table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Quinn => "quinn",
            Self::Iroh => "iroh",
        }
    }
}

impl FromStr for Carrier {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|carrier| carrier.name() == name);
        found.ok_or_else(|| format!("{name:?} is none of tcp, quinn, iroh"))
    }
}

/// Serves until standard input ends.
///
/// # Panics
/// When it cannot listen.
pub fn serve(carrier: Carrier) {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime").block_on(async {
        tokio::select! {
            () = serve_until_dropped(carrier, |at| println!("{at}")) => {}
            () = input_ends() => {}
        }
    });
    // A read of standard input may still block a thread, which dropping the runtime would wait for.
    std::process::exit(0);
}

/// Takes streams of bytes over iroh until standard input ends.
///
/// # Panics
/// When it cannot listen.
pub fn serve_bulk() {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime").block_on(async {
        tokio::select! {
            () = bulk::serve(|at| println!("{at}")) => {}
            () = input_ends() => {}
        }
    });
    std::process::exit(0);
}

/// Sends so many bytes in one stream over iroh to where such a server said it is: the time it took, connecting left out.
///
/// # Panics
/// When anything fails.
#[must_use]
pub fn send_bulk(at: &str, bytes: u64) -> Duration {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().expect("a runtime").block_on(bulk::send(at, bytes))
}

/// Binds, connects to where a server said it is, and echoes `count` times: the time of each round trip.
///
/// # Panics
/// When anything fails.
#[must_use]
pub fn ping(carrier: Carrier, at: &str, count: u32) -> Vec<Duration> {
    // As our command line does: one thread is enough for one request at a time, and the fastest.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().expect("a runtime").block_on(pinged(carrier, at, count))
}

async fn serve_until_dropped(carrier: Carrier, announce: impl FnOnce(String)) {
    match carrier {
        Carrier::Tcp => tcp::serve(announce).await,
        Carrier::Quinn => quinn::serve(announce).await,
        Carrier::Iroh => iroh::serve(announce).await,
    }
}

async fn pinged(carrier: Carrier, at: &str, count: u32) -> Vec<Duration> {
    match carrier {
        Carrier::Tcp => tcp::ping(at, count).await,
        Carrier::Quinn => quinn::ping(at, count).await,
        Carrier::Iroh => iroh::ping(at, count).await,
    }
}

async fn input_ends() {
    let mut sink = tokio::io::sink();
    let _ended = tokio::io::copy(&mut tokio::io::stdin(), &mut sink).await;
}

/// Times `count` round trips.
async fn timed<F: Future<Output = ()>>(count: u32, mut echo: impl FnMut() -> F) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..count {
        let start = Instant::now();
        echo().await;
        times.push(start.elapsed());
    }
    times
}

/// What is sent and must come back.
const PAYLOAD: [u8; ECHO_BYTES] = [0x5a; ECHO_BYTES];

#[cfg(test)]
mod tests;
