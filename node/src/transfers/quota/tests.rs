use std::{borrow::Cow, path::Path};

use clankers_files::{Begun, EntryKind, Item, Landing, Listing, OnConflict, Wish};
use clankers_protocol::{
    message::Ext,
    transfer::{FileIdentity, SourceIdentity, tree},
};

use super::*;

const MIB: u64 = 1 << 20;

/// One file of so many bytes.
struct File(u64);

impl Listing for File {
    fn len(&self) -> u32 {
        1
    }

    fn item(&self, index: u32) -> Option<Item<'_>> {
        (index == 0).then_some(Item {
            path: Cow::Borrowed(""),
            kind: EntryKind::File,
            size: self.0,
            mode: 0o600,
            mtime_ns: 0,
            identity: FileIdentity([0; 16]),
            wanted: true,
        })
    }
}

fn offer(name: &str, source: u8, bytes: u64) -> FileOffer {
    FileOffer {
        leaf: None,
        transfer: TransferId([source; 16]),
        name: name.to_owned(),
        source: SourceIdentity([source; 32]),
        bytes,
        files: 1,
        dirs: 0,
        to: None,
        on_conflict: OnConflict::Rename,
        lanes: 1,
        entries: Vec::new(),
        ext: Ext::default(),
    }
}

struct Scene {
    inbox: Inbox,
    place: Place,
    promises: Arc<Promises>,
    settings: Files,
    _dir: tempfile::TempDir,
}

impl Scene {
    fn new(limit: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::open(&Path::join(dir.path(), "inbox")).unwrap();
        let place = inbox.place("laptop").unwrap();
        let settings = Files { max_bytes_per_peer: limit, keep_free_bytes: 0, ..Files::default() };
        Self { inbox, place, promises: Arc::default(), settings, _dir: dir }
    }

    fn room(&self, offer: &FileOffer) -> Result<Promise, Full> {
        self.room_of(("peer", &BTreeSet::new()), offer)
    }

    fn room_of(&self, whose: (&str, &BTreeSet<String>), offer: &FileOffer) -> Result<Promise, Full> {
        room(&self.settings, &self.promises, (&self.inbox, &self.place), whose, offer).unwrap()
    }

    /// What the engine does after it: the transfer begins, and its first block arrives.
    fn begun(&self, offer: &FileOffer) -> Landing {
        let wish = Wish {
            principal: "peer".to_owned(),
            to: None,
            root_name: offer.name.clone(),
            source: offer.source,
            transfer_id: offer.transfer,
            conflict: OnConflict::Rename,
            listing: Arc::new(File(offer.bytes)),
            note: serde_json::Value::Null,
        };
        let Begun::Landing(landing) = self.place.begin(wish).unwrap() else { panic!("it has landed") };
        landing.scan(&std::sync::atomic::AtomicBool::new(false), &|_| ()).unwrap();
        let block = vec![1; usize::try_from(tree::BLOCK_BYTES).unwrap()];
        landing.write_block(0, 0, &tree::hash_block(offer.bytes, 0, &block), &block).unwrap();
        *landing
    }
}

#[test]
fn what_broke_off_goes_on_in_the_room_that_it_has() {
    let scene = Scene::new(12 * MIB);
    let first = offer("x", 1, 10 * MIB);
    let promise = scene.room(&first).unwrap();
    let landing = scene.begun(&first);
    // While the old attempt is still there, and after it.
    assert!(scene.room(&first).is_ok());
    drop((landing, promise));
    assert!(scene.room(&first).is_ok());
    // The room is that transfer's: neither another's of the same name nor one with another name has it.
    for other in [offer("x", 2, 10 * MIB), offer("y", 1, 10 * MIB)] {
        assert!(matches!(scene.room(&other), Err(Full::Peer { .. })), "{other:?}");
    }
    assert!(scene.room(&offer("y", 3, MIB)).is_ok());
}

#[test]
fn what_was_promised_to_one_is_not_promised_to_the_next() {
    let scene = Scene::new(12 * MIB);
    let (first, second) = (offer("x", 1, 10 * MIB), offer("y", 2, 10 * MIB));
    let promise = scene.room(&first).unwrap();
    // Nothing of the first is on the disk yet.
    assert!(matches!(scene.room(&second), Err(Full::Peer { .. })));
    // Begun, it is measured, and not counted twice.
    let landing = scene.begun(&first);
    assert!(scene.room(&offer("y", 2, 2 * MIB - 100 * 1024)).is_ok());
    landing.forget().unwrap();
    drop(promise);
    assert!(scene.room(&second).is_ok());
    assert!(scene.promises.0.lock().unwrap().is_empty());
}

#[test]
fn two_that_run_do_not_take_the_room_that_is_kept_free() {
    let mut scene = Scene::new(u64::MAX);
    let free = scene.place.free_bytes().unwrap();
    // Room for one of them, and somewhat more: others write to this disk too.
    scene.settings.keep_free_bytes = free.saturating_sub(free / 2);
    scene.settings.max_bytes = u64::MAX;
    let third = free / 3;
    let _promise = scene.room(&offer("x", 1, third)).unwrap();
    assert!(matches!(scene.room(&offer("y", 2, third)), Err(Full::Disk { .. })));
}

/// What a peer has in the directory of an earlier label, and what it was promised there, is its own.
#[test]
fn another_name_is_no_other_quota() {
    let mut scene = Scene::new(12 * MIB);
    let landing = scene.begun(&offer("x", 1, 10 * MIB));
    scene.place = scene.inbox.place("desk").unwrap();
    let second = offer("y", 2, 10 * MIB);
    let names = BTreeSet::from(["laptop".to_owned()]);
    assert!(matches!(scene.room_of(("peer", &names), &second), Err(Full::Peer { .. })));
    let promise = scene.room_of(("other", &BTreeSet::new()), &second).unwrap();
    landing.forget().unwrap();
    assert!(scene.room_of(("peer", &names), &offer("z", 3, 10 * MIB)).is_ok(), "promised to somebody else");
    drop(promise);
    let _promise = scene.room_of(("peer", &names), &second).unwrap();
    scene.place = scene.inbox.place("third").unwrap();
    assert!(matches!(scene.room_of(("peer", &names), &offer("z", 3, 10 * MIB)), Err(Full::Peer { .. })));
}
