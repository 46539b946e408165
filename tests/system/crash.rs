//! Crashes, damage and a full disk: nothing that was said is lost, nothing runs twice, nothing is silently replaced.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clankers_tests::{NodeHome, Script, Turn, wait};
use serde_json::{Value, json};

use crate::BIN;

/// Where the moments of the kills come from.
const SEED: u64 = 0x5eed;
/// Kills (count).
const KILLS: usize = 6;
/// Kills of prompts that are just being accepted (count).
const CUTS: usize = 16;
/// Lines of a prompt before the latest kill (count): well before its end.
const LATEST: u64 = 90;

/// A step of a linear congruential generator (Knuth's MMIX).
fn step(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// The events of a session's log by their seq, which must run from 1 without a gap.
fn logged(home: &NodeHome, session: &str) -> BTreeMap<u64, Value> {
    let text = String::from_utf8(home.session_log(session)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: BTreeMap<u64, Value> =
        lines.filter_map(|mut line| Some((line["seq"].as_u64()?, line["event"].take()))).collect();
    assert!(events.keys().copied().eq(1..=events.len() as u64), "{text}");
    events
}

fn durable(lines: &[Value]) -> Vec<(u64, Value)> {
    lines.iter().filter_map(|line| Some((line["seq"].as_u64()?, line.clone()))).collect()
}

fn log_path(home: &NodeHome, session: &str) -> PathBuf {
    home.path().join("sessions").join(format!("{session}.jsonl"))
}

fn prompted(home: &NodeHome, text: &str) -> String {
    let lines = home.cli(["-p", text, "--mode", "json"]).run().ok().json_lines();
    lines[0]["session"].as_str().unwrap().to_owned()
}

/// The log of one interrupted prompt: every call has a result, and one whose fate nobody knows says so.
fn closed(log: &BTreeMap<u64, Value>) {
    let of = |kind: &str| log.values().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    assert_eq!(of("tool_call").len(), of("tool_result").len(), "{log:?}");
    let finished = of("tool_result").iter().filter(|result| result["status"] == "ok").count();
    assert!(finished <= 6 && of("prompt").len() == 1 && of("settled").len() == 1, "{log:?}");
}

#[test]
fn a_killed_node_has_lost_nothing_it_said_and_runs_nothing_twice() {
    let home = NodeHome::new(BIN);
    let work = |n: u32| {
        Turn::says(&format!("step {n} of the work ").repeat(8))
            .piece_chars(8)
            .delay_ms(1)
            .and_calls("bash", &json!({ "command": "echo run >> ran.txt" }))
    };
    home.script(&Script::of((0..6).map(work).chain([Turn::says("done")])));
    let ran = || fs::read_to_string(home.workspace().join("ran.txt")).unwrap_or_default().lines().count();
    let mut node = home.start();
    let mut state = SEED;
    for kill in 0..KILLS {
        let id = format!("killed-{kill}");
        let ask = || home.cli(["rpc", "prompt", "local", "work", "--mode", "json", "--prompt-id", &id]);
        let mut client = ask().start();
        let lines = 1 + step(&mut state) % LATEST;
        for _ in 0..lines {
            client.line().expect("a prompt that goes on");
        }
        node.kill9();
        node.restart();
        client.kill9();
        let heard = client.finish().json_lines();
        let session = heard[0]["session"].as_str().unwrap().to_owned();
        let before = ran();

        let again = ask().run().code(1);
        let (first, said) = (again.json_lines().remove(0), durable(&again.json_lines()));
        assert_eq!(
            (&first["duplicate"], &first["session"]),
            (&json!(true), &json!(session)),
            "{}",
            again.story()
        );
        let (_, last) = said.last().unwrap();
        assert_eq!(
            (&last["type"], &last["outcome"]),
            (&json!("settled"), &json!("interrupted")),
            "{}",
            again.story()
        );
        let log = logged(&home, &session);
        for (seq, line) in durable(&heard) {
            assert!(said.contains(&(seq, line.clone())), "said before the kill, not after: {line}");
            assert_eq!(log[&seq]["type"], line["type"], "{line}");
            for field in ["text", "item", "name", "status"] {
                assert!(line[field].is_null() || line[field] == log[&seq][field], "{line} {}", log[&seq]);
            }
        }
        assert_eq!(
            said.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
            (2..=log.len() as u64).collect::<Vec<_>>()
        );
        closed(&log);
        // And again: the same.
        let third = ask().run().code(1);
        assert_eq!(durable(&third.json_lines()), said);
        assert_eq!(ran(), before, "something of an interrupted prompt was run again");
        let ps = home.cli(["ps", "--json"]).run().ok().json();
        assert_eq!(ps.as_array().unwrap().len(), kill + 1, "{ps}");
        assert!(ps.as_array().unwrap().iter().all(|one| one["state"] == "idle"), "{ps}");
    }
    // The sessions go on.
    let last = home.cli(["rpc", "prompt", "local", "/ls", "--session", "last", "--mode", "json"]).run().ok();
    assert_eq!(last.json_lines().last().unwrap()["outcome"], "completed");
}

#[test]
fn a_prompt_cut_off_while_it_is_accepted_runs_at_most_once() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let sessions = home.path().join("sessions");
    let count = || fs::read_dir(&sessions).map_or(0, Iterator::count);
    let mut state = SEED;
    for kill in 0..CUTS {
        let (id, file) = (format!("cut-{kill}"), format!("cut-{kill}.txt"));
        let text = format!("/bash echo run >> {file}");
        let ask = || home.cli(["rpc", "prompt", "local", &text, "--mode", "json", "--prompt-id", &id]);
        let known = count();
        let client = ask().start();
        // The moment at which its session comes into being, and some looks at the disk later.
        wait::until("a new session", Duration::from_secs(20), || (count() > known).then_some(()));
        for _ in 0..step(&mut state) % 40 {
            let _look = count();
        }
        node.kill9();
        node.restart();
        client.kill9();
        let heard = client.finish().json_lines();
        let again = ask().run();
        let lines = again.json_lines();
        let ran = fs::read_to_string(home.workspace().join(&file)).unwrap_or_default();
        if let Some(accepted) = heard.first() {
            assert_eq!((&lines[0]["duplicate"], &lines[0]["session"]), (&json!(true), &accepted["session"]));
        }
        let settled = lines.last().unwrap();
        match settled["outcome"].as_str() {
            Some("completed") => assert_eq!(ran, "run\n", "{}", again.story()),
            Some("interrupted") => assert!(ran.is_empty() || ran == "run\n", "{ran:?} {}", again.story()),
            other => panic!("{other:?}: {}", again.story()),
        }
        let files = fs::read_dir(&sessions).unwrap().map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| path.is_file()).map(|path| fs::read_to_string(path).unwrap());
        let prompt = format!("\"prompt_id\":\"{id}\",\"principal\"");
        let written: usize = logs.map(|log| log.matches(&prompt).count()).sum();
        assert_eq!(written, 1, "how often it was written down");
    }
}

