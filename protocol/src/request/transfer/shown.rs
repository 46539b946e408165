//! All that is in an offer that waits, page by page: asked for and told in the `ext` of the inbox's listing.

use serde::{Deserialize, Serialize};

use super::EntryKind;
use crate::{limits, message::Ext};

/// Number of an `ext` value of [`InboxList`](super::keeping::InboxList): not the offers, but what is in the one whose id begins so; `skip` is of its
/// entries then.
pub const EXT_SHOW: u16 = 1;
/// Number of the `ext` values of [`InboxListReply`](super::keeping::InboxListReply) in answer to that: put together they are a [`ShownOffer`]. There is one
/// offer in such a reply, and `more` is how many entries are kept after these.
pub const EXT_SHOWN: u16 = 1;

/// A file or directory of an offer that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownEntry {
    /// Its path, the root's name in front.
    pub path: String,
    /// What it is.
    pub kind: EntryKind,
    /// Bytes; none in a directory.
    pub bytes: u64,
}

/// Some of what is in an offer that waits.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownOffer {
    /// In the order in which it was offered.
    pub entries: Vec<ShownEntry>,
    /// Entries that are offered, and that nobody kept when their sender left (count).
    pub lost: u32,
}

impl ShownOffer {
    /// A page of these, from the first: as many as have room. How many were taken.
    #[must_use]
    pub fn page(all: &[ShownEntry], lost: u32) -> (Self, usize) {
        let mut room = limits::EXT_BYTES * limits::EXT_ENTRIES - PAGE_HEAD_BYTES;
        let fits = |entry: &&ShownEntry| {
            let needs = entry.path.len().saturating_add(ENTRY_HEAD_BYTES);
            room.checked_sub(needs).map(|left| room = left).is_some()
        };
        let entries: Vec<ShownEntry> = all.iter().take_while(fits).cloned().collect();
        let taken = entries.len();
        (Self { entries, lost }, taken)
    }

    /// As the `ext` of a reply.
    #[must_use]
    pub fn ext(&self) -> Ext {
        let said = postcard::to_stdvec(self).unwrap_or_default();
        Ext(said.chunks(limits::EXT_BYTES).map(|piece| (EXT_SHOWN, piece.to_vec())).collect())
    }

    /// What a reply says; none where it says nothing of the kind.
    #[must_use]
    pub fn read(ext: &Ext) -> Option<Self> {
        let pieces = ext.0.iter().filter(|(number, _)| *number == EXT_SHOWN);
        let said: Vec<u8> = pieces.flat_map(|(_, piece)| piece.iter().copied()).collect();
        postcard::from_bytes(&said).ok()
    }
}

/// A [`ShownEntry`] without its path, at the most (bytes): two lengths and a kind.
const ENTRY_HEAD_BYTES: usize = 24;
/// A [`ShownOffer`] without its entries, at the most (bytes).
const PAGE_HEAD_BYTES: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_fit_and_together_are_all() {
        let entry = |number: usize| ShownEntry {
            path: format!("{number}/{}", "ü".repeat(number % 2_000)),
            kind: if number.is_multiple_of(3) { EntryKind::Dir } else { EntryKind::File },
            bytes: u64::MAX,
        };
        let all: Vec<ShownEntry> = (0..3_000).map(entry).collect();
        let mut got = Vec::new();
        while got.len() < all.len() {
            let (page, taken) = ShownOffer::page(&all[got.len()..], u32::MAX);
            assert!(taken > 0, "it stands still at {}", got.len());
            let ext = page.ext();
            assert_eq!(ext.check(), Ok(()), "it has room in a frame");
            let read = ShownOffer::read(&ext).unwrap();
            assert_eq!(read, page);
            got.extend(read.entries);
        }
        assert_eq!(got, all);
        assert_eq!(ShownOffer::page(&[], 7), (ShownOffer { entries: Vec::new(), lost: 7 }, 0));
        assert_eq!(ShownOffer::read(&Ext::default()), None);
        assert_eq!(ShownOffer::read(&Ext(vec![(EXT_SHOWN, vec![0xff; 9])])), None);
    }
}
