//! The viewer's side of an attached session.
//!
//! - [`cursor`]: what was seen, so that every durable event is shown once and in order, and no delta twice
//! - [`follower`]: the machine around it: resume after a loss, liveness, inputs that wait for the node
//! - [`steps`]: its words
//! - [`FromNode`] and [`FromViewer`]: what travels each way after `ATTACH`

pub mod cursor;
pub mod follower;
pub mod steps;

pub use cursor::{Cursor, Hole};
pub use follower::Follower;
pub use steps::{End, Output, Shown, Step};

use crate::{
    PromptId,
    event::StreamItem,
    kind::Kind,
    message::{Message, MessageError},
    refusal::Refusal,
    request::attach::{
        Answer, AttachCancel, Attached, Beat, Detach, Detached, Gap, Input, InputDone, InputRefused,
        InputTaken, Pending, Presence, Resolved, State, Unattended,
    },
};

/// A frame that a node sends on an attach stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromNode {
    /// The first one.
    Attached(Box<Attached>),
    /// An event or a delta.
    Item(StreamItem),
    /// Events are missing.
    Gap(Gap),
    /// Somebody came or went.
    Presence(Presence),
    /// An approval came up.
    Pending(Pending),
    /// An approval is over.
    Resolved(Resolved),
    /// The viewer fell behind: this is how it is now.
    State(Box<State>),
    /// Nothing new.
    Beat(Beat),
    /// An input was taken.
    Taken(InputTaken),
    /// A cancellation or an answer was carried out.
    Done(InputDone),
    /// One of those was refused.
    Refused(Box<InputRefused>),
    /// Goodbye.
    Detached(Detached),
    /// The stream is refused, or ended by force.
    Refusal(Box<Refusal>),
}

impl FromNode {
    /// The frame's content; `None` for a kind that this version does not know, to be skipped and counted.
    ///
    /// # Errors
    /// [`MessageError`] when the body is not what its kind promises.
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Option<Self>, MessageError> {
        Ok(Some(match kind {
            Kind::ATTACHED => Self::Attached(Box::new(Attached::decode(body)?)),
            Kind::GAP => Self::Gap(Gap::decode(body)?),
            Kind::PRESENCE => Self::Presence(Presence::decode(body)?),
            Kind::PENDING => Self::Pending(Pending::decode(body)?),
            Kind::RESOLVED => Self::Resolved(Resolved::decode(body)?),
            Kind::ATTACH_STATE => Self::State(Box::new(State::decode(body)?)),
            Kind::BEAT => Self::Beat(Beat::decode(body)?),
            Kind::INPUT_TAKEN => Self::Taken(InputTaken::decode(body)?),
            Kind::INPUT_DONE => Self::Done(InputDone::decode(body)?),
            Kind::INPUT_REFUSED => Self::Refused(Box::new(InputRefused::decode(body)?)),
            Kind::DETACHED => Self::Detached(Detached::decode(body)?),
            Kind::REFUSAL => Self::Refusal(Box::new(Refusal::decode(body)?)),
            _ => return Ok(StreamItem::decode(kind, body)?.map(Self::Item)),
        }))
    }
}

/// A frame that a viewer sends after `ATTACH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromViewer {
    /// A prompt.
    Input(Input),
    /// A cancellation.
    Cancel(AttachCancel),
    /// An answer to an approval.
    Answer(Answer),
    /// Nobody answers here any more.
    Unattended(Unattended),
    /// Goodbye.
    Detach(Detach),
}

impl FromViewer {
    /// The frame's content; `None` for a kind that this version does not know.
    ///
    /// # Errors
    /// [`MessageError`] when the body is not what its kind promises.
    pub fn decode(kind: Kind, body: &[u8]) -> Result<Option<Self>, MessageError> {
        Ok(Some(match kind {
            Kind::INPUT => Self::Input(Input::decode(body)?),
            Kind::ATTACH_CANCEL => Self::Cancel(AttachCancel::decode(body)?),
            Kind::ANSWER => Self::Answer(Answer::decode(body)?),
            Kind::UNATTENDED => Self::Unattended(Unattended::decode(body)?),
            Kind::DETACH => Self::Detach(Detach::decode(body)?),
            _ => return Ok(None),
        }))
    }

    /// Kind and body.
    #[must_use]
    pub fn encode(&self) -> (Kind, Vec<u8>) {
        match self {
            Self::Input(m) => (Input::KIND, m.encode()),
            Self::Cancel(m) => (AttachCancel::KIND, m.encode()),
            Self::Answer(m) => (Answer::KIND, m.encode()),
            Self::Unattended(m) => (Unattended::KIND, m.encode()),
            Self::Detach(m) => (Detach::KIND, m.encode()),
        }
    }

    /// What its answer will name; none for what is not answered by name.
    #[must_use]
    pub fn input_id(&self) -> Option<&PromptId> {
        match self {
            Self::Input(m) => Some(&m.input_id),
            Self::Cancel(m) => Some(&m.input_id),
            Self::Answer(m) => Some(&m.input_id),
            Self::Unattended(_) | Self::Detach(_) => None,
        }
    }
}
