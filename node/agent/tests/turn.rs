//! A turn, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

use clankers_agent::{Failure, Finished, Input, Interrupt, Output, Turn, TurnConfig, TurnLimits, limits};
use clankers_protocol::{
    NanoUsd, Timestamp,
    conversation::{
        Message, ModelEvent, ModelRequest, Price, StopReason, ToolCall, ToolSpec, ToolStatus, Usage,
    },
    event::{DeltaKind, Event, Outcome},
    limits::DELTA_BYTES,
};

fn tool(name: &str, read_only: bool) -> ToolSpec {
    ToolSpec { name: name.into(), description: String::new(), parameters: "{}".into(), read_only }
}

struct Table {
    turn: Turn,
    now: u64,
}

impl Table {
    fn with(limits: TurnLimits, price: Option<Price>) -> Self {
        let turn = Turn::new(TurnConfig {
            prefix: "p1".into(),
            model: "openai/m".into(),
            price,
            system: "sys".into(),
            tools: vec![tool("read", true), tool("bash", false)],
            limits,
            transcript: Vec::new(),
        });
        Self { turn, now: 0 }
    }

    /// A turn that has asked its model.
    fn asked() -> Self {
        let mut table = Self::with(TurnLimits::default(), None);
        let out = table.step(Input::Start { prompt: "go".into() });
        assert!(matches!(out.as_slice(), [Output::CallModel(_)]), "{out:?}");
        table
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.turn.handle(Timestamp(self.now), input, &mut out);
        out
    }

    fn says(&mut self, events: Vec<ModelEvent>) -> Vec<Output> {
        events.into_iter().flat_map(|event| self.step(Input::Model(event))).collect()
    }

    fn ended(&mut self, id: &str) -> Vec<Output> {
        self.step(Input::ToolFinished {
            call_id: id.into(),
            status: ToolStatus::Ok,
            text: format!("of {id}"),
        })
    }
}

fn call(id: &str, name: &str) -> ModelEvent {
    ModelEvent::ToolCall(ToolCall { id: id.into(), name: name.into(), arguments: "{}".into() })
}

fn stop(reason: StopReason) -> ModelEvent {
    ModelEvent::Stop(reason)
}

fn text(words: &str) -> ModelEvent {
    ModelEvent::Text(words.into())
}

fn started(out: &[Output]) -> Vec<&str> {
    fn id(output: &Output) -> Option<&str> {
        if let Output::CallTool { call, .. } = output { Some(&call.id) } else { None }
    }
    out.iter().filter_map(id).collect()
}

fn request(out: &[Output]) -> &ModelRequest {
    out.iter()
        .find_map(|o| if let Output::CallModel(request) = o { Some(request) } else { None })
        .expect("a model call")
}

fn end(out: &[Output]) -> &Finished {
    match out.last() {
        Some(Output::Finished(finished)) => finished,
        other => panic!("not the end: {other:?}"),
    }
}

#[test]
fn a_plain_answer() {
    let mut table = Table::asked();
    let out = table.says(vec![
        ModelEvent::Thinking("hm".into()),
        ModelEvent::ThinkingSignature("sig".into()),
        text("hé"),
        text("llo"),
        ModelEvent::Usage(Usage { input: 5, output: 1, ..Usage::default() }),
        ModelEvent::Usage(Usage { input: 5, output: 2, ..Usage::default() }),
        stop(StopReason::EndTurn),
    ]);
    let offsets: Vec<_> = out
        .iter()
        .filter_map(|o| if let Output::Live(DeltaKind::Text, delta) = o { Some(delta.offset) } else { None })
        .collect();
    assert_eq!(offsets, [0, 3]);
    let Some(Output::Durable(Event::Message(message))) = out.get(3) else { panic!("{out:?}") };
    assert_eq!((message.item.as_str(), message.text.as_str()), ("p1-1", "héllo"));
    assert_eq!(message.thinking[0].signature.as_deref(), Some("sig"));
    let finished = end(&out);
    assert_eq!((finished.outcome, finished.usage.output), (Outcome::Completed, 2), "the last usage counts");
    assert_eq!(finished.cost, None, "an unknown price is not zero");
    assert!(table.ended("late").is_empty() && table.step(Input::Interrupt(Interrupt::Cancelled)).is_empty());
}

#[test]
fn readers_run_together_and_a_writer_alone_in_order() {
    let mut table = Table::asked();
    let calls = ["a", "b"].map(|id| call(id, "read")).into_iter();
    let calls = calls.chain([call("w", "bash"), call("c", "read"), stop(StopReason::ToolUse)]);
    let out = table.says(calls.collect());
    assert_eq!(started(&out), ["a", "b"]);
    assert!(started(&table.ended("b")).is_empty());
    assert!(table.ended("b").is_empty(), "a second result is ignored");
    assert_eq!(started(&table.ended("a")), ["w"]);
    assert_eq!(started(&table.ended("w")), ["c"]);
    let out = table.ended("c");
    let results: Vec<_> = request(&out)
        .messages
        .iter()
        .filter_map(|m| if let Message::ToolResult { text, .. } = m { Some(text.as_str()) } else { None })
        .collect();
    assert_eq!(results, ["of a", "of b", "of w", "of c"]);
}

