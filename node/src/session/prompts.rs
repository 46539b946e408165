//! Which event belongs to which prompt.
//!
//! Prompts run one after the other, so the events between a prompt's start and its end are its own, but for
//! what others say meanwhile: prompts that are queued, and queued ones that are cancelled.

use std::collections::VecDeque;

use clankers_protocol::{
    NodeId, PromptId,
    event::{Durable, Event},
};

/// One prompt of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PromptEntry {
    pub(crate) principal: NodeId,
    pub(crate) prompt_id: PromptId,
    /// Seq of its own event.
    pub(crate) seq: u64,
    /// Seq of the first event of its run.
    pub(crate) started: Option<u64>,
    /// Seq of its settled event.
    pub(crate) settled: Option<u64>,
}

/// All prompts of a session, in order.
#[derive(Debug, Default)]
pub(crate) struct Prompts {
    entries: Vec<PromptEntry>,
    /// Places in `entries` of those that wait to run, while a log is read.
    waiting: VecDeque<usize>,
    /// Words that a running prompt heard: whose, their id, that prompt's seq, their own seq.
    steered: Vec<(NodeId, PromptId, u64, u64)>,
}

impl Prompts {
    /// Takes in an event of the log, in order.
    pub(crate) fn replay(&mut self, durable: &Durable) {
        match &durable.event {
            Event::Prompt(e) => {
                self.waiting.push_back(self.entries.len());
                self.accept(e.principal, e.prompt_id.clone(), durable.seq);
            }
            Event::Settled(e) => {
                let entries = &self.entries;
                self.waiting.retain(|at| entries.get(*at).is_some_and(|entry| entry.seq != e.prompt_seq));
                self.settle(e.prompt_seq, durable.seq);
            }
            event => {
                let running = self.waiting.front().and_then(|at| self.entries.get_mut(*at));
                let Some(entry) = running else { return };
                entry.started.get_or_insert(durable.seq);
                let prompt_seq = entry.seq;
                if let Event::Steered(e) = event {
                    self.steered(e.principal, e.prompt_id.clone(), prompt_seq, durable.seq);
                }
            }
        }
    }

    /// A prompt was written down at `seq`.
    pub(crate) fn accept(&mut self, principal: NodeId, prompt_id: PromptId, seq: u64) {
        self.entries.push(PromptEntry { principal, prompt_id, seq, started: None, settled: None });
    }

    /// The prompt at `prompt_seq` heard words; that is at `seq`.
    pub(crate) fn steered(&mut self, principal: NodeId, prompt_id: PromptId, prompt_seq: u64, seq: u64) {
        self.steered.push((principal, prompt_id, prompt_seq, seq));
    }

    /// The words that this principal sent with this id, when a running prompt heard them: its seq and theirs.
    pub(crate) fn find_steered(&self, principal: NodeId, prompt_id: &PromptId) -> Option<(u64, u64)> {
        let words = self.steered.iter().rev().find(|(who, id, ..)| *who == principal && id == prompt_id);
        words.map(|(_, _, prompt_seq, seq)| (*prompt_seq, *seq))
    }

    /// A prompt runs: its next event is `first`.
    pub(crate) fn start(&mut self, seq: u64, first: u64) {
        if let Some(entry) = self.by_seq_mut(seq) {
            entry.started = Some(first);
        }
    }

    /// A prompt ended at `at`.
    pub(crate) fn settle(&mut self, seq: u64, at: u64) {
        if let Some(entry) = self.by_seq_mut(seq) {
            entry.settled = Some(at);
            entry.started.get_or_insert(at);
        }
    }

    fn by_seq_mut(&mut self, seq: u64) -> Option<&mut PromptEntry> {
        self.entries.iter_mut().rev().find(|entry| entry.seq == seq)
    }

    /// The prompt whose own event is at `seq`.
    pub(crate) fn by_seq(&self, seq: u64) -> Option<&PromptEntry> {
        self.entries.iter().rev().find(|entry| entry.seq == seq)
    }

    /// The prompt that this principal sent with this id.
    pub(crate) fn find(&self, principal: NodeId, prompt_id: &PromptId) -> Option<&PromptEntry> {
        self.entries.iter().rev().find(|entry| entry.principal == principal && entry.prompt_id == *prompt_id)
    }

