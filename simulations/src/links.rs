//! The network between hosts: delay, jitter, loss, and cuts.
//!
//! Hosts talk over QUIC, so a lost packet is a delay (it is sent again), a cut shorter than the idle timeout is a
//! delay as well, and a longer one ends the connection. What crosses a link arrives in order.

use crate::{
    dice::{Dice, mix},
    limits::{ACK_DELAY, IDLE_TIMEOUT, KEEP_ALIVE},
    queue::{MILLI, Micros},
};

/// How the links of a world are.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    /// Shortest and longest one-way delay of a pair of hosts, milliseconds: a pair keeps its own.
    pub delay_ms: (u64, u64),
    /// What a packet may take longer, milliseconds.
    pub jitter_ms: u64,
    /// Packets lost in a million.
    pub loss_ppm: u32,
}

impl Default for Weather {
    /// A team over a continent: 1 to 40 ms one way, 5 ms of jitter, one packet in a hundred lost.
    fn default() -> Self {
        Self { delay_ms: (1, 40), jitter_ms: 5, loss_ppm: 10_000 }
    }
}

/// The links of a world.
#[derive(Debug)]
pub struct Links {
    weather: Weather,
    seed: u64,
    dice: Dice,
    /// Which side of a cut a host is on. Different sides do not hear each other.
    side: Vec<u8>,
}

impl Links {
    /// Links between `hosts` hosts.
    #[must_use]
    pub fn new(seed: u64, hosts: usize, weather: Weather) -> Self {
        Self { weather, seed, dice: Dice::new(seed, 0x6c69_6e6b), side: vec![0; hosts] }
    }

    /// Put a host on a side of the cut.
    pub fn place(&mut self, host: u32, side: u8) {
        if let Some(at) = usize::try_from(host).ok().and_then(|host| self.side.get_mut(host)) {
            *at = side;
        }
    }

    /// Whether a cut lies between two hosts.
    #[must_use]
    pub fn cut(&self, a: u32, b: u32) -> bool {
        self.side(a) != self.side(b)
    }

    fn side(&self, host: u32) -> u8 {
        usize::try_from(host).ok().and_then(|host| self.side.get(host)).copied().unwrap_or(0)
    }

    /// One way between two hosts without jitter and loss, microseconds: the same in both directions, for ever.
    #[must_use]
    pub fn base(&self, a: u32, b: u32) -> Micros {
        let pair = (u64::from(a.min(b)) << 32) | u64::from(a.max(b));
        let (from, to) = self.weather.delay_ms;
        let (from, span) = (from * MILLI, to.saturating_sub(from) * MILLI);
        from + mix(self.seed ^ mix(pair)) % (span + 1)
    }

    /// How long one packet takes now, sent again as often as it gets lost, microseconds.
    pub fn transit(&mut self, a: u32, b: u32) -> Micros {
        let base = self.base(a, b);
        let mut took = base + self.dice.below(self.weather.jitter_ms * MILLI + 1);
        // RFC 9002, 6.2: a probe after about three round trips of silence halved, then twice as long each time.
        let mut again = 3 * base + ACK_DELAY;
        while self.dice.chance(self.weather.loss_ppm) {
            took += again;
            again *= 2;
        }
        took
    }

    /// There and back, each with its own luck, microseconds.
    pub fn round_trip(&mut self, a: u32, b: u32) -> Micros {
        self.transit(a, b) + self.transit(b, a)
    }

    /// When an end whose peer fell silent just now gives its connection up, microseconds from now: the last word was
    /// heard at most one keep-alive ago.
    pub fn silence(&mut self) -> Micros {
        IDLE_TIMEOUT - self.dice.below(KEEP_ALIVE)
    }

    /// When the next keep-alive or probe of a connection goes out, microseconds from now.
    pub fn probe(&mut self) -> Micros {
        self.dice.below(KEEP_ALIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::{Links, Weather};
    use crate::queue::MILLI;

    #[test]
    fn a_pair_keeps_its_delay_and_no_packet_is_faster() {
        let mut links = Links::new(3, 10, Weather::default());
        for (a, b) in [(0, 1), (4, 9), (9, 2)] {
            let base = links.base(a, b);
            assert_eq!(base, links.base(b, a));
            assert!((MILLI..=40 * MILLI).contains(&base), "{base}");
            for _ in 0..1_000 {
                assert!(links.transit(a, b) >= base);
            }
        }
        assert_ne!(links.base(0, 1), links.base(0, 2));
    }

    #[test]
    fn loss_is_delay_and_happens_as_often_as_it_should() {
        let weather = Weather { delay_ms: (10, 10), jitter_ms: 0, loss_ppm: 100_000 };
        let mut links = Links::new(1, 2, weather);
        let late = (0..10_000).filter(|_| links.transit(0, 1) > 10 * MILLI).count();
        assert!((900..1_100).contains(&late), "{late}");
    }

    #[test]
    fn sides_cut() {
        let mut links = Links::new(1, 3, Weather::default());
        assert!(!links.cut(0, 2));
        links.place(2, 1);
        assert!(links.cut(0, 2) && links.cut(2, 1) && !links.cut(0, 1));
        links.place(2, 0);
        assert!(!links.cut(0, 2));
    }
}
