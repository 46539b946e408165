//! One direction between two hosts, as a machine: frames and the time in, frames and their due times out.
//!
//! No clock, no socket, no thread. A frame passes, in this order: the cut (blackhole), loss, corruption and
//! duplication, the bounded queue, the token bucket, then delay with jitter or a hold. Everything random is drawn when
//! the frame is offered, and as much for each frame: the thousandth frame's numbers depend on the seed alone, not on
//! when it comes, nor on what was set for the others. Only the state of bursty loss is carried from frame to frame.

mod bucket;
mod setting;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use rand_pcg::{
    Pcg64,
    rand_core::{Rng, SeedableRng},
};

use crate::limits::LINK_BYTES;
use bucket::Bucket;
pub use setting::{Chance, Loss, Rate, Reorder, Setting};

/// Bytes of the Ethernet header: never corrupted, so that a frame still finds its host.
const HEADER: usize = 14;

/// Why a frame was not carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The link is cut.
    Cut,
    /// By chance, as set.
    Chance,
    /// The queue before the token bucket is full.
    Queue,
    /// The link holds `LINK_BYTES` already: the lab's own limit, not a setting.
    Full,
}

/// What was decided about a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It will not arrive.
    Lost(Lost),
    /// It will arrive.
    Carried {
        /// Twice.
        twice: bool,
        /// With one bit flipped.
        corrupted: bool,
        /// Held back, so that later ones overtake it.
        held: bool,
    },
}

/// What happened on a link so far. `offered + doubled = delivered + lost + under way`, always.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that came to the link.
    pub offered: u64,
    /// Second copies made.
    pub doubled: u64,
    /// Frames handed out, copies included.
    pub delivered: u64,
    /// Bytes handed out, Ethernet headers included.
    pub delivered_bytes: u64,
    /// Lost in a cut.
    pub lost_cut: u64,
    /// Lost by chance.
    pub lost_chance: u64,
    /// Lost at the tail of the queue, copies included.
    pub lost_queue: u64,
    /// Lost at the lab's own limit, copies included.
    pub lost_full: u64,
    /// Frames with a flipped bit.
    pub corrupted: u64,
    /// Frames held back.
    pub held: u64,
}

impl Counts {
    /// All that were lost, whatever the reason.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost_cut + self.lost_chance + self.lost_queue + self.lost_full
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.offered += other.offered;
        self.doubled += other.doubled;
        self.delivered += other.delivered;
        self.delivered_bytes += other.delivered_bytes;
        self.lost_cut += other.lost_cut;
        self.lost_chance += other.lost_chance;
        self.lost_queue += other.lost_queue;
        self.lost_full += other.lost_full;
        self.corrupted += other.corrupted;
        self.held += other.held;
    }
}

/// Until when nothing passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    No,
    Until(Duration),
    Forever,
}

#[derive(Debug)]
struct Waiting {
    since: Duration,
    frame: Bytes,
    /// Where in the jitter's range, 0 to `u32::MAX`.
    jitter: u32,
    held: bool,
}

/// One direction between two hosts.
#[derive(Debug)]
pub struct Link {
    dice: Dice,
    setting: Setting,
    cut: Cut,
    /// The bad state of bursty loss.
    burst: bool,
    bucket: Bucket,
    queue: VecDeque<Waiting>,
    queue_bytes: usize,
    /// When the last frame left the queue.
    departed: Duration,
    /// When the last frame that was not held back arrives: later ones are not earlier.
    arrived: Duration,
    /// Frames under way by due time and number.
    flight: BTreeMap<(Duration, u64), Bytes>,
    flight_bytes: usize,
    sent: u64,
    counts: Counts,
}

