//! The rules of the conversation, and what happens to whoever does not keep to them, or says nothing.

use clankers_protocol::{
    NodeId, Timestamp,
    limits::{
        TRANSFER_BEAT_MS, TRANSFER_JUDGE_MS, TRANSFER_OPEN_FILES, TRANSFER_SILENCE_MS, TRANSFER_STALL_MS,
    },
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::{
        BadFile, BlockRange, DoneFile, FileAccept, FileAgain, FileBad, FileBlock, FileCancel, FileCommit,
        FileDone, FileHave, FileProgress, FileReceipt, FileWait, HaveFile, HaveState,
    },
    transfer::{
        Cv, End, FromReceiver, FromSender, Root,
        manifest::ManifestLimits,
        receipt::Receipt,
        receiver::{self, Receiver},
        sender::{self, Sender},
        tree::BLOCK_BYTES,
    },
};
use proptest::prelude::*;

use super::{
    session::draft,
    world::{Source, SourceFile},
};

pub(crate) const T0: Timestamp = Timestamp(1_000_000);

fn source(sizes: &[u64]) -> Source {
    Source { files: sizes.iter().map(|size| SourceFile { size: *size, version: 0, stamp: 0 }).collect() }
}

pub(crate) fn offered(sizes: &[u64]) -> (Sender, Vec<sender::Output>) {
    let mut sender = Sender::new(T0, draft(), source(sizes).manifest());
    let mut out = Vec::new();
    sender.handle(T0, sender::Input::Start, &mut out);
    (sender, out)
}

pub(crate) fn says(sender: &mut Sender, at: u64, frame: impl Into<FromReceiver>) -> Vec<sender::Output> {
    let mut out = Vec::new();
    sender.handle(T0.plus_ms(at), sender::Input::Frame(frame.into()), &mut out);
    out
}

pub(crate) fn accept() -> FileAccept {
    FileAccept { name: "root".into(), lanes: 8, ext: Ext::default() }
}

pub(crate) fn receiving(sizes: &[u64]) -> Receiver {
    let mut receiver = Receiver::new(T0, ManifestLimits::default());
    let (mut sender, out) = offered(sizes);
    let mut frames: Vec<FromSender> = out
        .into_iter()
        .filter_map(|output| match output {
            sender::Output::Send(frame) => Some(frame),
            _ => None,
        })
        .collect();
    frames.extend(std::iter::from_fn(|| sender.next_page().map(FromSender::from)));
    let mut out = Vec::new();
    frames.into_iter().for_each(|frame| receiver.handle(T0, receiver::Input::Frame(frame), &mut out));
    assert!(out.contains(&receiver::Output::Judge));
    receiver.handle(T0, receiver::Input::Accept { name: "root".into(), lanes: 2 }, &mut out);
    receiver
}

pub(crate) fn takes(receiver: &mut Receiver, at: u64, input: receiver::Input) -> Vec<receiver::Output> {
    let mut out = Vec::new();
    receiver.handle(T0.plus_ms(at), input, &mut out);
    out
}

pub(crate) fn sender_end(out: &[sender::Output]) -> Option<&End> {
    out.iter().find_map(|output| if let sender::Output::Over(end) = output { Some(end) } else { None })
}

pub(crate) fn receiver_end(out: &[receiver::Output]) -> Option<&End> {
    out.iter().find_map(|output| if let receiver::Output::Over(end) = output { Some(end) } else { None })
}

pub(crate) fn progress(received: u64) -> FileProgress {
    FileProgress { bytes: received, durable: 0, received, files: 0, ext: Ext::default() }
}

