//! What of a directory its sender leaves out: told with the offer, so that whoever fetched it knows that it is not all.

use serde::{Deserialize, Serialize};

use crate::{
    limits::{LEFT_OUT_NAMED, LEFT_OUT_TEXT_BYTES},
    message::Ext,
    text,
};

/// Number of an `ext` value of [`FileOffer`](super::FileOffer) in answer to a fetch: a [`LeftOut`].
pub const EXT_LEFT_OUT: u16 = 1;

/// What is left out.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Files and directories that somebody would miss (count).
    pub missed: u32,
    /// Links, pipes and the like, which nobody expects to be sent (count).
    pub others: u32,
    /// The first of them, those that are missed before the others.
    pub named: Vec<LeftOutPath>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutPath {
    /// Its path beneath the root; dirty.
    pub path: String,
    /// Why, in words; dirty.
    pub why: String,
    /// Whether somebody would miss it.
    pub missed: bool,
}

impl LeftOut {
    /// So many in all; the first of these are named.
    #[must_use]
    pub fn of(named: impl Iterator<Item = LeftOutPath>, missed: u64, others: u64) -> Self {
        let count = |all: u64| u32::try_from(all).unwrap_or(u32::MAX);
        let (missed, others) = (count(missed), count(others));
        let mut all: Vec<LeftOutPath> = named.take(LEFT_OUT_NAMED).collect();
        for one in &mut all {
            for words in [&mut one.path, &mut one.why] {
                *words = text::head(words, LEFT_OUT_TEXT_BYTES).to_owned();
            }
        }
        Self { missed, others, named: all }
    }

    /// How many there are (count).
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.missed).saturating_add(self.others.into())
    }

    /// As an `ext`, which is empty when nothing is left out.
    #[must_use]
    pub fn ext(&self) -> Ext {
        let said = (self.count() > 0).then(|| postcard::to_stdvec(self).ok()).flatten();
        Ext(said.map(|said| (EXT_LEFT_OUT, said)).into_iter().collect())
    }

    /// What an offer says; nothing where it says nothing, or nothing that can be understood.
    #[must_use]
    pub fn read(ext: &Ext) -> Self {
        let said = ext.get(EXT_LEFT_OUT).and_then(|said| postcard::from_bytes::<Self>(said).ok());
        let mut said = said.unwrap_or_default();
        said.named.truncate(LEFT_OUT_NAMED);
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_named_and_all_are_counted() {
        let one = |number: usize, missed| LeftOutPath {
            path: format!("{number}/{}", "ü".repeat(300)),
            why: "w".repeat(1_000),
            missed,
        };
        let all = (0..1_000).map(|number| one(number, true));
        let left = LeftOut::of(all, 980, 20);
        assert_eq!((left.missed, left.others, left.count()), (980, 20, 1_000));
        assert_eq!(left.named.len(), LEFT_OUT_NAMED);
        let ext = left.ext();
        assert_eq!(ext.check(), Ok(()), "it has room in a frame");
        assert_eq!(LeftOut::read(&ext), left);
        assert_eq!(LeftOut::default().ext(), Ext::default());
        assert_eq!(LeftOut::read(&Ext(vec![(EXT_LEFT_OUT, vec![0xff; 9])])), LeftOut::default());
    }
}
