//! What models, tools and people may do, and a session in which they do it.

use clankers_agent::{Carried, Failure, Input, Interrupt, Turn, TurnConfig, TurnLimits};
use clankers_protocol::{
    NanoUsd, NodeId, Timestamp,
    conversation::{Message, ModelEvent, Price, StopReason, ToolCall, ToolSpec, ToolStatus, Usage},
    event::{Event, PromptEvent, SettledEvent, SteerEvent},
};
use proptest::prelude::*;

use crate::hall::Hall;

#[derive(Debug, Clone)]
pub(crate) enum Act {
    Model(ModelEvent),
    Fail(Failure),
    /// The k-th running tool ends, with so many bytes.
    End(usize, ToolStatus, usize),
    /// A result for a call that may not run, or not exist.
    Bogus(String),
    Steer,
    Start,
    Tick(u64),
    Interrupt(Interrupt),
}

pub(crate) fn act() -> impl Strategy<Value = Act> {
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
        StopReason::Pause,
    ]);
    let why = prop::sample::select(vec![Interrupt::Cancelled, Interrupt::TimedOut, Interrupt::Shutdown]);
    let failure = prop::sample::select(vec![
        Failure::Other,
        Failure::Credentials,
        Failure::Limit,
        Failure::Denied,
        Failure::ContextTooLong,
        Failure::ContextTooLong,
        Failure::ContextTooLong,
    ]);
    let status = prop::sample::select(vec![ToolStatus::Ok, ToolStatus::Error, ToolStatus::Denied]);
    let usage = (0..700_u64, 0..9_u64)
        .prop_map(|(input, output)| Usage { input, output, ..Usage::default() })
        .prop_map(|usage| Act::Model(ModelEvent::Usage(usage)));
    prop_oneof![
        6 => "[a-zé]{0,5}".prop_map(|text| Act::Model(ModelEvent::Text(text))),
        1 => (0..900_usize).prop_map(|n| Act::Model(ModelEvent::Text("x".repeat(n)))),
        3 => "[a-zé]{0,5}".prop_map(|text| Act::Model(ModelEvent::Thinking(text))),
        1 => Just(Act::Model(ModelEvent::ThinkingSignature("s".into()))),
        12 => call.prop_map(Act::Model),
        2 => usage,
        6 => stop.prop_map(|stop| Act::Model(ModelEvent::Stop(stop))),
        12 => (any::<usize>(), status, 0..500_usize).prop_map(|(k, status, size)| Act::End(k, status, size)),
        2 => id.prop_map(|id| Act::Bogus(id.to_owned())),
        2 => Just(Act::Steer),
        1 => Just(Act::Start),
        1 => (0..20_u64).prop_map(Act::Tick),
        1 => why.prop_map(Act::Interrupt),
        1 => failure.prop_map(Act::Fail),
    ]
}

/// How one prompt of a session goes.
#[derive(Debug, Clone)]
pub(crate) struct Prompt {
    pub(crate) model: &'static str,
    pub(crate) acts: Vec<Act>,
}

/// Settings of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) limits: TurnLimits,
    pub(crate) price: Option<Price>,
    pub(crate) window: Option<u64>,
}

pub(crate) fn prompts(most: usize) -> impl Strategy<Value = Vec<Prompt>> {
    let model = prop::sample::select(vec!["scripted", "scripted", "other"]);
    let prompt =
        (model, prop::collection::vec(act(), 0..most)).prop_map(|(model, acts)| Prompt { model, acts });
    prop::collection::vec(prompt, 1..4)
}

pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let cost = prop::option::weighted(0.2, 5..60_u64);
    let deadline = prop::option::of(10..200_u64);
    let price = prop::option::of(Just(Price { input: 1, output: 2, cache_read: 1, cache_write: 1 }));
    (1..30_u32, cost, deadline, price, window()).prop_map(|(calls, cost, deadline, price, window)| Rules {
        limits: TurnLimits {
            max_model_calls: calls,
            max_cost: cost.map(NanoUsd),
            deadline: deadline.map(Timestamp),
        },
        price,
        window,
    })
}

pub(crate) fn window() -> impl Strategy<Value = Option<u64>> {
    prop::option::weighted(0.7, 200..1_000_u64)
}

fn config(
    number: usize,
    model: &str,
    rules: Rules,
    transcript: Vec<Message>,
    carried: Carried,
) -> TurnConfig {
    let tool = |name: &str, read_only| ToolSpec {
        name: name.to_owned(),
        description: String::new(),
        parameters: "{}".to_owned(),
        read_only,
    };
    TurnConfig {
        prefix: format!("p{number}"),
        model: model.to_owned(),
        price: rules.price,
        long_price: None,
        system: String::new(),
        tools: vec![tool("read", true), tool("grep", true), tool("write", false)],
        limits: rules.limits,
        window: rules.window,
        transcript,
        carried,
    }
}

