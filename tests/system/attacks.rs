//! Peers without manners, over real QUIC: what breaks the conversation itself.

#[path = "attacks/chains.rs"]
mod chains;
#[path = "attacks/floods.rs"]
mod floods;
#[path = "attacks/intruder.rs"]
mod intruder;
#[path = "attacks/paths.rs"]
mod paths;
#[path = "attacks/raw.rs"]
pub(crate) mod raw;

use std::time::{Duration, Instant};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    Message,
    hello::{ChainVerdict, Welcome},
    kind::Kind,
    limits,
    message::Ext,
    refusal::{CloseCode, RefusalCode},
    request::{
        node::{Info, InfoReply, Ping, Pong},
        session::SessionList,
    },
};
use clankers_tests::{
    NodeHome, forge,
    hostile::{Answer, Hostile, frame, frame_claiming, hello},
    load,
};

use crate::BIN;

pub(crate) fn ping() -> Ping {
    Ping { nonce: 7, ext: Ext::default() }
}

pub(crate) fn info() -> Info {
    Info { leaf: None, ext: Ext::default() }
}

/// Every request of version 1.
const REQUESTS: &[Kind] = &[
    Kind::PRESENT,
    Kind::PING,
    Kind::INFO,
    Kind::SESSION_LIST,
    Kind::SESSION_CREATE,
    Kind::SESSION_KILL,
    Kind::PROMPT,
    Kind::PROMPT_CANCEL,
    Kind::PEER_LIST,
    Kind::PEER_RESOLVE,
    Kind::PEER_EDIT,
    Kind::TOKEN_CREATE,
    Kind::TOKEN_IMPORT,
    Kind::TOKEN_LIST,
    Kind::ADMIN,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hello_comes_first_once_and_well_formed() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let good = hello(vec![]).encode();
    let bent = |bend: &dyn Fn(&mut clankers_protocol::hello::Hello)| {
        let mut hello = hello(vec![]);
        bend(&mut hello);
        frame(Kind::HELLO, &hello.encode())
    };
    let first_words: Vec<(&str, Vec<u8>, CloseCode)> = vec![
        ("a request", frame(Kind::PING, &ping().encode()), CloseCode::NoHello),
        ("an answer", frame(Kind::WELCOME, &good), CloseCode::NoHello),
        ("an unknown kind", frame(Kind(0xfffe), &good), CloseCode::NoHello),
        ("an empty Hello", frame(Kind::HELLO, b""), CloseCode::NoHello),
        ("half a Hello", frame(Kind::HELLO, &good[..good.len() / 2]), CloseCode::NoHello),
        ("a Hello and more", frame(Kind::HELLO, &[&good[..], b"x"].concat()), CloseCode::NoHello),
        ("noise", vec![0xff; 600], CloseCode::NoHello),
        ("a frame of 4 GiB", frame_claiming(Kind::HELLO, u32::MAX, b"x"), CloseCode::NoHello),
        ("one byte too many", frame_claiming(Kind::HELLO, 64 * 1024 + 1, b"x"), CloseCode::NoHello),
        ("no version", bent(&|h| h.versions.clear()), CloseCode::Version),
        ("later versions", bent(&|h| h.versions = vec![2, 3, 0xffff]), CloseCode::Version),
        ("version zero", bent(&|h| h.versions = vec![0]), CloseCode::Version),
        ("17 versions", bent(&|h| h.versions = vec![1; 17]), CloseCode::NoHello),
        ("nine chains", bent(&|h| h.chains = vec![vec![1]; 9]), CloseCode::NoHello),
        ("a chain of 17 KiB", bent(&|h| h.chains = vec![vec![b'@'; 17 * 1024]]), CloseCode::NoHello),
        ("a label of 65 bytes", bent(&|h| h.label = Some("x".repeat(65))), CloseCode::NoHello),
        ("software of 60 KiB", bent(&|h| h.software = "x".repeat(60 * 1024)), CloseCode::NoHello),
        ("17 extensions", bent(&|h| h.ext = Ext(vec![(1, vec![]); 17])), CloseCode::NoHello),
    ];
    for (what, bytes, code) in first_words {
        let guest = peer.connect(node.address()).await;
        let _talk = guest.try_bytes(&bytes).await;
        assert_eq!(guest.close_code().await, code, "{what}");
    }
    // A stream that ends, or breaks off, before any word.
    let guest = peer.connect(node.address()).await;
    guest.bytes(b"").await.finish();
    assert_eq!(guest.close_code().await, CloseCode::NoHello);
    let guest = peer.connect(node.address()).await;
    guest.bytes(&[1]).await.reset(9);
    assert_eq!(guest.close_code().await, CloseCode::NoHello);
    assert!(peer.try_connect(node.address(), b"clankers/999").await.is_err());
    assert!(peer.try_connect(node.address(), b"").await.is_err());

    // A second Hello, with better chains this time.
    let chain = forge::owner_run(&home.seed(), peer.id());
    let (guest, _) = peer.welcomed(node.address(), vec![]).await;
    let mut talk = guest.say(&hello(vec![chain.clone()])).await;
    assert_eq!(guest.close_code().await, CloseCode::SecondHello);
    assert!(matches!(talk.answer().await, Answer::Closed(_)), "nothing is said to a second Hello");
    // On the first stream it is not even read.
    let guest = peer.connect(node.address()).await;
    let mut talk = guest.say(&hello(vec![])).await;
    let welcome: Welcome = talk.answer().await.message();
    assert!(welcome.chains.is_empty());
    let _unread = talk.write(&frame(Kind::HELLO, &hello(vec![chain]).encode())).await;
    assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::Unauthorized);

    // What a stranger calls itself reaches the log clean.
    let mut dirty = hello(vec![]);
    (dirty.label, dirty.software) = (Some("\u{1b}[2J\u{202e}evil\n\r".into()), "\u{1b}]0;owned\u{7}".into());
    let guest = peer.connect(node.address()).await;
    let _welcome: Welcome = guest.say(&dirty).await.answer().await.message();
    assert!(!home.node_log().contains(['\u{1b}', '\u{7}', '\u{202e}']));
    let _pong: Pong = guest.ask(&ping()).await.message();
    let _status = node.status();
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hello_a_connection_is_closed_in_time_and_parks_little() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let began = Instant::now();
    // One that says nothing at all, one that drips a Hello, one that opens all the streams it may.
    let silent = peer.connect(node.address()).await;
    // And one that says Hello, shows nothing, and stays.
    let (resting, _) = peer.welcomed(node.address(), vec![]).await;
    let slow = peer.connect(node.address()).await;
    let hello = frame(Kind::HELLO, &hello(vec![]).encode());
    let mut dripping = slow.bytes(&hello[..hello.len() - 1]).await;
    let many = peer.connect(node.address()).await;
    let mut first = many.bytes(&hello[..3]).await;
    let mut parked = Vec::new();
    let request = frame(Kind::PING, &ping().encode());
    let closed = loop {
        tokio::select! {
            biased;
            code = many.close_code() => break code,
            talk = many.try_bytes(&request) => match talk {
                Ok(talk) => parked.push(talk),
                Err(_) => break many.close_code().await,
            }
        }
    };
    // One stream for Hello, and eight parked: no more can be opened, and none of them is served.
    assert!(parked.len() <= limits::UNAUTHENTICATED_PARKED_STREAMS, "{}", parked.len());
    assert!(matches!(closed, CloseCode::NoHello | CloseCode::TooMuch), "{closed:?}");
    for talk in &mut parked {
        assert!(matches!(talk.answer().await, Answer::Closed(_)));
    }
    assert!(first.write(&hello[3..]).await.is_err());
    assert_eq!(silent.close_code().await, CloseCode::NoHello);
    assert_eq!(slow.close_code().await, CloseCode::NoHello);
    assert!(dripping.write(&hello[hello.len() - 1..]).await.is_err());
    let took = began.elapsed();
    assert!(took > Duration::from_secs(4) && took < Duration::from_secs(30), "{took:?}");

    // Streams that come before Hello, in any number that is allowed, are served after it, in spite of their haste.
    let hasty = peer.connect(node.address()).await;
    let mut first = hasty.bytes(&hello[..3]).await;
    let mut early = Vec::new();
    for _ in 0..limits::UNAUTHENTICATED_PARKED_STREAMS {
        early.push(hasty.bytes(&request).await);
    }
    first.write(&hello[3..]).await.unwrap();
    let _welcome: Welcome = first.answer().await.message();
    for talk in &mut early {
        let _pong: Pong = talk.answer().await.message();
    }
    assert_eq!(resting.close_code().await, CloseCode::NoAuthority);
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(40), "{took:?}");
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_refused_one_by_one() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let (stranger, _) = peer.welcomed(node.address(), vec![]).await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::root());
    let (known, welcome) = peer.welcomed(node.address(), vec![chain]).await;
    assert!(matches!(welcome.chains[..], [ChainVerdict::Held(_)]));

    for kind in [0, 6, 0x0014, 0x0034, 0x00ff, 0x7fff, 0xffff].map(Kind) {
        let answer = known.frame(kind, b"whatever").await.answer().await;
        assert_eq!(answer.refused(), RefusalCode::Unsupported, "{kind}");
    }
    for kind in [Kind::WELCOME, Kind::REFUSAL, Kind::PONG, Kind::ACCEPTED, Kind::EVENT_SETTLED] {
        let answer = known.frame(kind, b"").await.answer().await;
        assert_eq!(answer.refused(), RefusalCode::Unsupported, "{kind}");
    }
    for kind in REQUESTS {
        for (what, body) in [("nothing", vec![]), ("noise", vec![0xff; 300]), ("lengths", vec![0x80; 12])] {
            let code = known.frame(*kind, &body).await.answer().await.refused();
            assert!(
                matches!(code, RefusalCode::Malformed | RefusalCode::TooLarge),
                "{kind} {what}: {code:?}"
            );
        }
    }
    let trailing = |body: Vec<u8>| [body, vec![0]].concat();
    let list = SessionList { leaf: None, skip: 0, archived: false, ext: Ext::default() };
    for (kind, body) in [
        (Kind::PING, trailing(ping().encode())),
        (Kind::INFO, trailing(info().encode())),
        (Kind::SESSION_LIST, trailing(list.encode())),
        (Kind::PROMPT, trailing(raw::prompt("/ls").encode())),
    ] {
        assert_eq!(known.frame(kind, &body).await.answer().await.refused(), RefusalCode::Malformed, "{kind}");
    }
    let over = Ping { nonce: 1, ext: Ext(vec![(1, vec![0; 5000])]) };
    assert_eq!(raw::refused(&known, &over).await, RefusalCode::TooLarge);
    let long = raw::prompt(&"x".repeat(limits::PROMPT_BYTES + 1));
    assert_eq!(raw::refused(&known, &long).await, RefusalCode::TooLarge);
    assert_eq!(raw::refused(&known, &raw::prompt(" \n\t ")).await, RefusalCode::Invalid);

    // A frame that ends too soon, whole streams of nothing, and a stream that breaks off.
    let request = frame(Kind::INFO, &info().encode());
    for cut in 1..request.len() {
        let mut talk = known.bytes(&request[..cut]).await;
        talk.finish();
        assert_eq!(talk.answer().await.refused(), RefusalCode::Malformed, "cut after {cut} bytes");
    }
    let mut nothing = known.bytes(b"").await;
    nothing.finish();
    assert!(matches!(nothing.answer().await, Answer::Ended | Answer::Reset(_)));
    known.bytes(&request[..4]).await.reset(77);

    let _pong: Pong = stranger.ask(&ping()).await.message();
    let _info: InfoReply = known.ask(&info()).await.message();
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversize_frame_is_refused_before_any_of_it_is_kept() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let (stranger, _) = peer.welcomed(node.address(), vec![]).await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::root());
    let (known, _) = peer.welcomed(node.address(), vec![chain]).await;
    // What is announced is judged before a byte of it is kept: 1 MiB with a chain, 64 KiB without.
    for (guest, limit) in [(&stranger, limits::UNAUTHENTICATED_FRAME_BYTES), (&known, limits::FRAME_BYTES)] {
        let before = load::memory(node.pid(), "VmRSS").unwrap();
        for round in 0..50_u32 {
            let claimed = if round % 2 == 0 { u32::MAX } else { limit + 1 };
            let mut talk = guest.bytes(&frame_claiming(Kind::PROMPT, claimed, b"abc")).await;
            assert_eq!(talk.answer().await.refused(), RefusalCode::TooLarge);
        }
        let grown = load::memory(node.pid(), "VmRSS").unwrap().saturating_sub(before);
        assert!(grown < 4 * 1024 * 1024, "50 refused frames cost {grown} bytes");
    }
    let _pong: Pong = stranger.ask(&ping()).await.message();
    let _info: InfoReply = known.ask(&info()).await.message();
    peer.close().await;
}
