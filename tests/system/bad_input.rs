//! What can be wrong with what is asked: each is told in one line with what to do about it, ends with its exit code,
//! and costs nothing that was there.

#[path = "bad_input/fake.rs"]
mod fake;
#[path = "bad_input/machine.rs"]
mod machine;
#[path = "bad_input/terminal.rs"]
mod terminal;
#[path = "bad_input/tokens.rs"]
mod tokens;

use std::{net::UdpSocket, time::Duration};

use clankers_protocol::{limits::PROMPT_BYTES, refusal::CloseCode};
use clankers_tests::{NodeHome, Script, Turn, hostile::Hostile, hostile::hello};

use crate::BIN;

/// What one error must say, in both forms.
pub(crate) struct Bad<'a> {
    pub(crate) home: &'a NodeHome,
    pub(crate) code: i32,
    pub(crate) kind: &'a str,
}

impl Bad<'_> {
    /// Runs these words for people and for programs, and gives the error's message and hints as one text.
    pub(crate) fn says(&self, words: &[&str], cause: &[&str]) -> String {
        self.says_to(words, None, cause)
    }

    /// The same with something on standard input.
    pub(crate) fn says_to(&self, words: &[&str], input: Option<&[u8]>, cause: &[&str]) -> String {
        let cli = |more: &[&str]| {
            let cli = self.home.cli(words).args(more);
            match input {
                Some(bytes) => cli.stdin(bytes),
                None => cli,
            }
        };
        let text = cli(&[]).run().code(self.code);
        assert_eq!(text.out(), "", "standard output is for data: {}", text.story());
        let mut lines = text.err().lines();
        assert!(lines.next().is_some_and(|line| line.starts_with("✗ ")), "{}", text.story());
        let hints: Vec<&str> = lines.collect();
        assert!(
            !hints.is_empty() && hints.iter().all(|line| line.starts_with("  ")),
            "a hint: {}",
            text.story()
        );

        let ran = cli(&["--json"]).run().code(self.code);
        assert_eq!((ran.out(), ran.err().lines().count()), ("", 1), "{}", ran.story());
        let error = ran.error();
        assert_eq!(error["kind"], self.kind, "{}", ran.story());
        let message = error["message"].as_str().expect("a message");
        assert!(!message.is_empty() && !message.contains('\n'), "one line: {message:?}");
        let hints = error["hints"].as_array().expect("hints");
        assert!(!hints.is_empty(), "what to do next: {}", ran.story());
        let all = format!("{message} {}", error["hints"]);
        for part in cause {
            assert!(all.contains(part), "{part:?} in {all}");
            assert!(text.err().contains(part), "{part:?} in {}", text.err());
        }
        all
    }
}

#[test]
fn peers_that_nobody_knows_and_names_that_mean_several() {
    let home = NodeHome::new(BIN);
    let not_found = Bad { home: &home, code: 7, kind: "not_found" };
    let usage = Bad { home: &home, code: 2, kind: "usage" };
    // An id with one digit too few, or capitals, is no id: then it is a name that nobody has.
    let (short, capitals) = ("a".repeat(63), "A".repeat(64));
    for name in ["nobody", "abcd1234", short.as_str(), capitals.as_str(), "did:key:zNo", "a b\u{1b}[31m"] {
        let said = not_found.says(&["rpc", "ping", name], &["rpc peers list"]);
        assert!(!said.contains('\u{1b}'), "{said}");
    }
    not_found.says(&["rpc", "prompt", "nobody", "hi"], &["nobody"]);
    not_found.says(&["rpc", "peers", "remove", "nobody"], &["nobody"]);
    not_found.says(&["rpc", "peers", "label", "nobody", "x"], &["nobody"]);
    not_found.says(&["token", "create", "--for", "nobody", "--reviewer"], &["nobody"]);
    not_found.says(&["ps", "--remote", "nobody"], &["nobody"]);
    usage.says(&["rpc", "peers", "add", "nobody"], &["neither a ticket nor a node id", "rpc id"]);
    usage.says(&["rpc", "ping", &format!("endpoint{}", "a".repeat(70))], &["ticket"]);

    // Two ids with one beginning: half of all 32 bytes are keys.
    let ids = (0_u32..).map(|n| format!("abcdef{n:058x}"));
    let known: Vec<String> = ids
        .filter(|id| {
            home.cli(["rpc", "peers", "add", id, "--addr", "127.0.0.1:9"]).run().exit.code == Some(0)
        })
        .take(2)
        .collect();
    let said = home.cli(["rpc", "ping", "abcdef", "--json"]).run().code(2).error();
    assert!(
        said["message"].as_str().is_some_and(|m| m.contains("2 peers") && m.contains("abcdef")),
        "{said}"
    );
    usage.says(&["rpc", "ping", "abcdef"], &["2 peers", "more of the id"]);
    usage.says(&["rpc", "peers", "remove", "abcdef"], &["2 peers"]);
    home.cli(["rpc", "peers", "label", &known[0], "one"]).run().ok();
    usage.says(&["rpc", "peers", "label", &known[1], "one"], &["one", &known[0][..10]]);
    usage.says(&["rpc", "peers", "label", &known[1], "a\u{1b}[31m"], &["label"]);
    let list = home.cli(["rpc", "peers", "list", "--json"]).run().ok().json();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "nothing was lost: {list}");
}

