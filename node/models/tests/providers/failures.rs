//! The table of failures, for both dialects: what is tried again, what is not, and what is said.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clankers_models::{Model, ModelError, ModelErrorKind as Kind, ModelEvent, Notice, Timing};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    anthropic, ask, openai, request, said,
    server::{Reply, Server, Step, event, http, stream},
    timing,
};

/// How a dialect says things.
struct Dialect {
    provider: &'static str,
    key: &'static str,
    model: fn(&str, Timing) -> Model,
    /// The beginning of an answer: nothing that a user could see yet.
    begin: fn() -> String,
    text: fn(&str) -> String,
    finish: fn(&str) -> String,
    stop: &'static str,
    /// An error inside the stream: its name there and a message.
    error: fn(&str, &str) -> String,
    /// What it says of an account without money.
    quota: (u16, &'static str),
    too_long: &'static str,
}

fn dialects() -> [Dialect; 2] {
    [
        Dialect {
            provider: "openai",
            key: openai::KEY,
            model: |base, timing| openai::model(base, Some(openai::KEY), timing),
            begin: || event(&json!({ "choices": [{ "delta": { "role": "assistant", "content": "" } }] })),
            text: openai::text,
            finish: openai::finish,
            stop: "stop",
            error: |name, message| event(&json!({ "error": { "type": name, "message": message } })),
            quota: (429, r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota"}}"#),
            too_long: r#"{"error":{"message":"This model's maximum context length is 8 tokens","code":"context_length_exceeded"}}"#,
        },
        Dialect {
            provider: "anthropic",
            key: anthropic::KEY,
            model: anthropic::model,
            begin: || anthropic::start() + &anthropic::event(&json!({ "type": "ping" })),
            text: anthropic::text,
            finish: anthropic::finish,
            stop: "end_turn",
            error: |name, message| {
                anthropic::event(&json!({ "type": "error", "error": { "type": name, "message": message } }))
            },
            quota: (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#,
            ),
            too_long: r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
        },
    ]
}

impl Dialect {
    fn answer(&self) -> Reply {
        stream(&((self.begin)() + &(self.text)("hi") + &(self.finish)(self.stop)))
    }

    /// What comes of these replies: the text, the failure, and how many requests were made.
    async fn outcome(&self, replies: Vec<Reply>, timing: Timing) -> (String, Option<ModelError>, usize) {
        let server = Server::start(replies).await;
        let (events, done) = ask(&(self.model)(&server.base, timing)).await;
        let stops = events.iter().filter(|e| matches!(e, ModelEvent::Stop(_))).count();
        assert_eq!(stops, usize::from(done.is_ok()), "an answer ends once, a failure has no end");
        if let Err(error) = &done {
            assert_eq!(error.provider, self.provider);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(self.key) && !shown.contains("ijklmnop"), "a key in: {shown}");
        }
        (said(&events), done.err(), server.requests().len())
    }

    async fn retried(&self, first: Reply, why: &str) {
        let (said, error, requests) = self.outcome(vec![first, self.answer()], timing()).await;
        assert_eq!((said.as_str(), error, requests), ("hi", None, 2), "{}: {why}", self.provider);
    }

    async fn fails(&self, first: Reply, timing: Timing) -> (String, ModelError) {
        let (said, error, requests) = self.outcome(vec![first, self.answer()], timing).await;
        assert_eq!(requests, 1, "{}: {error:?} is not tried again", self.provider);
        (said, error.expect("it fails"))
    }
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for dialect in dialects() {
        for status in [408, 429, 500, 502, 503, 504, 529] {
            dialect.retried(http(status, "", "{}"), &status.to_string()).await;
        }
        dialect.retried(http(429, "retry-after: 3600\r\n", "{}"), "waits no hour").await;
        dialect.retried(vec![], "closed without a response").await;
        dialect.retried(stream(""), "closed after the headers").await;
        dialect.retried(stream(&(dialect.begin)()), "cut before the first word").await;
        for name in ["overloaded_error", "rate_limit_error", "api_error", "timeout_error"] {
            let inside = (dialect.begin)() + &(dialect.error)(name, "Overloaded");
            dialect.retried(stream(&inside), name).await;
        }
    }
}

#[tokio::test]
async fn a_retry_after_is_obeyed() {
    let patient = Timing { retry_after_max: Duration::from_secs(5), ..timing() };
    for dialect in dialects() {
        let began = Instant::now();
        let refusal = http(429, "retry-after-ms: 200\r\n", "{}");
        let (said, ..) = dialect.outcome(vec![refusal, dialect.answer()], patient).await;
        assert_eq!(said, "hi");
        assert!(began.elapsed() >= Duration::from_millis(200), "{}", dialect.provider);
    }
}

#[tokio::test]
async fn a_failure_that_stays_says_how_often_it_was_tried() {
    for dialect in dialects() {
        let body = json!({ "error": { "message": format!("boom {}", dialect.key) }, "request_id": "req_8" });
        let replies = (0..9).map(|_| http(500, "", &body.to_string())).collect();
        let (_, error, requests) = dialect.outcome(replies, timing()).await;
        let error = error.unwrap();
        assert_eq!((error.kind, error.status, error.tries, requests), (Kind::Server, Some(500), 3, 3));
        assert!(error.to_string().contains("(3 tries)") && error.to_string().contains("req_8"), "{error}");
        let named = http(400, "request-id: req_9\r\n", "{}");
        assert_eq!(dialect.fails(named, timing()).await.1.request_id.as_deref(), Some("req_9"));
    }
}

#[tokio::test]
async fn what_cannot_get_better_fails_at_once() {
    for dialect in dialects() {
        let (status, quota) = dialect.quota;
        for (status, body, kind) in [
            (status, quota, Kind::Quota),
            (402, "{}", Kind::Quota),
            (401, "{}", Kind::Credentials),
            (403, "{}", Kind::Credentials),
            (404, "{}", Kind::NoSuchModel),
            (400, "{}", Kind::Rejected),
            (400, dialect.too_long, Kind::ContextTooLong),
            (413, "", Kind::ContextTooLong),
            (302, "", Kind::Settings),
        ] {
            let (_, error) = dialect.fails(http(status, "", body), timing()).await;
            assert_eq!((error.kind, error.status), (kind, Some(status)), "{}", dialect.provider);
        }
        for (name, kind) in [
            ("authentication_error", Kind::Credentials),
            ("billing_error", Kind::Quota),
            ("invalid_request_error", Kind::Rejected),
        ] {
            let inside = (dialect.begin)() + &(dialect.error)(name, "no");
            assert_eq!(dialect.fails(stream(&inside), timing()).await.1.kind, kind, "{name}");
        }
        let told = http(503, "x-should-retry: false\r\n", "{}");
        assert_eq!(dialect.fails(told, timing()).await.1.kind, Kind::Server, "the server says so");
    }
}

#[tokio::test]
async fn a_word_that_was_said_is_not_said_twice() {
    for dialect in dialects() {
        let half = (dialect.begin)() + &(dialect.text)("hal");
        let (said, error) = dialect.fails(stream(&half), timing()).await;
        assert_eq!((said.as_str(), error.kind), ("hal", Kind::Cut), "{}", dialect.provider);
        let overloaded = half.clone() + &(dialect.error)("overloaded_error", "Overloaded");
        let (said, error) = dialect.fails(stream(&overloaded), timing()).await;
        assert_eq!((said.as_str(), error.kind), ("hal", Kind::Server), "{}", dialect.provider);
    }
}

#[tokio::test]
async fn silence_ends() {
    for dialect in dialects() {
        let first = Timing { first_byte: Duration::from_millis(50), ..timing() };
        assert_eq!(dialect.fails(vec![Step::Hang], first).await.1.kind, Kind::Timeout);
        let idle = Timing { idle: Duration::from_millis(50), ..timing() };
        let mut reply = stream(&((dialect.begin)() + &(dialect.text)("hal")));
        reply.push(Step::Hang);
        let (said, error) = dialect.fails(reply, idle).await;
        assert_eq!((said.as_str(), error.kind), ("hal", Kind::Timeout), "{}", dialect.provider);
    }
}

#[tokio::test]
async fn garbage_is_called_so() {
    for dialect in dialects() {
        for reply in [
            http(200, "content-type: text/html\r\n", "<html>Welcome to the hotel's network</html>"),
            http(200, "content-type: application/json\r\n", "[]"),
            http(200, "content-type: application/json\r\n", "{\"hello\":"),
            stream("data: hello\n\n"),
            stream("data: {\"hello\":1}\n\n"),
            stream("event: message_start\ndata: \u{0}\n\n"),
        ] {
            let (_, error) = dialect.fails(reply, timing()).await;
            assert_eq!(error.kind, Kind::Garbage, "{}: {error}", dialect.provider);
        }
    }
}

#[tokio::test]
async fn floods_are_cut_off() {
    for dialect in dialects() {
        let text = (dialect.text)(&"x".repeat(999));
        for (begin, block) in [("data: ", "x"), ("", ": keepalive\n"), ("", "data: {}\n\n"), ("", &text)] {
            let mut reply = stream(&((dialect.begin)() + begin));
            reply.push(Step::Flood(block.repeat(1 + 60_000 / block.len()).into_bytes()));
            let (_, error, requests) = dialect.outcome(vec![reply, dialect.answer()], timing()).await;
            assert_eq!((error.map(|e| e.kind), requests), (Some(Kind::TooLarge), 1), "{}", dialect.provider);
        }
    }
}

#[tokio::test]
async fn nobody_there_fails_soon_and_says_where() {
    for dialect in dialects() {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let began = Instant::now();
        let model = (dialect.model)(&format!("http://127.0.0.1:{port}/v1"), Timing::default());
        let error = ask(&model).await.1.unwrap_err();
        assert_eq!((error.kind, error.tries), (Kind::Unreachable, 1));
        let place = format!("127.0.0.1:{port}");
        assert!(error.message.contains(&place) && error.message.contains("refused"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn the_caller_hears_of_every_retry() {
    for dialect in dialects() {
        let server = Server::start(vec![http(529, "", "{}"), http(500, "", "{}"), dialect.answer()]).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        let (sender, mut receiver) = mpsc::channel(64);
        let notify = Arc::new(move |notice: &Notice| log.lock().unwrap().push(notice.clone()));
        let model = (dialect.model)(&server.base, timing());
        model.stream_with(request(), sender, CancellationToken::new(), notify).await.unwrap();
        let mut events = Vec::new();
        while let Ok(event) = receiver.try_recv() {
            events.push(event);
        }
        assert_eq!(said(&events), "hi");
        let heard = heard.lock().unwrap().clone();
        let told: Vec<(u32, Option<u16>)> =
            heard.iter().map(|Notice::Retry { error, tries, .. }| (*tries, error.status)).collect();
        assert_eq!(told, [(1, Some(529)), (2, Some(500))]);
    }
}

#[tokio::test]
async fn wherever_the_network_parts_an_answer_it_is_the_same() {
    for dialect in dialects() {
        let whole = (dialect.begin)() + &(dialect.text)("grüße ☃") + &(dialect.finish)(dialect.stop);
        let server = Server::start(vec![stream(&whole)]).await;
        let expected = ask(&(dialect.model)(&server.base, timing())).await.0;
        for size in [1, 2, 3, 7, 64] {
            let mut reply = stream("");
            reply.extend(whole.as_bytes().chunks(size).map(|part| Step::Send(part.to_vec())));
            let server = Server::start(vec![reply]).await;
            let (events, done) = ask(&(dialect.model)(&server.base, timing())).await;
            done.unwrap();
            assert_eq!(events, expected, "{} in pieces of {size}", dialect.provider);
        }
    }
}
