//! An invite to a team as text: one word that somebody sends to somebody.
//!
//! It holds a membership, which is of use to its audience only, what the team is called, and where some members are.

use std::net::SocketAddr;

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::team::INVITE_PREFIX;
use crate::{
    NodeId, limits,
    message::{MessageError, within},
    text,
};

/// Where a member may be found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Who.
    pub id: NodeId,
    /// Socket addresses.
    pub addrs: Vec<SocketAddr>,
    /// A relay.
    pub relay: Option<String>,
}

/// An invite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    /// What the team is called: the inviter's word.
    pub name: String,
    /// The membership: a container in raw form.
    pub chain: Vec<u8>,
    /// Members to begin with.
    pub peers: Vec<Bootstrap>,
}

/// Why a text is no invite.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// It begins with something else.
    #[error("not an invite: an invite is one word that begins with {INVITE_PREFIX}")]
    NotAnInvite,
    /// Cut off, mistyped, or of a version that is not known here.
    #[error("a broken invite: it may be cut off or mistyped; copy it again, it is one word")]
    Broken,
    /// Something in it is over its limit.
    #[error("an invite that no honest node writes: {0}")]
    Limit(#[from] MessageError),
    /// A name that cannot be shown as it is, or is none.
    #[error("'{}' cannot be a team's name: {why}", text::line(.name, 64))]
    Name {
        /// The name.
        name: String,
        /// Why not.
        why: &'static str,
    },
}

/// Whether a team can be called so: a short word that nobody takes for an id or an option.
///
/// # Errors
/// [`InviteError::Name`].
pub fn check_name(name: &str) -> Result<(), InviteError> {
    let refuse = |why| Err(InviteError::Name { name: name.to_owned(), why });
    if name.is_empty() {
        return refuse("it is empty");
    }
    if name.len() > limits::LABEL_BYTES {
        return refuse("it is longer than 64 bytes");
    }
    if text::line(name, usize::MAX) != name || name.chars().any(char::is_whitespace) {
        return refuse("it has spaces, or characters that cannot be seen");
    }
    if name.starts_with('-') {
        return refuse("it begins like an option");
    }
    if name.len() >= 4 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) || name.starts_with("did:") {
        return refuse("it looks like an id");
    }
    Ok(())
}

impl Invite {
    /// The invite as one word.
    #[must_use]
    pub fn to_text(&self) -> String {
        let bytes = postcard::to_stdvec(self).unwrap_or_default();
        format!("{INVITE_PREFIX}{}", BASE64URL_NOPAD.encode(&bytes))
    }

    /// Reads an invite, whoever wrote it. Its membership is not judged here.
    ///
    /// # Errors
    /// [`InviteError`].
    pub fn parse(text: &str) -> Result<Self, InviteError> {
        let text = text.trim();
        within("invite", text.len(), limits::INVITE_BYTES)?;
        let body = text.strip_prefix(INVITE_PREFIX).ok_or(InviteError::NotAnInvite)?;
        let bytes = BASE64URL_NOPAD.decode(body.as_bytes()).map_err(|_| InviteError::Broken)?;
        let (invite, rest): (Self, _) = postcard::take_from_bytes(&bytes).map_err(|_| InviteError::Broken)?;
        // No inviter's team is without a name: what was read is not what was written.
        if !rest.is_empty() || invite.name.is_empty() {
            return Err(InviteError::Broken);
        }
        check_name(&invite.name)?;
        within("chain", invite.chain.len(), limits::CHAIN_BYTES)?;
        within("peers", invite.peers.len(), limits::BOOTSTRAPS)?;
        for peer in &invite.peers {
            within("addrs", peer.addrs.len(), limits::ADDRESSES)?;
            within("relay", peer.relay.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        }
        Ok(invite)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn invite() -> Invite {
        let peer = Bootstrap {
            id: NodeId([3; 32]),
            addrs: vec!["192.0.2.7:4433".parse().unwrap(), "[2001:db8::7]:4433".parse().unwrap()],
            relay: Some("https://relay.example.org/".into()),
        };
        Invite { name: "core".into(), chain: vec![0x40, 1, 2], peers: vec![peer] }
    }

    #[test]
    fn an_invite_comes_back_and_a_broken_one_says_so() {
        let text = invite().to_text();
        assert_eq!(Invite::parse(&format!(" {text}\n")), Ok(invite()));
        assert!(!text.chars().any(char::is_whitespace));
        assert_eq!(Invite::parse("endpointabc"), Err(InviteError::NotAnInvite));
        assert_eq!(Invite::parse(text.get(..text.len() - 2).unwrap()), Err(InviteError::Broken));
        assert_eq!(Invite::parse(&format!("{text}AAAA")), Err(InviteError::Broken));
        assert_eq!(Invite::parse(INVITE_PREFIX), Err(InviteError::Broken));
        let long = format!("{INVITE_PREFIX}{}", "A".repeat(limits::INVITE_BYTES));
        assert!(matches!(Invite::parse(&long), Err(InviteError::Limit(_))));
    }

    #[test]
    fn an_invite_does_not_bring_what_cannot_be_shown_or_held() {
        let odd = |change: &dyn Fn(&mut Invite)| {
            let mut invite = invite();
            change(&mut invite);
            Invite::parse(&invite.to_text())
        };
        assert_eq!(odd(&|invite| invite.name.clear()), Err(InviteError::Broken));
        for name in ["a b", "a\u{1b}[2J", "\u{202e}x", "-x", "beef", "did:key:z6Mk", &"x".repeat(65)] {
            let got = odd(&|invite| invite.name = name.to_owned());
            assert!(matches!(got, Err(InviteError::Name { .. })), "{name:?}");
        }
        let peer = invite().peers.remove(0);
        let crowd = vec![peer; limits::BOOTSTRAPS + 1];
        assert!(matches!(odd(&|invite| invite.peers = crowd.clone()), Err(InviteError::Limit(_))));
        let long = vec![0; limits::CHAIN_BYTES + 1];
        assert!(odd(&|invite| invite.chain = long.clone()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(clankers-team:)?[A-Za-z0-9_-]{0,300}|.{0,80}") {
            drop(Invite::parse(&text));
        }
    }
}
