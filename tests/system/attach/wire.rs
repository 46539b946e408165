//! The same by hand: a thousand cuts anywhere, and viewers that do not keep to the rules.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clankers_auth::{GrantSpec, preset::Sessions};
use clankers_protocol::{
    Message,
    attach::{Cursor, FromNode},
    event::{Durable, Event, StreamItem},
    kind::Kind,
    message::Ext,
    refusal::RefusalCode,
    request::{
        attach::{
            Answer as Reply, Attach, AttachCancel, Attached, From, Input, InputRefused, InputTaken, Role,
        },
        prompt::{SessionChoice, When},
    },
};
use clankers_tests::{
    Node, NodeHome, Script, Turn, forge,
    hostile::{Answer, Guest, Hostile, Talk, frame},
};
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use crate::{BIN, attacks::raw};

/// Cuts of one viewer (count): the bar asks for a thousand.
const CUTS: u64 = 1_000;
/// Frames read before a cut, at most (count).
const FRAMES: u64 = 24;
/// Time before a cut, at most (microseconds).
const CUT_MICROS: u64 = 10_000;

pub(super) fn say_attach(session: &str, role: Role, from: From) -> Attach {
    Attach { leaf: None, session: Some(session.to_owned()), role, from, ext: Ext::default() }
}

pub(super) fn input(id: &str, text: &str) -> Input {
    let (input_id, text) = (id.parse().unwrap(), text.to_owned());
    Input { input_id, text, when: When::Queue, model: None, ext: Ext::default() }
}

/// A small generator with a seed that is printed (xorshift64*, Vigna 2016).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % sides
    }
}

