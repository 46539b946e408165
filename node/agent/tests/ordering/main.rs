//! Whatever model, tools and people do, in whatever order: the promises of a turn hold.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // these are tests

mod hall;
mod play;

use std::collections::BTreeSet;

use clankers_agent::{TurnLimits, rebuild};
use clankers_protocol::{
    PromptId,
    conversation::{StopReason, ToolStatus, Usage},
    event::{
        CompactedEvent, Event, MessageEvent, Outcome, SettledEvent, SteerEvent, ToolCallEvent,
        ToolResultEvent,
    },
};
use proptest::prelude::*;

use crate::{
    hall::check_transcript,
    play::{Rules, end, play, prompt_event, prompts, rules, window},
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8000))]

    #[test]
    fn the_promises_hold(prompts in prompts(100), rules in rules()) {
        let (mut turn, mut hall) = play(prompts, rules);
        end(&mut turn, &mut hall, 1_000_000);
        check_transcript(turn.transcript());
        let finished = hall.finished.expect("a turn that was interrupted has finished");
        prop_assert!(!hall.events.iter().any(|e| matches!(e, Event::ToolResult(r) if r.text == "bogus")));
        let last = hall.events.iter().rposition(|e| matches!(e, Event::Prompt(_))).unwrap();
        let used = hall.events[last..].iter().fold(Usage::default(), |sum, event| {
            if let Event::Usage(usage) = event { sum.plus(usage.usage) } else { sum }
        });
        prop_assert_eq!(used, finished.usage);
    }

    #[test]
    fn the_log_tells_the_same_story_wherever_a_crash_cuts_it(prompts in prompts(60), window in window()) {
        let (turn, hall) = play(prompts, Rules { limits: TurnLimits::default(), price: None, window });
        let rebuilt = rebuild(&hall.events);
        prop_assert_eq!(&rebuilt.messages, &hall.as_after_a_crash(&turn));
        prop_assert!(rebuilt.running.is_some() && rebuilt.queued.is_empty());
        if turn.is_finished() {
            prop_assert_eq!(&rebuilt.lost, &[]);
        }
        // A summary that failed has a usage that says nothing of the transcript: the log cannot tell it apart.
        if !hall.failed_summary {
            prop_assert_eq!(&rebuilt.carried, turn.carried());
        }
    }

    #[test]
    fn after_a_crash_between_any_two_events_every_call_is_answered(
        prompts in prompts(60),
        window in window(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, mut hall) = play(prompts, Rules { limits: TurnLimits::default(), price: None, window });
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
        log in prop::collection::vec((0..9_u8, 0..4_u8, 0..4_u8), 0..40),
    ) {
        let mut messages = BTreeSet::new();
        let events = log.into_iter().filter_map(|(kind, a, b)| chaos(kind, a, b, &mut messages));
        check_transcript(&rebuild(&events.collect::<Vec<_>>()).messages);
    }
}

/// The tests above are worth nothing if nothing happens in them.
#[test]
fn the_dice_reach_every_corner() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let (mut outcomes, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut note = |what: &'static str, there: bool| there.then(|| seen.insert(what));
    for _ in 0..1500 {
        let prompts = prompts(100).new_tree(&mut runner).unwrap().current();
        let rules = rules().new_tree(&mut runner).unwrap().current();
        let (turn, hall) = play(prompts, rules);
        note("compaction", hall.compactions > 0);
        note("second compaction", hall.compactions > 1);
        note("failed compaction", hall.failed_summary);
        note("measured", turn.carried().measured.is_some());
        note("steered", hall.steers_heard > 0);
        note("unheard", hall.finished.as_ref().is_some_and(|end| !end.unheard.is_empty()));
        note("parallel", hall.most_running > 2);
        note("crash while summarising", hall.summarising);
        outcomes.extend(hall.finished.map(|end| format!("{:?}", end.outcome)));
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
}

/// Any event, also ones that fit nothing.
fn chaos(kind: u8, a: u8, b: u8, messages: &mut BTreeSet<u8>) -> Option<Event> {
    let id: PromptId = format!("{a}").parse().unwrap();
    Some(match kind {
        0 => Event::Prompt(prompt_event(id.as_str(), if b > 1 { "scripted" } else { "other" })),
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
        5 => {
            let prompt = prompt_event(id.as_str(), "");
            let (prompt_id, principal, leaf) = (prompt.prompt_id, prompt.principal, None);
            Event::Steered(SteerEvent { prompt_id, principal, leaf, text: prompt.text })
        }
        6 | 7 => Event::Compacted(CompactedEvent {
            summary: String::new(),
            kept: u32::from(a),
            tokens_before: 0,
            tokens_after: 0,
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