pub(crate) fn prompt_event(id: &str, model: &str) -> PromptEvent {
    PromptEvent {
        prompt_id: id.parse().unwrap(),
        principal: NodeId([1; 32]),
        leaf: None,
        text: "go".to_owned(),
        model: model.to_owned(),
    }
}

fn step(turn: &mut Turn, hall: &mut Hall, now: u64, input: Input) {
    // The hall's own view moves first: what ended has ended before the machine hears of it.
    match &input {
        Input::Model(ModelEvent::Stop(_)) | Input::ModelFailed { .. } => hall.asking = false,
        Input::ToolFinished { call_id, .. } => drop(hall.running.remove(call_id)),
        Input::Steer(_) => hall.steers_given += 1,
        _ => {}
    }
    let (compactions, summarising) = (hall.compactions, hall.summarising && !hall.asking);
    let mut out = Vec::new();
    turn.handle(Timestamp(now), input, &mut out);
    if summarising && !out.iter().any(|o| matches!(o, clankers_agent::Output::Durable(Event::Compacted(_)))) {
        hall.end_summary();
    }
    if summarising {
        hall.summarising = false;
    }
    out.into_iter().for_each(|output| hall.take(output));
    assert!(hall.compactions <= compactions + 1);
    assert_eq!(turn.is_finished(), hall.finished.is_some());
}

fn input(act: Act, hall: &Hall, now: &mut u64) -> Option<Input> {
    Some(match act {
        Act::Model(event) => Input::Model(event),
        Act::Fail(failure) => Input::ModelFailed { failure, message: "no".to_owned() },
        Act::End(k, status, size) => {
            let call_id = hall.running.keys().nth(k % hall.running.len().max(1)).cloned()?;
            Input::ToolFinished { call_id, status, text: "r".repeat(size) }
        }
        Act::Bogus(call_id) if hall.running.contains_key(&call_id) => return None,
        Act::Bogus(call_id) => {
            Input::ToolFinished { call_id, status: ToolStatus::Ok, text: "bogus".to_owned() }
        }
        // A steer to a turn that has ended is not the turn's to answer.
        Act::Steer if hall.finished.is_some() => return None,
        Act::Steer => Input::Steer(SteerEvent {
            prompt_id: "w".parse().unwrap(),
            principal: NodeId([2; 32]),
            leaf: None,
            text: "and".to_owned(),
        }),
        Act::Start => Input::Start { prompt: "again".to_owned() },
        Act::Tick(later) => {
            *now += later;
            Input::Tick
        }
        Act::Interrupt(why) => Input::Interrupt(why),
    })
}

/// Plays the prompts one after the other. The last one is left as it is when the acts end.
pub(crate) fn play(prompts: Vec<Prompt>, rules: Rules) -> (Turn, Hall) {
    let (mut hall, mut now) = (Hall::default(), 0);
    let (mut transcript, mut carried) = (Vec::new(), Carried::default());
    let count = prompts.len();
    for (number, Prompt { model, acts }) in prompts.into_iter().enumerate() {
        let id = format!("prompt-{number}");
        hall.events.push(Event::Prompt(prompt_event(&id, model)));
        hall.next_prompt();
        let mut turn = Turn::new(config(number + 1, model, rules, transcript, carried));
        step(&mut turn, &mut hall, now, Input::Start { prompt: "go".to_owned() });
        for act in acts {
            if let Some(input) = input(act, &hall, &mut now) {
                step(&mut turn, &mut hall, now, input);
            }
        }
        if number + 1 == count {
            return (turn, hall);
        }
        end(&mut turn, &mut hall, now);
        hall.events.push(Event::Settled(settled(&id, &hall)));
        carried = turn.carried().clone();
        transcript = turn.into_transcript();
    }
    unreachable!("there is at least one prompt")
}

/// Whatever the turn does, it is to end.
pub(crate) fn end(turn: &mut Turn, hall: &mut Hall, now: u64) {
    step(turn, hall, now, Input::Interrupt(Interrupt::Shutdown));
}

fn settled(id: &str, hall: &Hall) -> SettledEvent {
    let finished = hall.finished.clone().expect("it has ended");
    SettledEvent {
        prompt_id: id.parse().unwrap(),
        prompt_seq: 1,
        outcome: finished.outcome,
        reason: finished.reason,
        usage: finished.usage,
        cost: finished.cost,
    }
}