/// What arrived of a file that fails while it travels is not counted beside a total that has lost it.
#[test]
fn progress_never_passes_its_total() {
    let mut receiver = receiving(&[3 * BLOCK_BYTES + 5, 2]);
    for (block, len) in [(1, BLOCK_BYTES), (3, 5)] {
        let len = u32::try_from(len).unwrap();
        let head = FileBlock { file: 1, block, len, cv: Cv([3; 32]) };
        takes(&mut receiver, 1, receiver::Input::Block(head));
        takes(&mut receiver, 1, receiver::Input::Stored { file: 1, block });
    }
    assert_eq!(
        (receiver.progress().bytes, receiver.progress().total),
        (BLOCK_BYTES + 5, 3 * BLOCK_BYTES + 7)
    );
    let gone = || FileBad { files: vec![BadFile { file: 1, fault: 4 }], ext: Ext::default() };
    takes(&mut receiver, 2, receiver::Input::Frame(gone().into()));
    assert_eq!((receiver.progress().bytes, receiver.progress().total), (0, 2));
    // The other side too, before it has heard anew.
    let (mut sender, _) = offered(&[3 * BLOCK_BYTES + 5, 2]);
    says(&mut sender, 1, accept());
    says(&mut sender, 1, progress(BLOCK_BYTES));
    says(&mut sender, 1, gone());
    assert_eq!((sender.progress().bytes, sender.progress().total), (2, 2));
}

#[test]
fn a_receiver_that_says_nothing_is_given_up() {
    let (mut sender, _) = offered(&[5]);
    let mut out = Vec::new();
    sender.handle(T0.plus_ms(TRANSFER_SILENCE_MS - 1), sender::Input::Tick, &mut out);
    assert_eq!(sender_end(&out), None);
    sender.handle(T0.plus_ms(TRANSFER_SILENCE_MS), sender::Input::Tick, &mut out);
    assert_eq!(sender_end(&out), Some(&End::Stalled));
}

#[test]
fn a_receiver_that_beats_and_never_acknowledges_is_given_up_too() {
    // One that reads the block; one that never does, so that it stays with the sender; one that says now this and now that.
    for (reads, says_what) in [(true, [0, 0]), (false, [0, 0]), (true, [5, 0])] {
        never_acknowledges(reads, says_what);
    }
}

fn never_acknowledges(reads: bool, says_what: [u64; 2]) {
    let (mut sender, _) = offered(&[3 * BLOCK_BYTES]);
    says(&mut sender, 0, accept());
    let piece = sender.next_piece().unwrap();
    let hashed = sender::Input::Hashed { file: piece.file, block: piece.block, cv: Cv([1; 32]) };
    sender.handle(T0, hashed, &mut Vec::new());
    if reads {
        sender.handle(T0, sender::Input::Written { bytes: piece.len }, &mut Vec::new());
    }
    let mut at = 0;
    let end = loop {
        at += TRANSFER_BEAT_MS;
        let odd = usize::from(at / TRANSFER_BEAT_MS % 2 == 1);
        let out = says(&mut sender, at, progress(says_what[odd]));
        if let Some(end) = sender_end(&out) {
            break end.clone();
        }
        assert!(at <= 2 * TRANSFER_STALL_MS, "it waits for ever");
    };
    assert_eq!(end, End::Stalled);
    assert!(at >= TRANSFER_STALL_MS);
}

#[test]
fn a_sender_whose_own_disk_is_slow_does_not_blame_the_receiver() {
    let (mut sender, _) = offered(&[3 * BLOCK_BYTES]);
    says(&mut sender, 0, accept());
    for beat in 1..600 {
        let out = says(&mut sender, beat * TRANSFER_BEAT_MS, progress(0));
        assert_eq!(sender_end(&out), None);
        assert!(out.iter().any(|output| matches!(output, sender::Output::Send(FromSender::Progress(_)))));
    }
}

#[test]
fn an_offer_waits_as_long_as_it_stands_and_no_longer() {
    let (mut sender, _) = offered(&[5]);
    let until = T0.plus_ms(86_400_000);
    says(&mut sender, 5, FileWait { until, ext: Ext::default() });
    let mut at = 0;
    while at < 86_400_000 {
        at += 20_000;
        assert_eq!(sender_end(&says(&mut sender, at, progress(0))), None);
    }
    let out = says(&mut sender, 86_400_000 + TRANSFER_SILENCE_MS, progress(0));
    assert_eq!(sender_end(&out), Some(&End::Stalled));
    let (mut sender, _) = offered(&[5]);
    let mut at = 0;
    let end = loop {
        at += 20_000;
        let out = says(&mut sender, at, progress(at));
        if let Some(end) = sender_end(&out) {
            break end.clone();
        }
    };
    assert_eq!((end, at >= TRANSFER_JUDGE_MS), (End::Stalled, true), "nobody judges for so long");
}

