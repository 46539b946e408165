//! What the node sends by itself: without its command line, over restarts, and no longer than its owner wants it.

use std::{fs, path::Path, time::Duration};

use clankers_tests::{Node, NodeHome, wait::until};
use serde_json::Value;

use super::{LARGE, MIB, SLOW, Two, content, moving};

/// How long a node may take over something small (time).
const SOON: Duration = Duration::from_secs(60);

/// A sender's node that knows the receiver by its ticket.
fn sender(two: &Two) -> Node {
    let sender = two.lap.start();
    sender.cli(["rpc", "peers", "add", two.desk.ticket()]).run().ok();
    sender
}

/// Lets the node send this; the transfer's id.
fn detach(sender: &Node, to: &str, path: &Path, more: &[&str]) -> String {
    let words = ["--json", "rpc", "send-file", to, path.to_str().unwrap(), "--detach"];
    let ran = sender.cli(words).args(more).run().ok();
    ran.json()["transfer"].as_str().unwrap_or_else(|| panic!("{}", ran.story())).to_owned()
}

/// How a transfer is now, by its id.
fn state_of(sender: &Node, id: &str) -> String {
    let listed = sender.cli(["--json", "rpc", "transfers", "list"]).run().ok().json();
    let all = listed.as_array().unwrap();
    let found: Vec<&Value> = all.iter().filter(|one| one["id"].as_str().unwrap().starts_with(id)).collect();
    assert_eq!(found.len(), 1, "{id} in {listed}");
    found[0]["state"].as_str().unwrap().to_owned()
}

fn becomes(sender: &Node, id: &str, wanted: &str) {
    until(&format!("{id} is {wanted}"), SOON, || (state_of(sender, id) == wanted).then_some(()));
}

fn arrives(landed: &Path) {
    until("it arrives", SOON, || landed.exists().then_some(()));
}

/// The node goes on with it when the command line has left; and finds its way again when the receiver comes back.
#[test]
fn a_detached_transfer_ends_without_its_command_line() {
    let mut two = Two::with(&["--drop"]);
    let sender = sender(&two);
    let file = two.lap.file("big", content(3, 20 * MIB));
    let landed = two.inbox().join("big");
    two.desk.kill9();
    let id = detach(&sender, &two.desk.id().to_string(), &file, &[]);
    two.desk.restart();
    arrives(&landed);
    assert!(fs::read(&landed).unwrap() == content(3, 20 * MIB));
    becomes(&sender, &id, "done");
}

/// A node that is killed while it sends goes on when it starts again, and as slowly as it was told to.
#[test]
fn a_detached_transfer_survives_its_own_node() {
    let two = Two::with(&["--drop"]);
    let mut sender = sender(&two);
    let file = two.lap.file("big", content(4, 24 * MIB));
    let id = detach(&sender, &two.desk.id().to_string(), &file, &["--limit-rate", "6MiB"]);
    moving(&two.inbox(), 2);
    sender.kill9();
    let landed = two.inbox().join("big");
    assert!(!landed.exists(), "it was killed too late to show anything");
    sender.restart();
    arrives(&landed);
    assert!(fs::read(&landed).unwrap() == content(4, 24 * MIB));
    becomes(&sender, &id, "done");
}

/// The end of one attempt is not the transfer's: who looks is told that it is gone on with.
#[test]
fn what_rests_says_what_for_and_what_goes_on_has_no_error() {
    let mut two = Two::with(&["--drop"]);
    let mut sender = sender(&two);
    let file = two.lap.file("big", content(9, LARGE));
    let id = detach(&sender, &two.desk.id().to_string(), &file, &SLOW);
    let listed = |home: &NodeHome| {
        let all = home.cli(["--json", "rpc", "transfers", "list"]).run().ok().json();
        let of = |key: &str| all[0][key].as_str().unwrap_or_default().to_owned();
        assert_eq!(of("id"), id);
        (of("state"), of("error"))
    };
    let runs = |home: &NodeHome| {
        until("it runs, without a word of what was", SOON, || {
            let (state, error) = listed(home);
            assert!(state == "interrupted" || error.is_empty(), "{state}: {error}");
            (state == "running").then_some(())
        });
    };
    moving(&two.inbox(), 1);
    // Its own node stops.
    sender.stop();
    let (state, error) = listed(&two.lap);
    assert_eq!(state, "interrupted");
    assert!(error.contains("goes on when the node is started again"), "{error}");
    sender.restart();
    runs(&two.lap);
    moving(&two.inbox(), 4);
    // The receiver's stops.
    two.desk.stop();
    let error =
        until("it rests", SOON, || Some(listed(&two.lap)).filter(|(state, _)| state == "interrupted")).1;
    assert!(error.ends_with("; this node tries again by itself"), "{error}");
    two.desk.restart();
    runs(&two.lap);
    sender.cli(["rpc", "transfers", "cancel", &id]).run().ok();
}

