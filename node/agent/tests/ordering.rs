//! Whatever model, tools and people do, in whatever order: the promises of a turn hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

use std::collections::{BTreeMap, BTreeSet};

use clankers_agent::{
    Failure, Finished, Input, Interrupt, Output, Turn, TurnConfig, TurnLimits, limits, rebuild,
};
use clankers_protocol::{
    NanoUsd, NodeId, PromptId, Timestamp,
    conversation::{Message, ModelEvent, Price, StopReason, ToolCall, ToolSpec, ToolStatus, Usage},
    event::{DeltaKind, Event, PromptEvent, SettledEvent},
};
use proptest::prelude::*;

fn config(limits: TurnLimits, price: Option<Price>) -> TurnConfig {
    let tool = |name: &str, read_only| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: "{}".to_owned(),
        read_only,
    };
    TurnConfig {
        prefix: "p1".to_owned(),
        model: "scripted".to_owned(),
        price,
        system: String::new(),
        tools: vec![tool("read", true), tool("grep", true), tool("write", false)],
        limits,
        transcript: Vec::new(),
    }
}

#[derive(Debug, Clone)]
enum Act {
    Model(ModelEvent),
    Fail,
    /// The k-th running tool ends.
    End(usize, ToolStatus),
    /// A result for a call that may not run, or not exist.
    Bogus(String),
    Steer,
    Start,
    Tick(u64),
    Interrupt(Interrupt),
}

fn act() -> impl Strategy<Value = Act> {
    let id = prop::sample::select(vec!["", "a", "b", "p1-call-1", "x\n"]);
    let name = prop::sample::select(vec!["read", "grep", "read", "write", "ghost", ""]);
    let call = (id.clone(), name).prop_map(|(id, name)| {
        ModelEvent::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() })
    });
    let stop = prop::sample::select(vec![
        StopReason::EndTurn,
        StopReason::ToolUse,
        StopReason::ToolUse,
        StopReason::MaxTokens,
        StopReason::Refusal,
        StopReason::Interrupted,
    ]);
    let why = prop::sample::select(vec![Interrupt::Cancelled, Interrupt::TimedOut, Interrupt::Shutdown]);
    let status = prop::sample::select(vec![ToolStatus::Ok, ToolStatus::Error, ToolStatus::Denied]);
    prop_oneof![
        6 => "[a-zé]{0,5}".prop_map(|text| Act::Model(ModelEvent::Text(text))),
        3 => "[a-zé]{0,5}".prop_map(|text| Act::Model(ModelEvent::Thinking(text))),
        1 => Just(Act::Model(ModelEvent::ThinkingSignature("s".into()))),
        12 => call.prop_map(Act::Model),
        2 => Just(Act::Model(ModelEvent::Usage(Usage { input: 3, output: 2, ..Usage::default() }))),
        5 => stop.prop_map(|stop| Act::Model(ModelEvent::Stop(stop))),
        12 => (any::<usize>(), status).prop_map(|(k, status)| Act::End(k, status)),
        2 => id.prop_map(|id| Act::Bogus(id.to_owned())),
        1 => Just(Act::Steer),
        1 => Just(Act::Start),
        1 => (0..20_u64).prop_map(Act::Tick),
        1 => why.prop_map(Act::Interrupt),
        1 => Just(Act::Fail),
    ]
}

/// A hall that believes nothing and checks every output.
#[derive(Default)]
struct Hall {
    asking: bool,
    running: BTreeMap<String, bool>,
    called: BTreeSet<String>,
    answered: BTreeSet<String>,
    words: BTreeMap<String, (String, String)>,
    events: Vec<Event>,
    steered: usize,
    finished: Option<Finished>,
}

