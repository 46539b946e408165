//! What a log promises, and what damage may do to it.

mod damage;
mod writing;

use clankers_protocol::{
    NodeId, PromptId, SessionId, Timestamp,
    conversation::{StopReason, Usage},
    event::{Durable, Event, MessageEvent, Outcome, PromptEvent, SettledEvent},
};

use super::*;
use crate::Home;

pub(super) const ME: NodeId = NodeId([7; 32]);
pub(super) const ALL: Page = Page { events: usize::MAX, bytes: usize::MAX };

pub(super) fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

pub(super) fn new() -> NewSession {
    NewSession { id: None, principal: ME, cwd: "/work".into(), model: "scripted/a".into(), title: None }
}

pub(super) fn create(home: &Home) -> SessionLog {
    SessionLog::create(home, &new(), Timestamp(1000)).unwrap()
}

pub(super) fn open(home: &Home, id: SessionId) -> Result<SessionLog, LogError> {
    SessionLog::open(home, id, Timestamp(2000))
}

pub(super) fn prompt(id: &str, text: &str) -> Event {
    let prompt_id: PromptId = id.parse().unwrap();
    Event::Prompt(PromptEvent {
        prompt_id,
        principal: ME,
        leaf: None,
        text: text.into(),
        model: "scripted/b".into(),
    })
}

pub(super) fn message(text: &str) -> Event {
    Event::Message(MessageEvent {
        item: "m1".into(),
        thinking: Vec::new(),
        text: text.into(),
        stop: StopReason::EndTurn,
    })
}

pub(super) fn settled(id: &str, prompt_seq: u64) -> Event {
    Event::Settled(SettledEvent {
        prompt_id: id.parse().unwrap(),
        prompt_seq,
        outcome: Outcome::Completed,
        reason: None,
        usage: Usage::default(),
        cost: None,
    })
}

pub(super) fn all(log: &LogReader) -> Vec<Durable> {
    log.read(0, ALL).unwrap()
}