/// The ticket is all that the node knows of the peer, and it is enough, after a restart too.
#[test]
fn a_ticket_is_enough_to_detach() {
    let mut two = Two::with(&["--drop"]);
    let mut sender = two.lap.start();
    let (now, later) = (two.lap.file("now", content(5, MIB)), two.lap.file("later", content(6, MIB)));
    let ticket = two.desk.ticket().to_owned();
    let id = detach(&sender, &ticket, &now, &[]);
    becomes(&sender, &id, "done");
    two.desk.kill9();
    let id = detach(&sender, &ticket, &later, &[]);
    sender.kill9();
    sender.restart();
    two.desk.restart();
    becomes(&sender, &id, "done");
    assert!(fs::read(two.inbox().join("later")).unwrap() == content(6, MIB));
}

/// Cancels it, starts the sender's node again, and looks that it stays so while another one goes through.
fn stays_cancelled(two: &mut Two, sender: &mut Node, id: &str) {
    sender.cli(["rpc", "transfers", "cancel", id]).run().ok();
    assert_eq!(state_of(sender, id), "cancelled");
    if !two.desk.lives() {
        two.desk.restart();
    }
    sender.kill9();
    sender.restart();
    two.desk.grant(&two.lap, &["--drop"]);
    let other = two.lap.file("other", content(8, 3));
    let next = detach(sender, &two.desk.id().to_string(), &other, &[]);
    becomes(sender, &next, "done");
    assert_eq!(state_of(sender, id), "cancelled", "it is not taken up again");
    assert!(!two.inbox().join("big").exists());
}

#[test]
fn cancelled_while_it_dials_it_stays_cancelled() {
    let mut two = Two::with(&["--drop"]);
    let mut sender = sender(&two);
    let file = two.lap.file("big", content(7, MIB));
    two.desk.kill9();
    let id = detach(&sender, &two.desk.id().to_string(), &file, &[]);
    stays_cancelled(&mut two, &mut sender, &id);
}

#[test]
fn cancelled_while_it_waits_it_stays_cancelled() {
    let mut two = Two::with(&["--offer"]);
    let mut sender = sender(&two);
    let file = two.lap.file("big", content(7, MIB));
    let id = detach(&sender, &two.desk.id().to_string(), &file, &[]);
    becomes(&sender, &id, "waiting");
    stays_cancelled(&mut two, &mut sender, &id);
    // The owner's late yes brings nothing any more.
    let _gone = two.desk.cli(["inbox", "accept", &id[..10]]).run();
    assert_eq!(state_of(&sender, &id), "cancelled");
    assert!(!two.inbox().join("big").exists());
}

#[test]
fn cancelled_while_it_runs_it_stays_cancelled_until_it_is_resumed() {
    let mut two = Two::with(&["--drop"]);
    let mut sender = sender(&two);
    let file = two.lap.file("big", content(7, LARGE));
    let id = detach(&sender, &two.desk.id().to_string(), &file, &SLOW);
    moving(&two.inbox(), 3);
    stays_cancelled(&mut two, &mut sender, &id);
    let words = ["--json", "rpc", "transfers", "resume", &id, "--limit-rate", "1GiB"];
    let ran = two.lap.cli(words).run().ok();
    assert!(super::travelled(&ran.json_lines()) < LARGE, "what had arrived is kept: {}", ran.story());
    assert!(fs::read(two.inbox().join("big")).unwrap() == content(7, LARGE));
}