    /// Those that never ended.
    pub(crate) fn unsettled(&self) -> impl Iterator<Item = &PromptEntry> {
        self.entries.iter().filter(|entry| entry.settled.is_none())
    }
}

impl PromptEntry {
    /// Whether a durable event is part of this prompt's stream.
    pub(crate) fn owns(&self, durable: &Durable) -> bool {
        match &durable.event {
            Event::Prompt(_) => false,
            Event::Settled(e) => e.prompt_seq == self.seq,
            _ => {
                self.started.is_some_and(|first| durable.seq >= first)
                    && self.settled.is_none_or(|last| durable.seq <= last)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clankers_protocol::{
        Timestamp,
        conversation::Usage,
        event::{Outcome, PromptEvent, SettledEvent, UsageEvent},
    };

    use super::*;

    fn id(text: &str) -> PromptId {
        text.parse().unwrap()
    }

    fn log(events: &[(&str, &str)]) -> Vec<Durable> {
        let event = |what: &str, who: &str| match what {
            "prompt" => Event::Prompt(PromptEvent {
                prompt_id: id(who),
                principal: NodeId([1; 32]),
                leaf: None,
                text: String::new(),
                model: String::new(),
            }),
            "settled" => Event::Settled(SettledEvent {
                prompt_id: id(who),
                prompt_seq: 1 + events.iter().position(|e| *e == ("prompt", who)).unwrap() as u64,
                outcome: Outcome::Completed,
                reason: None,
                usage: Usage::default(),
                cost: None,
            }),
            _ => Event::Usage(UsageEvent { model: who.into(), usage: Usage::default(), cost: None }),
        };
        (1..)
            .zip(events)
            .map(|(seq, (what, who))| Durable { seq, at: Timestamp(0), event: event(what, who) })
            .collect()
    }

    fn owned(events: &[(&str, &str)], who: &str) -> Vec<u64> {
        let log = log(events);
        let mut prompts = Prompts::default();
        log.iter().for_each(|d| prompts.replay(d));
        let entry = prompts.find(NodeId([1; 32]), &id(who)).unwrap();
        log.iter().filter(|d| entry.owns(d)).map(|d| d.seq).collect()
    }

    #[test]
    fn queued_prompts_do_not_mix() {
        let events = [
            ("prompt", "a"),
            ("usage", "a"),
            ("prompt", "b"),
            ("prompt", "c"),
            ("usage", "a"),
            ("settled", "c"),
            ("settled", "a"),
            ("usage", "b"),
            ("settled", "b"),
        ];
        assert_eq!(owned(&events, "a"), [2, 5, 7]);
        assert_eq!(owned(&events, "b"), [8, 9]);
        assert_eq!(owned(&events, "c"), [6]);
    }

    #[test]
    fn words_that_were_heard_are_found_with_the_prompt_that_heard_them() {
        let (who, other) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut prompts = Prompts::default();
        for durable in log(&[("prompt", "a"), ("prompt", "b"), ("settled", "a")]) {
            prompts.replay(&durable);
        }
        let event = Event::Steered(clankers_protocol::event::SteerEvent {
            prompt_id: id("words"),
            principal: who,
            leaf: None,
            text: "left".into(),
        });
        prompts.replay(&Durable { seq: 4, at: Timestamp(0), event });
        assert_eq!(prompts.find_steered(who, &id("words")), Some((2, 4)));
        assert_eq!(prompts.find_steered(other, &id("words")), None, "an id is its principal's");
        assert_eq!(prompts.find(who, &id("words")), None, "words are no prompt");
        assert_eq!(prompts.by_seq(2).unwrap().started, Some(4));
    }

    #[test]
    fn what_never_ended_is_found() {
        let mut prompts = Prompts::default();
        for durable in log(&[("prompt", "a"), ("usage", "a"), ("prompt", "b")]) {
            prompts.replay(&durable);
        }
        assert_eq!(prompts.unsettled().map(|e| e.seq).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(prompts.by_seq(3).unwrap().started, None);
    }
}
