//! The one table of codes: why a request is refused, and why a connection is closed.

use serde::{Deserialize, Serialize};

use crate::{
    NodeId,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
    text,
};

/// What a command line ends with (design: `agent.md`, "Headless"; the table is tested).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitKind {
    /// 1: the agent, a tool or the model server failed.
    Failed = 1,
    /// 2: the request makes no sense.
    Usage = 2,
    /// 3: credentials for a model.
    Credentials = 3,
    /// 4: not allowed.
    Denied = 4,
    /// 5: a budget or turn limit.
    Limit = 5,
    /// 6: the peer cannot be reached, or speaks another version.
    Unreachable = 6,
    /// 7: no such session, peer, ...
    NotFound = 7,
    /// 8: the machine that runs the command.
    Machine = 8,
    /// 124: time is up.
    Timeout = 124,
    /// 130: interrupted.
    Interrupted = 130,
}

macro_rules! codes {
    ($(#[$enum_doc:meta])* $enum:ident { $($(#[doc = $doc:literal])* $variant:ident = $number:literal, $name:literal, $exit:ident;)* }) => {
        $(#[$enum_doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $enum {
            $($(#[doc = $doc])* $variant,)*
            /// A code that this version does not know.
            Other(u16),
        }

        impl $enum {
            /// All codes of this version, in order of number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The number on the wire.
            #[must_use]
            pub fn number(self) -> u16 {
                match self {
                    $(Self::$variant => $number,)*
                    Self::Other(number) => number,
                }
            }

            /// The code with this number.
            #[must_use]
            pub fn from_number(number: u16) -> Self {
                match number {
                    $($number => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The name that `--json` errors carry.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                    Self::Other(_) => "other",
                }
            }

            /// What a command line exits with.
            #[must_use]
            pub fn exit(self) -> ExitKind {
                match self {
                    $(Self::$variant => ExitKind::$exit,)*
                    Self::Other(_) => ExitKind::Failed,
                }
            }

            /// What it means, in the words of this table.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($doc),*).trim_ascii(),)*
                    Self::Other(_) => "A code of a newer version.",
                }
            }
        }
    };
}

codes! {
    /// Why a request is refused.
    RefusalCode {
        /// No chain that was shown allows this.
        Unauthorized = 1, "unauthorized", Denied;
        /// The chain that was named is past its time.
        Expired = 2, "expired", Denied;
        /// A link of the chain was revoked.
        Revoked = 3, "revoked", Denied;
        /// A budget of the chain is used up.
        OverBudget = 4, "over_budget", Limit;
        /// Too many requests, connections or denials lately.
        RateLimited = 5, "rate_limited", Limit;
        /// The chain is not valid yet; clocks may differ.
        NotYetValid = 6, "not_yet_valid", Denied;
        /// The chain was made for another node.
        WrongNode = 7, "wrong_node", Denied;
        /// The chain was made for another peer than the one that shows it.
        WrongAudience = 8, "wrong_audience", Denied;
        /// The chain is malformed, forged or does not hold together.
        BadToken = 9, "bad_token", Denied;
        /// The request breaks the protocol.
        Malformed = 10, "malformed", Usage;
        /// This version does not know the request.
        Unsupported = 11, "unsupported", Unreachable;
        /// Something in the request is over its limit.
        TooLarge = 12, "too_large", Usage;
        /// A field of the request makes no sense here.
        Invalid = 13, "invalid", Usage;
        /// There is no such session, peer, prompt, ...
        NotFound = 14, "not_found", NotFound;
        /// A name or prefix fits several.
        Ambiguous = 15, "ambiguous", Usage;
        /// The node has as much to do as it takes on.
        Busy = 16, "busy", Limit;
        /// The node is stopping.
        Stopping = 17, "stopping", Unreachable;
        /// The node's own store, disk or settings failed.
        NodeTrouble = 18, "node_trouble", Machine;
        /// There is no such model, or it is not offered.
        NoModel = 19, "no_model", NotFound;
        /// The node offers peers no workspace.
        NoWorkspace = 20, "no_workspace", Denied;
        /// Credentials for the model are missing.
        NoCredentials = 21, "no_credentials", Credentials;
        /// The receiver takes no more files: a quota, or a full disk.
        Quota = 22, "quota", Limit;
        /// Something else has the name.
        Conflict = 23, "conflict", Failed;
        /// Another node, which this one was to reach, is not there.
        NotThere = 24, "not_there", Unreachable;
        /// The offer stands, and its receiver's owner has not answered yet.
        Waits = 25, "waits", Denied;
    }
}

codes! {
    /// Why a connection is closed: QUIC application error codes.
    CloseCode {
        /// Done; nothing is wrong.
        Done = 0, "done", Unreachable;
        /// The node is stopping.
        Stopping = 1, "stopping", Unreachable;
        /// No version in common.
        Version = 2, "version", Unreachable;
        /// No Hello came in time, or something else came first.
        NoHello = 3, "no_hello", Unreachable;
        /// A second Hello came.
        SecondHello = 4, "second_hello", Unreachable;
        /// Bytes that are no frame, or no message.
        Malformed = 5, "malformed", Unreachable;
        /// Too much was asked before authority was shown.
        TooMuch = 6, "too_much", Limit;
        /// Too many connections or denials lately.
        RateLimited = 7, "rate_limited", Limit;
        /// The authority under which something ran has ended.
        AuthorityEnded = 8, "authority_ended", Denied;
        /// No valid token was shown in time.
        NoAuthority = 9, "no_authority", Denied;
    }
}

/// Refuses one request; the connection lives on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A [`RefusalCode`]'s number.
    pub code: u16,
    /// What happened, in one line.
    pub message: String,
    /// What to do next, each one line; derived only from the caller's own request.
    pub hints: Vec<String>,
    /// Who the caller is to us: its endpoint id as TLS proved it.
    pub your_id: NodeId,
    /// What later versions add.
    pub ext: Ext,
}

impl Refusal {
    /// A refusal to `your_id`; texts are cut to their limits.
    #[must_use]
    pub fn new(code: RefusalCode, message: &str, your_id: NodeId) -> Self {
        Self {
            code: code.number(),
            message: text::head(message, limits::REFUSAL_TEXT_BYTES).to_owned(),
            hints: Vec::new(),
            your_id,
            ext: Ext::default(),
        }
    }

    /// The same with one more hint, if there is room.
    #[must_use]
    pub fn hint(mut self, hint: &str) -> Self {
        if self.hints.len() < limits::REFUSAL_HINTS {
            self.hints.push(text::head(hint, limits::REFUSAL_TEXT_BYTES).to_owned());
        }
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> RefusalCode {
        RefusalCode::from_number(self.code)
    }
}

impl Message for Refusal {
    const KIND: Kind = Kind::REFUSAL;

    fn check(&self) -> Result<(), MessageError> {
        within("message", self.message.len(), limits::REFUSAL_TEXT_BYTES)?;
        within("hints", self.hints.len(), limits::REFUSAL_HINTS)?;
        self.hints.iter().try_for_each(|hint| within("hint", hint.len(), limits::REFUSAL_TEXT_BYTES))?;
        self.ext.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_round() {
        for code in RefusalCode::ALL {
            assert_eq!(RefusalCode::from_number(code.number()), *code);
        }
        for code in CloseCode::ALL {
            assert_eq!(CloseCode::from_number(code.number()), *code);
        }
        assert_eq!(RefusalCode::from_number(999), RefusalCode::Other(999));
        assert!(RefusalCode::ALL.windows(2).all(|w| w[0].number() < w[1].number()));
    }
}
