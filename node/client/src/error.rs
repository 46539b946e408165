//! What can go wrong between asking and being answered.

use clankers_mesh::{Closed, DialError, FramedError};
use clankers_protocol::{
    kind::Kind,
    message::MessageError,
    refusal::{CloseCode, Refusal},
};

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The peer could not be reached.
    #[error("{0}")]
    Dial(Box<DialError>),
    /// The connection ended.
    #[error("{}", closed_words(.0))]
    Closed(Closed),
    /// The peer refused the request.
    #[error("{}", .0.message)]
    Refused(Box<Refusal>),
    /// The stream broke, or carried something that is no frame.
    #[error("the peer's stream broke: {0}")]
    Stream(FramedError),
    /// A frame's body was not what its kind promises.
    #[error("the peer sent something malformed: {0}")]
    Malformed(#[from] MessageError),
    /// The peer answered with a frame that does not answer this request.
    #[error("the peer answered with a frame of kind {0}, which is no answer to this")]
    Unexpected(Kind),
    /// The peer ended its stream without an answer.
    #[error("the peer ended the stream without an answer")]
    NoAnswer,
    /// No answer in time.
    #[error("no answer within {0} s")]
    Timeout(u64),
    /// The run's chain could not be made.
    #[error("cannot make this run's authority: {0}")]
    Authority(String),
}

impl ClientError {
    /// The code with which the peer closed the connection, if it did.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Self::Closed(Closed { code: Some(code), by_peer: true, .. }) => {
                Some(CloseCode::from_number(u16::try_from(*code).unwrap_or(u16::MAX)))
            }
            _ => None,
        }
    }
}

impl From<DialError> for ClientError {
    fn from(error: DialError) -> Self {
        Self::Dial(Box::new(error))
    }
}

impl From<Closed> for ClientError {
    fn from(closed: Closed) -> Self {
        Self::Closed(closed)
    }
}

fn closed_words(closed: &Closed) -> String {
    match closed.code {
        Some(code) if closed.by_peer => {
            let code = CloseCode::from_number(u16::try_from(code).unwrap_or(u16::MAX));
            let reason =
                if closed.reason.is_empty() { String::new() } else { format!(": {}", closed.reason) };
            format!("the peer closed the connection ({}){reason}", code.name())
        }
        _ => format!("the connection ended: {closed}"),
    }
}
