//! How long each side waits for the other: while an owner is asked, and while what is there is read again.

use clankers_protocol::{
    Timestamp,
    limits::{TRANSFER_BEAT_MS, TRANSFER_JUDGE_MS, TRANSFER_SILENCE_MS, TRANSFER_WAIT_MS},
    message::Ext,
    request::transfer::FileWait,
    transfer::{
        End, FromReceiver, FromSender,
        manifest::ManifestLimits,
        receiver::{self, Receiver},
        sender,
        tree::BLOCK_BYTES,
    },
};

use super::rules::{T0, accept, offered, progress, receiver_end, says, sender_end, takes};

#[test]
fn nobody_waits_for_ever_on_the_receivers_word() {
    let (mut sender, _) = offered(&[5]);
    let out = says(&mut sender, 0, FileWait { until: Timestamp(u64::MAX), ext: Ext::default() });
    let last = T0.plus_ms(TRANSFER_WAIT_MS);
    assert!(out.contains(&sender::Output::Waiting(last)), "{out:?}");
    let (mut now, mut ended) = (T0, None);
    while ended.is_none() && now < last.plus_ms(2 * TRANSFER_SILENCE_MS) {
        now = now.plus_ms(TRANSFER_SILENCE_MS / 2);
        let out = says(&mut sender, now.since(T0), progress(0));
        ended = sender_end(&out).cloned();
    }
    assert_eq!(ended, Some(End::Stalled));
    assert!(now >= last);
}

#[test]
fn what_is_read_again_is_told_and_may_take_its_time() {
    let (mut sender, out) = offered(&[3 * BLOCK_BYTES]);
    let Some(sender::Output::Send(FromSender::Offer(offer))) = out.into_iter().next() else { panic!() };
    let mut receiver = Receiver::new(T0, ManifestLimits::default());
    takes(&mut receiver, 0, receiver::Input::Frame(FromSender::Offer(offer)));
    let mut told = 0;
    // Three times as long as a judgement may take otherwise; a byte now and then.
    for at in (0..3 * TRANSFER_JUDGE_MS).step_by(5 * usize::try_from(TRANSFER_BEAT_MS).unwrap()) {
        let out = takes(&mut receiver, at, receiver::Input::Scanned { bytes: at + 1 });
        assert_eq!(receiver_end(&out), None, "{at}");
        for frame in out {
            let receiver::Output::Send(FromReceiver::Progress(progress)) = frame else { continue };
            told = progress.bytes;
            let out = says(&mut sender, at, *progress);
            assert_eq!(sender_end(&out), None, "{at}");
            for output in out {
                let sender::Output::Send(beat) = output else { continue };
                takes(&mut receiver, at, receiver::Input::Frame(beat));
            }
        }
    }
    assert!(told > 2 * TRANSFER_JUDGE_MS);
    assert_eq!(sender.progress().bytes, told, "whoever waits sees how far it is");
    // Accepted with nothing that is still good: it begins at nothing.
    says(&mut sender, 3 * TRANSFER_JUDGE_MS, accept());
    assert_eq!(sender.progress().bytes, 0);
}
