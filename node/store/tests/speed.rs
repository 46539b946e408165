//! Measurements, not run by default: `cargo test --release -p clankers-store --test speed -- --ignored --nocapture`.

#![allow(clippy::unwrap_used, reason = "a test, helpers included")]

use std::{sync::Arc, time::Instant};

use clankers_protocol::{
    CidDigest, NodeId, Timestamp,
    conversation::{StopReason, ToolStatus, Usage},
    event::{Event, MessageEvent, Outcome, PromptEvent, SettledEvent, ToolCallEvent, ToolResultEvent},
};
use clankers_store::{
    Amount, Authority, Digest, Home, NewSession, PromptPlace, RevocationRow, SessionLog, Sessions, Store,
    audit::{AuditLog, AuditRow, AuditSettings, Verdict},
};

const ME: NodeId = NodeId([7; 32]);

/// One turn: a prompt, two tool calls with 4 KiB of results each, messages, the end.
fn turn(n: u64) -> Vec<Event> {
    let id = format!("p{n}");
    let message = |text: String| {
        let thinking = Vec::new();
        Event::Message(MessageEvent { item: format!("m{n}"), thinking, text, stop: StopReason::EndTurn })
    };
    let prompt = PromptEvent {
        prompt_id: id.parse().unwrap(),
        principal: ME,
        leaf: None,
        text: "please look again".into(),
        model: "scripted/a".into(),
    };
    let usage = Usage::default();
    let settled = SettledEvent {
        prompt_id: id.parse().unwrap(),
        prompt_seq: 1,
        outcome: Outcome::Completed,
        reason: None,
        usage,
        cost: None,
    };
    let mut events = vec![Event::Prompt(prompt)];
    for i in 0..2 {
        let item = format!("t{n}-{i}");
        let arguments = "{\"path\":\"src/lib.rs\"}".to_owned();
        let call =
            ToolCallEvent { item: item.clone(), message: String::new(), name: "read".into(), arguments };
        let text = "fn main() { println!(\"hello\"); }\n".repeat(124);
        let result = ToolResultEvent { item, name: "read".into(), status: ToolStatus::Ok, text };
        events.extend([message("I look.".into()), Event::ToolCall(call), Event::ToolResult(result)]);
    }
    events.extend([message("Done. ".repeat(80)), Event::Settled(settled)]);
    events
}

#[test]
#[ignore = "a measurement"]
fn a_session_of_2000_turns_opens_within_100_ms() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let new = NewSession { id: None, principal: ME, cwd: "/w".into(), model: "m".into(), title: None };
    let mut log = SessionLog::create(&home, &new, Timestamp(1)).unwrap();
    let start = Instant::now();
    for n in 0..2000 {
        log.append(&turn(n), Timestamp(n)).unwrap();
    }
    println!("append of a turn (9 events, 9 KB), synced: {:?}", start.elapsed() / 2000);
    let id = log.session();
    drop(log);
    let path = home.sessions_dir().join(format!("{id}.jsonl"));
    println!("log: {} bytes", std::fs::metadata(path).unwrap().len());
    let mut best = (u128::MAX, u128::MAX);
    for _ in 0..7 {
        let start = Instant::now();
        drop(SessionLog::open(&home, id, Timestamp(1)).unwrap());
        best.0 = best.0.min(start.elapsed().as_micros());
        let (start, mut digest) = (Instant::now(), Digest::default());
        drop(SessionLog::open_with(&home, id, Timestamp(1), |durable| digest.see(&durable)).unwrap());
        best.1 = best.1.min(start.elapsed().as_micros());
    }
    println!("open: {} µs; open and show every event: {} µs", best.0, best.1);
    let start = Instant::now();
    let store = Arc::new(Store::open(&home, Timestamp(1)).unwrap());
    println!("make and open the store: {:?}", start.elapsed());
    let start = Instant::now();
    let sessions = Sessions::open(&home, store.clone()).unwrap();
    println!("first index of it: {:?}", start.elapsed());
    let start = Instant::now();
    for n in 0..1000_u64 {
        let place = PromptPlace { session: id, seq: n };
        sessions.note_prompt(ME, &format!("q{n}").parse().unwrap(), place).unwrap();
    }
    println!("note a prompt: {:?}", start.elapsed() / 1000);
    let start = Instant::now();
    for n in 0..1000_u64 {
        sessions.find_prompt(ME, &format!("q{n}").parse().unwrap()).unwrap();
    }
    println!("find a prompt: {:?}", start.elapsed() / 1000);
    drop(sessions);
    drop(store);
    let start = Instant::now();
    let store = Store::open(&home, Timestamp(1)).unwrap();
    println!("open the store again: {:?}", start.elapsed());
    drop(store);
    assert!(best.1 < 100_000);
}

fn cid(n: u64) -> CidDigest {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&n.to_be_bytes());
    CidDigest(bytes)
}

#[test]
#[ignore = "a measurement"]
fn authority_is_asked_often() {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let store = Store::open(&home, Timestamp(1)).unwrap();
    let far = Timestamp(u64::MAX / 2);
    let per = |what: &str, count: u64, act: &mut dyn FnMut(u64)| {
        let start = Instant::now();
        (0..count).for_each(act);
        println!("{what}: {:?}", start.elapsed() / u32::try_from(count).unwrap());
    };
    per("put a revocation", 200, &mut |n| {
        let row = RevocationRow {
            cid: cid(n),
            subject: ME,
            revoker: ME,
            grantee: ME,
            expires: far,
            container: vec![7; 600],
        };
        store.revocations().put(&row, Timestamp(1)).unwrap();
    });
    per("is it revoked", 1_000_000, &mut |n| {
        assert_eq!(store.revocations().is_revoked(&cid(n)).unwrap(), n < 200);
    });
    per("reserve for a chain of 3 and settle", 300, &mut |n| {
        let links = [(cid(0), far), (cid(1), far), (cid(2 + n % 20), far)];
        let amount = Amount { nano_usd: 10, tokens: 1, starts: 1, bytes: 0 };
        let reserved = store.ledger().reserve(&links, amount, Timestamp(n), |_| Ok::<(), ()>(())).unwrap();
        store.ledger().settle(reserved.unwrap(), amount, Timestamp(n)).unwrap();
    });
    per("usage of a link", 100_000, &mut |n| {
        assert!(store.ledger().usage(&cid(n % 20), Timestamp(1)).unwrap().spent_nano_usd > 0);
    });
    per("first time of an invocation", 200, &mut |n| {
        assert!(store.replay().is_first(&cid(n), far, Timestamp(1)).unwrap());
    });
    assert_eq!(store.authority(), Authority::Whole);
    let log = AuditLog::open(&home, AuditSettings::default(), Timestamp(1)).unwrap();
    let row = AuditRow {
        at: Timestamp(1),
        peer: ME,
        principal: Some(ME),
        chain: vec!["bafyreib".repeat(7); 3],
        command: "/clankers/tool/use".into(),
        args: serde_json::Map::new(),
        verdict: Verdict::Allow,
        code: None,
        reason: None,
        session: None,
        prompt_id: None,
    };
    per("append an audit row", 2000, &mut |_| log.append(&row));
    assert!(log.flush(std::time::Duration::from_secs(60)));
}
