use clankers_protocol::{
    NodeId,
    conversation::{StopReason, Usage},
    event::{CompactedEvent, Outcome, ResolvedEvent, SettledEvent, SteerEvent, UsageEvent},
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

fn compacted(kept: u32) -> Event {
    let summary = "SUM".to_owned();
    Event::Compacted(CompactedEvent { summary, kept, tokens_before: 9, tokens_after: 1 })
}

#[test]
fn steering_words_stand_where_they_were_heard() {
    let words = SteerEvent {
        prompt_id: "w".parse().unwrap(),
        principal: NodeId([2; 32]),
        leaf: None,
        text: "wait".to_owned(),
    };
    let answered = ResolvedEvent { request: "a".to_owned(), by: None, allowed: false, reason: None };
    let log = [
        prompt("one"),
        message("m1"),
        call("m1", "a"),
        Event::Resolved(answered),
        result("a"),
        Event::Steered(words),
        message("m2"),
    ];
    assert_eq!(short(&rebuild(&log).messages), ["one", ":m1[a]", "=of a", "wait", ":m2[]"]);
    assert_eq!(short(&rebuild(&log[..6]).messages).last().unwrap(), "wait");
}

#[test]
fn a_compaction_stands_for_what_came_before_it() {
    let summary = format!("{}SUM", compaction::SUMMARY_OPENING);
    let log = [prompt("one"), message("m1"), call("m1", "a"), result("a"), compacted(2), message("m2")];
    assert_eq!(short(&rebuild(&log).messages), [&summary, ":m1[a]", "=of a", ":m2[]"]);
    // The count fits no more, as after damage: no result loses its call.
    let log = [prompt("one"), message("m1"), call("m1", "a"), result("a"), compacted(1)];
    assert_eq!(short(&rebuild(&log).messages), [&summary, ":m1[a]", "=of a"]);
    let twice = [prompt("one"), message("m1"), compacted(0), message("m2"), compacted(1), compacted(9)];
    assert_eq!(short(&rebuild(&twice).messages), [&summary, &summary, ":m2[]"]);
}

#[test]
fn what_providers_counted_is_found_again() {
    let used = |input| {
        let (model, usage) = ("m".to_owned(), Usage { input, output: 1, ..Usage::default() });
        Event::Usage(UsageEvent { model, usage, cost: None })
    };
    let log = [prompt("one"), message("m1"), used(40), call("m1", "a"), result("a")];
    let carried = rebuild(&log).carried;
    assert_eq!(carried.measured, Some(crate::Measured { messages: 2, tokens: 41 }));
    assert_eq!(carried.model.as_deref(), Some("m"));
    let log = [prompt("one"), message("m1"), used(40), compacted(1)];
    assert_eq!(rebuild(&log).carried.measured, None);
}

#[test]
fn a_prompt_that_ended_without_an_event_of_its_own_was_never_said() {
    let log = [prompt("bad"), settled("bad"), prompt("one"), message("m1"), prompt("late"), settled("one")];
    assert_eq!(short(&rebuild(&log).messages), ["one", ":m1[]", "late"], "it runs");
    let rest = [settled("late"), prompt("two"), message("m2"), settled("two")];
    assert_eq!(short(&rebuild(log.iter().chain(&rest)).messages), ["one", ":m1[]", "two", ":m2[]"]);
}
