//! The hash of everything that happened: two runs of one world are the same when it is.

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

/// Fed every event, in order.
#[derive(Debug, Default)]
pub struct Digest {
    sha: Sha256,
    waiting: Vec<u8>,
    count: u64,
}

/// Bytes gathered before they are hashed.
const CHUNK: usize = 64 * 1024;

impl Digest {
    /// One event: when, what kind, and what it is about.
    pub fn event(&mut self, now: u64, kind: u8, about: [u64; 3]) {
        self.waiting.push(kind);
        for word in [now].into_iter().chain(about) {
            self.waiting.extend_from_slice(&word.to_le_bytes());
        }
        self.count += 1;
        if self.waiting.len() >= CHUNK {
            self.sha.update(&self.waiting);
            self.waiting.clear();
        }
    }

    /// How many events there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The hash so far, 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> String {
        let mut sha = self.sha.clone();
        sha.update(&self.waiting);
        HEXLOWER.encode(&sha.finalize())
    }
}

/// One hash of many, in order.
#[must_use]
pub fn all(hashes: &[String]) -> String {
    let mut sha = Sha256::new();
    for hash in hashes {
        sha.update(hash.as_bytes());
    }
    HEXLOWER.encode(&sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::Digest;

    #[test]
    fn order_and_every_word_count() {
        let hash = |events: &[(u64, u8, [u64; 3])]| {
            let mut digest = Digest::default();
            for (now, kind, about) in events {
                digest.event(*now, *kind, *about);
            }
            digest.hex()
        };
        let (a, b) = ((1, 2, [3, 4, 5]), (1, 2, [3, 4, 6]));
        assert_eq!(hash(&[a, b]), hash(&[a, b]));
        assert_ne!(hash(&[a, b]), hash(&[b, a]));
        assert_ne!(hash(&[a]), hash(&[b]));
        assert_ne!(hash(&[a]), hash(&[(1, 1, [3, 4, 5])]));
        // Longer than what is gathered at once.
        let many: Vec<_> = (0..5_000).map(|n| (n, 0, [0; 3])).collect();
        assert_eq!(hash(&many), hash(&many));
        assert_ne!(hash(&many), hash(&many[1..]));
    }
}
