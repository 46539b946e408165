//! What is cancelled, forgotten, and taken up again.

use std::fs;

use clankers_tests::Node;
use serde_json::{Value, json};

use super::{LARGE, MIB, SLOW, Two, asking::offer_id, content, moving, receipt, travelled};

/// All that is listed there.
fn transfers(node: &Node) -> Value {
    node.cli(["--json", "rpc", "transfers", "list"]).run().ok().json()
}

/// The only one that is listed there: its id, way and state.
fn only(node: &Node) -> (String, String, String) {
    let all = transfers(node);
    assert_eq!(all.as_array().unwrap().len(), 1, "{all}");
    let of = |key: &str| all[0][key].as_str().unwrap().to_owned();
    (of("id"), of("direction"), of("state"))
}

/// The owner's no is not forgotten because it is asked once more, under another id.
#[test]
fn what_its_receiver_cancelled_is_not_sent_anew_either() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("big", content(1, LARGE));
    let sending = two.lap.cli(["rpc", "send-file", two.desk.ticket(), file.to_str().unwrap()]).args(SLOW);
    let sending = sending.start();
    moving(&two.inbox(), 2);
    let (id, ..) = only(&two.desk);
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    let ran = sending.finish().code(1);
    let forget = format!("clankers rpc transfers forget {}", &id[..10]);
    assert!(ran.err().contains(&forget) && !ran.err().contains("go on with"), "{}", ran.story());
    for _try in 0..3 {
        let error = two.send([file.to_str().unwrap()]).run().code(4).error().to_string();
        assert!(error.contains("cancelled this transfer") && error.contains(&forget), "{error}");
    }
    assert!(!two.inbox().join("big").exists());
    // Something else comes, as before.
    two.send([two.lap.file("small", "1").to_str().unwrap()]).run().ok();
    two.desk.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert!(travelled(&two.send([file.to_str().unwrap()]).run().ok().json_lines()) == LARGE);
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(1, LARGE));
}

#[test]
fn an_offer_that_its_owner_cancelled_waits_no_more() {
    let two = Two::with(&["--offer"]);
    let file = two.lap.file("a", "1");
    let send = || two.send([file.to_str().unwrap()]);
    let sending = send().start();
    let id = offer_id(&two);
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    sending.finish().code(1);
    assert_eq!(two.desk.cli(["--json", "inbox", "list"]).run().ok().json(), json!([]));
    two.desk.cli(["inbox", "accept", &id]).run().code(7);
    assert_eq!(only(&two.desk).2, "cancelled");
    send().run().code(4);
    send().run().code(4);
    assert_eq!(two.desk.cli(["--json", "inbox", "list"]).run().ok().json(), json!([]));
    two.desk.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert_eq!(transfers(&two.desk), json!([]));
    let sending = send().start();
    two.desk.cli(["inbox", "accept", &offer_id(&two)]).run().ok();
    assert_eq!(receipt(&sending.finish().ok().json_lines())["files"], 1);
}

#[test]
fn what_its_owner_cancelled_is_not_fetched_until_it_is_forgotten() {
    let two = Two::exporting(&["--read-only"], |home| drop(home.file("shared/big", content(1, LARGE))));
    let get = || two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), "docs/big"]);
    let getting = get().args(SLOW).start();
    moving(&two.lap.workspace(), 2);
    let (id, way, _) = only(&two.desk);
    assert_eq!(way, "send");
    two.desk.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    getting.finish().code(1);
    assert_eq!(only(&two.desk), (id.clone(), way, "cancelled".into()));
    for _try in 0..2 {
        let error = get().run().code(4).error().to_string();
        assert!(error.contains("then get it anew"), "{error}");
    }
    two.desk.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert_eq!(transfers(&two.desk), json!([]));
    get().run().ok();
    assert!(fs::read(two.lap.workspace().join("big")).unwrap() == content(1, LARGE));
}

/// A peer may have sixteen offers waiting: those that were rejected are none of them.
#[test]
fn offers_that_were_rejected_keep_no_place() {
    let two = Two::with(&["--offer"]);
    for number in 0..17 {
        let file = two.lap.file(&format!("f{number}"), "1");
        let mut sending = two.send([file.to_str().unwrap()]).start();
        sending.json_of_type("waiting");
        let id = offer_id(&two);
        sending.interrupt();
        sending.finish().code(130);
        two.desk.cli(["inbox", "reject", &id]).run().ok();
    }
    let file = two.lap.file("last", "1");
    let sending = two.send([file.to_str().unwrap()]).start();
    two.desk.cli(["inbox", "accept", &offer_id(&two)]).run().ok();
    sending.finish().ok();
}

/// Its place in the inbox has the label's name from then on.
#[test]
fn a_peer_that_is_given_a_label_midway_goes_on_where_it_was() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("big", content(1, LARGE));
    let sending = two.send_slowly(&file).start();
    moving(&two.inbox(), 6);
    sending.interrupt();
    sending.finish().code(130);
    let lap = two.lap.start();
    two.desk.cli(["rpc", "peers", "add", lap.ticket(), "--label", "friend"]).run().ok();
    let sent = travelled(&two.send([file.to_str().unwrap()]).run().ok().json_lines());
    assert!(sent <= LARGE - 4 * MIB, "what had arrived travelled again: {sent}");
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(1, LARGE));
    let named = two.inbox().with_file_name("friend");
    assert!(!named.exists(), "it goes on where it is");
    two.send([two.lap.file("next", "1").to_str().unwrap()]).run().ok();
    assert!(named.join("next").exists(), "what begins later is where its label says");
}

#[test]
fn what_failed_is_resumed_by_the_node_under_its_own_id() {
    let two = Two::with(&[]);
    let file = two.lap.file("a", "1");
    two.send([file.to_str().unwrap()]).run().code(4);
    let (id, state) = super::state(&two.lap);
    assert_eq!(state, "failed");
    two.desk.grant(&two.lap, &["--drop"]);
    let sender = two.lap.start();
    let words = ["--json", "rpc", "transfers", "resume", &id, "--detach", "--limit-rate", "1GiB"];
    let lines = sender.cli(words).run().ok().json_lines();
    assert_eq!(lines, [json!({"type": "detached", "transfer": id})]);
    super::until("it is there", std::time::Duration::from_secs(60), || {
        two.inbox().join("a").exists().then_some(())
    });
    assert_eq!(transfers(&sender).as_array().unwrap().len(), 1);
}
