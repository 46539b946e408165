//! The tool calls of one message, until each has its result.

use clankers_protocol::{
    conversation::{Message, ToolCall, ToolStatus},
    event::{Event, ToolResultEvent},
    text,
};

use super::Output;
use crate::limits::{PARALLEL, RESULT_BYTES};

#[derive(Debug)]
enum State {
    Waiting,
    Running,
    Done { status: ToolStatus, text: String },
}

#[derive(Debug)]
struct Slot {
    call: ToolCall,
    read_only: bool,
    state: State,
}

#[derive(Debug, Default)]
pub(super) struct Work {
    slots: Vec<Slot>,
}

impl Work {
    pub(super) fn add(&mut self, call: ToolCall, read_only: bool) {
        self.slots.push(Slot { call, read_only, state: State::Waiting });
    }

    /// Starts what may run now: a read-only call beside other read-only calls, any other when all before it ended.
    pub(super) fn start(&mut self, out: &mut Vec<Output>) {
        let mut running = 0;
        for slot in &mut self.slots {
            match (&slot.state, slot.read_only) {
                (State::Done { .. }, _) => {}
                (State::Running, true) => running += 1,
                (State::Running, false) => return,
                (State::Waiting, true) if running < PARALLEL => {
                    slot.state = State::Running;
                    running += 1;
                    out.push(Output::CallTool { call: slot.call.clone(), read_only: true });
                }
                (State::Waiting, false) if running == 0 => {
                    slot.state = State::Running;
                    out.push(Output::CallTool { call: slot.call.clone(), read_only: false });
                    return;
                }
                (State::Waiting, _) => return,
            }
        }
    }

    /// Takes the result of a running call; anything else (late, twice, never asked for) is ignored.
    pub(super) fn finish(&mut self, call_id: &str, status: ToolStatus, said: String, out: &mut Vec<Output>) {
        let slot = self.slots.iter_mut().find(|slot| slot.call.id == call_id);
        if let Some(slot) = slot.filter(|slot| matches!(slot.state, State::Running)) {
            slot.close(status, said, out);
        }
    }

    pub(super) fn is_done(&self) -> bool {
        self.slots.iter().all(|slot| matches!(slot.state, State::Done { .. }))
    }

    pub(super) fn has_running(&self) -> bool {
        self.slots.iter().any(|slot| matches!(slot.state, State::Running))
    }

    /// Answers every call that has no result yet, without running it or waiting for it.
    pub(super) fn close_all(&mut self, status: ToolStatus, why: &str, out: &mut Vec<Output>) {
        for slot in &mut self.slots {
            let said = match slot.state {
                State::Done { .. } => continue,
                State::Waiting => format!("Not run: {why}."),
                State::Running => format!("Interrupted: {why}. What it had done by then stays done."),
            };
            slot.close(status, said, out);
        }
    }

    /// The results in the order of the calls.
    pub(super) fn into_results(self) -> impl Iterator<Item = Message> {
        self.slots.into_iter().map(|slot| {
            let (status, text) = match slot.state {
                State::Done { status, text } => (status, text),
                State::Waiting | State::Running => (ToolStatus::Interrupted, String::new()),
            };
            Message::ToolResult { call_id: slot.call.id, name: slot.call.name, status, text }
        })
    }
}

impl Slot {
    fn close(&mut self, status: ToolStatus, said: String, out: &mut Vec<Output>) {
        let text = if said.len() > RESULT_BYTES {
            format!("{}\n[cut: {} bytes in all]", text::head(&said, RESULT_BYTES), said.len())
        } else {
            said
        };
        out.push(Output::Durable(Event::ToolResult(ToolResultEvent {
            item: self.call.id.clone(),
            name: self.call.name.clone(),
            status,
            text: text.clone(),
        })));
        self.state = State::Done { status, text };
    }
}
