//! A process is killed at each of its writes, syncs, renames and cuts in turn, or the disk fails at each of them once (by
//! strace, where that is installed): every time the home opens, and what was acknowledged is there.
//!
//! The process is this test binary itself, with the home in its environment.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test, helpers included")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use clankers_protocol::{
    CidDigest, NodeId, SessionId, Timestamp,
    event::{Event, PromptEvent},
    request::tokens::TokenRecord,
};
use clankers_store::{
    Amount, Authority, Condition, FoundToken, Home, NewSession, NodeLock, Page, PromptPlace, RevocationRow,
    SessionLog, Sessions, Store, holder, identity, remember_port, remembered_port,
};

const ME: NodeId = NodeId([7; 32]);
const HOME: &str = "CLANKERS_STORE_TEST_KILLED_HOME";
const NOW: Timestamp = Timestamp(1000);
/// What the victim does that may change a file.
const CALLS: [&str; 8] =
    ["write", "pwrite64", "fsync", "fdatasync", "ftruncate", "rename", "renameat2", "unlink"];

/// More calls of one kind than the victim makes.
const MOST_CALLS: usize = 1000;
/// After so many faults in a row that nobody felt there were no more calls to fail.
const QUIET_RUNS: usize = 12;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // At once, so that a kill leaves whole lines only.
    out.write_all(format!("\n> {line};\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn prompt(id: &str) -> Event {
    let prompt_id = id.parse().unwrap();
    Event::Prompt(PromptEvent {
        prompt_id,
        principal: ME,
        leaf: None,
        text: "é".repeat(900),
        model: "m".into(),
    })
}

fn token(n: u64) -> TokenRecord {
    let (cid, expires) = (format!("cid{n}"), Timestamp(u64::MAX / 2));
    let (not_before, grants, issued) = (NOW, Vec::new(), true);
    TokenRecord { cid, subject: ME, issuer: ME, audience: ME, not_before, expires, grants, issued }
}

/// Does it, once more when it fails: the disk fails once.
fn attempt<T, E: std::fmt::Display>(mut act: impl FnMut() -> Result<T, E>) -> T {
    match act() {
        Ok(value) => value,
        Err(error) => {
            say(&format!("failed: {error}"));
            act().unwrap_or_else(|error| panic!("again: {error}"))
        }
    }
}

/// Not a test: what the killed process does. Without a home in the environment it does nothing.
#[test]
fn the_victim() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let home = Home::open(home.as_ref()).unwrap();
    let _lock = attempt(|| NodeLock::acquire(&home));
    let key = attempt(|| identity::load_or_create(&home));
    say(&format!("key {:02x?}", key.expose()));
    attempt(|| remember_port(&home, 4433));
    say("port");
    let store = Arc::new(attempt(|| Store::open(&home, NOW)));
    let sessions = attempt(|| Sessions::open(&home, store.clone()));
    attempt(|| store.peers().add(NodeId([9; 32]), &[], None, Some("friend"), NOW));
    say("friend");
    let new = NewSession { id: None, principal: ME, cwd: "/w".into(), model: "m".into(), title: None };
    let mut log = attempt(|| SessionLog::create(&home, &new, NOW));
    say(&format!("session {}", log.session()));
    for n in 0..3_u64 {
        let id = format!("p{n}");
        let seq = attempt(|| log.append(&[prompt(&id), prompt(&format!("{id}b"))], NOW))[1].seq;
        say(&format!("event {seq}"));
        let place = PromptPlace { session: log.session(), seq };
        attempt(|| sessions.note_prompt(ME, &format!("{id}b").parse().unwrap(), place));
        attempt(|| store.tokens().put_issued(&token(n), b"container", NOW));
        say(&format!("token {n}"));
    }
    authority(&store);
    attempt(|| sessions.archive(log.session()));
    say("archived");
    attempt(|| store.flush());
}

const LINK: CidDigest = CidDigest([4; 32]);
const FAR: Timestamp = Timestamp(u64::MAX / 2);

fn spend(nano_usd: u64) -> Amount {
    Amount { nano_usd, tokens: 1, starts: 1, bytes: 0 }
}

