use clankers_protocol::{
    NodeId,
    conversation::{StopReason, Usage},
    event::{Outcome, SettledEvent},
};

use super::*;

fn prompt(id: &str) -> Event {
    Event::Prompt(PromptEvent {
        prompt_id: id.parse().unwrap(),
        principal: NodeId([1; 32]),
        leaf: None,
        text: id.to_owned(),
        model: "m".to_owned(),
    })
}

fn settled(id: &str) -> Event {
    let (usage, outcome) = (Usage::default(), Outcome::Completed);
    Event::Settled(SettledEvent {
        prompt_id: id.parse().unwrap(),
        prompt_seq: 1,
        outcome,
        reason: None,
        usage,
        cost: None,
    })
}

fn message(item: &str) -> Event {
    let (item, text) = (item.to_owned(), item.to_owned());
    Event::Message(MessageEvent { item, thinking: Vec::new(), text, stop: StopReason::EndTurn })
}

fn call(message: &str, item: &str) -> Event {
    let (message, item, name) = (message.to_owned(), item.to_owned(), "ls".to_owned());
    Event::ToolCall(ToolCallEvent { item, message, name, arguments: "{}".to_owned() })
}

fn result(item: &str) -> Event {
    let (item, name) = (item.to_owned(), "ls".to_owned());
    Event::ToolResult(ToolResultEvent { text: format!("of {item}"), item, name, status: ToolStatus::Ok })
}

/// The transcript in short: `user`, `:assistant[calls]`, `=result`.
fn short(messages: &[Message]) -> Vec<String> {
    let line = |message: &Message| match message {
        Message::User { text } => text.clone(),
        Message::Assistant { text, calls, .. } => {
            let calls: Vec<_> = calls.iter().map(|call| call.id.as_str()).collect();
            format!(":{text}[{}]", calls.join(" "))
        }
        Message::ToolResult { text, .. } => format!("={text}"),
    };
    messages.iter().map(line).collect()
}

#[test]
fn a_prompt_that_waited_enters_when_its_turn_comes() {
    let log = [prompt("one"), message("m1"), prompt("two"), prompt("gone"), call("m1", "a"), settled("gone")];
    let rebuilt = rebuild(&log);
    assert_eq!(short(&rebuilt.messages), ["one", ":m1[a]", &format!("={LOST_RESULT}")]);
    assert_eq!(rebuilt.queued.len(), 1);
    let rest = [result("a"), message("m2"), settled("one"), message("m3"), settled("two")];
    let rebuilt = rebuild(log.iter().chain(&rest));
    assert_eq!(short(&rebuilt.messages), ["one", ":m1[a]", "=of a", ":m2[]", "two", ":m3[]"]);
    assert_eq!((rebuilt.running, rebuilt.queued, rebuilt.lost), (None, vec![], vec![]));
}

#[test]
fn results_come_in_the_order_of_their_calls() {
    let log = [prompt("one"), message("m1"), call("m1", "a"), call("m1", "b"), result("b"), result("a")];
    assert_eq!(short(&rebuild(&log).messages), ["one", ":m1[a b]", "=of a", "=of b"]);
}

#[test]
fn a_crash_leaves_no_call_open_and_says_which() {
    let log = [prompt("one"), message("m1"), call("m1", "a"), call("m1", "b"), result("b")];
    let rebuilt = rebuild(&log);
    assert_eq!(short(&rebuilt.messages), ["one", ":m1[a b]", &format!("={LOST_RESULT}"), "=of b"]);
    let lost: Vec<_> = rebuilt.lost.iter().map(|lost| (lost.item.as_str(), lost.status)).collect();
    assert_eq!(lost, [("a", ToolStatus::Interrupted)]);
    assert_eq!(rebuilt.running.map(|prompt| prompt.text), Some("one".to_owned()));
}

#[test]
fn a_direct_tool_prompt_is_told_as_the_users_words() {
    let log = [prompt("ls"), call("", "a"), result("a"), settled("ls")];
    let told = "I ran the tool ls with {}. It succeeded:\nof a";
    assert_eq!(short(&rebuild(&log).messages), ["ls", told]);
    let crashed = rebuild(&log[..2]);
    assert_eq!((crashed.messages.len(), crashed.lost.len()), (2, 1));
}
