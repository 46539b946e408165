//! Making room: while somebody waits for answers on the same connection, blocks leave at a pace that keeps the queues on
//! the way short.
//!
//! Priorities order what leaves this machine; what waits in a router on the way they cannot order. So the round trip is
//! watched, as LEDBAT does (RFC 6817): when it grows beyond what it was at its shortest, less is sent. The pace at which that
//! was is remembered: it is come near to fast and passed slowly, for what is sent too much before it shows is what others
//! wait behind.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use clankers_mesh::Connection;
use tokio::time::sleep;

use crate::limits::{
    PACE_BASE, PACE_FIRST, PACE_LATE, PACE_LEAST, PACE_LOOK, PACE_MOST, PACE_PIECE_BYTES,
    PACE_PIECE_LEAST_BYTES, PACE_QUEUE, PACE_SLICE, SHARED_FOR,
};

/// The pace of one transfer on one connection.
#[derive(Debug)]
pub(crate) struct Pace {
    connection: Connection,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// The shortest round trip of late.
    base: Duration,
    /// The shortest since then: after a while it becomes the base, since another way may be longer for good.
    fresh: Duration,
    renewed: Instant,
    /// Bytes in a second.
    rate: f64,
    /// The rate at which the queue grew last; none before it did, or when it is long passed.
    knee: Option<f64>,
    /// When the next piece may leave.
    next: Instant,
    looked: Instant,
    /// Bytes since the last look.
    since: usize,
}

