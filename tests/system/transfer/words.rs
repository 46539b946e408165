//! What the commands of transfers say, and how they end.

use std::{fs, time::Duration};

use clankers_tests::{NodeHome, wait::until};

use super::{LARGE, MIB, Two, moving, receipt, state, travelled, tree};
use crate::BIN;

#[test]
fn a_dry_run_lists_what_would_be_sent_and_asks_nobody() {
    let lap = NodeHome::new(BIN);
    let dir = tree(&lap, "photos", &[("a/1", 2048), ("b", 10)]);
    fs::write(dir.join("two\nlines"), "x").unwrap();
    fs::write(dir.join("\u{1b}[2J"), "x").unwrap();
    std::os::unix::fs::symlink("b", dir.join("link")).unwrap();
    let words = ["rpc", "send-file", "nobody", dir.to_str().unwrap(), "--dry-run", "--exclude", "b"];
    let ran = lap.cli(words).run().code(1);
    assert!(ran.out().contains("2.0 KiB  photos/a/1") && !ran.out().contains("photos/b"), "{}", ran.out());
    assert!(ran.err().contains("link is not sent") && ran.err().contains("--follow-links"));
    assert!(!format!("{}{}", ran.out(), ran.err()).contains('\u{1b}'), "names reach the terminal raw");
    let lines = lap.cli(["--json"]).args(words).run().code(1).json_lines();
    let of = |kind: &str| lines.iter().filter(|line| line["type"] == kind).count();
    assert_eq!((of("entry"), of("skipped"), of("total")), (3, 3, 1), "{lines:?}");
    assert_eq!(lines.iter().filter(|line| line["missed"] == true).count(), 2, "a link is not missed");
    let last = lines.last().unwrap();
    assert_eq!((&last["files"], &last["dirs"], &last["bytes"]), (&1.into(), &2.into(), &2048.into()));
}

#[test]
fn what_makes_no_sense_is_said_before_anybody_is_asked() {
    let lap = NodeHome::new(BIN);
    let file = lap.file("a", "1");
    let file = file.to_str().unwrap();
    let send = |words: &[&str]| lap.cli(["--json", "rpc", "send-file", "nobody"]).args(words.to_vec()).run();
    send(&["/no/such/file"]).code(7);
    send(&[file, "--to", "../x"]).code(2);
    send(&[file, "--to", "/etc"]).code(2);
    send(&[file, "--on-conflict", "perhaps"]).code(2);
    send(&[]).code(2);
    send(&[file, "--detach"]).code(6);
    lap.cli(["rpc", "get-file", "nobody", "../x"]).run().code(2);
    let ran = lap.cli(["rpc", "get-file", "nobody", ""]).run().code(2);
    assert!(ran.err().contains("the path '' cannot be got: it is empty"), "{}", ran.story());
    lap.cli(["rpc", "get-file", "nobody", "a/b", "-o", "/no/such/directory/x"]).run().code(2);
    lap.cli(["inbox", "accept", "abc", "--only", "/etc"]).run().code(2);
    lap.cli(["inbox", "accept", "abc"]).run().code(7);
    for word in ["cancel", "resume", "forget"] {
        lap.cli(["rpc", "transfers", word, "abc"]).run().code(7);
    }
    assert_eq!(lap.cli(["--json", "rpc", "transfers"]).run().ok().json(), serde_json::json!([]));
}

#[test]
fn an_interrupted_transfer_says_how_to_go_on_and_goes_on() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", LARGE)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), 2);
    sending.interrupt();
    let ran = sending.finish().code(130);
    let error = ran.error();
    let (id, now) = state(&two.lap);
    assert_eq!(now, "interrupted");
    let hint = format!("clankers rpc transfers resume {}", &id[..10]);
    assert!(error.to_string().contains(&hint), "{error}");
    let resume = ["--json", "rpc", "transfers", "resume", &id[..10], "--limit-rate", "1GiB"];
    let lines = two.lap.cli(resume).run().ok().json_lines();
    assert_eq!(receipt(&lines)["bytes"], LARGE);
    assert!(travelled(&lines) < LARGE, "all was sent again: {lines:?}");
    assert_eq!(state(&two.lap), (id.clone(), "done".into()));
    two.lap.cli(["rpc", "transfers", "resume", &id]).run().code(1);
    two.lap.cli(["rpc", "transfers", "cancel", &id]).run().code(1);
    two.lap.cli(["rpc", "transfers", "forget", &id]).run().ok();
    assert_eq!(two.lap.cli(["--json", "rpc", "transfers"]).run().ok().json(), serde_json::json!([]));
}

#[test]
fn a_transfer_is_cancelled_from_another_terminal() {
    let two = Two::with(&["--offer"]);
    let file = two.lap.file("a", vec![7; MIB]);
    let sending = two.send([file.to_str().unwrap()]).start();
    let id = until("it waits", Duration::from_secs(20), || {
        let (id, now) = state(&two.lap);
        (now == "waiting").then_some(id)
    });
    two.lap.cli(["rpc", "transfers", "forget", &id]).run().code(1);
    two.lap.cli(["rpc", "transfers", "cancel", &id]).run().ok();
    sending.finish().code(130);
    assert_eq!(state(&two.lap).1, "cancelled");
}

#[test]
fn progress_comes_each_second_and_the_receipt_last() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", 3 * MIB), ("b", 0)]);
    let lines = two.send([dir.to_str().unwrap()]).run().ok().json_lines();
    let (last, before) = lines.split_last().unwrap();
    let keys = |line: &serde_json::Value| line.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(last), ["type", "files", "bytes", "sent_bytes", "root", "name"]);
    assert!(!before.is_empty());
    for line in before {
        assert_eq!(keys(line), ["type", "bytes", "total", "files", "rate_bps", "eta_s"]);
    }
    assert_eq!(before.last().unwrap()["bytes"], 3 * MIB as u64);
    let told =
        two.lap.cli(["rpc", "send-file", two.desk.ticket(), dir.join("a").to_str().unwrap()]).run().ok();
    assert!(told.out().starts_with("✓ sent as a: 1 file, 3.0 MiB"), "{}", told.out());
}

#[test]
fn whoever_comes_back_is_not_kept_waiting_by_its_own_ghost() {
    let two = Two::with(&["--drop"]);
    let dir = tree(&two.lap, "d", &[("a", LARGE)]);
    let sending = two.send_slowly(&dir).start();
    moving(&two.inbox(), 2);
    // The receiver cannot know that nobody is left on that connection, until half a minute has passed.
    sending.kill9();
    assert!(!two.inbox().join("d").exists(), "it was over before it was killed");
    let ran = two.send([dir.to_str().unwrap()]).run().ok();
    let tries = ran.err().matches("running already").count();
    assert!(tries <= 3, "it was kept waiting: {}", ran.story());
    assert!(travelled(&ran.json_lines()) < LARGE, "all was sent again");
}
