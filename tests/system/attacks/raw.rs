//! Requests made by hand, and what comes back.

use clankers_protocol::{
    Message, PromptId,
    conversation::ToolStatus,
    event::{Event, Outcome, SettledEvent, StreamItem},
    message::Ext,
    refusal::RefusalCode,
    request::prompt::{Accepted, Prompt, PromptLimits, SessionChoice, When},
};
use clankers_tests::{
    forge,
    hostile::{Answer, Guest, Talk},
};

/// A prompt in a new session, with an id of its own.
pub(crate) fn prompt(text: &str) -> Prompt {
    Prompt {
        leaf: None,
        prompt_id: PromptId::from_random(forge::random()),
        session: SessionChoice::New { cwd: None },
        text: text.to_owned(),
        model: None,
        when: When::Queue,
        limits: PromptLimits::default(),
        cancel_on_close: false,
        ext: Ext::default(),
    }
}

/// A prompt that was taken, and all that was heard of it.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) accepted: Accepted,
    pub(crate) items: Vec<StreamItem>,
}

impl Taken {
    pub(crate) fn settled(&self) -> &SettledEvent {
        match self.items.last() {
            Some(StreamItem::Durable(durable)) => match &durable.event {
                Event::Settled(settled) => settled,
                other => panic!("the last event is {other:?}"),
            },
            other => panic!("the last item is {other:?}"),
        }
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.settled().outcome
    }

    /// Every durable event's seq.
    pub(crate) fn seqs(&self) -> Vec<u64> {
        let seq = |item: &StreamItem| match item {
            StreamItem::Durable(durable) => Some(durable.seq),
            StreamItem::Live(..) => None,
        };
        self.items.iter().filter_map(seq).collect()
    }

    /// How each tool call ended, and its text.
    pub(crate) fn results(&self) -> Vec<(ToolStatus, &str)> {
        let result = |item: &'_ StreamItem| matches!(item, StreamItem::Durable(d) if matches!(d.event, Event::ToolResult(_)));
        self.items
            .iter()
            .filter(|item| result(item))
            .filter_map(|item| match item {
                StreamItem::Durable(durable) => match &durable.event {
                    Event::ToolResult(result) => Some((result.status, result.text.as_str())),
                    _ => None,
                },
                StreamItem::Live(..) => None,
            })
            .collect()
    }
}

/// Reads a prompt's answers to their end.
pub(crate) async fn follow(talk: &mut Talk) -> Result<Taken, RefusalCode> {
    let accepted = match talk.answer().await {
        Answer::Refused(refusal) => return Err(refusal.code()),
        first => first.message::<Accepted>(),
    };
    let mut items = Vec::new();
    loop {
        match talk.answer().await {
            Answer::Frame(frame) => {
                items.extend(StreamItem::decode(frame.kind, &frame.body).expect("a well-formed item"));
            }
            Answer::Ended => return Ok(Taken { accepted, items }),
            other => panic!("in the middle of a prompt's events: {other:?}"),
        }
    }
}

/// Sends a prompt and waits for its end.
pub(crate) async fn send(guest: &Guest, prompt: &Prompt) -> Result<Taken, RefusalCode> {
    follow(&mut guest.say(prompt).await).await
}

/// Prompts in a new session, and waits for the end.
pub(crate) async fn run(guest: &Guest, text: &str) -> Result<Taken, RefusalCode> {
    send(guest, &prompt(text)).await
}

/// Asks, and expects a refusal.
pub(crate) async fn refused<M: Message>(guest: &Guest, message: &M) -> RefusalCode {
    guest.ask(message).await.refused()
}