/// What the victim does that is authority's.
fn authority(store: &Store) {
    for n in 0..2_u8 {
        let cid = CidDigest([n; 32]);
        let row = RevocationRow {
            cid,
            subject: ME,
            revoker: ME,
            grantee: ME,
            expires: FAR,
            container: vec![n; 500],
        };
        attempt(|| store.revocations().put(&row, NOW));
        say(&format!("revoked {n}"));
        attempt(|| store.replay().is_first(&cid, FAR, NOW));
        say(&format!("seen {n}"));
        let reserve = || store.ledger().reserve(&[(LINK, FAR)], spend(100), NOW, |_| Ok::<(), ()>(()));
        let reserved = attempt(reserve).unwrap();
        say(&format!("spent {}", 100 + u64::from(n) * 20));
        // A settlement that the disk refuses leaves the reservation charged.
        if store.ledger().settle(reserved, spend(20), NOW).is_err() {
            say("failed: to settle");
        }
    }
    attempt(|| store.tokens().set_renew("cid2", Some(FAR.0), NOW));
    attempt(|| store.tokens().put_renewed("cid2", &token(3), b"container", NOW));
    say("token 3");
    attempt(|| store.tokens().put_delivered(&token(4), b"container", NodeId([8; 32]), NOW));
    say("token 4");
    attempt(|| store.tokens().stop_renewal("cid2", NOW));
    say("stopped");
    let epoch = attempt(|| store.move_epoch(NOW));
    say(&format!("epoch {}", epoch.0));
}

/// What was said of authority is so.
fn check_authority(store: &Store, said: &[String], at: &str) {
    let numbers = |kind: &str| -> Vec<u64> {
        said.iter().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok()).collect()
    };
    assert_eq!(store.authority(), Authority::Whole, "{at}: nothing was lost");
    for n in numbers("revoked ") {
        let cid = CidDigest([u8::try_from(n).unwrap(); 32]);
        assert!(store.revocations().is_revoked(&cid).unwrap(), "{at}");
        assert!(store.revocations().get(&cid).unwrap().is_some(), "{at}");
    }
    for n in numbers("seen ") {
        let cid = CidDigest([u8::try_from(n).unwrap(); 32]);
        assert!(!store.replay().is_first(&cid, FAR, NOW).unwrap(), "{at}: seen once");
    }
    let spent = store.ledger().usage(&LINK, NOW).unwrap().spent_nano_usd;
    let settled = numbers("spent ").len() as u64;
    // Never less than was really used, and what was reserved until it is settled.
    assert!(spent >= settled.saturating_sub(1) * 20 + if settled > 0 { 20 } else { 0 }, "{at}: {spent}");
    assert!(spent <= 300, "{at}: {spent}");
    for n in numbers("token ") {
        let found = store.tokens().find(&format!("cid{n}"), NOW).unwrap();
        assert!(matches!(found, FoundToken::One(_)), "{at}: token {n}");
    }
    if said.iter().any(|line| line == "stopped") {
        assert!(store.tokens().renewals(ME, NOW).unwrap().is_empty(), "{at}: renewal was stopped");
        assert_eq!(store.tokens().lineage("cid2", NOW).unwrap().len(), 2, "{at}");
    }
    assert!(numbers("epoch ").iter().all(|epoch| store.epoch() >= Timestamp(*epoch)), "{at}");
}

/// Runs the victim, with a fault at the `nth` of these calls; gives what it said, and whether it got to its end.
fn run(home: &Path, call: &str, fault: &str, nth: usize) -> (Vec<String>, bool) {
    let out = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:{fault}:when={nth}")])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "the_victim", "--nocapture", "--test-threads=1"])
        .env(HOME, home)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    let said = text.lines().filter_map(|line| line.strip_prefix("> ")?.strip_suffix(';'));
    (said.map(ToOwned::to_owned).collect(), out.status.success())
}

