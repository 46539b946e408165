//! Targets that read what peers send: frames, messages, events; and what is printed of it.

use clankers_protocol::{
    Message, SessionId,
    event::StreamItem,
    frame::{self, Decoder},
    hello, jsonl,
    kind::Kind,
    limits::{FRAME_BYTES, GOSSIP_BYTES},
    presence::Gossiped,
    refusal::Refusal,
    request::{
        admin, attach, history, inspect, node, peers, presence, prompt, revocation, session, team, tokens,
        transfer,
    },
    text,
};

/// Bytes that arrive in pieces: the first says how large each is.
pub fn frames(data: &[u8]) {
    let Some((piece, wire)) = data.split_first() else { return };
    let piece = usize::from(*piece).saturating_add(1);
    let mut decoder = Decoder::new(4096);
    let mut again = Vec::new();
    let mut sound = true;
    for bytes in wire.chunks(piece) {
        decoder.push(bytes);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => {
                    again.extend_from_slice(&frame::encode(frame.kind, &frame.body, FRAME_BYTES).unwrap());
                }
                Ok(None) => break,
                Err(_) => {
                    sound = false;
                    break;
                }
            }
        }
        if !sound {
            break;
        }
    }
    assert!(wire.starts_with(&again), "frames say other bytes than came");
    if sound {
        again.extend_from_slice(&decoder.take_rest());
        assert_eq!(again, wire, "bytes were lost");
    }
}

/// What a body says, said again, is the same.
fn settles<M: Message>(body: &[u8]) {
    if let Ok(message) = M::decode(body) {
        let said = message.encode();
        let again = M::decode(&said).map(|message| message.encode());
        assert_eq!(again.as_ref(), Ok(&said), "{} does not settle", M::KIND);
    }
}

macro_rules! messages {
    ($($message:ty,)*) => {
        /// The kinds of all messages.
        pub const MESSAGES: &[Kind] = &[$(<$message as Message>::KIND),*];

        /// A body: the first two bytes say of which kind.
        pub fn message(data: &[u8]) {
            let Some((head, body)) = data.split_first_chunk::<2>() else { return };
            let kind = Kind(u16::from_le_bytes(*head));
            $(if kind == <$message as Message>::KIND {
                settles::<$message>(body);
            })*
        }
    };
}

messages! {
    hello::Hello, hello::Welcome, hello::Present, hello::Presented, Refusal,
    node::Ping, node::Pong, node::Info, node::InfoReply,
    session::SessionList, session::SessionListReply, session::SessionCreate, session::SessionCreated,
    session::SessionKill, session::SessionKilled,
    prompt::Prompt, prompt::Accepted, prompt::PromptCancel, prompt::PromptCancelled,
    peers::PeerList, peers::PeerListReply, peers::PeerResolve, peers::PeerResolved,
    peers::PeerEdit, peers::PeerEdited,
    tokens::TokenCreate, tokens::TokenCreated, tokens::TokenImport, tokens::TokenImported,
    tokens::TokenList, tokens::TokenListReply, tokens::TokenDelegate,
    inspect::TokenInspect, inspect::TokenInspected, inspect::TokenWhy, inspect::TokenWhyReply,
    admin::Admin, admin::AdminDone, history::History, history::HistoryPage,
    revocation::TokenRevoke, revocation::TokenRevoked, revocation::RevocationOffer,
    revocation::RevocationTaken, revocation::RevocationSync, revocation::RevocationSynced,
    revocation::TokenForget, revocation::TokenForgotten,
    revocation::TokenOffer, revocation::TokenOffered, revocation::TokenRenew, revocation::TokenRenewed,
    attach::Attach, attach::Attached, attach::Input, attach::InputTaken, attach::InputRefused,
    attach::AttachCancel, attach::Answer, attach::InputDone, attach::Detach, attach::Unattended, attach::Detached,
    transfer::FileOffer, transfer::FileManifest, transfer::FileWait, transfer::FileHave, transfer::FileAccept,
    transfer::FileData, transfer::FileBlock, transfer::FileDone, transfer::FileBad, transfer::FileAgain,
    transfer::FileProgress, transfer::FileCommit, transfer::FileReceipt, transfer::FileCancel, transfer::FileFetch,
    transfer::keeping::FileSend, transfer::keeping::FileSent, transfer::keeping::InboxList,
    transfer::keeping::InboxListReply, transfer::keeping::InboxAnswer, transfer::keeping::InboxAnswered,
    transfer::keeping::TransferList, transfer::keeping::TransferListReply, transfer::keeping::TransferEdit,
    transfer::keeping::TransferEdited,
    team::TeamCreate, team::TeamCreated, team::TeamInvite, team::TeamInvited, team::TeamJoin, team::TeamJoined,
    team::TeamList, team::TeamListReply, team::TeamMembers, team::TeamMembersReply, team::TeamLeave, team::TeamLeft,
    team::TeamRemove, team::TeamRemoved, team::TeamGrant, team::TeamGranted, team::TeamShow, team::TeamShown,
    team::TeamClaim, team::TeamClaimed, presence::PresenceSync, presence::PresenceSynced, presence::MeshView,
    presence::MeshViewReply, presence::PeerProbe, presence::PeerProbed,
    attach::Gap, attach::Presence, attach::Pending, attach::Resolved, attach::State, attach::Beat,
}

/// An item of a session's stream, and the line that `--json` prints of it: the first two bytes say of which kind.
pub fn event(data: &[u8]) {
    let Some((head, body)) = data.split_first_chunk::<2>() else { return };
    let kind = Kind(u16::from_le_bytes(*head));
    let Ok(Some(item)) = StreamItem::decode(kind, body) else { return };
    let (same, said) = item.encode();
    assert_eq!(same, kind);
    assert_eq!(StreamItem::decode(kind, &said).map(|item| item.map(|item| item.encode().1)), Ok(Some(said)));
    if let Some(line) = jsonl::item(SessionId([7; 32]), &item) {
        let line = line.to_string();
        assert!(!line.contains(['\n', '\r']), "a line that is two");
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok_and(|line| line.is_object()));
    }
}

/// Whether this is a kind of [`event`].
#[must_use]
pub fn is_event(kind: Kind) -> bool {
    !matches!(StreamItem::decode(kind, &[]), Ok(None))
}

/// A peer's words, on their way to a terminal.
pub fn words(data: &[u8]) {
    let Ok(dirty) = std::str::from_utf8(data) else { return };
    let line = text::line(dirty, 80);
    assert!(line.chars().count() <= 80 && !line.chars().any(char::is_control), "{line:?}");
    let block = text::Clean::block(dirty);
    assert!(!block.as_str().chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
    assert_eq!(text::Clean::block(block.as_str()), block, "cleaning twice changes something");
    assert!(text::head(dirty, 7).len() <= 7);
}

/// A payload of a team's gossip.
pub fn gossip(data: &[u8]) {
    let Ok(payload) = Gossiped::decode(data) else { return };
    let said = payload.encode().unwrap();
    assert!(data.len() <= GOSSIP_BYTES && said.len() <= data.len(), "longer than what it was read from");
    assert_eq!(Gossiped::decode(&said).as_ref(), Ok(&payload), "what it says, said again, is something else");
    if let Gossiped::Presence(signed) = payload {
        let record = signed.body;
        let texts = [Some(&record.version), record.label.as_ref(), record.relay.as_ref()];
        assert!(texts.into_iter().flatten().all(|text| text::Clean::block(text).as_str() == text));
    }
}