impl Hall {
    fn take(&mut self, output: Output) {
        assert!(self.finished.is_none(), "after the end: {output:?}");
        match output {
            Output::CallModel(request) => {
                assert!(!self.asking && self.running.is_empty(), "two things at once");
                assert_eq!(self.called, self.answered, "asked with open calls");
                check_transcript(&request.messages);
                assert!(!matches!(request.messages.last(), Some(Message::Assistant { .. })));
                self.asking = true;
            }
            Output::CancelModel => assert!(std::mem::take(&mut self.asking), "nothing to cancel"),
            Output::CallTool { call, read_only } => {
                assert!(!self.asking && self.called.contains(&call.id), "{call:?}");
                assert!(self.running.is_empty() || read_only && self.running.values().all(|&ro| ro));
                assert_eq!(read_only, matches!(call.name.as_str(), "read" | "grep"));
                assert!(self.running.insert(call.id, read_only).is_none());
                assert!(self.running.len() <= limits::PARALLEL);
            }
            Output::CancelTools => {
                assert!(!self.running.is_empty());
                self.running.clear();
            }
            Output::Live(kind, delta) => {
                assert!(self.asking && !delta.text.is_empty());
                let (text, thinking) = self.words.entry(delta.item).or_default();
                let known = if kind == DeltaKind::Text { text } else { thinking };
                assert_eq!(delta.offset, known.len() as u64, "a hole");
                known.push_str(&delta.text);
            }
            Output::Durable(event) => self.durable(event),
            Output::Steered { .. } => self.steered += 1,
            Output::SteerRefused { .. } | Output::WakeAt(_) => {}
            Output::Finished(finished) => {
                assert!(!self.asking && self.running.is_empty(), "something is left running");
                assert_eq!(self.called, self.answered, "calls without a result");
                self.finished = Some(finished);
            }
        }
    }

    fn durable(&mut self, event: Event) {
        match &event {
            Event::Message(message) => {
                let (text, thinking) = self.words.remove(&message.item).unwrap_or_default();
                assert_eq!(message.text, text, "deltas and message differ");
                let whole: String = message.thinking.iter().map(|block| block.text.as_str()).collect();
                assert_eq!(whole, thinking);
                let again = |e: &Event| matches!(e, Event::Message(m) if m.item == message.item);
                assert!(!self.events.iter().any(again), "an item twice");
            }
            Event::ToolCall(call) => assert!(self.called.insert(call.item.clone()), "{call:?} twice"),
            Event::ToolResult(result) => {
                assert!(self.called.contains(&result.item) && self.answered.insert(result.item.clone()));
            }
            Event::Usage(_) => {}
            other => panic!("{other:?}"),
        }
        self.events.push(event);
    }
}

/// What providers require: each call answered, in order, before anything else is said.
fn check_transcript(messages: &[Message]) {
    let mut open: std::collections::VecDeque<&str> = [].into();
    let mut seen = BTreeSet::new();
    for message in messages {
        match message {
            Message::ToolResult { call_id, .. } => assert_eq!(open.pop_front(), Some(call_id.as_str())),
            Message::User { .. } => assert!(open.is_empty()),
            Message::Assistant { calls, .. } => {
                assert!(open.is_empty());
                for call in calls {
                    assert!(!call.id.is_empty() && seen.insert(&call.id));
                    open.push_back(&call.id);
                }
            }
        }
    }
    assert!(open.is_empty());
}

fn prompt(id: &str) -> PromptEvent {
    PromptEvent {
        prompt_id: id.parse().unwrap(),
        principal: NodeId([1; 32]),
        leaf: None,
        text: "go".to_owned(),
        model: "scripted".to_owned(),
    }
}

fn step(turn: &mut Turn, hall: &mut Hall, now: u64, input: Input) {
    // The hall's own view moves first: what ended has ended before the machine hears of it.
    match &input {
        Input::Model(ModelEvent::Stop(_)) | Input::ModelFailed { .. } => hall.asking = false,
        Input::ToolFinished { call_id, .. } => drop(hall.running.remove(call_id)),
        _ => {}
    }
    let mut out = Vec::new();
    turn.handle(Timestamp(now), input, &mut out);
    out.into_iter().for_each(|output| hall.take(output));
    assert_eq!(turn.is_finished(), hall.finished.is_some());
}

fn play(acts: Vec<Act>, limits: TurnLimits, price: Option<Price>) -> (Turn, Hall) {
    let (mut turn, mut hall, mut now) = (Turn::new(config(limits, price)), Hall::default(), 0);
    step(&mut turn, &mut hall, now, Input::Start { prompt: "go".to_owned() });
    for act in acts {
        let input = match act {
            Act::Model(event) => Input::Model(event),
            Act::Fail => Input::ModelFailed { failure: Failure::Other, message: "no".to_owned() },
            Act::End(k, status) => {
                let Some(id) = hall.running.keys().nth(k % hall.running.len().max(1)).cloned() else {
                    continue;
                };
                Input::ToolFinished { call_id: id, status, text: "done".to_owned() }
            }
            Act::Bogus(call_id) if hall.running.contains_key(&call_id) => continue,
            Act::Bogus(call_id) => {
                Input::ToolFinished { call_id, status: ToolStatus::Ok, text: "bogus".to_owned() }
            }
            Act::Steer => Input::Steer { text: "and".to_owned() },
            Act::Start => Input::Start { prompt: "again".to_owned() },
            Act::Tick(later) => {
                now += later;
                Input::Tick
            }
            Act::Interrupt(why) => Input::Interrupt(why),
        };
        step(&mut turn, &mut hall, now, input);
    }
    step(&mut turn, &mut hall, now, Input::Interrupt(Interrupt::Shutdown));
    (turn, hall)
}