#[test]
fn a_sender_that_stalls_is_given_up_and_what_came_is_kept() {
    let mut receiver = receiving(&[3 * BLOCK_BYTES]);
    let head = FileBlock { file: 1, block: 0, len: BLOCK_BYTES as u32, cv: Cv([1; 32]) };
    takes(&mut receiver, 0, receiver::Input::Block(head));
    takes(&mut receiver, 1, receiver::Input::Stored { file: 1, block: 0 });
    let mut at = 0;
    let out = loop {
        at += TRANSFER_BEAT_MS;
        // It is there, says it, and does nothing.
        let out = takes(&mut receiver, at, receiver::Input::Frame(progress(0).into()));
        if receiver.is_over() {
            break out;
        }
        assert!(at <= 2 * TRANSFER_STALL_MS, "it waits for ever");
    };
    assert_eq!(receiver_end(&out), Some(&End::Stalled));
    assert!(!out.iter().any(|output| matches!(output, receiver::Output::Forget(_))));
    assert!(at >= TRANSFER_STALL_MS);
}

#[test]
fn a_slow_disk_of_the_receiver_is_not_the_senders_fault() {
    let mut receiver = receiving(&[3 * BLOCK_BYTES]);
    let head = FileBlock { file: 1, block: 0, len: BLOCK_BYTES as u32, cv: Cv([1; 32]) };
    takes(&mut receiver, 0, receiver::Input::Block(head));
    for beat in 1..300 {
        let out = takes(&mut receiver, beat * TRANSFER_BEAT_MS, receiver::Input::Frame(progress(0).into()));
        assert_eq!(receiver_end(&out), None);
    }
}

#[test]
fn blocks_that_are_none_end_the_conversation() {
    let block = |file, block, len| FileBlock { file, block, len, cv: Cv([1; 32]) };
    for (what, head) in [
        ("of a directory", block(0, 0, 5)),
        ("of no entry", block(9, 0, 5)),
        ("past the end", block(1, 2, 5)),
        ("too long", block(1, 1, 6)),
        ("too short", block(1, 0, 5)),
        ("empty", block(1, 1, 0)),
        ("of an empty file", block(2, 0, 0)),
        ("of the last number", block(u32::MAX, u32::MAX, u32::MAX)),
    ] {
        let mut receiver = receiving(&[BLOCK_BYTES + 5, 0]);
        let out = takes(&mut receiver, 0, receiver::Input::Block(head));
        assert!(matches!(receiver_end(&out), Some(End::Broken(_))), "{what}");
    }
    let mut early = Receiver::new(T0, ManifestLimits::default());
    let out = takes(&mut early, 0, receiver::Input::Block(block(1, 0, 5)));
    assert!(matches!(receiver_end(&out), Some(End::Broken(_))), "before the offer");
}

#[test]
fn a_block_that_is_there_is_not_taken_again() {
    let mut receiver = receiving(&[BLOCK_BYTES + 5]);
    let head = FileBlock { file: 1, block: 1, len: 5, cv: Cv([1; 32]) };
    let is_taken = |out: &[receiver::Output]| out.contains(&receiver::Output::Take(head));
    assert!(is_taken(&takes(&mut receiver, 0, receiver::Input::Block(head))));
    assert!(!is_taken(&takes(&mut receiver, 0, receiver::Input::Block(head))), "on its way");
    takes(&mut receiver, 0, receiver::Input::Stored { file: 1, block: 1 });
    let again = takes(&mut receiver, 0, receiver::Input::Block(head));
    assert!(again.contains(&receiver::Output::Spurn(head)), "there");
}

