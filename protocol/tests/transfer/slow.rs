//! Links on which a block takes longer than a transfer may stand still.

use clankers_protocol::{
    limits::{TRANSFER_BEAT_MS, TRANSFER_STALL_MS},
    request::transfer::FileProgress,
    transfer::{Cv, receiver, sender, talk::FromReceiver, tree::BLOCK_BYTES},
};

use super::rules::{T0, accept, offered, progress, receiver_end, receiving, says, sender_end, takes};
#[test]
fn a_block_that_takes_minutes_to_come_is_no_stall_as_long_as_it_comes() {
    let mut receiver = receiving(&[3 * BLOCK_BYTES]);
    let (mut at, mut come) = (0, 0);
    // 10 KB in a second: one block takes two minutes.
    while at < 2 * TRANSFER_STALL_MS {
        (at, come) = (at + TRANSFER_BEAT_MS, come + 10_000);
        let out = takes(&mut receiver, at, receiver::Input::Arriving { bytes: come });
        assert_eq!(receiver_end(&out), None, "after {at} ms");
        let said = out.iter().find_map(|output| match output {
            receiver::Output::Send(FromReceiver::Progress(said)) => Some(said.received),
            _ => None,
        });
        assert_eq!((said, receiver.progress().arrived), (Some(come), come), "the sender hears of it");
    }
    // Nothing more comes, and the other side goes on saying that it is there.
    let since = at;
    while !receiver.is_over() {
        at += TRANSFER_BEAT_MS;
        takes(&mut receiver, at, receiver::Input::Arriving { bytes: come });
        takes(&mut receiver, at, receiver::Input::Frame(progress(0).into()));
        assert!(at <= since + 2 * TRANSFER_STALL_MS, "it waits for ever");
    }
    assert!(at >= since + TRANSFER_STALL_MS);
}

#[test]
fn a_sender_goes_by_the_bytes_of_a_block_that_arrive_too() {
    let (mut sender, _) = offered(&[3 * BLOCK_BYTES]);
    says(&mut sender, 0, accept());
    let piece = sender.next_piece().unwrap();
    let hashed = sender::Input::Hashed { file: piece.file, block: piece.block, cv: Cv([1; 32]) };
    sender.handle(T0, hashed, &mut Vec::new());
    let (mut at, mut come) = (0, 0);
    while at < 90 * TRANSFER_BEAT_MS {
        (at, come) = (at + TRANSFER_BEAT_MS, come + 10_000);
        let said = FileProgress { bytes: 0, durable: 0, ..progress(come) };
        assert_eq!(sender_end(&says(&mut sender, at, said)), None, "after {at} ms");
        assert_eq!(sender.progress().arrived, come);
    }
    // No more comes, whatever is said beside.
    let since = at;
    while !sender.is_over() {
        at += TRANSFER_BEAT_MS;
        says(&mut sender, at, FileProgress { bytes: 0, durable: 0, ..progress(come) });
        assert!(at <= since + 2 * TRANSFER_STALL_MS, "it waits for ever");
    }
    assert!(at >= since + TRANSFER_STALL_MS);
}
