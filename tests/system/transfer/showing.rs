//! Offers that wait, as their owner sees them and as their sender hears of it.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    Message,
    message::Ext,
    refusal::{Refusal, RefusalCode},
    request::transfer::{Entry, EntryKind, FileManifest, FileOffer},
};
use clankers_tests::{
    NodeHome, forge,
    hostile::{Answer, Hostile, frame},
    impostor::{Impostor, Manner},
    wait::until,
};
use serde_json::Value;

use super::{
    Two,
    asking::offer_id,
    peer::{accepted, answer, dir, entry},
    state, tree,
};
use crate::BIN;

fn shown(two: &Two, id: &str) -> Value {
    two.desk.cli(["--json", "inbox", "show", id]).run().ok().json()
}

fn entries(shown: &Value) -> Vec<(String, u64)> {
    let entry = |one: &Value| (one["path"].as_str().unwrap().to_owned(), one["bytes"].as_u64().unwrap());
    shown["entries"].as_array().unwrap().iter().map(entry).collect()
}

#[test]
fn all_that_is_offered_is_seen_before_it_is_accepted() {
    let two = Two::with(&["--offer"]);
    let names: Vec<String> = (0..3_000).map(|number| format!("d{}/{number}", number % 7)).collect();
    let files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 1)).collect();
    let many = tree(&two.lap, "many", &files);
    fs::create_dir(many.join("nothing")).unwrap();
    let sending = two.send([many.to_str().unwrap()]).start();
    let id = offer_id(&two);
    let while_here = shown(&two, &id[..10]);
    let all = entries(&while_here);
    assert_eq!((all.len(), &while_here["lost"]), (3_000 + 7 + 2, &0.into()), "files and directories");
    let named = |path: &str| all.iter().find(|(one, _)| one == path).map(|(_, bytes)| *bytes);
    assert_eq!((named("many/d6/2946"), named("many/nothing"), named("many")), (Some(1), Some(0), Some(0)));
    sending.kill9();
    // Whoever offered it is gone, and the node was started anew.
    let mut two = two;
    let offers = two.desk.home().path().join("offers");
    two.desk.kill9();
    // And this is of an offer that was never noted.
    fs::write(offers.join(format!("{}.list", "ab".repeat(16))), "x").unwrap();
    two.desk.restart();
    assert_eq!(entries(&shown(&two, &id)), all);
    let ran = two.desk.cli(["inbox", "show", &id]).run().ok();
    assert!(ran.out().contains("       1 B  many/d6/2946\n"), "{}", ran.out());
    assert!(ran.out().contains("            many/nothing/\n"), "{}", ran.out());
    assert!(ran.out().lines().last().unwrap().starts_with("files: 3000, directories: 9, "), "{}", ran.out());
    two.desk.cli(["inbox", "show", "none"]).run().code(7);
    two.desk.cli(["inbox", "reject", &id]).run().ok();
    two.send([many.to_str().unwrap()]).run().code(4);
    let left: Vec<_> = fs::read_dir(&offers).into_iter().flatten().collect();
    assert!(left.is_empty(), "what was kept of it is gone with it: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_is_too_large_to_wait_says_so_and_comes_again() {
    let node = NodeHome::new(BIN).start();
    let peer = Hostile::start().await;
    let spec = GrantSpec::default().with_files(false, true);
    let chain = forge::grant(&node.home().seed(), peer.id(), &spec);
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let file = |number: u32| entry(0, &format!("f{number:06}"), EntryKind::File, 0);
    let mut all: Vec<Entry> = vec![entry(0, "root", EntryKind::Dir, 0)];
    all.extend((0..50_000).map(file));
    let offer = dir(all.clone());
    let first = FileOffer { entries: all[..500].to_vec(), ..offer };
    let offered = async || {
        let mut talk = guest.say(&first).await;
        for page in all[500..].chunks(500) {
            let page = FileManifest { entries: page.to_vec(), ext: Ext::default() };
            talk.write(&frame(FileManifest::KIND, &page.encode())).await.unwrap();
        }
        talk
    };
    let id = first.transfer.to_string();
    match answer(&mut offered().await).await {
        Answer::Refused(refusal) => {
            assert_eq!(refusal.code(), RefusalCode::Waits, "{refusal:?}");
            assert!(refusal.message.contains("50001") && refusal.message.contains("50000"), "{refusal:?}");
            assert!(refusal.hints[0].contains(&format!("inbox accept {}", &id[..10])), "{refusal:?}");
        }
        other => panic!("{other:?}"),
    }
    // It stands, and its owner sees all of it.
    let shown = node.cli(["--json", "inbox", "show", &id]).run().ok().json();
    assert_eq!(entries(&shown).len() + usize::try_from(shown["lost"].as_u64().unwrap()).unwrap(), 50_001);
    assert!(entries(&shown).len() > 10_000, "{} are kept", entries(&shown).len());
    node.cli(["inbox", "accept", &id]).run().ok();
    let accept = accepted(&mut offered().await).await;
    assert_eq!(accept.name, "root");
    peer.close().await;
}

/// The same as its sender sees it: no retries, and the transfer is gone on with by the same command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_whose_offer_waits_without_it_is_told_once() {
    let offers: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&offers);
    let manner: Manner = Arc::new(move |mut asked| {
        let seen = Arc::clone(&seen);
        Box::pin(async move {
            if let Ok(offer) = FileOffer::decode(&asked.first.body) {
                seen.lock().unwrap().push(offer.transfer.to_string());
            }
            let words = "the offer waits for the node's owner";
            let refusal = Refusal::new(RefusalCode::Waits, words, asked.connection.remote());
            let _sent = asked.writer.send(&refusal).await;
            let _done = asked.writer.finish();
        })
    });
    let impostor = Impostor::that(manner).await;
    let ticket = impostor.ticket();
    let lap = NodeHome::new(BIN);
    let file = lap.file("a", "1");
    let done = tokio::task::spawn_blocking(move || {
        let words = ["--json", "rpc", "send-file", &ticket, file.to_str().unwrap()];
        let ran = lap.cli(words).within(Duration::from_secs(60)).run().code(4);
        let said = ran.error().to_string();
        assert!(said.contains("waits for the node's owner") && said.contains("transfers resume"), "{said}");
        assert!(!ran.err().contains("trying again"), "{}", ran.story());
        let (id, now) = state(&lap);
        assert_eq!(now, "waiting");
        lap.cli(words).within(Duration::from_secs(60)).run().code(4);
        until("one record", Duration::from_secs(30), || (state(&lap).0 == id).then_some(()));
        id
    });
    let id = done.await.unwrap();
    assert_eq!(*offers.lock().unwrap(), [id.clone(), id], "once for each command, and the same transfer");
    impostor.close().await;
}