#[test]
fn no_file_is_named_and_no_receipt_made_before_all_is_there() {
    let mut receiver = receiving(&[BLOCK_BYTES + 5]);
    let out = takes(&mut receiver, 0, receiver::Input::Frame(FileCommit { ext: Ext::default() }.into()));
    assert!(!out.iter().any(|output| matches!(output, receiver::Output::Seal(_))));
    for (block, len) in [(0, BLOCK_BYTES as u32), (1, 5)] {
        let head = FileBlock { file: 1, block, len, cv: Cv([1; 32]) };
        takes(&mut receiver, 0, receiver::Input::Block(head));
        takes(&mut receiver, 0, receiver::Input::Stored { file: 1, block });
    }
    assert_eq!(receiver.next_ready(), None, "its hash was not told");
    let done = FileDone { files: vec![DoneFile { file: 1, root: Root([9; 32]) }], ext: Ext::default() };
    let out = takes(&mut receiver, 0, receiver::Input::Frame(done.into()));
    assert_eq!(receiver.next_ready(), None, "its hash is another");
    assert!(out.contains(&receiver::Output::Forget(1)));
    assert!(out.iter().any(|output| matches!(output, receiver::Output::Send(FromReceiver::Bad(_)))));
}

#[test]
fn files_begun_and_not_ended_are_bounded() {
    let sizes = vec![2 * BLOCK_BYTES; TRANSFER_OPEN_FILES + 1];
    let mut receiver = receiving(&sizes);
    for file in 1..=TRANSFER_OPEN_FILES as u32 {
        let done = FileDone { files: vec![DoneFile { file, root: Root([9; 32]) }], ext: Ext::default() };
        receiver.handle(T0, receiver::Input::Frame(done.into()), &mut Vec::new());
    }
    assert!(!receiver.is_over());
    let file = TRANSFER_OPEN_FILES as u32 + 1;
    let done = FileDone { files: vec![DoneFile { file, root: Root([9; 32]) }], ext: Ext::default() };
    let out = takes(&mut receiver, 0, receiver::Input::Frame(done.into()));
    assert!(matches!(receiver_end(&out), Some(End::Broken(_))));
}

#[test]
fn a_receiver_that_lies_about_what_it_has() {
    let blocks = |file, from, to| HaveFile { file, state: HaveState::Blocks(vec![BlockRange { from, to }]) };
    let whole = |file| HaveFile { file, state: HaveState::Whole(Root([1; 32])) };
    for (what, files) in [
        ("of a directory", vec![blocks(0, 0, 1)]),
        ("of no entry", vec![whole(77)]),
        ("past the end", vec![blocks(1, 0, 3)]),
        ("turned round", vec![blocks(1, 2, 1)]),
        ("nothing", vec![blocks(1, 1, 1)]),
        ("twice", vec![whole(1), whole(1)]),
        ("whole and in part", vec![whole(1), blocks(1, 0, 1)]),
    ] {
        let (mut sender, _) = offered(&[2 * BLOCK_BYTES]);
        let out = says(&mut sender, 0, FileHave { files, ext: Ext::default() });
        assert!(matches!(sender_end(&out), Some(End::Broken(_))), "{what}");
    }
    let (mut sender, _) = offered(&[5]);
    let out = says(&mut sender, 0, FileAccept { name: "../x".into(), ..accept() });
    assert!(matches!(sender_end(&out), Some(End::Broken(_))), "a name that leads elsewhere");
}

/// A sender of one file of two blocks, with all said.
fn committed() -> Sender {
    let (mut sender, _) = offered(&[2 * BLOCK_BYTES]);
    says(&mut sender, 0, accept());
    while let Some(piece) = sender.next_piece() {
        let hashed = sender::Input::Hashed { file: 1, block: piece.block, cv: Cv([1; 32]) };
        sender.handle(T0, hashed, &mut Vec::new());
    }
    let mut out = Vec::new();
    sender.handle(T0, sender::Input::Checked { file: 1 }, &mut out);
    assert!(out.iter().any(|output| matches!(output, sender::Output::Send(FromSender::Commit(_)))));
    sender
}

