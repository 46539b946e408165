//! The words of a viewer's machine: what happens to it, what it wants done, what it shows.

use super::{FromNode, FromViewer};
use crate::{
    PromptId, Timestamp,
    event::StreamItem,
    refusal::Refusal,
    request::attach::{
        Attached, From, Gap, InputDone, InputRefused, InputTaken, Pending, Presence, Resolved, State,
    },
};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Begin.
    Start,
    /// A frame came on the stream of this try; the first one is `Attached` or a refusal.
    Frame(u64, FromNode),
    /// This try came to nothing, or its stream broke.
    Lost(u64),
    /// The viewer says something.
    Say(FromViewer),
    /// This machine has another address now: what is under way from the old one may never arrive.
    Moved,
    /// It is time.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Reach the node and attach from here, as this try.
    Dial(u64, From),
    /// Want no more of this try and its stream.
    Drop(u64),
    /// Send this on the stream of this try.
    Send(u64, FromViewer),
    /// Show this to whoever looks.
    Show(Box<Shown>),
    /// Call again with [`Step::Tick`] at this time, if nothing comes before.
    WakeAt(Timestamp),
    /// It is over.
    Over(End),
}

/// What a viewer gets to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// A stream begins; `true`: it continues an earlier one.
    Attached(Box<Attached>, bool),
    /// An event or a delta, each once.
    Item(StreamItem),
    /// Events are missing.
    Gap(Gap),
    /// Somebody came or went.
    Presence(Presence),
    /// An approval came up.
    Pending(Pending),
    /// An approval is over.
    Resolved(Resolved),
    /// How it is now; pieces were missed.
    State(Box<State>),
    /// An input was taken.
    Taken(InputTaken),
    /// A cancellation or an answer was carried out.
    Done(InputDone),
    /// An input was refused.
    Refused(Box<InputRefused>),
    /// The node does not answer now: this is kept, and sent when it does.
    Kept(PromptId),
    /// Not sent and not kept: too much waits already, or it makes no sense later.
    NotSent(PromptId),
    /// Nothing was heard of the node for a while.
    Stale,
    /// It is heard again.
    Back,
    /// The connection is lost; others are tried.
    Lost,
}

/// Why it is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The viewer left.
    Detached,
    /// The node refuses, or ended it.
    Refused(Box<Refusal>),
    /// The node was not reached: never, or for [`REDIAL_LIMIT_MS`](crate::limits::REDIAL_LIMIT_MS).
    Unreachable,
}
