//! Servers that fail, lie, hang, flood, and cut the line.

use std::time::{Duration, Instant};

use clankers_models::{ModelError, ModelErrorKind as Kind, ModelEvent, Timing};
use clankers_protocol::conversation::StopReason;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{KEY, finish, model, text};
use crate::{
    ask, request, said,
    server::{Reply, Server, Step, event, http, stream},
    timing,
};

fn answer() -> Reply {
    stream(&(text("hi") + &finish("stop")))
}

/// What comes of these replies: the text, the failure, and how many requests were made.
async fn outcome(replies: Vec<Reply>, timing: Timing) -> (String, Option<ModelError>, usize) {
    let server = Server::start(replies).await;
    let (events, done) = ask(&model(&server.base, Some(KEY), timing)).await;
    let stops = events.iter().filter(|e| matches!(e, ModelEvent::Stop(_))).count();
    assert_eq!(stops, usize::from(done.is_ok()), "an answer ends once, a failure has no end");
    (said(&events), done.err(), server.requests().len())
}

async fn failure(replies: Vec<Reply>) -> (Kind, usize) {
    let (_, error, requests) = outcome(replies, timing()).await;
    (error.expect("it fails").kind, requests)
}

#[tokio::test]
async fn too_many_requests_waits_as_told_but_not_for_ever() {
    let refusal = http(429, "retry-after: 3600\r\n", "{}");
    let (said, error, requests) = outcome(vec![refusal, answer()], timing()).await;
    assert_eq!((said.as_str(), error, requests), ("hi", None, 2));
}