#[test]
fn a_file_is_asked_for_once_more_and_not_for_ever() {
    let again = || FileAgain { files: vec![1], ext: Ext::default() };
    let mut sender = committed();
    assert!(says(&mut sender, 0, again()).contains(&sender::Output::Pieces));
    let mut sent = 0;
    while let Some(piece) = sender.next_piece() {
        assert!(piece.send);
        sent += 1;
        let hashed = sender::Input::Hashed { file: 1, block: piece.block, cv: Cv([1; 32]) };
        sender.handle(T0, hashed, &mut Vec::new());
    }
    sender.handle(T0, sender::Input::Checked { file: 1 }, &mut Vec::new());
    assert_eq!(sent, 2);
    let out = says(&mut sender, 0, again());
    assert!(matches!(sender_end(&out), Some(End::Broken(_))));
}

#[test]
fn a_receipt_of_something_else_is_no_receipt() {
    let root = {
        let mut builder = clankers_protocol::transfer::tree::RootBuilder::new(2 * BLOCK_BYTES);
        builder.put(0, Cv([1; 32]));
        builder.put(1, Cv([1; 32]));
        builder.root().unwrap()
    };
    let manifest = source(&[2 * BLOCK_BYTES]).manifest();
    let good = Receipt {
        transfer: draft().transfer,
        source: draft().source,
        name: "root".into(),
        root: clankers_protocol::transfer::manifest::whole_root(&manifest, |file| {
            (file == 1).then_some(root)
        }),
        files: 1,
        bytes: 2 * BLOCK_BYTES,
        sent_bytes: 0,
        bad: 0,
        declined: 0,
        at: T0,
    };
    let receipt = |receipt| FileReceipt { receipt, signature: vec![0; 64], ext: Ext::default() };
    let out = says(&mut committed(), 0, receipt(good.clone()));
    assert!(matches!(sender_end(&out), Some(End::Done(_))));
    for bad in [
        Receipt { root: Root([0; 32]), ..good.clone() },
        Receipt { files: 0, ..good.clone() },
        Receipt { bytes: 1, ..good.clone() },
        Receipt { transfer: clankers_protocol::transfer::TransferId([9; 16]), ..good.clone() },
    ] {
        let out = says(&mut committed(), 0, receipt(bad));
        assert!(matches!(sender_end(&out), Some(End::Broken(_))));
    }
    // One that got lost, and comes in answer to an offer: of this transfer, and of as many files.
    let (mut late, _) = offered(&[2 * BLOCK_BYTES]);
    assert!(matches!(sender_end(&says(&mut late, 0, receipt(good.clone()))), Some(End::Done(_))));
    for bad in [
        Receipt { files: 2, ..good.clone() },
        Receipt { bytes: 2 * BLOCK_BYTES + 1, ..good.clone() },
        Receipt { source: clankers_protocol::transfer::SourceIdentity([9; 32]), ..good },
    ] {
        let (mut late, _) = offered(&[2 * BLOCK_BYTES]);
        assert!(matches!(sender_end(&says(&mut late, 0, receipt(bad))), Some(End::Broken(_))));
    }
}

#[test]
fn either_side_cancels_and_a_right_that_ends_ends_it() {
    let mut receiver = receiving(&[5]);
    let out = takes(&mut receiver, 0, receiver::Input::Frame(FileCancel { ext: Ext::default() }.into()));
    assert_eq!(receiver_end(&out), Some(&End::Cancelled { by_peer: true }));
    let mut receiver = receiving(&[5]);
    let refusal = Box::new(Refusal::new(RefusalCode::Revoked, "it was taken back", NodeId([1; 32])));
    let out = takes(&mut receiver, 0, receiver::Input::Refuse(refusal.clone()));
    assert!(out.contains(&receiver::Output::Send(FromReceiver::Refusal(refusal.clone()))));
    assert_eq!(receiver_end(&out), Some(&End::Refused(refusal.clone())));
    let (mut sender, _) = offered(&[5]);
    assert_eq!(sender_end(&says(&mut sender, 0, *refusal.clone())), Some(&End::Refused(refusal)));
    let (mut sender, _) = offered(&[5]);
    let mut out = Vec::new();
    sender.handle(T0, sender::Input::Cancel, &mut out);
    assert!(out.iter().any(|output| matches!(output, sender::Output::Send(FromSender::Cancel(_)))));
    assert_eq!(sender_end(&out), Some(&End::Cancelled { by_peer: false }));
}

