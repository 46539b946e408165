//! A turn, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

use clankers_agent::{
    Carried, Failure, Finished, Input, Interrupt, Output, Turn, TurnConfig, TurnLimits, limits,
};
use clankers_protocol::{
    NanoUsd, NodeId, Timestamp,
    conversation::{
        Message, ModelEvent, ModelRequest, Price, StopReason, ToolCall, ToolSpec, ToolStatus, Usage,
    },
    event::{DeltaKind, Event, Outcome, SteerEvent},
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
            long_price: None,
            system: "sys".into(),
            tools: vec![tool("read", true), tool("bash", false)],
            limits,
            window: None,
            transcript: Vec::new(),
            carried: Carried::default(),
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

fn steer(text: &str) -> Input {
    let (prompt_id, principal) = ("w1".parse().unwrap(), NodeId([2; 32]));
    Input::Steer(SteerEvent { prompt_id, principal, leaf: None, text: text.into() })
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
    assert!(table.step(steer("wait")).is_empty());
    table.says(vec![call("a", "read"), stop(StopReason::ToolUse)]);
    let out = table.ended("a");
    // It is written down with its author before the model hears of it, after the results that came before.
    let [Output::Durable(Event::ToolResult(_)), Output::Durable(Event::Steered(words)), Output::CallModel(_)] =
        out.as_slice()
    else {
        panic!("{out:?}")
    };
    assert_eq!((words.principal, words.text.as_str()), (NodeId([2; 32]), "wait"));
    assert_eq!(request(&out).messages.last(), Some(&Message::User { text: "wait".into() }));
    table.step(steer("and"));
    let out = table.says(vec![text("done"), stop(StopReason::EndTurn)]);
    assert_eq!(request(&out).messages.last(), Some(&Message::User { text: "and".into() }));
    table.step(steer("go"));
    let out = table.says(vec![text("cut he"), stop(StopReason::MaxTokens)]);
    assert_eq!(request(&out).messages.last(), Some(&Message::User { text: "go".into() }));
    for n in 0..=limits::STEERS {
        let out = table.step(steer("more"));
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

#[test]
fn steering_words_have_a_size_all_together() {
    let mut table = Table::asked();
    let large = "x".repeat(limits::STEERS_BYTES / 2);
    assert!(table.step(steer(&large)).is_empty() && table.step(steer(&large)).is_empty());
    assert!(
        matches!(table.step(steer("more")).as_slice(), [Output::SteerRefused(words)] if words.text == "more")
    );
    let out = table.says(vec![text("x"), stop(StopReason::EndTurn)]);
    assert_eq!(request(&out).messages.len(), 4);
    assert!(table.step(steer(&large)).is_empty(), "what was heard waits no more");
}

#[test]
fn a_paused_answer_goes_on_but_not_for_ever() {
    let mut table = Table::asked();
    let pauses = usize::try_from(limits::PAUSES).unwrap();
    for n in 1..=pauses {
        let out = table.says(vec![text("more"), stop(StopReason::Pause)]);
        assert_eq!(request(&out).messages.len(), n + 1, "what it said goes back to it");
    }
    let out = table.says(vec![stop(StopReason::Pause)]);
    assert_eq!(end(&out).outcome, Outcome::Failed);
    assert_eq!(table.turn.transcript().len(), pauses + 1, "an empty message is not kept");
}

#[test]
fn a_call_that_waits_for_an_approval_holds_up_neither_readers_nor_the_end() {
    let calls = || vec![call("a", "read"), call("b", "read"), call("w", "bash"), stop(StopReason::ToolUse)];
    // One reader waits for a person: the other goes on, the writer keeps its place.
    let mut table = Table::asked();
    assert_eq!(started(&table.says(calls())), ["a", "b"]);
    assert!(table.ended("b").iter().all(|o| matches!(o, Output::Durable(Event::ToolResult(_)))));
    for _ in 0..1_000 {
        assert!(table.step(Input::Tick).is_empty(), "waiting costs nothing");
    }
    assert!(table.step(steer("hurry")).is_empty());
    let denied = (ToolStatus::Denied, "nobody allowed it".to_owned());
    let out = table.step(Input::ToolFinished { call_id: "a".into(), status: denied.0, text: denied.1 });
    assert_eq!(started(&out), ["w"], "a call that was denied does not stop the others");

    let limits = TurnLimits { deadline: Some(Timestamp(50)), ..TurnLimits::default() };
    for late in [false, true] {
        let mut table = Table::with(limits, None);
        table.step(Input::Start { prompt: "go".into() });
        table.says(calls());
        table.ended("b");
        table.now = if late { 50 } else { 1 };
        let input = if late { Input::Tick } else { Input::Interrupt(Interrupt::Cancelled) };
        let out = table.step(input);
        assert_eq!(out.first(), Some(&Output::CancelTools));
        assert_eq!(end(&out).outcome, if late { Outcome::TimedOut } else { Outcome::Cancelled });
        assert!(table.ended("a").is_empty(), "an approval that comes too late changes nothing");
        let results = table.turn.transcript().iter().filter(|m| matches!(m, Message::ToolResult { .. }));
        assert_eq!(results.count(), 3);
    }
}

#[test]
fn calls_have_a_size_all_together() {
    let mut table = Table::asked();
    let large = || {
        let arguments = "x".repeat(limits::ARGUMENTS_BYTES);
        ModelEvent::ToolCall(ToolCall { id: String::new(), name: "read".into(), arguments })
    };
    let fit = limits::CALLS_BYTES / limits::ARGUMENTS_BYTES;
    assert!(table.says((0..fit).map(|_| large()).collect()).is_empty());
    let out = table.says(vec![large()]);
    assert!(out.first() == Some(&Output::CancelModel) && end(&out).outcome == Outcome::Failed);
}

#[test]
fn a_model_that_says_nothing_has_failed() {
    for words in [vec![], vec![text("  \n")], vec![ModelEvent::Thinking("hm".into())]] {
        for reason in [StopReason::EndTurn, StopReason::ToolUse] {
            let mut table = Table::asked();
            let out = table.says(words.iter().cloned().chain([stop(reason)]).collect());
            let said = end(&out);
            assert_eq!(said.outcome, Outcome::Failed, "{words:?}");
            assert!(said.reason.as_deref().unwrap().contains("said nothing"), "{said:?}");
        }
    }
}

#[test]
fn a_turn_that_left_no_event_leaves_no_prompt() {
    let mut table = Table::asked();
    let failure = Failure::Credentials;
    let out = table.step(Input::ModelFailed { failure, message: "no key".into() });
    assert_eq!(end(&out).outcome, Outcome::Credentials);
    assert!(!out.iter().any(|output| matches!(output, Output::Durable(_))), "{out:?}");
    assert_eq!(table.turn.into_transcript(), []);
    let mut table = Table::asked();
    table.says(vec![text("x"), stop(StopReason::EndTurn)]);
    assert_eq!(table.turn.into_transcript().len(), 2);
}
