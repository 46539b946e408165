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
    /// [`crate::request::tokens::TokenDelegate`]
    TOKEN_DELEGATE = 0x0056;
    /// [`crate::request::inspect::TokenInspect`]
    TOKEN_INSPECT = 0x0057;
    /// [`crate::request::inspect::TokenInspected`]
    TOKEN_INSPECTED = 0x0058;
    /// [`crate::request::inspect::TokenWhy`]
    TOKEN_WHY = 0x0059;
    /// [`crate::request::inspect::TokenWhyReply`]
    TOKEN_WHY_REPLY = 0x005a;
    /// [`crate::request::admin::Admin`]
    ADMIN = 0x0060;
    /// [`crate::request::admin::AdminDone`]
    ADMIN_DONE = 0x0061;
    /// [`crate::request::attach::Attach`]
    ATTACH = 0x0070;
    /// [`crate::request::attach::Attached`]
    ATTACHED = 0x0071;
    /// [`crate::request::attach::Input`]
    INPUT = 0x0072;
    /// [`crate::request::attach::InputTaken`]
    INPUT_TAKEN = 0x0073;
    /// [`crate::request::attach::InputRefused`]
    INPUT_REFUSED = 0x0074;
    /// [`crate::request::attach::AttachCancel`]
    ATTACH_CANCEL = 0x0075;
    /// [`crate::request::attach::Answer`]
    ANSWER = 0x0076;
    /// [`crate::request::attach::InputDone`]: carries out ATTACH_CANCEL and ANSWER.
    INPUT_DONE = 0x0077;
    /// [`crate::request::attach::Detach`]
    DETACH = 0x0078;
    /// [`crate::request::attach::Detached`]
    DETACHED = 0x0079;
    /// [`crate::request::history::History`]
    HISTORY = 0x007a;
    /// [`crate::request::history::HistoryPage`]
    HISTORY_PAGE = 0x007b;
    /// [`crate::request::attach::Unattended`]
    UNATTENDED = 0x007c;
    /// [`crate::request::revocation::TokenRevoke`]
    TOKEN_REVOKE = 0x0080;
    /// [`crate::request::revocation::TokenRevoked`]
    TOKEN_REVOKED = 0x0081;
    /// [`crate::request::revocation::RevocationOffer`]
    REVOCATION_OFFER = 0x0082;
    /// [`crate::request::revocation::RevocationTaken`]
    REVOCATION_TAKEN = 0x0083;
    /// [`crate::request::revocation::RevocationSync`]
    REVOCATION_SYNC = 0x0084;
    /// [`crate::request::revocation::RevocationSynced`]
    REVOCATION_SYNCED = 0x0085;
    /// [`crate::request::revocation::TokenOffer`]
    TOKEN_OFFER = 0x0086;
    /// [`crate::request::revocation::TokenOffered`]
    TOKEN_OFFERED = 0x0087;
    /// [`crate::request::revocation::TokenRenew`]
    TOKEN_RENEW = 0x0088;
    /// [`crate::request::revocation::TokenRenewed`]
    TOKEN_RENEWED = 0x0089;
    /// [`crate::request::revocation::TokenForget`]
    TOKEN_FORGET = 0x008a;
    /// [`crate::request::revocation::TokenForgotten`]
    TOKEN_FORGOTTEN = 0x008b;
    /// [`crate::request::transfer::FileOffer`]
    FILE_OFFER = 0x0090;
    /// [`crate::request::transfer::FileManifest`]
    FILE_MANIFEST = 0x0091;
    /// [`crate::request::transfer::FileWait`]
    FILE_WAIT = 0x0092;
    /// [`crate::request::transfer::FileHave`]
    FILE_HAVE = 0x0093;
    /// [`crate::request::transfer::FileAccept`]
    FILE_ACCEPT = 0x0094;
    /// [`crate::request::transfer::FileData`]
    FILE_DATA = 0x0095;
    /// [`crate::request::transfer::FileBlock`]: on a data stream; its bytes follow the frame.
    FILE_BLOCK = 0x0096;
    /// [`crate::request::transfer::FileDone`]
    FILE_DONE = 0x0097;
    /// [`crate::request::transfer::FileBad`]
    FILE_BAD = 0x0098;
    /// [`crate::request::transfer::FileAgain`]
    FILE_AGAIN = 0x0099;
    /// [`crate::request::transfer::FileProgress`]
    FILE_PROGRESS = 0x009a;
    /// [`crate::request::transfer::FileCommit`]
    FILE_COMMIT = 0x009b;
    /// [`crate::request::transfer::FileReceipt`]
    FILE_RECEIPT = 0x009c;
    /// [`crate::request::transfer::FileCancel`]
    FILE_CANCEL = 0x009d;
    /// [`crate::request::transfer::FileFetch`]
    FILE_FETCH = 0x009e;
    /// [`crate::request::transfer::keeping::FileSend`]
    FILE_SEND = 0x00a0;
    /// [`crate::request::transfer::keeping::FileSent`]
    FILE_SENT = 0x00a1;
    /// [`crate::request::transfer::keeping::InboxList`]
    INBOX_LIST = 0x00a2;
    /// [`crate::request::transfer::keeping::InboxListReply`]
    INBOX_LIST_REPLY = 0x00a3;
    /// [`crate::request::transfer::keeping::InboxAnswer`]
    INBOX_ANSWER = 0x00a4;
    /// [`crate::request::transfer::keeping::InboxAnswered`]
    INBOX_ANSWERED = 0x00a5;
    /// [`crate::request::transfer::keeping::TransferList`]
    TRANSFER_LIST = 0x00a6;
    /// [`crate::request::transfer::keeping::TransferListReply`]
    TRANSFER_LIST_REPLY = 0x00a7;
    /// [`crate::request::transfer::keeping::TransferEdit`]
    TRANSFER_EDIT = 0x00a8;
    /// [`crate::request::transfer::keeping::TransferEdited`]
    TRANSFER_EDITED = 0x00a9;
    /// [`crate::request::team::TeamCreate`]
    TEAM_CREATE = 0x00b0;
    /// [`crate::request::team::TeamCreated`]
    TEAM_CREATED = 0x00b1;
    /// [`crate::request::team::TeamInvite`]
    TEAM_INVITE = 0x00b2;
    /// [`crate::request::team::TeamInvited`]
    TEAM_INVITED = 0x00b3;
    /// [`crate::request::team::TeamJoin`]
    TEAM_JOIN = 0x00b4;
    /// [`crate::request::team::TeamJoined`]
    TEAM_JOINED = 0x00b5;
    /// [`crate::request::team::TeamList`]
    TEAM_LIST = 0x00b6;
    /// [`crate::request::team::TeamListReply`]
    TEAM_LIST_REPLY = 0x00b7;
    /// [`crate::request::team::TeamMembers`]
    TEAM_MEMBERS = 0x00b8;
    /// [`crate::request::team::TeamMembersReply`]
    TEAM_MEMBERS_REPLY = 0x00b9;
    /// [`crate::request::team::TeamLeave`]
    TEAM_LEAVE = 0x00ba;
    /// [`crate::request::team::TeamLeft`]
    TEAM_LEFT = 0x00bb;
    /// [`crate::request::team::TeamRemove`]
    TEAM_REMOVE = 0x00bc;
    /// [`crate::request::team::TeamRemoved`]
    TEAM_REMOVED = 0x00bd;
    /// [`crate::request::team::TeamGrant`]
    TEAM_GRANT = 0x00be;
    /// [`crate::request::team::TeamGranted`]
    TEAM_GRANTED = 0x00bf;
    /// [`crate::request::team::TeamShow`]
    TEAM_SHOW = 0x00c0;
    /// [`crate::request::team::TeamShown`]
    TEAM_SHOWN = 0x00c1;
    /// [`crate::request::team::TeamClaim`]
    TEAM_CLAIM = 0x00c2;
    /// [`crate::request::team::TeamClaimed`]
    TEAM_CLAIMED = 0x00c3;
    /// [`crate::request::presence::PresenceSync`]
    PRESENCE_SYNC = 0x00c4;
    /// [`crate::request::presence::PresenceSynced`]
    PRESENCE_SYNCED = 0x00c5;
    /// [`crate::request::presence::MeshView`]
    MESH_VIEW = 0x00c6;
    /// [`crate::request::presence::MeshViewReply`]
    MESH_VIEW_REPLY = 0x00c7;
    /// [`crate::request::presence::PeerProbe`]
    PEER_PROBE = 0x00c8;
    /// [`crate::request::presence::PeerProbed`]
    PEER_PROBED = 0x00c9;
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
    /// Durable [`crate::event::SteerEvent`]
    EVENT_STEERED = 0x0106;
    /// Durable [`crate::event::CompactedEvent`]
    EVENT_COMPACTED = 0x0107;
    /// Durable [`crate::event::ResolvedEvent`]
    EVENT_RESOLVED = 0x0108;
    /// Live [`crate::event::Delta`] of a message's text
    TEXT_DELTA = 0x0180;
    /// Live [`crate::event::Delta`] of a message's thinking
    THINKING_DELTA = 0x0181;
    /// Live [`crate::event::Delta`] of a tool call's output
    TOOL_OUTPUT = 0x0182;
    /// Live [`crate::event::Delta`]: words for whoever watches, each with an `item` of its own.
    NOTICE = 0x0183;
    /// [`crate::request::attach::Gap`]
    GAP = 0x0190;
    /// [`crate::request::attach::Presence`]
    PRESENCE = 0x0191;
    /// [`crate::request::attach::Pending`]
    PENDING = 0x0192;
    /// [`crate::request::attach::Resolved`]
    RESOLVED = 0x0193;
    /// [`crate::request::attach::State`]
    ATTACH_STATE = 0x0194;
    /// [`crate::request::attach::Beat`]
    BEAT = 0x0195;
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
