//! Totals of tokens: all that comes under one, and under whatever was made from it, for its whole life.

use std::{fs, time::Duration};

use clankers_auth::{GrantSpec, mint, words};
use clankers_protocol::{
    Message, NodeId,
    kind::Kind,
    message::Ext,
    refusal::RefusalCode,
    request::transfer::{DoneFile, FileDone},
    transfer::{Root, tree::hash_block},
};
use clankers_tests::{
    Node, NodeHome,
    cli::Ran,
    forge,
    hostile::{Answer, Hostile, frame},
    wait::{until, within},
};
use serde_json::Value;

use super::{
    LARGE, MIB, Two,
    asking::offer_id,
    content, moving, part,
    peer::{accepted, answer, block, file, lane},
    receipt, travelled, tree,
};
use crate::BIN;

const LIMIT: Duration = Duration::from_secs(60);

/// What came to this node under its tokens, the most of any (bytes); what is reserved counts.
fn received(node: &Node) -> usize {
    let listed = node.cli(["--json", "token", "list"]).run().ok().json();
    let of = |token: &Value| token["received"].as_u64().map(|bytes| usize::try_from(bytes).unwrap());
    listed.as_array().unwrap().iter().filter_map(of).max().unwrap_or(0)
}

/// Waits until just this is counted.
fn settled(node: &Node, bytes: usize) {
    until("what came is settled", LIMIT, || (received(node) == bytes).then_some(()));
}

/// Refused because of a total; the words.
fn over(ran: Ran) -> String {
    let error = ran.code(5).error().to_string();
    assert!(error.contains(" would come, and "), "{error}");
    error
}

/// What the journal of the only unfinished transfer has of a file of whole blocks (bytes).
fn journalled(two: &Two) -> usize {
    let journal = fs::metadata(part(&two.inbox()).join("journal")).unwrap();
    usize::try_from(journal.len() / 64).unwrap() * MIB
}

/// What the holder of a chain makes of it for somebody else.
fn pass(seed: &[u8; 32], chain: &[u8], to: NodeId, max_total: Option<u64>) -> Vec<u8> {
    let spec = GrantSpec { max_total, ..GrantSpec::default() };
    let made = mint::delegate(seed, chain, to, &spec, forge::now(), forge::DAY, forge::random());
    made.expect("a chain that goes on").container.to_bytes().expect("a chain")
}

#[test]
fn a_total_holds_over_transfers_and_restarts_and_what_is_the_same_costs_nothing() {
    let mut two = Two::with(&["--drop", "--max-total", "3MiB"]);
    let one = two.lap.file("one", content(1, 2 * MIB));
    let more = two.lap.file("more", content(2, MIB + 1));
    let rest = two.lap.file("rest", content(3, MIB));
    let send = |two: &Two, path: &std::path::Path, words: &[&str]| {
        two.send([path.to_str().unwrap()]).args(words).run()
    };
    send(&two, &one, &[]).ok();
    settled(&two.desk, 2 * MIB);
    for _restart in 0..2 {
        let error = over(send(&two, &more, &[]));
        let words = "1048577 bytes would come, and 1048576 bytes is left of the 3.0 MiB that your token allows in all";
        assert!(error.contains(words), "{error}");
        assert!(error.contains("--drop --max-total SIZE"), "{error}");
        let parts = fs::read_dir(two.inbox().join(".clankers-part")).unwrap().flatten();
        assert_eq!(parts.filter(|entry| entry.path().is_dir()).count(), 0, "what was refused leaves nothing");
        two.desk.kill9();
        two.desk.restart();
    }
    settled(&two.desk, 2 * MIB);
    // Identical files, replaced or left, are counted by what travels.
    assert_eq!(travelled(&send(&two, &one, &["--on-conflict", "skip"]).ok().json_lines()), 0);
    settled(&two.desk, 2 * MIB);
    send(&two, &rest, &[]).ok();
    settled(&two.desk, 3 * MIB);
    assert_eq!(travelled(&send(&two, &one, &["--on-conflict", "skip"]).ok().json_lines()), 0);
    over(send(&two, &two.lap.file("byte", "1"), &[]));
    send(&two, &two.lap.file("empty", ""), &[]).ok();
    // In words, where it is counted.
    let ran = two.desk.cli(["token", "list"]).run().ok();
    assert!(ran.out().contains("3.0 MiB sent here"), "{}", ran.story());
    assert!(ran.out().contains("at most 3 MiB of files sent in"), "{}", ran.story());
    let cid = two.desk.cli(["--json", "token", "list"]).run().ok().json()[0]["cid"].clone();
    let why = |size: &str| {
        let asks = ["token", "inspect", cid.as_str().unwrap(), "--command", "file/drop", "--size", size];
        two.desk.cli(asks).run()
    };
    why("0").ok();
    why("1").code(4);
    // Another token is another total.
    two.desk.grant(&two.lap, &["--drop", "--max-total", "2MiB"]);
    send(&two, &more, &[]).ok();
    settled(&two.desk, 3 * MIB);
}