/// A port that nobody speaks mDNS on.
fn silent_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port()
}

#[test]
fn a_peer_that_cannot_be_reached_is_told_with_what_was_tried_and_in_time() {
    let home = NodeHome::new(BIN);
    // Taken, and never answered.
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let addr = silent.local_addr().expect("an address").to_string();
    let id = NodeHome::new(BIN).id().to_string();
    home.settings("[network]\nrelay = \"off\"\nmdns = false\n");
    home.cli(["rpc", "peers", "add", &id, "--addr", &addr, "--label", "gone"]).run().ok();
    let bad = Bad { home: &home, code: 6, kind: "unreachable" };
    bad.says(
        &["rpc", "ping", "gone", "--timeout", "400ms"],
        &[&id[..10], &addr, "mDNS", "relay", "no answer within"],
    );
    bad.says(&["rpc", "prompt", "gone", "hi", "--timeout", "400ms"], &[&addr, "mDNS", "relay"]);
    let ran = home.cli(["rpc", "ping", "gone", "--timeout", "400ms"]).run().code(6);
    assert!(
        ran.exit.took >= Duration::from_millis(400) && ran.exit.took < Duration::from_secs(10),
        "{}",
        ran.story()
    );
    // Nowhere to send anything: said at once, without a wait.
    let stranger = NodeHome::new(BIN).id().to_string();
    bad.says(
        &["rpc", "ping", &stranger, "--timeout", "2s"],
        &[&stranger[..10], "no address", "mDNS", "relay"],
    );
    // Listened for on the local network, and not heard of.
    let port = silent_port();
    home.settings(&format!("[network]\nrelay = \"off\"\nmdns_port = {port}\n"));
    bad.says(&["rpc", "ping", &stranger, "--timeout", "400ms"], &["mDNS (not seen)", "relay is off"]);
    // No node here, where one is needed.
    for words in [
        &["daemon", "status"][..],
        &["daemon", "stop"],
        &["daemon", "kill", "abcd"],
        &["rpc", "ping", "local"],
    ] {
        bad.says(words, &["no node runs", "daemon start"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_have_nothing_in_common() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let newer = Hostile::start().await;
    let guest = newer.connect(node.address()).await;
    let mut bent = hello(Vec::new());
    bent.versions = vec![99];
    let _talk = guest.say(&bent).await;
    assert_eq!(guest.close_code().await, CloseCode::Version);
    // One in common is enough.
    let guest = newer.connect(node.address()).await;
    bent.versions = vec![99, clankers_protocol::VERSION];
    let welcome: clankers_protocol::hello::Welcome = guest.say(&bent).await.answer().await.message();
    assert_eq!(welcome.version, clankers_protocol::VERSION);
    newer.close().await;

    // The same from the other side, told to a person.
    let fake = fake::Fake::that(fake::Manner::ClosesWith(CloseCode::Version)).await;
    let ticket = fake.ticket();
    let (home, mut node) = tokio::task::spawn_blocking(move || {
        let bad = Bad { home: &home, code: 6, kind: "unreachable" };
        bad.says(&["rpc", "ping", &ticket], &["version", "update"]);
        bad.says(&["rpc", "prompt", &ticket, "hi"], &["version", "update"]);
        (home, node)
    })
    .await
    .expect("the checks");
    fake.close().await;
    // Another protocol altogether at that address.
    let other = fake::Fake::speaking(b"something/else", fake::Manner::ClosesWith(CloseCode::Done)).await;
    let ticket = other.ticket();
    tokio::task::spawn_blocking(move || {
        let bad = Bad { home: &home, code: 6, kind: "unreachable" };
        bad.says(&["rpc", "ping", &ticket], &["clankers/1", "version"]);
        node.stop();
    })
    .await
    .expect("the checks");
    other.close().await;
}

#[test]
fn prompts_sessions_and_tools_that_make_no_sense() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("ok")));
    let check = |peer: &[&str]| {
        let usage = Bad { home: &home, code: 2, kind: "usage" };
        let not_found = Bad { home: &home, code: 7, kind: "not_found" };
        let words = |text: &'static str, more: &[&'static str]| [peer, &[text], more].concat();
        for empty in ["", " \n\t "] {
            usage.says(&words(empty, &[]), &["the prompt is empty"]);
        }
        usage.says_to(&words("-", &[]), Some(b""), &["the prompt is empty"]);
        // Cut at the limit, that text ends within a character.
        for letter in ["x", "é"] {
            let long = letter.repeat(PROMPT_BYTES / letter.len() + 1);
            usage.says_to(
                &words("-", &[]),
                Some(long.as_bytes()),
                &["over the limit", "524288 bytes", "file"],
            );
        }
        usage.says_to(&words("-", &[]), Some(b"not \xff text"), &["UTF-8"]);
        not_found.says(
            &words("hi", &["--session", "ffff0000"]),
            &["there is no session 'ffff0000'", "clankers ps"],
        );
        not_found.says(&words("hi", &["--session", "no such"]), &["there is no session", "clankers ps"]);
        usage.says(&words("hi", &["--tools", "read,grpe"]), &["'grpe'", "did you mean 'grep'"]);
        usage.says(&words("hi", &["--tools", "flyover"]), &["'flyover'", "read, write, edit"]);
    };
    check(&["-p"]);
    let _key = home.id();
    let before = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(before, serde_json::json!([]), "nothing was begun");
    let node = home.start();
    check(&["rpc", "prompt", "local"]);
    check(&["-p"]);
    assert_eq!(node.status()["sessions"], 0, "nothing was begun");
    // What is just within the limit is taken.
    let ran = home.cli(["-p", "-", "--mode", "json"]).stdin("y".repeat(PROMPT_BYTES)).run().ok();
    assert_eq!(ran.json_lines().last().expect("lines")["outcome"], "completed");

    // Words that the command line itself refuses.
    let usage = Bad { home: &home, code: 2, kind: "usage" };
    for words in [
        &["rpc", "ping"][..],
        &["--bogus"],
        &["rpc", "ping", "x", "-c", "0"],
        &["-p", "x", "--timeout", "0s"],
    ] {
        let ran = home.cli(words).arg("--json").run().code(2);
        assert_eq!((ran.out(), ran.error()["kind"].as_str()), ("", Some("usage")), "{}", ran.story());
    }
    usage.says(&["token", "create", "--for", &"ab".repeat(32), "--tools", "grpe"], &["did you mean 'grep'"]);
    usage.says(&["token", "create", "--for", &"ab".repeat(32)], &["would allow nothing", "--reviewer"]);
    home.cli(["token", "create", "--for", node.ticket(), "--reviewer", "--expire", "401days"]).run().code(2);
}