#[test]
fn a_torn_log_opens_and_a_damaged_one_says_so_and_spoils_no_other() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("hello {{prompt}}")));
    let [torn, damaged, whole] = ["torn", "damaged", "whole"].map(|title| prompted(&home, title));
    let bytes = home.session_log(&torn);
    fs::write(log_path(&home, &torn), &bytes[..bytes.len() - 7]).unwrap();
    let mut bytes = home.session_log(&damaged);
    let place = bytes.windows(9).position(|part| part == b"hello dam").unwrap();
    bytes[place] ^= 1;
    fs::write(log_path(&home, &damaged), &bytes).unwrap();

    let node = home.start();
    let ps = home.cli(["ps", "--json"]).run().ok().json();
    let state = |id: &str| {
        let found = ps.as_array().unwrap().iter().find(|one| one["id"] == id);
        found.unwrap_or_else(|| panic!("{id} is gone: {ps}"))["state"].clone()
    };
    assert_eq!((state(&torn), state(&whole)), (json!("idle"), json!("idle")), "{ps}");
    assert_eq!(state(&damaged), "damaged", "{ps}");
    let go_on =
        |id: &str| home.cli(["rpc", "prompt", "local", "/ls", "--session", id, "--mode", "json"]).run();

    go_on(&torn).ok();
    let log = logged(&home, &torn);
    let settled: Vec<_> = log.values().filter(|event| event["type"] == "settled").collect();
    assert_eq!(settled.len(), 2, "the lost end is closed: {log:?}");
    assert_eq!(settled[0]["outcome"], "interrupted");
    assert!(home.node_log().contains("torn"), "{}", node.story());

    let refused = go_on(&damaged).code(8);
    assert!(refused.err().contains("damaged"), "{}", refused.story());
    assert_eq!(home.session_log(&damaged), bytes, "what is damaged is left as it is");
    go_on(&whole).ok();
    home.cli(["rpc", "prompt", "local", "/ls"]).run().ok();
}

#[test]
fn without_its_database_a_node_finds_its_sessions_and_tokens_again() {
    let (home, guest) = (NodeHome::new(BIN), NodeHome::new(BIN));
    home.script(&Script::always(Turn::says("hello")));
    let mut node = home.start();
    let other = NodeHome::new(BIN);
    let held = other.cli(["token", "create", "--for", &home.id().to_string(), "--read-only"]).run().ok();
    home.cli(["token", "import", "-"]).stdin(held.out()).run().ok();
    node.grant(&guest, &["--reviewer"]);
    let once =
        || home.cli(["rpc", "prompt", "local", "hi", "--prompt-id", "known", "--mode", "json"]).run().ok();
    let first = once().json_lines();
    home.cli(["rpc", "prompt", "local", "more"]).run().ok();
    let see = |what: &[&str]| home.cli(what).run().ok().json();
    let (sessions, tokens) = (see(&["ps", "--json"]), see(&["token", "list", "--json"]));
    assert_eq!((sessions.as_array().unwrap().len(), tokens.as_array().unwrap().len()), (2, 2));
    node.kill9();
    fs::remove_file(home.path().join("store.redb")).unwrap();
    node.restart();
    assert_eq!(see(&["ps", "--json"]), sessions);
    assert_eq!(see(&["token", "list", "--json"]), tokens);
    guest.cli(["rpc", "prompt", node.ticket(), "/ls"]).run().ok();
    let again = once().json_lines();
    assert_eq!((&again[0]["duplicate"], durable(&again)), (&json!(true), durable(&first)));
}

