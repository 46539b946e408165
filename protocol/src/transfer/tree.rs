//! Blocks of a file, and how their hashes make the file's.
//!
//! A block is 1 MiB, the last one of a file may be shorter. Since BLAKE3's tree is cut at powers of two, each block is a
//! subtree of it: its chaining value can be computed alone, and the values of all make the root that `b3sum` prints
//! (BLAKE3 paper, 2.1 and 5.1; `blake3::hazmat`). A file of one block has no value below its root: its block is hashed
//! as the root. An empty file has no block and the root of nothing.

use std::collections::BTreeMap;

use blake3::hazmat::{ChainingValue, HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};

use super::{Cv, Root};
use crate::limits::{TRANSFER_BLOCK_BYTES, TRANSFER_BYTES};

/// Bytes of a whole block.
pub const BLOCK_BYTES: u64 = TRANSFER_BLOCK_BYTES as u64;

/// The root of an empty file: BLAKE3 of nothing.
pub const EMPTY_ROOT: Root = Root([
    0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc, 0xc9, 0x49, 0x9b,
    0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca, 0xe4, 0x1f, 0x32, 0x62,
]);

/// How many blocks a file of `size` bytes has; sizes over [`TRANSFER_BYTES`] count as that.
#[must_use]
pub fn blocks(size: u64) -> u32 {
    u32::try_from(size.min(TRANSFER_BYTES).div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX)
}

/// Where a block begins in its file and how long it is (bytes); `None` past the file's end.
#[must_use]
pub fn block_span(size: u64, block: u32) -> Option<(u64, u32)> {
    let offset = u64::from(block).checked_mul(BLOCK_BYTES)?;
    let rest = size.checked_sub(offset).filter(|rest| *rest > 0)?;
    u32::try_from(rest.min(BLOCK_BYTES)).ok().map(|len| (offset, len))
}

/// Hashes one block, in pieces of any size.
#[derive(Debug, Clone)]
pub struct BlockHasher {
    hasher: blake3::Hasher,
    is_root: bool,
}

impl BlockHasher {
    /// For this block of a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64, block: u32) -> Self {
        let is_root = size <= BLOCK_BYTES;
        let mut hasher = blake3::Hasher::new();
        if !is_root {
            hasher.set_input_offset(u64::from(block).saturating_mul(BLOCK_BYTES));
        }
        Self { hasher, is_root }
    }

    /// Takes in the block's next bytes: no more than the block has, in all.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    /// The block's value.
    #[must_use]
    pub fn finish(&self) -> Cv {
        if self.is_root {
            Cv(*self.hasher.finalize().as_bytes())
        } else {
            Cv(self.hasher.finalize_non_root())
        }
    }
}

/// The value of a block, from all its bytes. Those past a block's length do not count.
#[must_use]
pub fn hash_block(size: u64, block: u32, bytes: &[u8]) -> Cv {
    let mut hasher = BlockHasher::new(size, block);
    hasher.update(bytes.get(..TRANSFER_BLOCK_BYTES).unwrap_or(bytes));
    hasher.finish()
}

/// A whole subtree: its height above the blocks, its value.
type Subtree = (u32, ChainingValue);

/// Makes a file's root of its blocks' values, which come in any order.
///
/// Values of blocks that follow each other are merged as they come: what is kept grows with the disorder, not with the
/// file (40 bytes for each level of the tree, and some 60 for each block that came early).
#[derive(Debug, Clone)]
pub struct RootBuilder {
    blocks: u32,
    /// Blocks that are merged: all below this.
    next: u32,
    /// Whole subtrees from left to right, each larger than the next.
    stack: Vec<Subtree>,
    /// Values of blocks further on.
    early: BTreeMap<u32, Cv>,
}

