//! The table of frame kinds. A number, once released, is never given another meaning.

use std::fmt;

/// The number that says what a frame's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(pub u16);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {
        impl Kind {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// The kind's name in this table, if it is in it.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        /// Every kind of version 1, in order of number.
        pub const ALL: &[Kind] = &[$(Kind::$name),*];
    };
}

kinds! {
    /// [`crate::hello::Hello`]
    HELLO = 0x0001;
    /// [`crate::hello::Welcome`]
    WELCOME = 0x0002;
    /// [`crate::refusal::Refusal`]: may answer anything.
    REFUSAL = 0x0003;
    /// [`crate::hello::Present`]
    PRESENT = 0x0004;
    /// [`crate::hello::Presented`]
    PRESENTED = 0x0005;
    /// [`crate::request::node::Ping`]
    PING = 0x0010;
    /// [`crate::request::node::Pong`]
    PONG = 0x0011;
    /// [`crate::request::node::Info`]
    INFO = 0x0012;
    /// [`crate::request::node::InfoReply`]
    INFO_REPLY = 0x0013;
    /// [`crate::request::session::SessionList`]
    SESSION_LIST = 0x0020;
    /// [`crate::request::session::SessionListReply`]
    SESSION_LIST_REPLY = 0x0021;
    /// [`crate::request::session::SessionCreate`]
    SESSION_CREATE = 0x0022;
    /// [`crate::request::session::SessionCreated`]
    SESSION_CREATED = 0x0023;
    /// [`crate::request::session::SessionKill`]
    SESSION_KILL = 0x0024;
    /// [`crate::request::session::SessionKilled`]
    SESSION_KILLED = 0x0025;
    /// [`crate::request::prompt::Prompt`]
    PROMPT = 0x0030;
    /// [`crate::request::prompt::Accepted`]
    ACCEPTED = 0x0031;
    /// [`crate::request::prompt::PromptCancel`]
    PROMPT_CANCEL = 0x0032;
    /// [`crate::request::prompt::PromptCancelled`]
    PROMPT_CANCELLED = 0x0033;
    /// [`crate::request::peers::PeerList`]
    PEER_LIST = 0x0040;
    /// [`crate::request::peers::PeerListReply`]
    PEER_LIST_REPLY = 0x0041;
    /// [`crate::request::peers::PeerResolve`]
    PEER_RESOLVE = 0x0042;
    /// [`crate::request::peers::PeerResolved`]
    PEER_RESOLVED = 0x0043;
    /// [`crate::request::peers::PeerEdit`]
    PEER_EDIT = 0x0044;
    /// [`crate::request::peers::PeerEdited`]
    PEER_EDITED = 0x0045;
    /// [`crate::request::tokens::TokenCreate`]
    TOKEN_CREATE = 0x0050;
    /// [`crate::request::tokens::TokenCreated`]
    TOKEN_CREATED = 0x0051;
    /// [`crate::request::tokens::TokenImport`]
    TOKEN_IMPORT = 0x0052;
    /// [`crate::request::tokens::TokenImported`]
    TOKEN_IMPORTED = 0x0053;
    /// [`crate::request::tokens::TokenList`]
    TOKEN_LIST = 0x0054;
    /// [`crate::request::tokens::TokenListReply`]
    TOKEN_LIST_REPLY = 0x0055;
    /// [`crate::request::admin::Admin`]
    ADMIN = 0x0060;
    /// [`crate::request::admin::AdminDone`]
    ADMIN_DONE = 0x0061;
    /// Durable [`crate::event::PromptEvent`]
    EVENT_PROMPT = 0x0100;
    /// Durable [`crate::event::MessageEvent`]
    EVENT_MESSAGE = 0x0101;
    /// Durable [`crate::event::ToolCallEvent`]
    EVENT_TOOL_CALL = 0x0102;
    /// Durable [`crate::event::ToolResultEvent`]
    EVENT_TOOL_RESULT = 0x0103;
    /// Durable [`crate::event::UsageEvent`]
    EVENT_USAGE = 0x0104;
    /// Durable [`crate::event::SettledEvent`]
    EVENT_SETTLED = 0x0105;
    /// Live [`crate::event::Delta`] of a message's text
    TEXT_DELTA = 0x0180;
    /// Live [`crate::event::Delta`] of a message's thinking
    THINKING_DELTA = 0x0181;
    /// Live [`crate::event::Delta`] of a tool call's output
    TOOL_OUTPUT = 0x0182;
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|w| w[0] < w[1]));
        assert_eq!(Kind(0xfff0).to_string(), "0xfff0");
    }
}
