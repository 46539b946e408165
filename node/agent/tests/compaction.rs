//! A conversation that grows longer than its model takes, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

use clankers_agent::{
    Carried, Failure, Finished, Input, Interrupt, Measured, Output, Turn, TurnConfig, TurnLimits,
    compaction::SUMMARY_OPENING, limits,
};
use clankers_protocol::{
    NanoUsd, Timestamp,
    conversation::{
        Message, ModelEvent, ModelRequest, Price, StopReason, ToolCall, ToolSpec, ToolStatus, Usage,
    },
    event::{CompactedEvent, Event, Outcome},
};

const WINDOW: u64 = 100_000;

struct Table {
    turn: Turn,
    out: Vec<Output>,
}

fn user(text: &str) -> Message {
    Message::User { text: text.to_owned() }
}

/// An exchange of about so many tokens.
fn exchange(tokens: usize) -> Vec<Message> {
    let text = "x".repeat(tokens * limits::BYTES_PER_TOKEN);
    vec![user("do"), Message::Assistant { thinking: vec![], text, calls: vec![] }]
}

fn history(exchanges: usize) -> Vec<Message> {
    (0..exchanges).flat_map(|_| exchange(9_000)).collect()
}

impl Table {
    fn with(window: Option<u64>, transcript: Vec<Message>, carried: Carried, limits: TurnLimits) -> Self {
        let read = ToolSpec {
            name: "read".into(),
            description: String::new(),
            parameters: "{}".into(),
            read_only: true,
        };
        let turn = Turn::new(TurnConfig {
            prefix: "p1".into(),
            model: "m".into(),
            price: Some(Price { input: 1, output: 1, cache_read: 1, cache_write: 1 }),
            long_price: None,
            system: "sys".into(),
            tools: vec![read],
            limits,
            window,
            transcript,
            carried,
        });
        let mut table = Self { turn, out: Vec::new() };
        table.step(Input::Start { prompt: "and now this".into() });
        table
    }

    /// A conversation that is longer than its window allows, at a new prompt.
    fn full() -> Self {
        Self::with(Some(WINDOW), history(10), Carried::default(), TurnLimits::default())
    }

    fn step(&mut self, input: Input) -> &[Output] {
        self.out.clear();
        self.turn.handle(Timestamp(0), input, &mut self.out);
        &self.out
    }

    fn fails(&mut self, failure: Failure) -> &[Output] {
        self.step(Input::ModelFailed { failure, message: "no".into() })
    }

    fn says(&mut self, text: &str, used: u64) -> &[Output] {
        self.step(Input::Model(ModelEvent::Text(text.into())));
        self.step(Input::Model(ModelEvent::Usage(Usage { input: used, ..Usage::default() })));
        self.step(Input::Model(ModelEvent::Stop(StopReason::EndTurn)))
    }

    fn request(&self) -> &ModelRequest {
        self.out
            .iter()
            .find_map(|o| if let Output::CallModel(request) = o { Some(request) } else { None })
            .expect("a model call")
    }

    fn asks_for_summary(&self) -> bool {
        self.out.iter().any(|o| matches!(o, Output::CallModel(request) if request.tools.is_empty()))
    }

    fn compacted(&self) -> &CompactedEvent {
        self.out
            .iter()
            .find_map(|o| if let Output::Durable(Event::Compacted(event)) = o { Some(event) } else { None })
            .expect("a compaction")
    }

    fn end(&self) -> &Finished {
        match self.out.last() {
            Some(Output::Finished(finished)) => finished,
            other => panic!("not the end: {other:?}"),
        }
    }
}

