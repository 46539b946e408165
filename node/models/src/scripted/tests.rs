use std::time::Duration;

use clankers_protocol::conversation::Usage;
use proptest::prelude::*;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::{Model, testing::run};

const SCRIPT: &str = r#"
piece_chars = 4
[[turn]]
thinking = "hm"
text = "I look."
[[turn.call]]
name = "grep"
arguments = { pattern = "TODO", path = "src" }
[[turn.call]]
id = "mine"
name = "ls"

[[turn]]
text = "{{status}}: {{result}} for {{prompt}} {{other}} {{"
usage = { input = 12 }
"#;

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

fn assistant() -> Message {
    Message::Assistant { thinking: Vec::new(), text: "x".to_owned(), calls: Vec::new() }
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest { model: "scripted".to_owned(), system: String::new(), messages, tools: Vec::new() }
}

fn said(events: &[ModelEvent]) -> String {
    events
        .iter()
        .filter_map(|e| if let ModelEvent::Text(text) = e { Some(text.as_str()) } else { None })
        .collect()
}

#[tokio::test]
async fn turns_are_counted_in_the_transcript() {
    let model = Model::scripted(Script::from_toml(SCRIPT).unwrap());
    let (events, done) = run(&model, request(vec![user("go")])).await;
    done.unwrap();
    let call = |id: &str, name: &str, arguments: &str| {
        ModelEvent::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: arguments.into() })
    };
    let expected = [
        ModelEvent::Thinking("hm".into()),
        ModelEvent::Text("I lo".into()),
        ModelEvent::Text("ok.".into()),
        call("scripted-1-1", "grep", "{\"path\":\"src\",\"pattern\":\"TODO\"}"),
        call("mine", "ls", "{}"),
        ModelEvent::Usage(Usage::default()),
        ModelEvent::Stop(StopReason::ToolUse),
    ];
    assert_eq!(events, expected);

    let result = Message::ToolResult {
        call_id: "1".into(),
        name: "grep".into(),
        status: ToolStatus::Ok,
        text: "{{prompt}}".into(),
    };
    let (events, done) = run(&model, request(vec![user("go"), assistant(), result])).await;
    done.unwrap();
    assert_eq!(
        said(&events),
        "ok: {{prompt}} for go {{other}} {{",
        "what is filled in is not filled in again"
    );
    assert!(events.contains(&ModelEvent::Usage(Usage { input: 12, ..Usage::default() })));

    let (events, done) = run(&model, request(vec![assistant(), assistant()])).await;
    let error = done.unwrap_err();
    assert_eq!((events.len(), error.kind), (0, ModelErrorKind::ScriptEnded));
    assert!(error.message.contains("2 turns") && error.message.contains("model call 3"), "{error}");
}

#[tokio::test]
async fn a_script_can_repeat() {
    let model =
        Model::scripted(Script::from_json(r#"{"repeat":true,"turn":[{"text":"a"},{"text":"b"}]}"#).unwrap());
    let (events, done) = run(&model, request(vec![assistant(), assistant(), assistant()])).await;
    done.unwrap();
    assert_eq!(said(&events), "b");
}

#[tokio::test]
async fn failures_come_before_or_after_the_text() {
    let script = "[[turn]]\ntext='a'\nfail={status=529,message='overloaded'}\n\
                  [[turn]]\ntext='a'\nfail={kind='cut',after_text=true}";
    let model = Model::scripted(Script::from_toml(script).unwrap());
    let (events, done) = run(&model, request(vec![])).await;
    let error = done.unwrap_err();
    assert_eq!((events.len(), error.status, error.kind), (0, Some(529), ModelErrorKind::Server));
    let (events, done) = run(&model, request(vec![assistant()])).await;
    assert_eq!((said(&events).as_str(), done.unwrap_err().kind), ("a", ModelErrorKind::Cut));
}

#[tokio::test]
async fn a_hanging_turn_ends_when_cancelled_or_unheard() {
    let model = Model::scripted(Script::from_toml("[[turn]]\ntext='a'\nhang=true").unwrap());
    for cancel in [true, false] {
        let (sender, mut receiver) = mpsc::channel(1);
        let token = CancellationToken::new();
        let call = model.stream(request(vec![]), sender, token.clone());
        let listen = async move {
            assert_eq!(receiver.recv().await, Some(ModelEvent::Text("a".into())));
            if cancel {
                token.cancel();
                assert_eq!(receiver.recv().await, None);
            }
        };
        let both = async { tokio::join!(call, listen) };
        let (done, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.unwrap();
        assert_eq!(done.unwrap_err().kind, ModelErrorKind::Cancelled);
    }
}

#[test]
fn broken_scripts_are_refused_without_being_quoted() {
    let secret = "[[turn]]\ntext = 'x'\npassword = 'hunter2'";
    let error = Script::from_toml(secret).unwrap_err();
    assert!(error.message.contains("line") && !error.message.contains("hunter2"), "{error}");
    assert!(!Script::from_json("{\"hunter2\": 1}").unwrap_err().message.contains("hunter2"));
    for bad in ["", "turn = []", "[[turn]]\ndelay_ms = 600001", "[[turn]]\nstop = 'x'"] {
        assert_eq!(Script::from_toml(bad).unwrap_err().kind, ModelErrorKind::Settings, "{bad}");
    }
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &Path| ScriptedModel::open(path).unwrap_err().message;
    assert!(error(dir.path()).contains(".toml or .json"));
    let folder = dir.path().join("x.toml");
    std::fs::create_dir(&folder).unwrap();
    assert!(error(&folder).contains("regular file"));
    let large = dir.path().join("large.json");
    std::fs::write(&large, vec![b' '; 5 * 1024 * 1024]).unwrap();
    assert!(error(&large).contains("4 MiB"));
}

proptest! {
    #[test]
    fn pieces_are_the_text(text in any::<String>(), size in 1_usize..9) {
        let pieces = pieces(&text, size);
        prop_assert!(pieces.iter().all(|piece| (1..=size).contains(&piece.chars().count())));
        prop_assert_eq!(pieces.concat(), text);
    }

    #[test]
    fn any_template_is_survived(text in "[{}a-z ]{0,40}") {
        let filled = fill(&text, &request(vec![]));
        prop_assert!(filled.len() <= text.len());
    }
}
