//! Samples of the frames that send files.

use clankers_protocol::{
    request::transfer::{
        BadFile, BlockRange, DoneFile, Entry, EntryKind, FileAccept, FileAgain, FileBad, FileBlock,
        FileCancel, FileCommit, FileData, FileDone, FileFetch, FileHave, FileManifest, FileOffer,
        FileProgress, FileReceipt, FileWait, HaveFile, HaveState, OnConflict,
        keeping::{
            Direction, FileSend, FileSent, InboxAnswer, InboxAnswered, InboxList, InboxListReply, OfferInfo,
            SendOptions, TransferChange, TransferEdit, TransferEdited, TransferInfo, TransferList,
            TransferListReply, TransferState,
        },
    },
    transfer::{Cv, FileIdentity, Root, SourceIdentity, TransferId, receipt::Receipt},
};

use super::{AT, LEAF, NODE, Sample, ext, message};

const TRANSFER: TransferId = TransferId([0x7f; 16]);
const ROOT: Root = Root([0xb3; 32]);

fn entries() -> Vec<Entry> {
    let entry = |parent, name: &str, kind, size| Entry {
        parent,
        name: name.into(),
        kind,
        size,
        mode: 0o755,
        mtime_ns: -1_763_683_200_123_456_789,
        id: FileIdentity([0x1d; 16]),
    };
    vec![entry(0, "fotos", EntryKind::Dir, 0), entry(0, "grüße.txt", EntryKind::File, 1 << 40)]
}

fn offer(on_conflict: OnConflict) -> FileOffer {
    FileOffer {
        leaf: LEAF,
        transfer: TRANSFER,
        name: "fotos".into(),
        source: SourceIdentity([0x50; 32]),
        bytes: 1 << 40,
        files: 1,
        dirs: 1,
        to: Some("2026/sommer".into()),
        on_conflict,
        lanes: 8,
        entries: entries(),
        ext: ext(),
    }
}

fn offer_info() -> OfferInfo {
    OfferInfo {
        transfer: TRANSFER,
        peer: NODE,
        label: Some("desk".into()),
        name: "fotos".into(),
        to: Some("2026".into()),
        bytes: 1 << 40,
        files: 300,
        dirs: 2,
        sample: vec![("a/b.jpg".into(), 70_000)],
        asked: AT,
        until: AT.plus_ms(86_400_000),
        accepted: true,
    }
}

fn transfer_info(direction: Direction, state: TransferState) -> TransferInfo {
    TransferInfo {
        transfer: TRANSFER,
        peer: NODE,
        label: None,
        direction,
        name: "fotos".into(),
        bytes: 1 << 40,
        done_bytes: 300,
        files: 1,
        state,
        error: Some("the disk is full".into()),
        at: AT,
    }
}

pub(super) fn all() -> Vec<Sample> {
    [asked(), sent(), kept()].into_iter().flatten().collect()
}

fn asked() -> Vec<Sample> {
    let have = |state| FileHave { files: vec![HaveFile { file: 300, state }], ext: ext() };
    let ranges = vec![BlockRange { from: 0, to: 300 }, BlockRange { from: 301, to: 302 }];
    vec![
        message("rename", offer(OnConflict::Rename)),
        message("refuse", offer(OnConflict::Refuse)),
        message("overwrite", offer(OnConflict::Overwrite)),
        message("skip", offer(OnConflict::Skip)),
        message("", FileManifest { entries: entries(), ext: ext() }),
        message("", FileWait { until: AT, ext: ext() }),
        message("blocks", have(HaveState::Blocks(ranges))),
        message("whole", have(HaveState::Whole(ROOT))),
        message("same", have(HaveState::Same(ROOT))),
        message("declined", have(HaveState::Declined)),
        message("", FileAccept { name: "fotos (1)".into(), lanes: 4, ext: ext() }),
        message("", FileData { transfer: TRANSFER, lane: 3, ext: ext() }),
        message("", FileFetch { leaf: LEAF, transfer: TRANSFER, path: "music/a.flac".into(), ext: ext() }),
    ]
}

fn sent() -> Vec<Sample> {
    let receipt = Receipt {
        transfer: TRANSFER,
        source: SourceIdentity([0x50; 32]),
        name: "fotos (1)".into(),
        root: ROOT,
        files: 300,
        bytes: 1 << 40,
        sent_bytes: 1 << 20,
        bad: 1,
        declined: 2,
        at: AT,
    };
    let progress = FileProgress { bytes: 1 << 40, durable: 1 << 30, received: 300, files: 2, ext: ext() };
    vec![
        message("", FileBlock { file: 300, block: 70_000, len: 1 << 20, cv: Cv([0xcf; 32]) }),
        message("", FileDone { files: vec![DoneFile { file: 300, root: ROOT }], ext: ext() }),
        message("", FileBad { files: vec![BadFile { file: 300, fault: 4 }], ext: ext() }),
        message("", FileAgain { files: vec![1, 300], ext: ext() }),
        message("", progress),
        message("", FileCommit { ext: ext() }),
        message("", FileReceipt { receipt, signature: vec![0x51; 64], ext: ext() }),
        message("", FileCancel { ext: ext() }),
    ]
}

fn kept() -> Vec<Sample> {
    let options = SendOptions {
        to: Some("2026".into()),
        on_conflict: OnConflict::Skip,
        follow_links: true,
        exclude: vec!["*.o".into()],
    };
    let send = FileSend {
        leaf: LEAF,
        peer: "desk".into(),
        paths: vec!["/home/me/fotos".into()],
        options,
        ext: ext(),
    };
    let answer = InboxAnswer {
        leaf: LEAF,
        offer: "7f7f".into(),
        accept: true,
        only: vec!["a".into(), "b/c".into()],
        ext: ext(),
    };
    let states = [
        TransferState::Running,
        TransferState::Waiting,
        TransferState::Interrupted,
        TransferState::Done,
        TransferState::Failed,
        TransferState::Cancelled,
    ];
    let transfers = states.map(|state| transfer_info(Direction::Send, state)).to_vec();
    let edit = |change| TransferEdit { leaf: LEAF, transfer: "7f7f".into(), change, ext: ext() };
    let edited = transfer_info(Direction::Receive, TransferState::Cancelled);
    vec![
        message("", send),
        message("", FileSent { transfers: vec![TRANSFER], ext: ext() }),
        message("", InboxList { leaf: LEAF, skip: 200, ext: ext() }),
        message("", InboxListReply { offers: vec![offer_info()], more: 3, ext: ext() }),
        message("", answer),
        message("", InboxAnswered { offer: offer_info(), ext: ext() }),
        message("", TransferList { leaf: LEAF, skip: 200, ext: ext() }),
        message("", TransferListReply { transfers, more: 3, ext: ext() }),
        message("cancel", edit(TransferChange::Cancel)),
        message("resume", edit(TransferChange::Resume)),
        message("forget", edit(TransferChange::Forget)),
        message("", TransferEdited { transfer: edited, ext: ext() }),
    ]
}