fn any_from_sender() -> impl Strategy<Value = FromSender> {
    let ext = Ext::default;
    prop_oneof![
        (0_u32..4, any::<u8>()).prop_map(move |(file, r)| FileDone {
            files: vec![DoneFile { file, root: Root([r; 32]) }],
            ext: ext()
        }
        .into()),
        (0_u32..4, any::<u16>()).prop_map(move |(file, fault)| FileBad {
            files: vec![BadFile { file, fault }],
            ext: ext()
        }
        .into()),
        Just(FromSender::from(FileCommit { ext: ext() })),
        any::<u64>().prop_map(|n| progress(n).into()),
    ]
}

fn any_from_receiver() -> impl Strategy<Value = FromReceiver> {
    let ext = Ext::default;
    prop_oneof![
        (0_u32..4, 0_u32..4, 0_u32..4).prop_map(move |(file, from, to)| {
            let state = HaveState::Blocks(vec![BlockRange { from, to }]);
            FileHave { files: vec![HaveFile { file, state }], ext: ext() }.into()
        }),
        (0_u32..4).prop_map(move |file| {
            FileHave { files: vec![HaveFile { file, state: HaveState::Same(Root([1; 32])) }], ext: ext() }
                .into()
        }),
        Just(FromReceiver::from(accept())),
        (0_u32..4).prop_map(move |file| FileAgain { files: vec![file], ext: ext() }.into()),
        (0_u32..4)
            .prop_map(move |file| FileBad { files: vec![BadFile { file, fault: 4 }], ext: ext() }.into()),
        any::<u64>().prop_map(|n| progress(n).into()),
    ]
}

proptest! {
    #[test]
    fn a_hostile_sender_gets_nothing_named_that_is_not_whole(
        steps in prop::collection::vec((any_from_sender(), 0_u32..4, 0_u32..4, 0_u8..6), 0..60)
    ) {
        let sizes = [BLOCK_BYTES + 5, 5, 0];
        let mut receiver = receiving(&sizes);
        let mut stored = std::collections::BTreeSet::new();
        for (frame, file, block, what) in steps {
            let len = sizes.get(file.wrapping_sub(1) as usize)
                .and_then(|size| clankers_protocol::transfer::tree::block_span(*size, block)).map_or(7, |span| span.1);
            let head = FileBlock { file, block, len, cv: Cv([3; 32]) };
            let input = match what {
                0 | 1 => receiver::Input::Frame(frame),
                2 | 3 => receiver::Input::Block(head),
                4 => { stored.insert((file, block)); receiver::Input::Stored { file, block } }
                _ => receiver::Input::Damaged { file, block },
            };
            takes(&mut receiver, 1, input);
            while let Some((file, _)) = receiver.next_ready() {
                let size = sizes[file as usize - 1];
                for block in 0..clankers_protocol::transfer::tree::blocks(size) {
                    prop_assert!(stored.contains(&(file, block)));
                }
                takes(&mut receiver, 1, receiver::Input::Placed { file });
            }
        }
        prop_assert!(receiver.progress().bytes <= receiver.progress().total);
    }

    #[test]
    fn a_hostile_receiver_only_hurts_itself(frames in prop::collection::vec(any_from_receiver(), 0..60)) {
        let (mut sender, _) = offered(&[BLOCK_BYTES + 5, 5, 0]);
        let mut pieces = 0;
        for frame in frames {
            says(&mut sender, 1, frame);
            while let Some(piece) = sender.next_piece() {
                pieces += 1;
                prop_assert!(piece.file < 4 && u64::from(piece.len) <= BLOCK_BYTES);
                let hashed = sender::Input::Hashed { file: piece.file, block: piece.block, cv: Cv([1; 32]) };
                sender.handle(T0, hashed, &mut Vec::new());
                sender.handle(T0, sender::Input::Checked { file: piece.file }, &mut Vec::new());
            }
        }
        prop_assert!(pieces <= 6, "asked for {pieces} blocks of three");
    }
}
