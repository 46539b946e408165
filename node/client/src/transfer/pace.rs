//! Making room: while somebody waits for answers on the same connection, blocks leave at a pace that keeps the queues on
//! the way short.
//!
//! Priorities order what leaves this machine; what waits in a router on the way they cannot order. So the round trip is
//! watched, as LEDBAT does (RFC 6817): when it grows beyond what it was at its shortest, less is sent.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clankers_mesh::Connection;
use tokio::time::sleep;

use crate::limits::{PACE_FIRST, PACE_LEAST, PACE_LOOK, PACE_MOST, PACE_PIECE_BYTES, PACE_QUEUE, SHARED_FOR};

/// The pace of one transfer on one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    connection: Connection,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The shortest round trip so far.
    base: Duration,
    /// Bytes in a second.
    rate: f64,
    /// When the next piece may leave.
    next: Instant,
    looked: Instant,
    /// Bytes since the last look.
    since: usize,
}

impl Pace {
    pub(crate) fn new(connection: Connection) -> Self {
        let now = Instant::now();
        let base = connection.rtt();
        let state = State { base, rate: PACE_FIRST, next: now, looked: now, since: 0 };
        Self { connection, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What of a chunk may leave now, after its turn has come: all of it while nobody waits for anything else.
    pub(crate) async fn turn(&self, chunk: &mut Bytes) -> Bytes {
        let shared = self.connection.is_shared(SHARED_FOR);
        let piece =
            if shared { chunk.split_to(chunk.len().min(PACE_PIECE_BYTES)) } else { std::mem::take(chunk) };
        let wait = self.lock().take(piece.len(), self.connection.rtt(), shared, Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        piece
    }
}

impl State {
    /// How long a piece has to wait.
    fn take(&mut self, bytes: usize, rtt: Duration, shared: bool, now: Instant) -> Duration {
        self.base = if self.base.is_zero() { rtt } else { self.base.min(rtt) };
        let elapsed = now.duration_since(self.looked);
        if elapsed >= rtt.max(PACE_LOOK) {
            let moved = count(self.since) / elapsed.as_secs_f64();
            let queue = rtt.saturating_sub(self.base);
            self.rate = match (shared, queue) {
                // What it came to by itself is where it begins.
                (false, _) => moved,
                (true, queue) if queue > PACE_QUEUE * 3 => self.rate.min(moved) * 0.6,
                (true, queue) if queue > PACE_QUEUE => self.rate * 0.85,
                (true, _) => self.rate * 1.1,
            }
            .clamp(PACE_LEAST, PACE_MOST);
            (self.looked, self.since) = (now, 0);
        }
        self.since += bytes;
        if !shared {
            self.next = now;
            return Duration::ZERO;
        }
        let turn = self.next.max(now);
        self.next = turn + Duration::from_secs_f64(count(bytes) / self.rate);
        turn.duration_since(now)
    }
}

fn count(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(20);
    const PIECE: usize = 32 * 1024;
    /// Bytes in a second that the link carries.
    const LINK: f64 = 12_500_000.0;

    /// A link with a queue: how long the queue is at each piece, over ten seconds.
    fn queues(shared: bool) -> Vec<Duration> {
        let start = Instant::now();
        let mut state = State { base: RTT, rate: PACE_FIRST, next: start, looked: start, since: 0 };
        let (mut now, mut empty) = (start, start);
        let mut seen = Vec::new();
        while now.duration_since(start) < Duration::from_secs(10) {
            let queue = empty.saturating_duration_since(now);
            seen.push(queue);
            let wait = state.take(PIECE, RTT + queue, shared, now);
            // Whoever is not paced is held up by the window: a queue of 200 ms.
            let window = queue.saturating_sub(Duration::from_millis(200));
            now += wait.max(window).max(Duration::from_micros(50));
            empty = empty.max(now) + Duration::from_secs_f64(count(PIECE) / LINK);
        }
        seen
    }

    #[test]
    fn the_queue_stays_short_while_somebody_waits() {
        let paced = queues(true);
        let late: Vec<&Duration> = paced.iter().skip(paced.len() / 4).collect();
        let long = late.iter().filter(|queue| ***queue > Duration::from_millis(60)).count();
        assert!(long * 100 < late.len(), "{long} of {} pieces met a long queue", late.len());
        assert!(count(paced.len() * PIECE) > 10.0 * LINK * 0.7, "the link is used: {} pieces", paced.len());
    }

    #[test]
    fn alone_nothing_waits() {
        let alone = queues(false);
        assert!(alone.iter().any(|queue| *queue > Duration::from_millis(150)));
        assert!(count(alone.len() * PIECE) > 10.0 * LINK * 0.95);
    }
}
