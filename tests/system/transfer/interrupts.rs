//! Interrupted before anything travels: while the receiver reads again what it has, and while the sender hashes.

use std::{collections::BTreeSet, fs, sync::Arc, time::Duration};

use clankers_protocol::{
    Message,
    message::Ext,
    request::transfer::{FileAccept, FileHave, FileOffer, FileProgress, HaveFile, HaveState},
    transfer::Root,
};
use clankers_tests::{
    NodeHome,
    impostor::{Asked, Impostor, Manner},
};
use tokio::sync::mpsc;

use super::state;
use crate::BIN;

/// So large (bytes) that no machine has hashed it before it is interrupted; nothing of it is on the disk.
const HUGE: u64 = 8 << 40;

/// What the receiver does about an offer, until it has nothing more to say.
#[derive(Clone, Copy)]
enum Receiver {
    /// It reads again what it has, for ever.
    Checks,
    /// It has a file of that name and size, which may be the same.
    HasTheSame,
}

async fn receive(how: Receiver, mut asked: Asked, tell: mpsc::Sender<()>) {
    if asked.first.kind != FileOffer::KIND {
        return asked.refuse().await;
    }
    match how {
        Receiver::Checks => {
            let far = FileProgress { bytes: 1 << 20, durable: 0, received: 0, files: 0, ext: Ext::default() };
            let _sent = asked.writer.send(&far).await;
            tell.send(()).await.unwrap();
        }
        Receiver::HasTheSame => {
            let same = HaveFile { file: 0, state: HaveState::Same(Root([3; 32])) };
            let _sent = asked.writer.send(&FileHave { files: vec![same], ext: Ext::default() }).await;
            let accept = FileAccept { name: "huge".into(), lanes: 1, ext: Ext::default() };
            let _sent = asked.writer.send(&accept).await;
            while let Some(far) = asked.until::<FileProgress>().await {
                // It has read some of it: it is at it.
                if far.bytes > 0 {
                    break;
                }
            }
            tell.send(()).await.unwrap();
        }
    }
    while let Ok(Some(_)) = asked.reader.next().await {}
}

/// Sends a huge file, interrupts it when the receiver says so, and looks at what is left.
async fn interrupted(how: Receiver) {
    let (tell, mut told) = mpsc::channel(4);
    let manner: Manner = Arc::new(move |asked| Box::pin(receive(how, asked, tell.clone())));
    let impostor = Impostor::that(manner).await;
    let lap = NodeHome::new(BIN);
    let path = lap.file("huge", "");
    fs::File::options().write(true).open(&path).unwrap().set_len(HUGE).unwrap();
    let names = |lap: &NodeHome| -> BTreeSet<_> {
        fs::read_dir(lap.workspace()).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    };
    let before = names(&lap);
    let ticket = impostor.ticket();
    let words = ["--json", "rpc", "send-file", &ticket, path.to_str().unwrap(), "--on-conflict", "skip"];
    let sending = lap.cli(words).start();
    tokio::time::timeout(Duration::from_secs(60), told.recv()).await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || {
        sending.interrupt();
        let ran = sending.finish().code(130);
        assert!(ran.error().to_string().contains("transfers resume"), "{}", ran.story());
        assert_eq!(names(&lap), before, "nothing is left beside it");
        let (id, now) = state(&lap);
        assert_eq!(now, "interrupted");
        // Nobody holds it any more.
        lap.cli(["rpc", "transfers", "forget", &id]).run().ok();
    })
    .await
    .unwrap();
    impostor.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_receiver_reads_again_it_ends_at_once() {
    interrupted(Receiver::Checks).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_sender_hashes_it_ends_at_once() {
    interrupted(Receiver::HasTheSame).await;
}