#[test]
fn what_is_long_is_summarised_and_the_latest_stays() {
    let mut table = Table::full();
    assert!(table.asks_for_summary());
    let [Message::User { text }] = table.request().messages.as_slice() else { panic!() };
    assert!(text.len() as u64 / 3 < WINDOW - limits::RESERVE_TOKENS, "the request itself must fit");
    table.says("SO FAR", 7);
    let compacted = table.compacted().clone();
    assert_eq!((compacted.summary.as_str(), compacted.kept), ("SO FAR", 5), "two exchanges and the prompt");
    assert!(compacted.tokens_before > 83_000 && compacted.tokens_after < 20_000, "{compacted:?}");
    let request = table.request();
    assert!(!request.tools.is_empty() && request.system == "sys");
    assert_eq!(request.messages[0], user(&format!("{SUMMARY_OPENING}SO FAR")));
    assert_eq!(request.messages.last(), Some(&user("and now this")));
    table.says("done", 5);
    let finished = table.end();
    assert_eq!((finished.outcome, finished.usage.input), (Outcome::Completed, 12), "a summary is paid for");
    assert_eq!(finished.cost, Some(NanoUsd(12)));
}

#[test]
fn what_fits_is_left_alone() {
    for (window, exchanges) in [(Some(WINDOW), 9), (None, 50)] {
        let table = Table::with(window, history(exchanges), Carried::default(), TurnLimits::default());
        assert!(!table.asks_for_summary(), "{window:?}");
    }
    // What a provider counted is worth more than an estimate.
    let carried = |tokens| Carried { model: None, measured: Some(Measured { messages: 20, tokens }) };
    for (tokens, compacts) in [(50_000, false), (90_000, true)] {
        let table = Table::with(Some(WINDOW), history(10), carried(tokens), TurnLimits::default());
        assert_eq!(table.asks_for_summary(), compacts);
    }
}

#[test]
fn a_system_prompt_that_fills_the_window_does_not_bring_a_compaction_each_time() {
    let carried = Carried { model: None, measured: Some(Measured { messages: 6, tokens: 99_000 }) };
    let table = Table::with(Some(WINDOW), history(3), carried, TurnLimits::default());
    assert!(!table.asks_for_summary(), "there is nothing worth a summary");
}

#[test]
fn a_failed_summary_is_said_and_the_turn_goes_on_while_it_fits() {
    for how in 0..4 {
        let mut table = Table::full();
        match how {
            0 => table.fails(Failure::Other),
            1 => table.says("  ", 1),
            2 => table.step(Input::Model(ModelEvent::Stop(StopReason::Refusal))),
            _ => {
                let flood = "y".repeat(limits::SUMMARY_NOISE_BYTES + 1);
                table.step(Input::Model(ModelEvent::Thinking(flood)))
            }
        };
        assert!(table.out.iter().any(|o| matches!(o, Output::Notice { .. })), "{how}");
        assert_eq!(table.out.contains(&Output::CancelModel), how == 3);
        assert!(!table.asks_for_summary() && table.request().messages.len() == 21, "{how}");
        table.says("done", 1);
        assert_eq!(table.end().outcome, Outcome::Completed);
    }
    let mut table = Table::with(Some(WINDOW), history(12), Carried::default(), TurnLimits::default());
    table.fails(Failure::Other);
    let reason = table.end().reason.clone().unwrap();
    assert!(table.end().outcome == Outcome::Failed && reason.contains("begin a new session"), "{reason}");
}

#[test]
fn a_request_that_the_provider_finds_too_long_is_compacted_once() {
    for window in [None, Some(1_000_000)] {
        let limits = TurnLimits { max_model_calls: 1, ..TurnLimits::default() };
        let mut table = Table::with(window, history(10), Carried::default(), limits);
        assert!(!table.asks_for_summary());
        table.fails(Failure::ContextTooLong);
        assert!(table.asks_for_summary());
        table.says("SHORT", 3);
        assert!(
            !table.asks_for_summary() && table.request().messages.len() < 10,
            "what was refused is no call"
        );
        // Still too long: another summary would not help.
        table.fails(Failure::ContextTooLong);
        let finished = table.end();
        assert!(finished.reason.as_deref().unwrap().contains("as short as it can be made"));
        assert_eq!((finished.outcome, finished.cost), (Outcome::Failed, Some(NanoUsd(3))));
    }
    let mut table = Table::with(None, vec![], Carried::default(), TurnLimits::default());
    table.fails(Failure::ContextTooLong);
    assert_eq!(table.end().outcome, Outcome::Failed, "there is nothing to summarise");
    let mut table = Table::with(None, history(10), Carried::default(), TurnLimits::default());
    table.fails(Failure::ContextTooLong);
    table.fails(Failure::Other);
    assert_eq!(table.end().outcome, Outcome::Failed, "it did not fit before, so it does not now");
}

