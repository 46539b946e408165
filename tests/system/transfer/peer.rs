//! Peers that speak the frames of transfers by themselves.

use clankers_auth::GrantSpec;
use clankers_protocol::{
    Message,
    kind::Kind,
    message::Ext,
    request::transfer::{Entry, EntryKind, FileAccept, FileBlock, FileData, FileOffer, OnConflict},
    transfer::{Cv, FileIdentity, SourceIdentity, TransferId},
};
use clankers_tests::{
    Node, NodeHome, forge,
    hostile::{Answer, Guest, Hostile, Talk, frame},
};

use crate::BIN;

/// A node, and a peer that may drop files there and has said Hello.
pub(super) struct Intruder {
    pub(super) node: Node,
    pub(super) peer: Hostile,
    pub(super) guest: Guest,
    /// What it showed.
    pub(super) chain: Vec<u8>,
}

pub(super) async fn intruder() -> Intruder {
    let node = NodeHome::new(BIN).start();
    let peer = Hostile::start().await;
    let spec = GrantSpec::default().with_files(true, false);
    let chain = forge::grant(&node.home().seed(), peer.id(), &spec);
    let (guest, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    Intruder { node, peer, guest, chain }
}

pub(super) fn entry(parent: u32, name: &str, kind: EntryKind, size: u64) -> Entry {
    Entry { parent, name: name.into(), kind, size, mode: 0o644, mtime_ns: 1, id: FileIdentity([1; 16]) }
}

pub(super) fn file(name: &str, size: u64) -> FileOffer {
    FileOffer {
        leaf: None,
        transfer: TransferId(forge::random()),
        name: name.into(),
        source: SourceIdentity(forge::random()),
        bytes: size,
        files: 1,
        dirs: 0,
        to: None,
        on_conflict: OnConflict::Rename,
        lanes: 1,
        entries: vec![entry(0, name, EntryKind::File, size)],
        ext: Ext::default(),
    }
}

pub(super) fn dir(entries: Vec<Entry>) -> FileOffer {
    let files: Vec<_> = entries.iter().filter(|entry| entry.kind == EntryKind::File).collect();
    let (bytes, count) = (files.iter().fold(0_u64, |sum, file| sum.wrapping_add(file.size)), files.len());
    let dirs = u32::try_from(entries.len() - count).unwrap();
    FileOffer { bytes, files: u32::try_from(count).unwrap(), dirs, entries, ..file("root", 0) }
}

/// The first answer that is not a beat.
pub(super) async fn answer(talk: &mut Talk) -> Answer {
    loop {
        match talk.answer().await {
            Answer::Frame(frame) if frame.kind == Kind::FILE_PROGRESS => {}
            other => return other,
        }
    }
}

pub(super) async fn accepted(talk: &mut Talk) -> FileAccept {
    answer(talk).await.message()
}

pub(super) async fn lane(guest: &Guest, transfer: TransferId) -> Talk {
    guest.say(&FileData { transfer, lane: 0, ext: Ext::default() }).await
}

pub(super) fn block(file: u32, block: u32, bytes: &[u8], cv: Cv) -> Vec<u8> {
    let head = FileBlock { file, block, len: u32::try_from(bytes.len()).unwrap(), cv };
    [frame(FileBlock::KIND, &head.encode()), bytes.to_vec()].concat()
}
