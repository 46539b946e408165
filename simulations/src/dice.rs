//! Seeded randomness: every world throws its own dice, so that a seed is a world.

use rand_pcg::{
    Pcg64Mcg,
    rand_core::{Rng as _, SeedableRng as _},
};

/// The randomness of one world or one host.
#[derive(Debug, Clone)]
pub struct Dice(Pcg64Mcg);

impl Dice {
    /// Dice for `seed`. Different `stream`s of one seed have nothing in common that shows.
    #[must_use]
    pub fn new(seed: u64, stream: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(mix(seed ^ mix(stream))))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a product: no bias that a simulation could see.
        u64::try_from((u128::from(self.any()) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// A number from `from` to `to`, both included.
    pub fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from).saturating_add(1))
    }

    /// True `ppm` times in a million.
    pub fn chance(&mut self, ppm: u32) -> bool {
        ppm > 0 && self.below(1_000_000) < u64::from(ppm)
    }

    /// `count` different numbers below `end`, in random order; fewer when there are not so many.
    pub fn some(&mut self, count: usize, end: u32) -> Vec<u32> {
        let mut found: Vec<u32> = Vec::with_capacity(count);
        let count = count.min(usize::try_from(end).unwrap_or(usize::MAX));
        while found.len() < count {
            let one = u32::try_from(self.below(u64::from(end))).unwrap_or(0);
            if !found.contains(&one) {
                found.push(one);
            }
        }
        found
    }

    /// Dice of their own for someone else.
    pub fn split(&mut self) -> Pcg64Mcg {
        Pcg64Mcg::seed_from_u64(self.any())
    }
}

/// SplitMix64's finisher (Steele, Lea, Flood 2014): spreads neighbouring seeds.
#[must_use]
pub fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::Dice;

    #[test]
    fn a_seed_is_a_world_and_a_stream_is_another() {
        let throw = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            (0..8).map(|_| dice.any()).collect::<Vec<_>>()
        };
        assert_eq!(throw(1, 0), throw(1, 0));
        assert_ne!(throw(1, 0), throw(2, 0));
        assert_ne!(throw(1, 0), throw(1, 1));
        assert_ne!(throw(1, 2), throw(2, 1));
    }

    #[test]
    fn throws_keep_to_their_bounds_and_reach_them() {
        let mut dice = Dice::new(7, 7);
        let seen: std::collections::BTreeSet<u64> = (0..1_000).map(|_| dice.between(3, 6)).collect();
        assert_eq!(seen, [3, 4, 5, 6].into());
        assert_eq!(dice.below(0), 0);
        assert!(!dice.chance(0) && dice.chance(1_000_000));
        let hits = (0..100_000).filter(|_| dice.chance(20_000)).count();
        assert!((1_800..2_200).contains(&hits), "{hits}");
        let mut some = dice.some(5, 5);
        some.sort_unstable();
        assert_eq!(some, [0, 1, 2, 3, 4]);
        assert_eq!(dice.some(9, 2).len(), 2);
    }
}