impl RootBuilder {
    /// For a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { blocks: blocks(size), next: 0, stack: Vec::new(), early: BTreeMap::new() }
    }

    /// Takes in a block's value; `false` when it was there before, or the file has no such block.
    pub fn put(&mut self, block: u32, cv: Cv) -> bool {
        if block >= self.blocks || block < self.next || self.early.contains_key(&block) {
            return false;
        }
        if block > self.next {
            self.early.insert(block, cv);
            return true;
        }
        self.append(cv);
        while let Some(cv) = self.early.remove(&self.next) {
            self.append(cv);
        }
        true
    }

    fn append(&mut self, cv: Cv) {
        self.next += 1;
        self.stack.push((0, cv.0));
        // Two whole subtrees of one height are one of the next, unless nothing follows: then their parent may be the
        // root, which is hashed differently.
        if self.next < self.blocks {
            self.merge_while(|left, right| left.0 == right.0);
        }
    }

    fn merge_while(&mut self, wanted: impl Fn(&Subtree, &Subtree) -> bool) {
        while let [.., left, right] = self.stack.as_slice()
            && wanted(left, right)
        {
            let merged = (left.0 + 1, merge_subtrees_non_root(&left.1, &right.1, Mode::Hash));
            self.stack.truncate(self.stack.len() - 2);
            self.stack.push(merged);
        }
    }

    /// The file's root, once every block's value is there.
    #[must_use]
    pub fn root(&self) -> Option<Root> {
        if self.next < self.blocks {
            return None;
        }
        let mut stack = self.stack.clone();
        let Some((_, mut right)) = stack.pop() else { return Some(EMPTY_ROOT) };
        while let Some((_, left)) = stack.pop() {
            if stack.is_empty() {
                return Some(Root(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()));
            }
            right = merge_subtrees_non_root(&left, &right, Mode::Hash);
        }
        // One block: its value is the root.
        Some(Root(right))
    }

    /// Blocks whose values came (count).
    #[must_use]
    pub fn len(&self) -> u32 {
        self.next.saturating_add(u32::try_from(self.early.len()).unwrap_or(u32::MAX))
    }

    /// Whether none came.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(size: usize, seed: u8) -> Vec<u8> {
        (0..size)
            .map(|n| (n as u8).wrapping_mul(31).wrapping_add((n >> 8) as u8).wrapping_add(seed))
            .collect()
    }

    fn root_by_blocks(data: &[u8], order: &[u32]) -> Option<Root> {
        let size = data.len() as u64;
        let mut builder = RootBuilder::new(size);
        for block in order {
            let (offset, len) = block_span(size, *block).unwrap();
            let piece = &data[offset as usize..offset as usize + len as usize];
            assert!(builder.put(*block, hash_block(size, *block, piece)));
        }
        builder.root()
    }

    #[test]
    fn the_root_of_nothing() {
        assert_eq!(EMPTY_ROOT.0, *blake3::hash(b"").as_bytes());
        assert_eq!((blocks(0), block_span(0, 0)), (0, None));
        assert_eq!(RootBuilder::new(0).root(), Some(EMPTY_ROOT));
    }

    #[test]
    fn sizes_at_the_borders_have_the_root_that_b3sum_prints() {
        let mib = BLOCK_BYTES as usize;
        for whole in [0, 1, 2, 3, 4, 5, 7, 8, 9] {
            for over in [0_usize, 1, 1023, 1024, 1025, mib - 1] {
                let data = bytes(whole * mib + over, 3);
                let order: Vec<u32> = (0..blocks(data.len() as u64)).collect();
                let whole_hash = Root(*blake3::hash(&data).as_bytes());
                assert_eq!(root_by_blocks(&data, &order), Some(whole_hash), "{whole} MiB and {over}");
            }
        }
    }

    #[test]
    fn spans_cover_a_file_and_nothing_else() {
        assert_eq!(block_span(BLOCK_BYTES, 0), Some((0, 1 << 20)));
        assert_eq!(block_span(BLOCK_BYTES, 1), None);
        assert_eq!(block_span(BLOCK_BYTES + 1, 1), Some((BLOCK_BYTES, 1)));
        assert_eq!(block_span(u64::MAX, u32::MAX).map(|(_, len)| len), Some(1 << 20));
        assert_eq!(blocks(u64::MAX), blocks(TRANSFER_BYTES));
    }

    #[test]
    fn what_is_no_block_of_the_file_is_not_taken() {
        let mut builder = RootBuilder::new(3 * BLOCK_BYTES);
        assert!(!builder.put(3, Cv([1; 32])));
        assert!(builder.put(1, Cv([1; 32])) && !builder.put(1, Cv([2; 32])));
        assert!(builder.put(0, Cv([1; 32])) && !builder.put(0, Cv([1; 32])) && !builder.put(1, Cv([1; 32])));
        assert_eq!((builder.len(), builder.root()), (2, None));
    }

    #[test]
    fn memory_does_not_grow_with_the_file() {
        let mut builder = RootBuilder::new(TRANSFER_BYTES);
        for block in 0..blocks(TRANSFER_BYTES) / 64 {
            builder.put(block, Cv([7; 32]));
        }
        assert!(builder.stack.len() <= 32 && builder.early.is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_order_gives_the_hash_of_the_whole(
            whole in 0_usize..6, near in -3_i32..4, odd in 0_usize..2000, seed: u8, shuffle in any::<u64>(),
        ) {
            let size = (whole * BLOCK_BYTES as usize).saturating_add_signed(near as isize) + odd / 1000 * odd;
            let data = bytes(size, seed);
            let mut order: Vec<u32> = (0..blocks(size as u64)).collect();
            let mut state = shuffle | 1;
            for n in (1..order.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                order.swap(n, (state >> 33) as usize % (n + 1));
            }
            prop_assert_eq!(root_by_blocks(&data, &order), Some(Root(*blake3::hash(&data).as_bytes())));
        }
    }
}