impl Pace {
    pub(crate) fn new(connection: Connection) -> Self {
        let now = Instant::now();
        let state = State::new(connection.rtt(), now);
        Self { connection, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether blocks leave at a pace now.
    pub(crate) fn is_shared(&self) -> bool {
        self.connection.is_shared(SHARED_FOR)
    }

    /// What of a chunk may leave now, after its turn has come: all of it while nobody waits for anything else.
    pub(crate) async fn turn(&self, chunk: &mut Bytes) -> Bytes {
        let shared = self.is_shared();
        let piece =
            if shared { chunk.split_to(chunk.len().min(self.lock().piece())) } else { std::mem::take(chunk) };
        let wait = self.lock().take(piece.len(), self.connection.rtt(), shared, Instant::now());
        if !wait.is_zero() {
            sleep(wait).await;
        }
        piece
    }
}

impl State {
    fn new(base: Duration, now: Instant) -> Self {
        Self {
            base,
            fresh: base,
            renewed: now,
            rate: PACE_FIRST,
            knee: None,
            next: now,
            looked: now,
            since: 0,
        }
    }

    /// Bytes that leave at a time: on a slow link a large piece is a queue by itself.
    fn piece(&self) -> usize {
        // A nanosecond for each byte: the way to a whole number that cannot go wrong.
        let bytes = Duration::from_secs_f64(self.rate * PACE_SLICE.as_secs_f64() / 1e9).as_nanos();
        usize::try_from(bytes).unwrap_or(usize::MAX).clamp(PACE_PIECE_LEAST_BYTES, PACE_PIECE_BYTES)
    }

    /// How long a piece has to wait.
    fn take(&mut self, bytes: usize, rtt: Duration, shared: bool, now: Instant) -> Duration {
        self.measure(rtt, now);
        let elapsed = now.duration_since(self.looked);
        if elapsed >= rtt.max(PACE_LOOK) {
            let moved = count(self.since) / elapsed.as_secs_f64();
            self.look(moved, rtt.saturating_sub(self.base), shared);
            (self.looked, self.since) = (now, 0);
        }
        self.since += bytes;
        if !shared {
            self.next = now;
            return Duration::ZERO;
        }
        // What late timers lost is made up for, a little at the most.
        let turn = self.next.max(now.checked_sub(PACE_LATE).unwrap_or(now));
        self.next = turn + Duration::from_secs_f64(count(bytes) / self.rate);
        turn.saturating_duration_since(now)
    }

    fn measure(&mut self, rtt: Duration, now: Instant) {
        let least = |known: Duration| if known.is_zero() { rtt } else { known.min(rtt) };
        (self.base, self.fresh) = (least(self.base), least(self.fresh));
        if now.duration_since(self.renewed) >= PACE_BASE {
            (self.base, self.fresh, self.renewed) = (self.fresh, rtt, now);
        }
    }

    /// Sets the pace by what has left in a second lately, and by the queue that it met.
    fn look(&mut self, moved: f64, queue: Duration, shared: bool) {
        let reached = self.rate.min(moved);
        // Before anything is known the first sign counts.
        let enough = if self.knee.is_some() { PACE_QUEUE } else { PACE_QUEUE / 3 };
        self.rate = if !shared {
            // What it came to by itself is where it begins.
            self.knee = None;
            moved
        } else if queue > PACE_QUEUE * 3 {
            self.knee = Some(reached * 0.9);
            reached * 0.6
        } else if queue > enough {
            self.knee = Some(reached);
            reached * 0.85
        } else {
            self.knee = self.knee.filter(|knee| self.rate < knee * 1.5);
            let faster = match self.knee {
                None => 1.15,
                Some(knee) if self.rate < knee * 0.9 => 1.1,
                Some(_) => 1.02,
            };
            // Never far above what does leave, or it would be no bound at all when it is needed.
            self.rate.max((self.rate * faster).min(moved * 1.5))
        }
        .clamp(PACE_LEAST, PACE_MOST);
    }
}

fn count(bytes: usize) -> f64 {
    u32::try_from(bytes).map_or(f64::from(u32::MAX), f64::from)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Bytes in a second that the links carry.
    const LINKS: [f64; 4] = [1_250_000.0, 2_500_000.0, 12_500_000.0, 125_000_000.0];
    const SECONDS: u64 = 40;

    /// The queue at each hundredth of a second, and how much of what it could the link carried in the last ten seconds.
    struct Seen {
        queues: Vec<Duration>,
        used: f64,
    }

    /// A link with a queue, and a round trip of 20 ms that is `longer` from the tenth second on. What is known of it is a round trip old.
    fn seen(link: f64, shared: bool, longer: Duration) -> Seen {
        let start = Instant::now();
        let (trip, ms) = (Duration::from_millis(20), Duration::from_millis);
        let mut state = State::new(trip, start);
        let (mut now, mut empty, mut rtt) = (start, start, trip);
        let mut acks: VecDeque<(Instant, Duration)> = VecDeque::new();
        let (mut queues, mut carried) = (Vec::new(), 0.0);
        while now.duration_since(start) < Duration::from_secs(SECONDS) {
            while let Some((_, measured)) = acks.pop_front_if(|(at, _)| *at <= now) {
                rtt = measured;
            }
            let piece = if shared { state.piece() } else { PACE_PIECE_BYTES };
            let mut wait = state.take(piece, rtt, shared, now);
            if !wait.is_zero() {
                // A timer's precision.
                wait = ms(u64::try_from(wait.as_millis()).unwrap() + 1);
            }
            // Whoever is not paced is held up by the window: a queue of 200 ms.
            let window = empty.saturating_duration_since(now).saturating_sub(ms(200));
            let then = now + wait.max(window).max(Duration::from_micros(20));
            while queues.len() * 10 < usize::try_from(then.duration_since(start).as_millis()).unwrap() {
                queues.push(
                    empty.saturating_duration_since(start + ms(10) * u32::try_from(queues.len()).unwrap()),
                );
            }
            now = then;
            empty = empty.max(now) + Duration::from_secs_f64(count(piece) / link);
            let late = now.duration_since(start) > Duration::from_secs(10);
            let measured = trip + empty.duration_since(now) + if late { longer } else { Duration::ZERO };
            acks.push_back((now + measured, measured));
            if now.duration_since(start) > Duration::from_secs(SECONDS - 10) {
                carried += count(piece);
            }
        }
        Seen { queues, used: carried / link / 10.0 }
    }

    fn longest(queues: &[Duration], of_hundred: usize) -> Duration {
        let mut sorted = queues.to_vec();
        sorted.sort();
        sorted[(sorted.len() - 1) * of_hundred / 100]
    }

    #[test]
    fn the_queue_stays_short_while_somebody_waits() {
        for link in LINKS {
            let Seen { queues, used } = seen(link, true, Duration::ZERO);
            let (first, later) = queues.split_at(100);
            let (first, later) = (longest(first, 100), longest(later, 99));
            println!("{link}: {first:?} in the first second, then {later:?}, used {used:.2}");
            assert!(first < Duration::from_millis(100), "{link}: {first:?} in the first second");
            assert!(later < Duration::from_millis(40), "{link}: {later:?}");
            assert!(used > 0.75, "{link}: {used} of the link is used");
        }
    }

    #[test]
    fn a_way_that_becomes_longer_is_no_queue_for_ever() {
        for link in LINKS {
            let Seen { used, .. } = seen(link, true, Duration::from_millis(50));
            println!("{link}: used {used:.2}");
            assert!(used > 0.3, "{link}: {used} of the link is used");
        }
    }

    #[test]
    fn alone_nothing_waits() {
        for link in LINKS {
            let Seen { queues, used } = seen(link, false, Duration::ZERO);
            assert!(longest(&queues, 100) > Duration::from_millis(150));
            assert!(used > 0.95, "{link}: {used} of the link is used");
        }
    }
}
