//! A disk that breaks beneath a running node, and is mended while it runs: by strace, which is told to let calls fail.

use std::process::Command;

use clankers_lab::{Inject, inject::is_traced};
use clankers_tests::{
    Node, NodeHome, Script, Turn,
    process::{Input, Process},
    wait,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{BIN, LIMIT};

/// What changes a file.
const CALLS: [&str; 5] = ["pwrite64", "fsync", "fdatasync", "ftruncate", "renameat2"];

/// A disk that is broken until the value is dropped.
struct Broken(Process);

impl Broken {
    fn disk(node: &Node, inject: &Inject) -> Self {
        let command: Command = inject.running(node.pid());
        let tracer = Process::spawn(command, Input::Nothing);
        wait::until("a tracer", LIMIT, || {
            assert!(tracer.exit().is_none(), "{}", tracer.story());
            is_traced(node.pid()).then_some(())
        });
        Self(tracer)
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        // A tracer that is told to end lets its process go.
        self.0.signal(Signal::TERM);
        assert!(self.0.wait(LIMIT).is_some(), "{}", self.0.story());
    }
}

fn prompt(home: &NodeHome, text: &str, more: &[&str]) -> clankers_tests::Ran {
    home.cli(["rpc", "prompt", "local", text, "--mode", "json"]).args(more).within(LIMIT).run()
}

#[test]
fn a_disk_that_fails_refuses_prompts_hides_nothing_and_is_used_again_when_it_works() {
    let Some(inject) = Inject::new(&CALLS) else { return };
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("a step").and_calls("ls", &json!({}))));
    let node = home.start();
    let session = prompt(&home, "/ls", &[]).ok().json_lines()[0]["session"].as_str().unwrap().to_owned();
    let words = ["attach", &session, "--read-only", "--mode", "json"];
    let mut viewer = home.cli(words).stdin_open().within(LIMIT).start();
    viewer.json_of_type("attached");
    let mut prompts = 1;
    for (error, word) in [("EIO", "input/output"), ("ENOSPC", "space")] {
        // From the first call on, and in the midst of a prompt; all calls, and syncs alone.
        for (calls, from) in
            [(&CALLS[..], 1), (&CALLS[..], 3), (&["fdatasync", "fsync"][..], 1), (&["fdatasync"][..], 3)]
        {
            let at = format!("{error} of {calls:?} from call {from} on");
            let inject = Inject::new(calls).unwrap().error(error).from_nth(from);
            let broken = Broken::disk(&node, &inject);
            let failed = prompt(&home, "go", &["--session", &session, "--max-turns", "12"]);
            assert_eq!(failed.exit.code, Some(8), "{at}: {}", failed.story());
            let said = failed.err().to_lowercase();
            assert!(said.contains(word) || said.contains("check the disk"), "{at}: {said}");
            if from == 1 {
                // Nothing new is taken, also not in a session of its own.
                let refused = prompt(&home, "/ls", &["--new"]);
                assert_eq!(refused.exit.code, Some(8), "{at}: {}", refused.story());
                assert!(failed.json_lines().is_empty(), "{at}: accepted {}", failed.story());
            }
            // What only reads goes on: a new viewer has all that is there.
            home.cli(["ps", "--json"]).run().ok();
            home.cli(["rpc", "ping", "local"]).run().ok();
            let read = home.cli(["attach", &session, "--before", "1000", "--mode", "json"]).run().ok();
            assert!(read.json_lines().len() >= 4, "{at}: {}", read.story());
            let mut late = home.cli(words).stdin_open().within(LIMIT).start();
            late.json_of_type("attached");
            late.kill9();
            drop(broken);
            // Mended: it works without a restart, in that session and in others.
            prompt(&home, "/ls", &["--session", &session]).ok();
            prompt(&home, "/ls", &["--new"]).ok();
            prompts += 1;
            assert!(node.lives(), "{at}");
        }
    }
    drop(inject);
    let mut direct = 0;
    let mut seen: Vec<Value> = Vec::new();
    while direct < prompts {
        let line = viewer.json().unwrap();
        assert_ne!(line["type"], "gap", "{}", viewer.process().story());
        direct += usize::from(line["type"] == "settled" && line["outcome"] == "completed");
        seen.push(line);
    }
    viewer.interrupt();
    viewer.finish().ok();
    let seqs: Vec<u64> = seen.iter().filter_map(|line| line["seq"].as_u64()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "lost, twice or out of order");
    // What the viewer was told is what the disk has.
    let log = String::from_utf8(home.session_log(&session)).unwrap();
    let log: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in seen.iter().filter(|line| line.get("seq").is_some()) {
        let kept = log.iter().find(|kept| kept["seq"] == line["seq"]).map(|kept| &kept["event"]);
        assert_eq!(kept.map(|event| &event["type"]), Some(&line["type"]), "{line}");
    }
}