impl Link {
    /// A perfect link: no delay, nothing lost. The seed decides what chance does.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed),
            setting: Setting::default(),
            cut: Cut::No,
            burst: false,
            bucket: Bucket::default(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            departed: Duration::ZERO,
            arrived: Duration::ZERO,
            flight: BTreeMap::new(),
            flight_bytes: 0,
            sent: 0,
            counts: Counts::default(),
        }
    }

    /// What is set.
    #[must_use]
    pub fn setting(&self) -> &Setting {
        &self.setting
    }

    /// Changes the link from now on. What waits in the queue leaves it by the new rate and delay; what is in flight
    /// arrives as it was sent, and nothing overtakes it unless reordering is set.
    pub fn set(&mut self, now: Duration, setting: Setting) {
        self.advance(now);
        self.bucket.set(now, setting.rate);
        self.setting = setting;
    }

    /// Nothing more enters the link for this long (`None`: until [`Link::heal`]). What is in flight arrives.
    pub fn cut(&mut self, now: Duration, time: Option<Duration>) {
        self.cut = time.map_or(Cut::Forever, |time| Cut::Until(now.saturating_add(time)));
    }

    /// Ends a cut.
    pub fn heal(&mut self) {
        self.cut = Cut::No;
    }

    /// Whether nothing enters the link now.
    #[must_use]
    pub fn is_cut(&self, now: Duration) -> bool {
        match self.cut {
            Cut::No => false,
            Cut::Until(end) => now < end,
            Cut::Forever => true,
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Frames that wait or are in flight.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.queue.len() + self.flight.len()
    }

    /// Bytes that wait in the queue.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Decides about a frame and takes it in. `now` does not run backwards.
    pub fn offer(&mut self, now: Duration, frame: Bytes) -> Fate {
        self.advance(now);
        self.counts.offered += 1;
        let dice = &mut self.dice;
        // Drawn always and in this order, whatever is set.
        let (turn, loss, double, corrupt, hold, jitter, which) =
            (dice.roll(), dice.roll(), dice.roll(), dice.roll(), dice.roll(), dice.roll(), dice.wide());
        let lost = self.setting.loss.decide(&mut self.burst, turn, loss);
        if self.is_cut(now) {
            self.counts.lost_cut += 1;
            return Fate::Lost(Lost::Cut);
        }
        if lost {
            self.counts.lost_chance += 1;
            return Fate::Lost(Lost::Chance);
        }
        let twice = self.setting.duplicate.hits(double);
        let held = self.setting.reorder.chance.hits(hold);
        let flip = self.setting.corrupt.hits(corrupt) && frame.len() > HEADER;
        let frame = if flip { flipped(&frame, which) } else { frame };
        if let Err(lost) = self.enqueue(now, frame.clone(), jitter, held) {
            return Fate::Lost(lost);
        }
        self.counts.corrupted += u64::from(flip);
        self.counts.held += u64::from(held);
        let twice = twice && {
            self.counts.doubled += 1;
            self.enqueue(now, frame, jitter, held).is_ok()
        };
        self.advance(now);
        Fate::Carried { twice, corrupted: flip, held }
    }

    /// The next frame that is due by `now`, with the time at which it was due.
    pub fn due(&mut self, now: Duration) -> Option<(Duration, Bytes)> {
        self.advance(now);
        let entry = self.flight.first_entry().filter(|entry| entry.key().0 <= now)?;
        let ((at, _), frame) = entry.remove_entry();
        self.flight_bytes -= frame.len();
        self.counts.delivered += 1;
        self.counts.delivered_bytes += frame.len() as u64;
        Some((at, frame))
    }

    /// When there is something to do next.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        let arrival = self.flight.first_key_value().map(|((at, _), _)| *at);
        let departure = self.queue.front().map(|waiting| self.departure(waiting));
        arrival.into_iter().chain(departure).min()
    }

    fn enqueue(&mut self, now: Duration, frame: Bytes, jitter: u32, held: bool) -> Result<(), Lost> {
        let size = frame.len();
        if self.queue_bytes + self.flight_bytes + size > LINK_BYTES {
            self.counts.lost_full += 1;
            return Err(Lost::Full);
        }
        // One frame always fits, however small the queue: else a link could carry nothing at all.
        if !self.queue.is_empty() && self.queue_bytes + size > self.setting.queue {
            self.counts.lost_queue += 1;
            return Err(Lost::Queue);
        }
        self.queue_bytes += size;
        self.queue.push_back(Waiting { since: now, frame, jitter, held });
        Ok(())
    }

    fn departure(&self, waiting: &Waiting) -> Duration {
        self.bucket.ready(waiting.frame.len()).max(waiting.since).max(self.departed)
    }

    /// Moves what may leave the queue by `now` into flight.
    fn advance(&mut self, now: Duration) {
        while let Some(waiting) = self.queue.front() {
            let at = self.departure(waiting);
            if at > now {
                return;
            }
            let Some(waiting) = self.queue.pop_front() else { return };
            self.queue_bytes -= waiting.frame.len();
            self.flight_bytes += waiting.frame.len();
            self.bucket.take(at, waiting.frame.len());
            self.departed = at;
            let delay = self.setting.delay_of(waiting.jitter);
            let due = if waiting.held {
                at + delay + self.setting.reorder.by
            } else {
                self.arrived = self.arrived.max(at + delay);
                self.arrived
            };
            self.flight.insert((due, self.sent), waiting.frame);
            self.sent += 1;
        }
    }
}

/// The frame with one bit flipped behind the Ethernet header.
fn flipped(frame: &Bytes, which: u64) -> Bytes {
    let bits = (frame.len() - HEADER) as u64 * 8;
    let bit = usize::try_from(which % bits).unwrap_or(0);
    let mut copy = frame.to_vec();
    copy[HEADER + bit / 8] ^= 1 << (bit % 8);
    copy.into()
}

/// Seven random numbers a frame, whatever is set: so the thousandth frame's are the same in every run.
#[derive(Debug)]
struct Dice(Pcg64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(Pcg64::seed_from_u64(seed))
    }

    fn wide(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn roll(&mut self) -> u32 {
        (self.0.next_u64() >> 32) as u32
    }
}