#[tokio::test]
async fn a_retry_after_is_obeyed() {
    let patient = Timing { retry_after_max: Duration::from_secs(5), ..timing() };
    let began = Instant::now();
    let (said, ..) = outcome(vec![http(429, "retry-after-ms: 300\r\n", ""), answer()], patient).await;
    assert_eq!(said, "hi");
    assert!(began.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_server_that_fails_is_tried_again_a_few_times() {
    for status in [408, 500, 503, 529] {
        let (said, error, requests) = outcome(vec![http(status, "", "{}"), answer()], timing()).await;
        assert_eq!((said.as_str(), error, requests), ("hi", None, 2), "{status}");
    }
    let replies =
        (0..9).map(|_| http(500, "x-request-id: req_7\r\n", r#"{"error":{"message":"boom"}}"#)).collect();
    let (_, error, requests) = outcome(replies, timing()).await;
    let error = error.unwrap();
    assert_eq!((error.kind, requests, error.request_id.as_deref()), (Kind::Server, 3, Some("req_7")));
    assert!(error.message.contains("boom") && error.to_string().contains("3 tries"), "{error}");
}

#[tokio::test]
async fn what_cannot_get_better_fails_at_once() {
    let quota = r#"{"error":{"message":"You exceeded your quota","type":"insufficient_quota"}}"#;
    for (status, body, kind) in [
        (429, quota, Kind::Quota),
        (402, "{}", Kind::Quota),
        (401, "{}", Kind::Credentials),
        (403, "{}", Kind::Credentials),
        (404, "{}", Kind::NoSuchModel),
        (400, "{}", Kind::Rejected),
    ] {
        assert_eq!(failure(vec![http(status, "", body), answer()]).await, (kind, 1), "{status}");
    }
}

#[tokio::test]
async fn a_key_that_the_server_echoes_is_not_shown() {
    let echo = format!("{{\"error\":{{\"message\":\"bad key {KEY} (sk-proj-01****ijklmnop)\"}}}}");
    let (_, error, _) = outcome(vec![http(401, "", &echo)], timing()).await;
    let shown = format!("{} {:?}", error.clone().unwrap(), error.unwrap());
    assert!(!shown.contains("sk-proj") && !shown.contains("klmnop"), "{shown}");
    let server = Server::start(vec![answer()]).await;
    let model = model(&server.base, Some(KEY), timing());
    ask(&model).await.1.unwrap();
    assert!(!format!("{model:?}").contains("sk-proj"));
    let inside = event(&json!({ "error": { "message": format!("bad {KEY}"), "code": 401 } }));
    let (_, error, _) = outcome(vec![stream(&inside)], timing()).await;
    let error = error.unwrap();
    assert!(error.kind == Kind::Credentials && !error.to_string().contains(KEY), "{error}");
}

#[tokio::test]
async fn nobody_there_fails_soon_and_says_where() {
    let port = {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let began = Instant::now();
    let (_, done) = ask(&model(&format!("http://127.0.0.1:{port}/v1"), None, Timing::default())).await;
    let error = done.unwrap_err();
    assert_eq!(error.kind, Kind::Unreachable);
    assert!(
        error.message.contains(&format!("127.0.0.1:{port}")) && error.message.contains("refused"),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn silence_ends() {
    let first = Timing { first_byte: Duration::from_millis(50), ..timing() };
    let (_, error, requests) = outcome(vec![vec![Step::Hang]], first).await;
    assert_eq!((error.unwrap().kind, requests), (Kind::Timeout, 1));
    let idle = Timing { idle: Duration::from_millis(50), ..timing() };
    let mut reply = stream(&text("hal"));
    reply.push(Step::Hang);
    let (said, error, requests) = outcome(vec![reply], idle).await;
    assert_eq!((said.as_str(), error.unwrap().kind, requests), ("hal", Kind::Timeout, 1));
}

#[tokio::test]
async fn silence_after_the_reason_to_stop_is_an_end() {
    let mut reply = answer();
    reply.push(Step::Hang);
    let (said, error, _) = outcome(vec![reply], timing()).await;
    assert_eq!((said.as_str(), error), ("hi", None));
}

#[tokio::test]
async fn a_cut_before_the_first_word_is_tried_again_and_after_it_not() {
    let (said, error, requests) = outcome(vec![vec![], answer()], timing()).await;
    assert_eq!((said.as_str(), error, requests), ("hi", None, 2), "closed without a response");
    let (said, error, requests) = outcome(vec![stream(""), answer()], timing()).await;
    assert_eq!((said.as_str(), error, requests), ("hi", None, 2), "closed after the headers");
    let (said, error, requests) = outcome(vec![stream(&text("hal")), answer()], timing()).await;
    assert_eq!((said.as_str(), error.unwrap().kind, requests), ("hal", Kind::Cut, 1));
    let half = text("hal") + "data: {\"choices\":[{\"del";
    let (said, error, _) = outcome(vec![stream(&half)], timing()).await;
    assert_eq!(
        (said.as_str(), error.unwrap().kind),
        ("hal", Kind::Cut),
        "half an event is a cut, not garbage"
    );
}

#[tokio::test]
async fn a_body_shorter_than_promised_is_a_cut() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n";
    let reply = vec![Step::Send(format!("{head}{}", text("hal")).into_bytes())];
    let (said, error, requests) = outcome(vec![reply], timing()).await;
    assert_eq!((said.as_str(), error.unwrap().kind, requests), ("hal", Kind::Cut, 1));
}

#[tokio::test]
async fn half_a_tool_call_is_never_made() {
    let call = json!({ "index": 0, "id": "a", "function": { "name": "bash", "arguments": "{\"command\":\"rm -rf x" } });
    let half = event(&json!({ "choices": [{ "delta": { "tool_calls": [call] } }] }));
    let server = Server::start(vec![stream(&half), answer()]).await;
    let (events, done) = ask(&model(&server.base, None, timing())).await;
    done.unwrap();
    assert_eq!(events, [ModelEvent::Text("hi".into()), ModelEvent::Stop(StopReason::EndTurn)]);
}

#[tokio::test]
async fn garbage_is_called_so() {
    let html = "<html><body>Welcome to the hotel's network</body></html>";
    assert_eq!(failure(vec![http(200, "content-type: text/html\r\n", html)]).await, (Kind::Garbage, 1));
    assert_eq!(
        failure(vec![http(200, "content-type: application/json\r\n", "[]")]).await,
        (Kind::Garbage, 1)
    );
    assert_eq!(failure(vec![stream("data: hello\n\n")]).await, (Kind::Garbage, 1));
    assert_eq!(failure(vec![stream("data: {\"hello\":1}\n\n")]).await, (Kind::Garbage, 1));
    let (kind, _) =
        failure((0..3).map(|_| vec![Step::Send(b"SSH-2.0-OpenSSH\r\n".to_vec())]).collect()).await;
    assert_eq!(kind, Kind::Cut);
}

#[tokio::test]
async fn an_error_inside_the_stream() {
    let overloaded = event(&json!({ "error": { "message": "overloaded", "code": 529 } }));
    let (said, error, requests) = outcome(vec![stream(&overloaded), answer()], timing()).await;
    assert_eq!((said.as_str(), error, requests), ("hi", None, 2));
    let (said, error, requests) =
        outcome(vec![stream(&(text("hal") + &overloaded)), answer()], timing()).await;
    assert_eq!((said.as_str(), error.unwrap().kind, requests), ("hal", Kind::Server, 1));
}

#[tokio::test]
async fn floods_are_cut_off() {
    let flood = |body: &str, block: &str| {
        let mut reply = stream(body);
        reply.push(Step::Flood(block.repeat(1 + 60_000 / block.len()).into_bytes()));
        reply
    };
    assert_eq!(failure(vec![flood("data: ", "x")]).await.0, Kind::TooLarge, "a line without end");
    assert_eq!(failure(vec![flood("", ": keepalive\n")]).await.0, Kind::TooLarge, "comments without end");
    assert_eq!(failure(vec![flood("", &text(&"x".repeat(999)))]).await.0, Kind::TooLarge, "text without end");
    let head = b"HTTP/1.1 400 X\r\nconnection: close\r\n\r\n".to_vec();
    let endless = vec![Step::Send(head), Step::Flood(vec![b'x'; 60_000])];
    let (_, error, _) = outcome(vec![endless], timing()).await;
    let error = error.unwrap();
    assert!(error.kind == Kind::Rejected && error.message.len() < 1000, "{error}");
}

#[tokio::test]
async fn a_redirect_takes_neither_prompt_nor_key_elsewhere() {
    let thief = Server::start(vec![answer()]).await;
    let location = format!("location: {}/chat/completions\r\n", thief.base);
    for status in [301, 302, 307, 308] {
        assert_eq!(failure(vec![http(status, &location, "")]).await, (Kind::Settings, 1));
    }
    assert_eq!(thief.requests(), []);
}

#[tokio::test]
async fn a_cancelled_call_hangs_up() {
    let mut reply = stream(&text("hal"));
    reply.push(Step::Hang);
    let server = Server::start(vec![reply]).await;
    let model = model(&server.base, None, timing());
    let (sender, mut receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let call = model.stream(request(), sender, cancel.clone());
    let listen = async {
        assert_eq!(receiver.recv().await, Some(ModelEvent::Text("hal".into())));
        cancel.cancel();
    };
    let both = async { tokio::join!(call, listen).0 };
    let done = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    assert_eq!(done.unwrap_err().kind, Kind::Cancelled);
    tokio::time::timeout(Duration::from_secs(20), server.hung_up.notified())
        .await
        .expect("the server is let go");
}

#[tokio::test]
async fn a_full_queue_can_be_cancelled() {
    let words: String = (0..50).map(|_| text("x")).collect();
    let server = Server::start(vec![stream(&(words + &finish("stop")))]).await;
    let model = model(&server.base, None, timing());
    let (sender, receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let call = model.stream(request(), sender.clone(), cancel.clone());
    let press = async {
        // The queue is full once its one place is taken.
        while sender.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        cancel.cancel();
    };
    let both = async { tokio::join!(call, press).0 };
    let done = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
    assert_eq!(done.unwrap_err().kind, Kind::Cancelled);
    drop(receiver);
}