pub(super) async fn next(talk: &mut Talk) -> FromNode {
    loop {
        match talk.answer().await {
            Answer::Frame(frame) => {
                if let Some(said) = FromNode::decode(frame.kind, &frame.body).unwrap() {
                    return said;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(super) async fn guest_of(node: &Node, home: &NodeHome, spec: GrantSpec) -> (Hostile, Guest) {
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &spec);
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    (peer, guest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_cuts_lose_double_and_reorder_nothing() {
    let home = NodeHome::new(BIN);
    let turn = Turn::says("a few words, and a look").piece_chars(3).and_calls("ls", &json!({}));
    home.script(&Script::of([turn, Turn::says("and what came of it").piece_chars(3)]).repeat());
    let node = home.start();
    let (peer, guest) = guest_of(&node, &home, GrantSpec::operator()).await;
    let first = raw::send(&guest, &raw::prompt("begin")).await.unwrap();
    let session = first.accepted.session.to_string();
    // Somebody prompts all the while.
    let (prompter, place, enough) = (guest.clone(), session.clone(), Arc::new(AtomicBool::new(false)));
    let stop = Arc::clone(&enough);
    let prompts = tokio::spawn(async move {
        let mut ends = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut prompt = raw::prompt(&format!("prompt {}", ends.len()));
            prompt.session = SessionChoice::Existing(place.clone());
            let taken = raw::send(&prompter, &prompt).await.unwrap();
            ends.push(*taken.seqs().last().unwrap());
        }
        ends
    });
    let seed = u64::from_le_bytes(forge::random());
    eprintln!("seed {seed}");
    let (mut dice, mut cursor) = (Dice(seed | 1), Cursor::new(From::Begin));
    let mut seen: Vec<Durable> = Vec::new();
    for _ in 0..CUTS {
        let mut talk = guest.say(&say_attach(&session, Role::View, cursor.from())).await;
        // Cut after some frames or some time, whichever is first.
        let until = Instant::now() + Duration::from_micros(dice.roll(CUT_MICROS));
        for _ in 0..1 + dice.roll(FRAMES) {
            match timeout_at(until, next(&mut talk)).await {
                Err(_cut) => break,
                Ok(FromNode::Attached(attached)) => cursor.attached(&attached),
                Ok(FromNode::Item(StreamItem::Durable(durable))) => {
                    if cursor.durable(&durable).unwrap() {
                        seen.push(durable);
                    }
                }
                Ok(FromNode::Item(StreamItem::Live(kind, delta))) => drop(cursor.piece(kind, delta)),
                Ok(FromNode::Gap(gap)) => panic!("{gap:?}"),
                Ok(_) => {}
            }
        }
        if dice.roll(2) == 0 {
            talk.reset(7);
        }
    }
    enough.store(true, Ordering::Relaxed);
    let ends = prompts.await.unwrap();
    let last = *ends.last().unwrap();
    let mut talk = guest.say(&say_attach(&session, Role::View, cursor.from())).await;
    while seen.last().is_none_or(|durable| durable.seq < last) {
        match next(&mut talk).await {
            FromNode::Attached(attached) => cursor.attached(&attached),
            FromNode::Item(StreamItem::Durable(durable)) if cursor.durable(&durable).unwrap() => {
                seen.push(durable);
            }
            _ => {}
        }
    }
    let seqs: Vec<u64> = seen.iter().map(|durable| durable.seq).collect();
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    // The same as one look at the whole.
    let mut talk = guest.say(&say_attach(&session, Role::View, From::Begin)).await;
    let mut whole = Vec::new();
    while whole.len() < seen.len() {
        if let FromNode::Item(StreamItem::Durable(durable)) = next(&mut talk).await {
            whole.push(durable);
        }
    }
    assert!(whole == seen, "another history than was told piece by piece");
    let prompts = seen.iter().filter(|durable| matches!(durable.event, Event::Prompt(_))).count();
    assert_eq!(prompts, 1 + ends.len());
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_runs_once_however_often_it_is_sent() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest) = guest_of(&node, &home, GrantSpec::root()).await;
    let taken = raw::send(&guest, &raw::prompt("/ls")).await.unwrap();
    let session = taken.accepted.session.to_string();
    let word = input("only-once", "/bash echo run >> count.txt");
    let mut answers = Vec::new();
    for round in 0..10 {
        let mut talk = guest.say(&say_attach(&session, Role::Type, From::Tail(0))).await;
        let _attached: Attached = talk.answer().await.message();
        talk.write(&frame(Input::KIND, &word.encode())).await.unwrap();
        if round % 3 == 0 {
            continue;
        }
        let taken = loop {
            if let FromNode::Taken(taken) = next(&mut talk).await {
                break taken;
            }
        };
        let InputTaken { prompt_seq, duplicate, .. } = taken;
        answers.push((prompt_seq, duplicate));
    }
    assert!(answers.iter().all(|(seq, _)| *seq == 5), "{answers:?}");
    assert!(answers.iter().filter(|(_, duplicate)| !duplicate).count() <= 1, "{answers:?}");
    // As a prompt of its own it is the same one.
    let mut again = raw::prompt("/ls");
    again.prompt_id = word.input_id.clone();
    assert!(raw::send(&guest, &again).await.unwrap().accepted.duplicate);
    let count = std::fs::read_to_string(home.workspace().join("count.txt")).unwrap();
    assert_eq!(count, "run\n");
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_breaks_the_rules_is_refused_and_harms_nobody() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let (peer, guest) = guest_of(&node, &home, GrantSpec::reviewer()).await;
    let taken = raw::send(&guest, &raw::prompt("/ls")).await.unwrap();
    let session = taken.accepted.session.to_string();
    // It asks for more than its chain allows, and is let in with less.
    let mut talk = guest.say(&say_attach(&session, Role::Type, From::Tail(0))).await;
    let attached: Attached = talk.answer().await.message();
    assert_eq!(attached.role_granted, Role::View);
    let (cancel, answer) = (
        AttachCancel { input_id: "c".parse().unwrap(), prompt_id: None, ext: Ext::default() },
        Reply { input_id: "a".parse().unwrap(), request: "x".into(), allow: true, ext: Ext::default() },
    );
    for (kind, body) in [
        (Input::KIND, input("i", "/ls").encode()),
        (AttachCancel::KIND, cancel.encode()),
        (Reply::KIND, answer.encode()),
    ] {
        talk.write(&frame(kind, &body)).await.unwrap();
        let refused = loop {
            if let FromNode::Refused(refused) = next(&mut talk).await {
                break *refused;
            }
        };
        let InputRefused { refusal, .. } = refused;
        assert_eq!(refusal.code(), RefusalCode::Unauthorized);
    }
    // What is no word of a viewer ends its stream, and no other.
    let mut other = guest.say(&say_attach(&session, Role::View, From::Begin)).await;
    for (bytes, code) in [
        (frame(Kind::PROMPT, &raw::prompt("/ls").encode()), RefusalCode::Unsupported),
        (frame(Kind::INPUT, b"\xff\xff\xff"), RefusalCode::Malformed),
        (frame(Kind(0xfff0), b""), RefusalCode::Unsupported),
    ] {
        let mut talk = guest.say(&say_attach(&session, Role::View, From::Begin)).await;
        talk.write(&bytes).await.unwrap();
        let answers = talk.answers().await;
        let refused = answers.iter().find(|answer| matches!(answer, Answer::Refused(_))).unwrap();
        assert_eq!(refused.refused(), code, "{answers:?}");
    }
    let _attached: Attached = other.answer().await.message();
    // Nobody's session, and somebody else's, are not there.
    let mine = raw::send(&guest, &raw::prompt("/ls")).await.unwrap().accepted.session.to_string();
    let (stranger, theirs) = guest_of(&node, &home, GrantSpec::operator()).await;
    for session in [mine.as_str(), &mine[..8], "last", "", "../../x"] {
        let refused = theirs.ask(&say_attach(session, Role::View, From::Begin)).await.refused();
        assert_eq!(refused, RefusalCode::NotFound, "{session}");
    }
    // Unless the node's own link names it.
    let named = GrantSpec { sessions: Sessions::These(vec![mine.clone()]), ..GrantSpec::read_only() };
    let (reader, reads) = guest_of(&node, &home, named).await;
    let mut talk = reads.say(&say_attach(&mine, Role::Type, From::Begin)).await;
    assert_eq!(talk.answer().await.message::<Attached>().role_granted, Role::View);
    assert_eq!(
        reads.ask(&say_attach(&session, Role::View, From::Begin)).await.refused(),
        RefusalCode::NotFound
    );
    for peer in [peer, stranger, reader] {
        peer.close().await;
    }
}
