//! A model server that fails, in both dialects, through the real binary: what is tried again, what is said, and the
//! exit code.

use std::time::Duration;

use clankers_tests::{
    NodeHome,
    cli::{Cli, Ran},
    model::{MockModel, Reply},
};

use crate::BIN;

/// The dialects: a model's name, and where its server is.
const DIALECTS: &[&str] = &["openai/mock", "anthropic/mock"];

fn ask(home: &NodeHome, server: &MockModel, model: &str) -> Cli {
    let cli = home.cli(["-p", "hi", "--model", model, "--mode", "json"]);
    match model.starts_with("openai") {
        true => cli.env("OPENAI_BASE_URL", server.base()).env("OPENAI_API_KEY", "sk-secret-0123456789"),
        false => {
            let cli = cli.env("ANTHROPIC_BASE_URL", server.anthropic_base());
            cli.env("ANTHROPIC_API_KEY", "sk-secret-0123456789")
        }
    }
}

fn says(text: &str) -> Reply {
    Reply::Says(vec![text.to_owned()])
}

fn status(status: u16, headers: &str) -> Reply {
    let body = format!(r#"{{"error":{{"message":"no: {status}","type":"some_error"}},"type":"error"}}"#);
    Reply::Status(status, headers.to_owned(), body)
}

/// Runs a prompt against these replies in each dialect, and looks at what came of it.
fn each(replies: &[Reply], look: impl Fn(&str, &Ran, &MockModel)) {
    for model in DIALECTS {
        let (home, server) = (NodeHome::new(BIN), MockModel::start(replies.to_vec()));
        let ran = ask(&home, &server, model).within(Duration::from_secs(60)).run();
        assert!(!ran.out().contains("sk-secret") && !ran.err().contains("sk-secret"), "{}", ran.story());
        look(model, &ran, &server);
    }
}

fn outcome(ran: &Ran) -> String {
    ran.json_lines().last().unwrap()["outcome"].as_str().unwrap().to_owned()
}

fn notices(ran: &Ran) -> usize {
    ran.json_lines().iter().filter(|line| line["type"] == "notice").count()
}

#[test]
fn what_passes_is_tried_again_and_told() {
    for (first, least) in [
        (status(429, "retry-after: 1\r\n"), Duration::from_secs(1)),
        (status(500, ""), Duration::ZERO),
        (status(529, ""), Duration::ZERO),
        (status(503, ""), Duration::ZERO),
    ] {
        each(&[first.clone(), says("at last")], |model, ran, server| {
            assert_eq!((outcome(ran).as_str(), notices(ran)), ("completed", 1), "{model} {}", ran.story());
            let asked = server.asked();
            assert_eq!(asked.len(), 2, "{model} {}", ran.story());
            let pause = asked[1].at.duration_since(asked[0].at);
            assert!(pause >= least, "{model}: {pause:?}");
        });
    }
}

#[test]
fn what_does_not_pass_ends_with_its_reason() {
    each(&[status(500, "")], |model, ran, server| {
        assert_eq!((outcome(ran).as_str(), ran.exit.code), ("failed", Some(1)), "{model} {}", ran.story());
        assert_eq!((server.asked().len(), notices(ran)), (4, 3), "{model} {}", ran.story());
        assert!(ran.err().contains("500") && ran.err().contains("4 tries"), "{model} {}", ran.story());
    });
    each(&[status(400, "")], |model, ran, server| {
        assert_eq!((outcome(ran).as_str(), server.asked().len()), ("failed", 1), "{model} {}", ran.story());
    });
}

#[test]
fn a_refused_key_is_3_and_a_used_up_quota_is_told_at_once() {
    for code in [401, 403] {
        each(&[status(code, "")], |model, ran, server| {
            let said = (outcome(ran), ran.exit.code, server.asked().len());
            assert_eq!(said, ("credentials".to_owned(), Some(3), 1), "{model} {}", ran.story());
        });
    }
    let quota = r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#;
    let (home, server) =
        (NodeHome::new(BIN), MockModel::start([Reply::Status(429, String::new(), quota.to_owned())]));
    let ran = ask(&home, &server, "openai/mock").run().code(1);
    assert_eq!(server.asked().len(), 1, "{}", ran.story());
    assert!(ran.err().contains("quota"), "{}", ran.story());
}

#[test]
fn an_answer_that_is_cut_keeps_what_was_said_and_is_not_asked_again() {
    each(&[Reply::Cut(vec!["half a thought".into()]), says("never")], |model, ran, server| {
        assert_eq!((outcome(ran).as_str(), server.asked().len()), ("failed", 1), "{model} {}", ran.story());
        let kept = ran.json_lines().iter().any(|l| l["type"] == "message" && l["text"] == "half a thought");
        assert!(kept, "{model} {}", ran.story());
    });
    // Nothing was said yet: it is asked again.
    each(&[Reply::Raw(Vec::new()), says("at last")], |model, ran, server| {
        assert_eq!(
            (outcome(ran).as_str(), server.asked().len()),
            ("completed", 2),
            "{model} {}",
            ran.story()
        );
    });
}

#[test]
fn garbage_is_no_answer() {
    let garbage = [
        Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {broken\n\n".to_vec()),
        Reply::Raw(b"\x16\x03\x01\x02\x00garbage\r\n\r\n".to_vec()),
        Reply::Status(200, "content-type: text/html\r\n".into(), "<html>log in</html>".into()),
    ];
    for reply in garbage {
        each(&[reply], |model, ran, _| {
            assert_eq!(
                (outcome(ran).as_str(), ran.exit.code),
                ("failed", Some(1)),
                "{model} {}",
                ran.story()
            );
        });
    }
}

#[test]
fn a_server_that_is_not_there_or_says_nothing_holds_nobody_up() {
    let home = NodeHome::new(BIN);
    let server = MockModel::start([Reply::Hangs(Vec::new())]);
    for model in DIALECTS {
        let ran = ask(&home, &server, model).args(["--timeout", "1s"]).run().code(124);
        assert!(ran.exit.took < Duration::from_secs(15), "{}", ran.story());
    }
    let base = server.base();
    drop(server);
    let ran = home.cli(["-p", "hi", "--api-base", &base]).within(Duration::from_secs(60)).run().code(1);
    assert!(ran.err().contains("cannot reach"), "{}", ran.story());
}

#[test]
fn a_tool_loop_goes_through_in_both_dialects() {
    let calls = Reply::Calls("read".into(), r#"{"path":"notes.txt"}"#.into());
    each(&[calls, says("three lines")], |model, ran, server| {
        assert_eq!(outcome(ran), "completed", "{model} {}", ran.story());
        let result = ran.json_lines().into_iter().find(|line| line["type"] == "tool_result").unwrap();
        assert_eq!(result["status"], "ok", "{model} {result}");
        let asked = server.asked();
        // The result went back to the model, with the call that it answers.
        let second = asked[1].body["messages"].to_string();
        assert!(second.contains("two") && second.contains("read"), "{model} {second}");
        assert!(asked[0].body["tools"].as_array().is_some_and(|tools| tools.len() >= 7), "{model}");
    });
}

#[test]
fn a_context_that_is_too_long_is_said_so() {
    let long = r#"{"type":"error","error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"prompt is too long: 300000 tokens > 200000 maximum"}}"#;
    each(&[Reply::Status(400, String::new(), long.to_owned())], |model, ran, _| {
        assert_eq!((outcome(ran).as_str(), ran.exit.code), ("failed", Some(1)), "{model} {}", ran.story());
        assert!(ran.err().contains("too long"), "{model} {}", ran.story());
    });
}
