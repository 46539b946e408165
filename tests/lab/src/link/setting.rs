//! What can be set on a link.

use std::{fmt, time::Duration};

use crate::limits::QUEUE_BYTES;

/// A probability in parts of a million.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// Never.
    pub const NEVER: Self = Self(0);
    /// Always.
    pub const ALWAYS: Self = Self(1_000_000);

    /// Parts of a million; more than a million is always.
    #[must_use]
    pub const fn ppm(parts: u32) -> Self {
        if parts > 1_000_000 { Self::ALWAYS } else { Self(parts) }
    }

    /// Percent, whole.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        if percent > 100 { Self::ALWAYS } else { Self(percent * 10_000) }
    }

    /// Parts of a million.
    #[must_use]
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// Whether a roll of 32 random bits hits.
    pub(super) fn hits(self, roll: u32) -> bool {
        (u64::from(roll) * 1_000_000) >> 32 < u64::from(self.0)
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

/// Bits a second, Ethernet headers included. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// At least one bit a second.
    #[must_use]
    pub const fn bits(per_second: u64) -> Self {
        Self(if per_second == 0 { 1 } else { per_second })
    }

    /// Megabits (10⁶) a second.
    #[must_use]
    pub const fn mbit(per_second: u64) -> Self {
        Self::bits(per_second.saturating_mul(1_000_000))
    }

    /// Bits a second.
    #[must_use]
    pub const fn per_second(self) -> u64 {
        self.0
    }

    /// How long this many bytes take, rounded up.
    pub(super) fn time_of(self, bytes: u64) -> Duration {
        let nanos = (u128::from(bytes) * 8 * 1_000_000_000).div_ceil(u128::from(self.0));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many bytes pass in this time, rounded up.
    pub(super) fn bytes_in(self, time: Duration) -> u64 {
        let bytes = (time.as_nanos() * u128::from(self.0)).div_ceil(8 * 1_000_000_000);
        u64::try_from(bytes).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bits if bits % 1_000_000_000 == 0 => write!(f, "{}gbit", bits / 1_000_000_000),
            bits if bits % 1_000_000 == 0 => write!(f, "{}mbit", bits / 1_000_000),
            bits if bits % 1_000 == 0 => write!(f, "{}kbit", bits / 1_000),
            bits => write!(f, "{bits}bit"),
        }
    }
}

/// How frames are lost by chance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Loss {
    /// None is.
    #[default]
    None,
    /// Each for itself.
    Each(Chance),
    /// In bursts: the chain of two states of Gilbert (1960) and Elliott (1963). The mean burst is `1 / leave` frames,
    /// the share of frames in bursts `enter / (enter + leave)`.
    Bursts {
        /// Chance before each frame that a burst begins.
        enter: Chance,
        /// Chance before each frame that it ends.
        leave: Chance,
        /// Loss within a burst.
        bad: Chance,
        /// Loss outside of it.
        good: Chance,
    },
}

impl Loss {
    /// Moves the state on and decides about one frame.
    pub(super) fn decide(self, burst: &mut bool, turn: u32, roll: u32) -> bool {
        match self {
            Self::None => {
                *burst = false;
                false
            }
            Self::Each(chance) => {
                *burst = false;
                chance.hits(roll)
            }
            Self::Bursts { enter, leave, bad, good } => {
                *burst = if *burst { !leave.hits(turn) } else { enter.hits(turn) };
                if *burst { bad.hits(roll) } else { good.hits(roll) }
            }
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "loss 0%"),
            Self::Each(chance) => write!(f, "loss {chance}"),
            Self::Bursts { enter, leave, bad, good } => write!(f, "bursts {enter}/{leave}/{bad}/{good}"),
        }
    }
}

/// Frames that are held back, so that those behind overtake them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reorder {
    /// How many.
    pub chance: Chance,
    /// For how long, beyond the delay.
    pub by: Duration,
}

/// What a link does to frames. The default carries everything at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// One way.
    pub delay: Duration,
    /// The delay varies by this much in both directions, evenly; never below zero. It does not reorder.
    pub jitter: Duration,
    /// How frames are lost by chance.
    pub loss: Loss,
    /// At most this fast; `None` is as fast as the machine.
    pub rate: Option<Rate>,
    /// What may wait for the rate, bytes; one frame always may.
    pub queue: usize,
    /// Which frames are overtaken.
    pub reorder: Reorder,
    /// Frames that arrive twice.
    pub duplicate: Chance,
    /// Frames that arrive with one bit flipped. The receiving kernel's checksums catch most of them.
    pub corrupt: Chance,
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            loss: Loss::None,
            rate: None,
            queue: QUEUE_BYTES,
            reorder: Reorder::default(),
            duplicate: Chance::NEVER,
            corrupt: Chance::NEVER,
        }
    }
}

impl Setting {
    /// A perfect link with this delay one way.
    #[must_use]
    pub fn delayed(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    /// The delay of a frame whose jitter was drawn: 0 is the least, `u32::MAX` the most.
    pub(super) fn delay_of(&self, jitter: u32) -> Duration {
        let range = self.jitter.as_nanos() * 2;
        let offset = (range * u128::from(jitter)) >> 32;
        let most = self.delay + Duration::from_nanos(u64::try_from(offset).unwrap_or(u64::MAX));
        most.saturating_sub(self.jitter)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = humantime::format_duration;
        write!(f, "delay {} jitter {} {}", words(time(self.delay)), words(time(self.jitter)), self.loss)?;
        match self.rate {
            Some(rate) => write!(f, " rate {rate} queue {}b", self.queue)?,
            None => write!(f, " rate none queue {}b", self.queue)?,
        }
        let Reorder { chance, by } = self.reorder;
        write!(f, " reorder {chance}/{}", words(time(by)))?;
        write!(f, " duplicate {} corrupt {}", self.duplicate, self.corrupt)
    }
}

/// `1s 500ms` as one word.
fn words(time: impl fmt::Display) -> String {
    time.to_string().replace(' ', "")
}