/// Everything that was said is so, and the home works on.
fn check(dir: &Path, said: &[String], at: &str) {
    let numbers = |kind: &str| -> Vec<u64> {
        said.iter().filter_map(|line| line.strip_prefix(kind)?.trim().parse().ok()).collect()
    };
    let has = |word: &str| said.iter().any(|line| line == word);
    let home = Home::open(dir).unwrap_or_else(|e| panic!("{at}: {e}"));
    assert_eq!(holder(&home).unwrap(), None, "{at}");
    let _lock = NodeLock::acquire(&home).unwrap();
    let key = identity::load_or_create(&home).unwrap_or_else(|e| panic!("{at}: {e}"));
    if let Some(told) = said.iter().find_map(|line| line.strip_prefix("key ")) {
        assert_eq!(format!("{:02x?}", key.expose()), told, "{at}");
    }
    assert!(!has("port") || remembered_port(&home) == Some(4433), "{at}");
    let store = Arc::new(Store::open(&home, NOW).unwrap_or_else(|e| panic!("{at}: {e}")));
    assert!(!has("friend") || store.peers().resolve("friend").is_ok(), "{at}");
    let kept: Vec<String> = store.tokens().list(NOW).unwrap().into_iter().map(|token| token.cid).collect();
    for n in numbers("token ") {
        assert!(kept.contains(&format!("cid{n}")), "{at}: token {n}");
    }
    check_authority(&store, said, at);
    let sessions = Sessions::open(&home, store.clone()).unwrap();
    let listed = sessions.list(true).unwrap();
    assert!(listed.iter().all(|entry| entry.condition == Condition::Whole), "{at}: {listed:?}");
    let Some(id) = said.iter().find_map(|line| line.strip_prefix("session ")) else { return };
    let id: SessionId = id.parse().unwrap();
    let mut log = SessionLog::open(&home, id, NOW).unwrap_or_else(|e| panic!("{at}: {e}"));
    let last = numbers("event ").into_iter().max().unwrap_or(0);
    assert!((last..=last + 2).contains(&log.head_seq()), "{at}: {} after {last}", log.head_seq());
    assert!(log.dropped_tail().is_none_or(|tail| !tail.finished), "{at}");
    let events = log.read(1, Page { events: usize::MAX, bytes: usize::MAX }).unwrap();
    for durable in events {
        let Event::Prompt(event) = durable.event else { panic!("{at}") };
        let place = sessions.find_prompt(ME, &event.prompt_id).unwrap();
        assert_eq!(place, Some(PromptPlace { session: id, seq: durable.seq }), "{at}: runs once");
    }
    assert!(!has("archived") || sessions.list(false).unwrap().is_empty(), "{at}");
    log.append(&[prompt("after")], NOW).unwrap();
    drop((sessions, store));
    for file in [home.store(), home.auth_log()] {
        std::fs::remove_file(file).unwrap();
        let store = Store::open(&home, NOW).unwrap_or_else(|e| panic!("{at}: {e}"));
        check_authority(&store, said, &format!("{at}, one file lost"));
    }
}

/// Whether strace is there and may do its work.
fn has_strace() -> bool {
    let tried = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    let works = tried.is_ok_and(|out| out.status.success());
    if !works {
        eprintln!("skipped: strace is not installed, or may not trace");
    }
    works
}

#[test]
fn killed_at_every_change_of_a_file() {
    if !has_strace() {
        return;
    }
    let mut kills = 0;
    for call in CALLS {
        for nth in 1..MOST_CALLS {
            let dir = tempfile::tempdir().unwrap();
            let (said, ended) = run(dir.path(), call, "signal=KILL", nth);
            check(dir.path(), &said, &format!("{call} {nth}"));
            if ended {
                assert!(said.iter().any(|line| line == "archived"), "{call} {nth}: {said:?}");
                break;
            }
            kills += 1;
        }
    }
    println!("killed {kills} times");
    assert!(kills > 40, "only {kills} kills: strace did not do its work");
}

#[test]
fn the_disk_fails_once_at_every_change_of_a_file() {
    if !has_strace() {
        return;
    }
    let mut failures = 0;
    for (call, error) in [
        ("pwrite64", "ENOSPC"),
        ("pwrite64", "EIO"),
        ("fsync", "EIO"),
        ("fdatasync", "EIO"),
        ("ftruncate", "ENOSPC"),
        ("rename", "ENOSPC"),
        ("renameat2", "EIO"),
    ] {
        let mut quiet = 0;
        for nth in 1..MOST_CALLS {
            let dir = tempfile::tempdir().unwrap();
            let at = format!("{call} {nth} {error}");
            let (said, ended) = run(dir.path(), call, &format!("error={error}"), nth);
            assert!(ended && said.iter().any(|line| line == "archived"), "{at}: {said:?}");
            check(dir.path(), &said, &at);
            // What only tidies up (closing the database) may fail without a word; past the last call nothing fails.
            if said.iter().any(|line| line.starts_with("failed: ")) {
                failures += 1;
                quiet = 0;
            } else {
                quiet += 1;
                if quiet == QUIET_RUNS {
                    break;
                }
            }
        }
    }
    println!("failed {failures} times");
    assert!(failures > 80, "only {failures} failures");
}
