//! A set of blocks, kept as ranges.

use std::collections::BTreeMap;

/// Which blocks of a file are there. Takes memory for each range, not for each block.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct BlockSet {
    /// First block of a range, first after it. No two touch.
    ranges: BTreeMap<u32, u32>,
    len: u32,
}

impl BlockSet {
    /// Adds a block; `false` when it was there.
    pub fn insert(&mut self, block: u32) -> bool {
        if self.contains(block) || block == u32::MAX {
            return false;
        }
        let end = self.ranges.remove(&(block + 1)).unwrap_or(block + 1);
        match self.ranges.range_mut(..block).next_back() {
            Some((_, before)) if *before == block => *before = end,
            _ => {
                self.ranges.insert(block, end);
            }
        }
        self.len += 1;
        true
    }

    /// Whether it is there.
    #[must_use]
    pub fn contains(&self, block: u32) -> bool {
        self.ranges.range(..=block).next_back().is_some_and(|(_, end)| block < *end)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ranges in order: first block, first after it.
    pub fn ranges(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.ranges.iter().map(|(from, to)| (*from, *to))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_set_that_it_says(blocks in prop::collection::vec(0_u32..60, 0..80)) {
            let mut set = BlockSet::default();
            let mut model = BTreeSet::new();
            for block in blocks {
                prop_assert_eq!(set.insert(block), model.insert(block));
            }
            prop_assert_eq!(set.len() as usize, model.len());
            prop_assert!((0..70).all(|block| set.contains(block) == model.contains(&block)));
            let ranges: Vec<_> = set.ranges().collect();
            prop_assert!(ranges.iter().all(|(from, to)| from < to));
            prop_assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "two ranges touch");
            let all: BTreeSet<u32> = ranges.into_iter().flat_map(|(from, to)| from..to).collect();
            prop_assert_eq!(all, model);
        }
    }

    #[test]
    fn the_last_number_is_no_block() {
        assert!(!BlockSet::default().insert(u32::MAX));
    }
}
