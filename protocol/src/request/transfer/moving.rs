//! What a list of transfers says of each besides its record: how fast it is while it runs, and what was signed for at its
//! end. Told in the list's `ext`: an older node says neither.

use serde::{Deserialize, Serialize};

use super::keeping::TransferListReply;
use crate::{limits, message::Ext, transfer::Root};

/// Number of an `ext` value of [`TransferListReply`]: a [`Moving`] for each that runs.
pub const EXT_MOVING: u16 = 1;

/// Number of an `ext` value of [`TransferListReply`]: a [`Signed`] for each that is whole, the latest ones that fit.
pub const EXT_SIGNED: u16 = 2;

/// How one that runs moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    /// Its place in the list.
    pub place: u16,
    /// Bytes in a second, of late.
    pub rate_bps: u64,
    /// Files that the receiver has whole (count).
    pub files: u32,
}

/// What was signed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// Its place in the list.
    pub place: u16,
    /// Bytes of content that travelled for it, of all attempts.
    pub sent_bytes: u64,
    /// BLAKE3 of the file, or of a directory's list of files.
    pub root: Root,
}

/// As an `ext`: those that run all fit, and of those that are whole the first.
#[must_use]
pub fn notes(moving: &[Moving], signed: &[Signed]) -> Ext {
    let mut ext = Vec::new();
    for (number, said) in [(EXT_MOVING, fitting(moving)), (EXT_SIGNED, fitting(signed))] {
        ext.extend(said.map(|said| (number, said)));
    }
    Ext(ext)
}

/// The first of them that fit, or nothing where there are none.
fn fitting<T: Serialize>(all: &[T]) -> Option<Vec<u8>> {
    let mut count = all.len();
    while count > 0 {
        let said = postcard::to_stdvec(all.get(..count)?).ok()?;
        if said.len() <= limits::EXT_BYTES {
            return Some(said);
        }
        count = count * 3 / 4;
    }
    None
}

/// What a list says: nothing where nothing can be understood.
#[must_use]
pub fn noted(reply: &TransferListReply) -> (Vec<Moving>, Vec<Signed>) {
    (read(&reply.ext, EXT_MOVING), read(&reply.ext, EXT_SIGNED))
}

fn read<T: for<'d> Deserialize<'d>>(ext: &Ext, number: u16) -> Vec<T> {
    let said = ext.get(number).and_then(|said| postcard::from_bytes(said).ok());
    said.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(ext: Ext) -> TransferListReply {
        TransferListReply { transfers: Vec::new(), more: 0, ext }
    }

    #[test]
    fn all_that_run_fit_on_a_page_and_the_latest_of_what_is_whole() {
        let page = u16::try_from(limits::PAGE_ENTRIES).unwrap();
        let moving: Vec<Moving> =
            (0..page).map(|place| Moving { place, rate_bps: u64::MAX, files: u32::MAX }).collect();
        let signed: Vec<Signed> =
            (0..page).map(|place| Signed { place, sent_bytes: u64::MAX, root: Root([7; 32]) }).collect();
        let ext = notes(&moving, &signed);
        assert!(ext.check().is_ok());
        let (moves, whole) = noted(&reply(ext));
        assert_eq!(moves, moving);
        assert!(whole.len() > 50 && whole == signed[..whole.len()], "{}", whole.len());
    }

    #[test]
    fn an_older_node_and_nonsense_say_nothing() {
        assert_eq!(notes(&[], &[]), Ext::default());
        assert_eq!(noted(&reply(Ext::default())), (Vec::new(), Vec::new()));
        let nonsense = Ext(vec![(EXT_MOVING, vec![0xff; 9]), (EXT_SIGNED, vec![0xff; 9])]);
        assert_eq!(noted(&reply(nonsense)), (Vec::new(), Vec::new()));
    }
}