fn limits() -> impl Strategy<Value = TurnLimits> {
    (1..9_u32, prop::option::of(5..60_u64), prop::option::of(10..200_u64)).prop_map(
        |(calls, cost, deadline)| TurnLimits {
            max_model_calls: calls,
            max_cost: cost.map(NanoUsd),
            deadline: deadline.map(Timestamp),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_promises_hold(
        acts in prop::collection::vec(act(), 0..80),
        limits in limits(),
        price in prop::option::of(Just(Price { input: 1, output: 2, cache_read: 1, cache_write: 1 })),
    ) {
        let (turn, hall) = play(acts, limits, price);
        check_transcript(turn.transcript());
        let finished = hall.finished.expect("a turn that was interrupted has finished");
        prop_assert!(!hall.events.iter().any(|e| matches!(e, Event::ToolResult(r) if r.text == "bogus")));
        let used = hall.events.iter().fold(Usage::default(), |sum, event| {
            if let Event::Usage(usage) = event { sum.plus(usage.usage) } else { sum }
        });
        prop_assert_eq!(used, finished.usage);
    }

    #[test]
    fn the_log_tells_the_same_story(acts in prop::collection::vec(act(), 0..60)) {
        let (turn, mut hall) = play(acts, TurnLimits::default(), None);
        // Steering words have no event of their own yet.
        prop_assume!(hall.steered == 0);
        hall.events.insert(0, Event::Prompt(prompt("one")));
        let rebuilt = rebuild(&hall.events);
        prop_assert_eq!(&rebuilt.messages[..], turn.transcript());
        prop_assert_eq!(rebuilt.lost, []);
        prop_assert_eq!(rebuilt.running, Some(prompt("one")));
    }

    #[test]
    fn after_a_crash_anywhere_every_call_is_answered(
        acts in prop::collection::vec(act(), 0..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, mut hall) = play(acts, TurnLimits::default(), None);
        hall.events.insert(0, Event::Prompt(prompt("one")));
        hall.events.truncate(cut.index(hall.events.len() + 1));
        let rebuilt = rebuild(&hall.events);
        check_transcript(&rebuilt.messages);
        // What the log gets after the crash makes it say the same for ever.
        let mut mended = hall.events;
        mended.extend(rebuilt.lost.iter().cloned().map(Event::ToolResult));
        let again = rebuild(&mended);
        prop_assert_eq!(again.messages, rebuilt.messages);
        prop_assert_eq!(again.lost, []);
    }

    #[test]
    fn any_log_gives_a_transcript_that_providers_accept(
        log in prop::collection::vec((0..6_u8, 0..4_u8, 0..4_u8), 0..40),
    ) {
        let mut messages = BTreeSet::new();
        let events = log.into_iter().filter_map(|(kind, a, b)| chaos(kind, a, b, &mut messages));
        check_transcript(&rebuild(&events.collect::<Vec<_>>()).messages);
    }
}

/// Any event, also ones that fit nothing.
fn chaos(kind: u8, a: u8, b: u8, messages: &mut BTreeSet<u8>) -> Option<Event> {
    use clankers_protocol::event::{MessageEvent, Outcome, ToolCallEvent, ToolResultEvent};
    let id: PromptId = format!("{a}").parse().unwrap();
    Some(match kind {
        0 => Event::Prompt(prompt(id.as_str())),
        1 => {
            // An item is written once.
            if !messages.insert(a) {
                return None;
            }
            let (item, text) = (format!("m{a}"), String::new());
            Event::Message(MessageEvent { item, thinking: Vec::new(), text, stop: StopReason::ToolUse })
        }
        2 | 3 => Event::ToolCall(ToolCallEvent {
            item: format!("m{a}c{b}"),
            message: format!("m{a}"),
            name: "read".to_owned(),
            arguments: "{}".to_owned(),
        }),
        4 => Event::ToolResult(ToolResultEvent {
            item: format!("m{a}c{b}"),
            name: "read".to_owned(),
            status: ToolStatus::Ok,
            text: String::new(),
        }),
        _ => Event::Settled(SettledEvent {
            prompt_id: id,
            prompt_seq: 1,
            outcome: Outcome::Completed,
            reason: None,
            usage: Usage::default(),
            cost: None,
        }),
    })
}
