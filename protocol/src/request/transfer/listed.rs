//! What there is to be got: a fetch that asks for names alone. The answer is an offer that nobody takes up: its first entry
//! is what was asked for, the others are what is in it, sorted by name. With no path it is the exports.

use super::{Entry, FileOffer, OnConflict};
use crate::{
    message::Ext,
    transfer::{SourceIdentity, TransferId, name::check_part},
};

/// Number of an `ext` value of [`FileFetch`](super::FileFetch): only names, those that come after this one; all after an
/// empty one.
pub const EXT_LIST: u16 = 2;
/// Number of an `ext` value of [`FileOffer`]: it is such a list, and 1 when there is more, else 0.
pub const EXT_LISTED: u16 = 2;

/// An `ext` that asks for the names after this one.
#[must_use]
pub fn with_list(after: &str) -> Ext {
    Ext(vec![(EXT_LIST, after.as_bytes().to_vec())])
}

/// After which name is listed, when nothing else is asked for.
#[must_use]
pub fn list_after(ext: &Ext) -> Option<&str> {
    // What is no text is no name: then it begins at the first.
    ext.get(EXT_LIST).map(|after| std::str::from_utf8(after).unwrap_or_default())
}

/// The answer: what was asked for, and what of it is in this page.
#[must_use]
pub fn answer(transfer: TransferId, entries: Vec<Entry>, more: bool) -> FileOffer {
    FileOffer {
        leaf: None,
        transfer,
        name: entries.first().map(|root| root.name.clone()).unwrap_or_default(),
        source: SourceIdentity([0; 32]),
        bytes: 0,
        files: 0,
        dirs: 0,
        to: None,
        on_conflict: OnConflict::default(),
        lanes: 0,
        entries,
        ext: Ext(vec![(EXT_LISTED, vec![u8::from(more)])]),
    }
}

/// Whether there is more than this answer has; none when it is no list but an offer, as an older node makes it.
#[must_use]
pub fn has_more(offer: &FileOffer) -> Option<bool> {
    offer.ext.get(EXT_LISTED).map(|said| said == [1])
}

/// Whether a name in an answer is one that can be asked for, and comes after this one.
#[must_use]
pub fn follows(name: &str, after: &str) -> bool {
    name > after && check_part(name).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Message,
        limits::{FRAME_BYTES, LISTED_ENTRIES},
        request::transfer::EntryKind,
        transfer::FileIdentity,
    };

    #[test]
    fn a_list_is_told_from_an_offer() {
        assert_eq!(list_after(&Ext::default()), None);
        assert_eq!(list_after(&with_list("")), Some(""));
        assert_eq!(list_after(&with_list("b")), Some("b"));
        assert_eq!(list_after(&Ext(vec![(EXT_LIST, vec![0xff])])), Some(""));
        let id = TransferId([1; 16]);
        assert_eq!(has_more(&answer(id, Vec::new(), true)), Some(true));
        assert_eq!(has_more(&answer(id, Vec::new(), false)), Some(false));
        let offer = FileOffer { ext: Ext::default(), ..answer(id, Vec::new(), false) };
        assert_eq!(has_more(&offer), None);
        assert!(follows("b", "a") && follows("a", "") && !follows("a", "a") && !follows("a", "b"));
        for bad in ["..", "a/b", "\u{1b}[2J", "", ".clankers-part"] {
            assert!(!follows(bad, ""), "{bad:?}");
        }
    }

    #[test]
    fn a_page_of_the_longest_names_fits_into_a_frame() {
        let entry = Entry {
            parent: 0,
            name: "n".repeat(255),
            kind: EntryKind::File,
            size: u64::MAX,
            mode: 0o777,
            mtime_ns: i64::MIN,
            id: FileIdentity([0xff; 16]),
        };
        let page = answer(TransferId([1; 16]), vec![entry; LISTED_ENTRIES + 1], true);
        let body = page.encode();
        assert!(body.len() < FRAME_BYTES as usize, "{}", body.len());
        assert_eq!(FileOffer::decode(&body), Ok(page));
    }
}