#[test]
fn a_database_that_is_no_database_is_refused_and_left_alone() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let _token = node.token(clankers_tests::forge::id_of(&[3; 32]), &["--read-only"]);
    let _exit = node.stop();
    let path = home.path().join("store.redb");
    let good = fs::read(&path).unwrap();
    let mut header = good.clone();
    header[..64].fill(0xaa);
    let mut middle = good.clone();
    let size = middle.len();
    middle[4096..size / 2].fill(0x5a);
    for (what, bytes) in [
        ("nothing", vec![]),
        ("noise", vec![0xa5; 10_000]),
        ("a bad header", header),
        ("bad pages", middle),
        ("half of it", good[..size / 2].to_vec()),
    ] {
        fs::write(&path, &bytes).unwrap();
        let refused = clankers_tests::Start::new().command(&home).run();
        assert_eq!(refused.exit.code, Some(8), "{what}: {}", refused.story());
        assert!(refused.err().contains("store.redb"), "{what}: {}", refused.story());
        assert!(fs::read(&path).unwrap() == bytes, "{what}: it was changed");
    }
    fs::write(&path, good).unwrap();
    node.restart();
    assert_eq!(home.cli(["token", "list", "--json"]).run().ok().json().as_array().unwrap().len(), 1);
}

/// A small file system at this path, gone with the value.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).map_err(|error| error.to_string())?;
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=12m,mode=700", "none"]).arg(at).output();
        match mount {
            Ok(done) if done.status.success() => Ok(Self(at.to_owned())),
            Ok(done) => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Leaves so much room on it, whatever it takes (bytes).
    pub(crate) fn leave(&self, room: u64) {
        let disk = rustix::fs::statvfs(&self.0).unwrap();
        let taken = (disk.f_bavail * disk.f_frsize).saturating_sub(room);
        fs::write(self.0.join("ballast"), vec![0; usize::try_from(taken).unwrap()]).unwrap();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _gone = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_said_and_survived() {
    let home = NodeHome::new(BIN);
    let disk = match SmallDisk::mount(&home.path()) {
        Ok(disk) => disk,
        Err(reason) => {
            eprintln!("skipped: no small disk can be mounted here: {}", reason.trim());
            return;
        }
    };
    let turn = || Turn::says("{{prompt}}").piece_chars(4096).and_calls("ls", &json!({}));
    home.script(&Script::of((0..30).map(|_| turn()).chain([Turn::says("done")])));
    let node = home.start();
    let text = "full disk ".repeat(4_000);
    let small = home.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok().json_lines();
    let small = small[0]["session"].as_str().unwrap();

    disk.leave(300 * 1024);
    let broken = home.cli(["rpc", "prompt", "local", "-", "--mode", "json"]).stdin(text.clone()).run();
    assert_eq!(broken.exit.code, Some(8), "{}", broken.err());
    assert!(broken.err().to_lowercase().contains("space"), "{}", broken.err());
    let heard = broken.json_lines();
    let session = heard[0]["session"].as_str().unwrap();
    // It lives, and answers what needs no room.
    let _status = node.status();
    home.cli(["ps", "--json"]).run().ok();
    home.cli(["rpc", "ping", "local"]).run().ok();
    disk.free();
    disk.leave(0);
    for more in [&["--new"][..], &["--session", small]] {
        // More than the last page of a log has room for.
        let refused = home.cli(["rpc", "prompt", "local", "-"]).args(more).stdin(text.clone()).run().code(8);
        assert!(refused.err().to_lowercase().contains("space"), "{}", refused.story());
    }
    assert!(node.lives());

    // With room again it works without a restart, also where it broke; what was said before still stands.
    disk.free();
    home.cli(["rpc", "prompt", "local", "/ls"]).run().ok();
    for session in [small, session] {
        home.cli(["rpc", "prompt", "local", "/ls", "--session", session]).run().ok();
    }
    let log = logged(&home, session);
    for (seq, line) in durable(&heard) {
        assert_eq!((&log[&seq]["type"], &log[&seq]["text"]), (&line["type"], &line["text"]));
    }
    let outcomes: Vec<_> = log
        .values()
        .filter(|event| event["type"] == "settled")
        .map(|event| event["outcome"].clone())
        .collect();
    assert_eq!(outcomes, [json!("interrupted"), json!("completed")]);
    drop(node);
}