#[test]
fn many_readers_run_a_few_at_a_time() {
    let mut table = Table::asked();
    let calls = (0..20).map(|n| call(&format!("c{n}"), "read"));
    let out = table.says(calls.chain([stop(StopReason::EndTurn)]).collect());
    assert_eq!(started(&out).len(), limits::PARALLEL);
    assert_eq!(started(&table.ended("c3")), ["c8"]);
}

#[test]
fn an_interruption_keeps_the_words_and_closes_the_calls() {
    let mut table = Table::asked();
    table.says(vec![text("I was ab"), call("a", "read")]);
    let out = table.step(Input::Interrupt(Interrupt::Cancelled));
    assert!(matches!(out.first(), Some(Output::CancelModel)));
    assert_eq!(end(&out).outcome, Outcome::Cancelled);
    let kept = Message::Assistant { thinking: vec![], text: "I was ab".into(), calls: vec![] };
    assert_eq!(table.turn.transcript().last(), Some(&kept), "calls that never ran are not kept");

    let mut table = Table::asked();
    table.says(vec![call("a", "read"), call("b", "bash"), stop(StopReason::ToolUse)]);
    let out = table.step(Input::Interrupt(Interrupt::Shutdown));
    assert!(matches!(out.first(), Some(Output::CancelTools)));
    assert_eq!(end(&out).outcome, Outcome::Interrupted);
    let [.., Message::ToolResult { text: a, .. }, Message::ToolResult { text: b, status, .. }] =
        table.turn.transcript()
    else {
        panic!("{:?}", table.turn.transcript())
    };
    assert!(a.starts_with("Interrupted:") && b.starts_with("Not run:"), "{a} {b}");
    assert_eq!(*status, ToolStatus::Interrupted);
}

#[test]
fn a_model_that_breaks_off_leaves_its_words() {
    for (failure, outcome) in
        [(Failure::Other, Outcome::Failed), (Failure::Credentials, Outcome::Credentials)]
    {
        let mut table = Table::asked();
        table.says(vec![text("half")]);
        let out = table.step(Input::ModelFailed { failure, message: "cut".into() });
        let finished = end(&out);
        assert_eq!((finished.outcome, finished.reason.as_deref()), (outcome, Some("cut")));
        assert_eq!(table.turn.transcript().len(), 2);
    }
    let mut table = Table::asked();
    table.step(Input::ModelFailed { failure: Failure::Other, message: "cut".into() });
    assert_eq!(table.turn.transcript().len(), 1, "nothing was said, nothing is kept");
}

#[test]
fn every_reason_to_stop() {
    for (reason, outcome) in [
        (StopReason::EndTurn, Outcome::Completed),
        (StopReason::ToolUse, Outcome::Completed),
        (StopReason::MaxTokens, Outcome::Limit),
        (StopReason::Refusal, Outcome::Failed),
        (StopReason::Interrupted, Outcome::Failed),
    ] {
        let out = Table::asked().says(vec![text("x"), stop(reason)]);
        assert_eq!(end(&out).outcome, outcome, "{reason:?}");
        assert_eq!(end(&out).reason.is_none(), outcome == Outcome::Completed);
    }
    let out = Table::asked().says(vec![call("a", "bash"), stop(StopReason::Refusal)]);
    assert!(started(&out).is_empty() && end(&out).outcome == Outcome::Failed);
}

#[test]
fn calls_that_may_be_cut_do_not_run_and_the_model_hears_why() {
    let mut table = Table::asked();
    let out = table.says(vec![call("a", "bash"), stop(StopReason::MaxTokens)]);
    assert!(started(&out).is_empty());
    let Some(Message::ToolResult { status, text, .. }) = request(&out).messages.last() else {
        panic!("{out:?}")
    };
    assert!(*status == ToolStatus::Error && text.contains("output limit"), "{text}");
}