#[test]
fn two_to_whom_a_token_was_passed_on_share_its_total_however_wide_their_own_is() {
    let node = NodeHome::new(BIN).start();
    let middle = forge::random::<32>();
    let granted = node.token(forge::id_of(&middle), &["--drop", "--max-total", "3MiB"]).into_bytes();
    let below = |max_total: Option<u64>| {
        let home = NodeHome::new(BIN);
        let chain = pass(&middle, &granted, home.id(), max_total);
        home.cli(["token", "import", "-"]).stdin(words::text(&chain).unwrap()).run().ok();
        home
    };
    let send = |home: &NodeHome, name: &str, bytes: usize| {
        let file = home.file(name, content(bytes as u64, bytes));
        home.cli(["--json", "rpc", "send-file", node.ticket(), file.to_str().unwrap()]).run()
    };
    let (wide, plain, narrow) = (below(Some(1 << 50)), below(None), below(Some(1_000)));
    send(&wide, "a", 2 * MIB).ok();
    settled(&node, 2 * MIB);
    for home in [&wide, &plain] {
        let error = over(send(home, "b", 2 * MIB));
        assert!(error.contains("1.0 MiB is left of the 3.0 MiB that the token of"), "{error}");
    }
    let error = over(send(&narrow, "c", 1_001));
    assert!(error.contains("1000 B is left of the 1000 B that your token allows in all"), "{error}");
    send(&narrow, "d", 1_000).ok();
    send(&plain, "e", MIB - 1_000).ok();
    settled(&node, 3 * MIB);
    for home in [&wide, &plain, &narrow] {
        over(send(home, "f", 1));
    }
    // What the command line passes on is asked link by link, too.
    let last = NodeHome::new(BIN);
    let cid = plain.cli(["--json", "token", "list"]).run().ok().json()[0]["cid"].clone();
    let asks =
        ["token", "delegate", "--json", "--from", cid.as_str().unwrap(), "--for", &last.id().to_string()];
    let made = plain.cli(asks).args(["--max-total", "1TiB"]).run().ok().json();
    let wider = made["grants"].to_string();
    assert!(wider.contains("at most 3 MiB of files sent in all") && wider.contains("1 TiB"), "{made}");
    last.cli(["token", "import", "-"]).stdin(made["token"].as_str().unwrap()).run().ok();
    over(send(&last, "g", 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_offers_race_for_the_last_bytes_and_who_hangs_up_gives_them_back() {
    let node = NodeHome::new(BIN).start();
    let peer = Hostile::start().await;
    let chain = node.token(peer.id(), &["--drop", "--max-total", "3MiB"]).into_bytes();
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let mut racing = Vec::new();
    for n in 0..10 {
        let guest = guest.clone();
        racing.push(tokio::spawn(async move {
            let mut talk = guest.say(&file(&format!("f{n}"), MIB as u64)).await;
            let said = answer(&mut talk).await;
            (talk, said)
        }));
    }
    let (mut taken, mut refused) = (Vec::new(), 0);
    for one in racing {
        match within("an answer", LIMIT, one).await.unwrap() {
            (_, Answer::Refused(refusal)) => {
                assert_eq!(refusal.code(), RefusalCode::Quota, "{refusal:?}");
                refused += 1;
            }
            (talk, _) => taken.push(talk),
        }
    }
    assert_eq!((taken.len(), refused), (3, 7));
    assert_eq!(received(&node), 3 * MIB);
    drop(taken);
    peer.close().await;
    settled(&node, 0);
}

/// Whichever side is killed: what came stays counted, what did not is given back, and what goes on is counted once. The
/// total is just the file's size.
#[test]
fn killed_and_gone_on_with_it_is_counted_once() {
    let mut two = Two::with(&["--drop", "--max-total", &LARGE.to_string()]);
    let big = two.lap.file("big", content(1, LARGE));
    let sending = two.send_slowly(&big).start();
    moving(&two.inbox(), 3);
    assert_eq!(received(&two.desk), LARGE, "all of it is reserved");
    sending.kill9();
    until("what came is settled", LIMIT, || (received(&two.desk) == journalled(&two)).then_some(()));
    let first = received(&two.desk);
    assert!((3 * MIB..LARGE).contains(&first), "{first}");
    let sending = two.send_slowly(&big).start();
    moving(&two.inbox(), first as u64 / MIB as u64 + 3);
    two.desk.kill9();
    sending.kill9();
    two.desk.restart();
    let second = received(&two.desk);
    assert_eq!(second, journalled(&two), "settled by what is there");
    assert!((first + 3 * MIB..LARGE).contains(&second), "{first} {second}");
    two.send([big.to_str().unwrap()]).run().ok();
    settled(&two.desk, LARGE);
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(1, LARGE));
    over(two.send([two.lap.file("byte", "1").to_str().unwrap()]).run());
}

#[test]
fn cancelled_forgotten_and_tried_again_refunds_nothing_that_came() {
    let two = Two::with(&["--drop", "--max-total", &(LARGE + 2 * MIB).to_string()]);
    let big = two.lap.file("big", content(1, LARGE));
    let sending = two.send_slowly(&big).start();
    moving(&two.inbox(), 4);
    sending.interrupt();
    sending.finish().code(130);
    until("what came is settled", LIMIT, || (received(&two.desk) == journalled(&two)).then_some(()));
    let came = received(&two.desk);
    let here = two.desk.cli(["--json", "rpc", "transfers", "list"]).run().ok().json();
    let id = here[0]["id"].as_str().unwrap();
    two.desk.cli(["rpc", "transfers", "forget", id]).run().ok();
    assert!(!two.inbox().join(".clankers-part").exists());
    // All of it would come again, and there is no room for that.
    for _try in 0..3 {
        over(two.send([big.to_str().unwrap()]).run());
        settled(&two.desk, came);
    }
    let rest = two.lap.file("rest", content(2, LARGE + 2 * MIB - came));
    two.send([rest.to_str().unwrap()]).run().ok();
    settled(&two.desk, LARGE + 2 * MIB);
}

/// Another token lets its holder offer. What was begun under the total is gone on with all the same, and what is there is
/// left; what the total is too small for is offered.
#[test]
fn who_may_offer_as_well_goes_on_under_a_total() {
    let two = Two::with(&["--drop", "--max-total", &LARGE.to_string()]);
    two.desk.grant(&two.lap, &["--offer"]);
    let big = two.lap.file("big", content(1, LARGE));
    let sending = two.send_slowly(&big).start();
    moving(&two.inbox(), 4);
    sending.interrupt();
    sending.finish().code(130);
    until("what came is settled", LIMIT, || (received(&two.desk) == journalled(&two)).then_some(()));
    two.send([big.to_str().unwrap()]).run().ok();
    settled(&two.desk, LARGE);
    let same = two.send([big.to_str().unwrap()]).args(["--on-conflict", "skip"]).run().ok();
    assert_eq!(travelled(&same.json_lines()), 0);
    let more = two.send([two.lap.file("byte", "1").to_str().unwrap()]).start();
    let id = offer_id(&two);
    two.desk.cli(["inbox", "reject", &id]).run().ok();
    more.finish().code(4);
}

#[test]
fn of_an_offer_what_its_owner_wants_is_counted() {
    let two = Two::with(&["--offer", "--max-total", "1500KB"]);
    let send = |name: &str, seed: usize| {
        let dir = tree(&two.lap, name, &[("a", MIB + seed), ("b", 2 * MIB)]);
        two.send([dir.to_str().unwrap()]).start()
    };
    let sending = send("first", 0);
    two.desk.cli(["inbox", "accept", &offer_id(&two), "--only", "a"]).run().ok();
    assert_eq!(receipt(&sending.finish().ok().json_lines())["bytes"], MIB);
    settled(&two.desk, MIB);
    let sending = send("second", 1);
    two.desk.cli(["inbox", "accept", &offer_id(&two)]).run().ok();
    let error = over(sending.finish());
    assert!(error.contains("--offer --max-total"), "{error}");
    settled(&two.desk, MIB);
}

/// What was had is thrown away when the sender says at the end that it was another file, and comes again: it is counted
/// again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lies_about_what_it_sent_before_gets_nothing_for_it() {
    let node = NodeHome::new(BIN).start();
    let peer = Hostile::start().await;
    let chain = node.token(peer.id(), &["--drop", "--max-total", "3MiB"]).into_bytes();
    let size = 2 * MIB as u64;
    let offer = file("f", size);
    let bytes = vec![7; MIB];
    let piece = |n: u32| block(0, n, &bytes, hash_block(size, n, &bytes));
    let (guest, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    let mut talk = guest.say(&offer).await;
    accepted(&mut talk).await;
    let mut sends = lane(&guest, offer.transfer).await;
    sends.write(&piece(0)).await.unwrap();
    let inbox = node.home().path().join("inbox").join(peer.id().short());
    moving(&inbox, 1);
    drop((talk, sends));
    guest.connection().close(0, "");
    settled(&node, MIB);
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let mut talk = guest.say(&offer).await;
    // What it has comes before its yes.
    while !matches!(answer(&mut talk).await, Answer::Frame(frame) if frame.kind == Kind::FILE_ACCEPT) {}
    let mut sends = lane(&guest, offer.transfer).await;
    sends.write(&piece(1)).await.unwrap();
    moving(&inbox, 2);
    let done = FileDone { files: vec![DoneFile { file: 0, root: Root([9; 32]) }], ext: Ext::default() };
    talk.write(&frame(FileDone::KIND, &done.encode())).await.unwrap();
    // Whatever it says of it: nothing is had any more.
    let Answer::Frame(_) = answer(&mut talk).await else { panic!("it does not ask for it again") };
    for n in [0, 1] {
        sends.write(&piece(n)).await.unwrap();
    }
    let refusal = loop {
        match answer(&mut talk).await {
            Answer::Refused(refusal) => break refusal,
            Answer::Frame(_) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refusal.code(), RefusalCode::Quota, "{refusal:?}");
    settled(&node, 3 * MIB);
    peer.close().await;
}

#[test]
fn sizes_that_no_total_can_have_are_no_tokens() {
    let node = NodeHome::new(BIN).start();
    let to = NodeHome::new(BIN).id().to_string();
    let make = |words: &[&str]| node.cli(["token", "create", "--for", &to]).args(words).run();
    for size in ["18446744073709551615", "9007199254740993", "-1", "99999999999999999999", "much"] {
        make(&["--drop", "--max-total", size]).code(2);
    }
    let ran = make(&["--read-only", "--max-total", "1MiB"]).code(2);
    assert!(ran.err().contains("--drop or --offer"), "{}", ran.story());
    for words in [
        ["--drop", "--max-total", "0"],
        ["--operator", "--max-total", "1GB"],
        ["--root", "--max-total", "1GB"],
    ] {
        make(&words).ok();
    }
}

/// The directory has the label's name; the quota is the peer's.
#[test]
fn another_label_is_no_other_quota() {
    let mut two = Two::settled("[files]\nmax_bytes_per_peer = 3000000\n", &["--drop"]);
    let files = [1, 2].map(|n| two.lap.file(&format!("f{n}"), content(n, 2 * MIB)));
    let send = |two: &Two, n: usize| two.send([files[n].to_str().unwrap()]).run();
    send(&two, 0).ok();
    let lap = two.lap.start();
    two.desk.cli(["rpc", "peers", "add", lap.ticket(), "--label", "friend"]).run().ok();
    send(&two, 1).code(5);
    two.desk.cli(["rpc", "peers", "label", "friend", "other"]).run().ok();
    send(&two, 1).code(5);
    two.desk.kill9();
    two.desk.restart();
    send(&two, 1).code(5);
    fs::remove_file(two.inbox().join("f1")).unwrap();
    send(&two, 1).ok();
    assert!(two.inbox().with_file_name("other").join("f2").exists());
}
