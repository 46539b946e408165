//! Processes that are killed: what they had acknowledged is there, what they held is free.
//!
//! The other process is this test binary itself, started with a role in its environment.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test, helpers included")]

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

use clankers_protocol::{
    NodeId, SessionId, Timestamp,
    conversation::StopReason,
    event::{Event, MessageEvent, PromptEvent},
    request::tokens::TokenRecord,
};
use clankers_store::{
    Digest, Holder, Home, LockError, LogError, NewSession, NodeLock, Page, PromptPlace, SessionLog, Sessions,
    Store, StoreError, holder, identity,
};

const ME: NodeId = NodeId([7; 32]);
const ROLE: &str = "CLANKERS_STORE_TEST_ROLE";
const HOME: &str = "CLANKERS_STORE_TEST_HOME";

/// A process in a role, killed when dropped.
struct Other {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Other {
    fn start(role: &str, home: &Home) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_other_process", "--nocapture", "--test-threads=1"])
            .env(ROLE, role)
            .env(HOME, home.root())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    /// The next line that the role says.
    fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "the other process ended");
            // The test harness talks too, on the same line as the first word.
            if let Some((_, said)) = line.split_once("> ") {
                return said.trim_end().to_owned();
            }
        }
    }

    /// Kills it and gives what it had still said.
    fn kill(mut self) -> Vec<String> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let lines = self.out.lines().map_while(Result::ok);
        // A last line without its newline may be cut short: it was not said.
        lines.filter(|line| line.ends_with(';')).map(|line| line.replace("> ", "")).collect()
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "> {line}").unwrap();
    out.flush().unwrap();
}

/// Waits to be killed: the parent never writes.
fn wait() {
    let _ = std::io::stdin().read_line(&mut String::new());
    loop {
        std::thread::park();
    }
}

/// Not a test: the body of the other process. Without a role it does nothing.
#[test]
fn the_other_process() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let home = Home::open(std::env::var_os(HOME).unwrap().as_ref()).unwrap();
    match role.as_str() {
        "node" => {
            let _lock = NodeLock::acquire(&home).unwrap();
            let _store = Store::open(&home, Timestamp(1)).unwrap();
            say("ready");
            wait();
        }
        "session" => {
            let log = SessionLog::create(&home, &session(), Timestamp(1)).unwrap();
            say(&log.session().to_string());
            wait();
        }
        "writer" => writer(&home),
        other => panic!("no such role: {other}"),
    }
}

fn session() -> NewSession {
    NewSession { id: None, principal: ME, cwd: "/w".into(), model: "m".into(), title: None }
}

fn message(text: String) -> Event {
    Event::Message(MessageEvent { item: "m".into(), thinking: Vec::new(), text, stop: StopReason::EndTurn })
}

fn prompt(id: u64) -> Event {
    let prompt_id = format!("p{id}").parse().unwrap();
    Event::Prompt(PromptEvent { prompt_id, principal: ME, leaf: None, text: "x".into(), model: "m".into() })
}

fn token(n: u64) -> TokenRecord {
    TokenRecord {
        cid: format!("cid{n}"),
        subject: ME,
        issuer: ME,
        audience: ME,
        not_before: Timestamp(0),
        expires: Timestamp(u64::MAX / 2),
        grants: Vec::new(),
        issued: true,
    }
}

/// Appends and keeps as fast as it can, and says what was acknowledged.
fn writer(home: &Home) {
    let store = Arc::new(Store::open(home, Timestamp(1)).unwrap());
    let sessions = Sessions::open(home, store.clone()).unwrap();
    let mut log = SessionLog::create(home, &session(), Timestamp(1)).unwrap();
    say(&log.session().to_string());
    for n in 1.. {
        let batch = [prompt(n), message("é\n".repeat(usize::try_from(n * 37 % 4000).unwrap()))];
        let durable = log.append(&batch, Timestamp(n)).unwrap();
        let place = PromptPlace { session: log.session(), seq: durable[0].seq };
        sessions.note_prompt(ME, &format!("p{n}").parse().unwrap(), place).unwrap();
        say(&format!("event {};", durable[1].seq));
        if n % 8 == 0 {
            store.tokens().put_issued(&token(n), b"container", Timestamp(1)).unwrap();
            say(&format!("token {n};"));
        }
    }
}

#[test]
fn a_killed_writer_loses_nothing_that_it_had_acknowledged() {
    for round in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let mut other = Other::start("writer", &home);
        let id: SessionId = other.line().parse().unwrap();
        let mut said: Vec<String> = (0..20 + round * 13).map(|_| other.line()).collect();
        said.extend(other.kill());
        let last = |kind: &str| {
            let number = |line: &String| line.strip_prefix(kind)?.strip_suffix(';')?.parse::<u64>().ok();
            said.iter().filter_map(number).max().unwrap()
        };
        let (mut digest, mut expected) = (Digest::default(), 1);
        let log = SessionLog::open_with(&home, id, Timestamp(9), |durable| {
            assert_eq!(durable.seq, expected);
            expected += 1;
            digest.see(&durable);
        })
        .unwrap();
        assert!(log.head_seq() >= last("event "), "acknowledged events are there");
        assert!(log.head_seq() <= last("event ") + 2, "and at most the one append that was under way");
        assert!(log.dropped_tail().is_none_or(|tail| !tail.finished));
        assert_eq!(log.epoch(), 1);
        let store = Arc::new(Store::open(&home, Timestamp(1)).unwrap());
        assert!(store.tokens().list(Timestamp(1)).unwrap().len() as u64 >= last("token ") / 8);
        let sessions = Sessions::open(&home, store).unwrap();
        for mark in &digest.prompts {
            let place = Some(PromptPlace { session: id, seq: mark.seq });
            assert_eq!(sessions.find_prompt(ME, &mark.prompt_id).unwrap(), place, "never run twice");
        }
        assert_eq!(log.read(log.head_seq(), Page { events: 9, bytes: 9 }).unwrap().len(), 1);
    }
}

#[test]
fn what_a_killed_node_held_is_free() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let mut other = Other::start("node", &home);
    assert_eq!(other.line(), "ready");
    let pid = Some(other.child.id());
    assert!(matches!(NodeLock::acquire(&home), Err(LockError::Held { pid: p, .. }) if p == pid));
    assert_eq!(holder(&home).unwrap(), Some(Holder { pid }));
    assert!(matches!(Store::open(&home, Timestamp(1)), Err(StoreError::Held(_))));
    other.kill();
    assert_eq!(holder(&home).unwrap(), None);
    let _lock = NodeLock::acquire(&home).unwrap();
    Store::open(&home, Timestamp(1)).unwrap();
}

#[test]
fn a_session_has_one_writer_among_processes() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let mut other = Other::start("session", &home);
    let id: SessionId = other.line().parse().unwrap();
    assert!(matches!(SessionLog::open(&home, id, Timestamp(1)), Err(LogError::Busy(busy)) if busy == id));
    let sessions = Sessions::without_store(&home);
    assert!(sessions.is_busy(id).unwrap());
    other.kill();
    assert!(!sessions.is_busy(id).unwrap());
    SessionLog::open(&home, id, Timestamp(1)).unwrap();
    identity::load_or_create(&home).unwrap();
}