#[test]
fn a_budget_that_says_no_ends_the_turn_and_costs_nothing() {
    for (failure, outcome) in [
        (Failure::Limit, Outcome::Limit),
        (Failure::Denied, Outcome::Denied),
        (Failure::Credentials, Outcome::Credentials),
    ] {
        for mut table in [Table::full(), Table::with(None, vec![], Carried::default(), TurnLimits::default())]
        {
            table.fails(failure);
            let finished = table.end();
            assert_eq!((finished.outcome, finished.reason.as_deref()), (outcome, Some("no")));
            assert_eq!(finished.cost, Some(NanoUsd(0)), "no model worked");
        }
    }
}

#[test]
fn an_interruption_stops_a_summary_and_changes_nothing() {
    let mut table = Table::full();
    table.step(Input::Model(ModelEvent::Text("half a sum".into())));
    table.step(Input::Interrupt(Interrupt::Cancelled));
    assert_eq!(table.out.first(), Some(&Output::CancelModel));
    assert_eq!(table.end().outcome, Outcome::Cancelled);
    assert_eq!(table.turn.transcript().len(), 21);
}

#[test]
fn a_summary_has_its_size_and_the_latest_request_its_words() {
    let transcript = vec![user("do"), exchange(9_000)[1].clone()];
    let mut table = Table::with(Some(10_000), transcript, Carried::default(), TurnLimits::default());
    assert!(table.asks_for_summary());
    table.says(&"é".repeat(limits::SUMMARY_BYTES), 1);
    assert!(table.compacted().summary.len() < 10_000 && table.compacted().summary.contains("cut off here"));

    // One exchange so large that its request goes too.
    let mut table = Table::with(Some(10_000), vec![], Carried::default(), TurnLimits::default());
    let call = ToolCall { id: "c".into(), name: "read".into(), arguments: "{}".into() };
    table.step(Input::Model(ModelEvent::ToolCall(call)));
    table.step(Input::Model(ModelEvent::Stop(StopReason::ToolUse)));
    let (call_id, text) = ("c".to_owned(), "r".repeat(60_000));
    table.step(Input::ToolFinished { call_id, status: ToolStatus::Ok, text });
    assert!(table.asks_for_summary());
    table.says("SUM", 1);
    assert_eq!(table.compacted().kept, 0);
    assert!(table.compacted().summary.ends_with("word for word:\n\nand now this"));
}

#[test]
fn a_turn_of_thousands_of_calls_stays_within_its_window() {
    const SMALL: u64 = 20_000;
    let limits = TurnLimits { max_model_calls: u32::MAX, ..TurnLimits::default() };
    let mut table = Table::with(Some(SMALL), vec![], Carried::default(), limits);
    let (mut compactions, mut asked) = (0, 0);
    while asked < 5_000 {
        if table.asks_for_summary() {
            compactions += 1;
            table.says("what was done", 10);
            continue;
        }
        asked += 1;
        let size = |m: &Message| match m {
            Message::User { text } | Message::ToolResult { text, .. } => text.len(),
            Message::Assistant { text, .. } => text.len(),
        };
        let bytes: usize = table.request().messages.iter().map(size).sum();
        assert!(bytes as u64 / 3 <= SMALL, "{bytes} bytes at call {asked}");
        let call = ToolCall { id: String::new(), name: "read".into(), arguments: "{}".into() };
        table.step(Input::Model(ModelEvent::ToolCall(call)));
        table.step(Input::Model(ModelEvent::Stop(StopReason::ToolUse)));
        let Some(Output::CallTool { call, .. }) = table.out.last() else { panic!("{:?}", table.out) };
        let (call_id, text) = (call.id.clone(), "r".repeat(1_500));
        table.step(Input::ToolFinished { call_id, status: ToolStatus::Ok, text });
    }
    assert!((50..1_000).contains(&compactions), "{compactions}");
}
