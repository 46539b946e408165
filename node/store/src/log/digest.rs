//! What a log says in short: for listings, and for "a prompt runs once".

use clankers_protocol::{
    NodeId, PromptId, Timestamp,
    event::{Durable, Event},
    text,
};

use super::RawEvent;
use crate::limits;

/// A prompt in a session's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptMark {
    /// On whose authority.
    pub principal: NodeId,
    /// The client's id for it.
    pub prompt_id: PromptId,
    /// Where it stands.
    pub seq: u64,
    /// Where it was settled; `None`: it runs, or was interrupted by a crash.
    pub settled: Option<u64>,
}

/// What a log says in short. Show it every event, in order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Its prompts, in order.
    pub prompts: Vec<PromptMark>,
    /// The beginning of the first prompt, safe to show.
    pub title: Option<String>,
    /// The model of the last prompt.
    pub model: Option<String>,
    /// When the last event was appended.
    pub last_at: Option<Timestamp>,
}

impl Digest {
    /// Takes one event in.
    pub fn see(&mut self, durable: &Durable) {
        self.last_at = Some(durable.at);
        match &durable.event {
            Event::Prompt(e) => {
                let mark = PromptMark {
                    principal: e.principal,
                    prompt_id: e.prompt_id.clone(),
                    seq: durable.seq,
                    settled: None,
                };
                self.prompts.push(mark);
                self.title.get_or_insert_with(|| title(&e.text));
                self.model = Some(e.model.clone());
            }
            Event::Settled(e) => {
                // By seq: two principals may choose the same id.
                let open = self.prompts.iter_mut().find(|p| p.seq == e.prompt_seq);
                if let Some(open) = open {
                    open.settled = Some(durable.seq);
                }
            }
            _ => {}
        }
    }

    /// The same for an event that is still text; `false` when it cannot be read.
    pub(crate) fn see_raw(&mut self, raw: RawEvent<'_>) -> bool {
        self.last_at = Some(raw.at);
        if !raw.is("prompt") && !raw.is("settled") {
            return true;
        }
        raw.parse().map(|durable| self.see(&durable)).is_some()
    }

    /// Prompts that were accepted and never settled, in order.
    pub fn unsettled(&self) -> impl Iterator<Item = &PromptMark> {
        self.prompts.iter().filter(|p| p.settled.is_none())
    }
}

/// A title from a prompt's text: its first line that says something.
fn title(prompt: &str) -> String {
    let first = prompt.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    text::line(first, limits::TITLE_CHARS)
}
