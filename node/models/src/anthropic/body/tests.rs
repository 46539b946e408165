use proptest::prelude::*;

use super::*;

const SHAPE: Shape<'_> =
    Shape { model: "claude-test", max_tokens: 100, adaptive: false, with_thinking: true };

fn body(request: &ModelRequest, shape: &Shape<'_>) -> Value {
    serde_json::from_slice(&build(request, shape)).unwrap()
}

fn request(messages: Vec<Message>) -> ModelRequest {
    ModelRequest { model: String::new(), system: String::new(), messages, tools: Vec::new() }
}

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

fn says(text: &str) -> Message {
    Message::Assistant { thinking: Vec::new(), text: text.to_owned(), calls: Vec::new() }
}

#[test]
fn a_bare_question() {
    let expected = json!({ "model": "claude-test", "max_tokens": 100, "stream": true, "messages": [
        { "role": "user", "content": [{ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral" } }] }
    ] });
    assert_eq!(body(&request(vec![user("hi")]), &SHAPE), expected);
    let thinking = body(&request(vec![user("hi")]), &Shape { adaptive: true, ..SHAPE });
    assert_eq!(thinking["thinking"], json!({ "type": "adaptive", "display": "summarized" }));
}

#[test]
fn thinking_goes_back_to_its_own_model_only() {
    let block = |signature: Option<String>| Thinking { text: "hm".to_owned(), signature };
    let thinking = vec![
        block(Some(Proof::Signature("s1").tag("claude-test"))),
        block(Some(Proof::Redacted("d1").tag("claude-test"))),
        block(Some(Proof::Signature("s2").tag("claude-other"))),
        block(Some("of-somebody-else".to_owned())),
        block(None),
    ];
    let message = Message::Assistant { thinking, text: "so".to_owned(), calls: Vec::new() };
    let request = request(vec![user("hi"), message, user("and?")]);
    assert!(carries_thinking(&request, "claude-test") && !carries_thinking(&request, "claude-third"));
    let content = |shape: &Shape<'_>| body(&request, shape)["messages"][1]["content"].clone();
    let expected = json!([
        { "type": "thinking", "thinking": "hm", "signature": "s1" },
        { "type": "redacted_thinking", "data": "d1" },
        { "type": "text", "text": "so" },
    ]);
    assert_eq!(content(&SHAPE), expected);
    let words = json!([{ "type": "text", "text": "so" }]);
    assert_eq!(content(&Shape { with_thinking: false, ..SHAPE }), words);
    assert_eq!(content(&Shape { model: "claude-third", ..SHAPE }), words);
}

#[test]
fn a_conversation_begins_and_ends_with_the_user() {
    let cut = body(&request(vec![says("half")]), &SHAPE);
    let roles: Vec<&str> =
        cut["messages"].as_array().unwrap().iter().filter_map(|turn| turn["role"].as_str()).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert_eq!(cut["messages"][2]["content"][0]["text"], "Continue.");
    // An answer that never got to say anything is no turn; what follows stays one.
    let nothing = body(&request(vec![user("a"), says(" \n"), user("b")]), &SHAPE);
    assert_eq!(nothing["messages"].as_array().unwrap().len(), 1);
    assert_eq!(nothing["messages"][0]["content"][1]["text"], "b");
}

#[test]
fn broken_arguments_and_odd_names_do_not_end_the_session() {
    let call = ToolCall { id: "call:1/ü".into(), name: "my tool!".into(), arguments: "{\"a\":".into() };
    let wish = Message::Assistant { thinking: Vec::new(), text: String::new(), calls: vec![call] };
    let result = Message::ToolResult {
        call_id: "call:1/ü".into(),
        name: "my tool!".into(),
        status: ToolStatus::Error,
        text: String::new(),
    };
    let body = body(&request(vec![user("x"), wish, result]), &SHAPE);
    let made = &body["messages"][1]["content"][0];
    let expected = json!({ "type": "tool_use", "id": "renamed_1_0", "name": "my_tool_", "input": {} });
    assert_eq!(made, &expected);
    let answer = &body["messages"][2]["content"][0];
    assert_eq!(answer["tool_use_id"], "renamed_1_0");
    assert_eq!((&answer["is_error"], &answer["content"]), (&json!(true), &json!("(no output)")));
}

fn any_message() -> impl Strategy<Value = Vec<Message>> {
    let words = prop_oneof![Just(String::new()), Just(" \n".to_owned()), "[a-z]{1,5}"];
    prop_oneof![
        words.clone().prop_map(|text| vec![Message::User { text }]),
        (words, 0..4_usize, any::<bool>()).prop_map(|(text, calls, proven)| {
            let signature = proven.then(|| Proof::Signature("s").tag("claude-test"));
            let thinking = vec![Thinking { text: "hm".to_owned(), signature }];
            let calls: Vec<ToolCall> = (0..calls)
                .map(|n| ToolCall { id: format!("c{n}"), name: "ls".into(), arguments: "{}".into() })
                .collect();
            let results = calls.iter().map(|call| Message::ToolResult {
                call_id: call.id.clone(),
                name: "ls".into(),
                status: ToolStatus::Ok,
                text: "ok".into(),
            });
            let results: Vec<Message> = results.collect();
            let mut all = vec![Message::Assistant { thinking, text, calls }];
            all.extend(results);
            all
        }),
    ]
}

proptest! {
    /// What the API demands of every conversation, for every transcript that the agent can write.
    #[test]
    fn every_transcript_becomes_a_conversation_that_is_taken(
        messages in prop::collection::vec(any_message(), 0..8),
        system in "[a-z ]{0,4}",
    ) {
        let messages: Vec<Message> = messages.into_iter().flatten().collect();
        let request = ModelRequest { system, ..request(messages) };
        let body = body(&request, &SHAPE);
        let turns = body["messages"].as_array().unwrap();
        prop_assert_eq!(&turns[0]["role"], "user");
        prop_assert_eq!(&turns[turns.len() - 1]["role"], "user");
        let mut open: Vec<String> = Vec::new();
        for (at, turn) in turns.iter().enumerate() {
            prop_assert!(at == 0 || turns[at - 1]["role"] != turn["role"], "two turns of one side");
            let blocks = turn["content"].as_array().unwrap();
            prop_assert!(!blocks.is_empty());
            let kinds: Vec<&str> = blocks.iter().filter_map(|block| block["type"].as_str()).collect();
            prop_assert!(kinds.iter().skip_while(|kind| **kind == "tool_result").all(|kind| *kind != "tool_result"));
            let answered: Vec<String> =
                blocks.iter().filter_map(|b| b["tool_use_id"].as_str().map(str::to_owned)).collect();
            prop_assert_eq!(answered, std::mem::take(&mut open), "each call is answered in the next turn");
            open = blocks.iter().filter_map(|b| b["id"].as_str().map(str::to_owned)).collect();
            for block in blocks.iter().filter(|block| block["type"] == "text") {
                prop_assert!(!block["text"].as_str().unwrap().trim().is_empty(), "empty text is refused");
            }
        }
        prop_assert!(body.to_string().matches("cache_control").count() <= 4);
        prop_assert!(!body.to_string().contains("\"thinking\":\"hm\",\"signature\":null"));
    }
}