#[test]
fn a_word_from_the_side_is_heard_after_the_tools_and_instead_of_the_end() {
    let mut table = Table::asked();
    assert!(table.step(Input::Steer { text: "wait".into() }).is_empty());
    table.says(vec![call("a", "read"), stop(StopReason::ToolUse)]);
    let out = table.ended("a");
    assert_eq!(request(&out).messages.last(), Some(&Message::User { text: "wait".into() }));
    table.step(Input::Steer { text: "and".into() });
    let out = table.says(vec![text("done"), stop(StopReason::EndTurn)]);
    assert_eq!(request(&out).messages.last(), Some(&Message::User { text: "and".into() }));
    for n in 0..=limits::STEERS {
        let out = table.step(Input::Steer { text: "more".into() });
        assert_eq!(!out.is_empty(), n == limits::STEERS);
    }
    let out = table.step(Input::Interrupt(Interrupt::Cancelled));
    assert_eq!(end(&out).unheard.len(), limits::STEERS);
}

#[test]
fn limits_on_calls_cost_and_time() {
    let loop_once = |table: &mut Table| {
        let usage = ModelEvent::Usage(Usage { input: 10, ..Usage::default() });
        table.says(vec![call("", "read"), usage, stop(StopReason::ToolUse)]);
        table.ended("p1-call-1")
    };
    let price = Some(Price { input: 3, ..Price::default() });
    let start = Input::Start { prompt: "go".into() };

    let mut table = Table::with(TurnLimits { max_model_calls: 1, ..TurnLimits::default() }, price);
    table.step(start.clone());
    let out = loop_once(&mut table);
    assert_eq!((end(&out).outcome, end(&out).cost), (Outcome::Limit, Some(NanoUsd(30))));

    let mut table = Table::with(TurnLimits { max_cost: Some(NanoUsd(30)), ..TurnLimits::default() }, price);
    table.step(start.clone());
    assert_eq!(end(&loop_once(&mut table)).outcome, Outcome::Limit);

    let mut table = Table::with(TurnLimits { max_cost: Some(NanoUsd(30)), ..TurnLimits::default() }, None);
    let out = table.step(start.clone());
    assert!(end(&out).reason.as_deref().unwrap().contains("price of openai/m is not known"), "{out:?}");

    let limits = TurnLimits { deadline: Some(Timestamp(50)), ..TurnLimits::default() };
    let mut table = Table::with(limits, None);
    let out = table.step(start);
    assert!(out.contains(&Output::WakeAt(Timestamp(50))));
    table.says(vec![text("slow")]);
    table.now = 49;
    assert!(table.step(Input::Tick).is_empty());
    table.now = 50;
    let out = table.step(Input::Tick);
    assert_eq!(end(&out).outcome, Outcome::TimedOut);
    assert_eq!(table.turn.transcript().len(), 2, "what was said is kept");
}

#[test]
fn a_silent_provider_cannot_hide_its_cost() {
    let price = Some(Price { input: 3, ..Price::default() });
    let mut table = Table::with(TurnLimits { max_cost: Some(NanoUsd(30)), ..TurnLimits::default() }, price);
    table.step(Input::Start { prompt: "go".into() });
    table.says(vec![call("a", "read"), stop(StopReason::ToolUse)]);
    let out = table.ended("a");
    assert_eq!((end(&out).outcome, end(&out).cost), (Outcome::Limit, None));
}

#[test]
fn a_flood_is_cut_off_and_what_fits_is_kept() {
    let mut table = Table::asked();
    let block = "é".repeat(DELTA_BYTES);
    let out = (0..100).map(|_| table.says(vec![text(&block)])).find(|out| {
        out.iter().all(|o| !matches!(o, Output::Live(_, delta) if delta.text.len() > DELTA_BYTES))
            && matches!(out.last(), Some(Output::Finished(_)))
    });
    let out = out.expect("it ends");
    assert!(matches!(out.first(), Some(Output::CancelModel)));
    assert_eq!(end(&out).outcome, Outcome::Failed);
    let Some(Message::Assistant { text, .. }) = table.turn.transcript().last() else { panic!() };
    assert!(text.len() <= limits::TEXT_BYTES && text.len() > limits::TEXT_BYTES / 2);

    let mut table = Table::asked();
    let out = table.says((0..=limits::CALLS).map(|_| call("", "read")).collect());
    assert_eq!(end(&out).outcome, Outcome::Failed);
    let mut table = Table::asked();
    let out = table
        .says((0..=limits::THINKING_BLOCKS).map(|_| ModelEvent::ThinkingSignature("s".into())).collect());
    assert_eq!(end(&out).outcome, Outcome::Failed);
}

#[test]
fn a_result_larger_than_is_accepted_is_cut_and_says_so() {
    let mut table = Table::asked();
    table.says(vec![call("a", "read"), stop(StopReason::ToolUse)]);
    let text = "é".repeat(limits::RESULT_BYTES);
    let out = table.step(Input::ToolFinished { call_id: "a".into(), status: ToolStatus::Ok, text });
    let Some(Message::ToolResult { text, .. }) = request(&out).messages.last() else { panic!() };
    assert!(text.len() < limits::RESULT_BYTES + 64 && text.ends_with("bytes in all]"));
}
