//! Reading tokens: what one says, and which one would be used.

use serde::{Deserialize, Serialize};

use super::tokens::{TokenChoice, TokenEntry, TokenRecord, TokenState};
use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// A use of a right that is asked about: what its executor would fill in.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The command's path; `/clankers/` may be left out.
    pub command: String,
    /// The tool.
    pub tool: Option<String>,
    /// Path relative to the workspace.
    pub path: Option<String>,
    /// Id of the session.
    pub session: Option<String>,
    /// The model, as `provider/name`.
    pub model: Option<String>,
    /// The workspace's id; the one that the token speaks of when not given.
    pub workspace: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
}

impl Question {
    fn check(&self) -> Result<(), MessageError> {
        within("command", self.command.len(), limits::SELECTOR_BYTES)?;
        within("path", self.path.as_ref().map_or(0, String::len), limits::PATH_BYTES)?;
        for text in [&self.tool, &self.session, &self.model, &self.workspace] {
            within("argument", text.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        }
        Ok(())
    }
}

/// What does this token say? Needs `/clankers/admin/grant`; no network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInspect {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Which.
    pub token: TokenChoice,
    /// At which node it would be shown: an id, a unique prefix, or a label; at the one it is about when not given.
    pub node: Option<String>,
    /// What it would be used for.
    pub question: Option<Question>,
    /// What later versions add.
    pub ext: Ext,
}

/// One link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkWords {
    /// Its CID, as text.
    pub cid: String,
    /// Who signed it.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// What this link by itself allows, in words.
    pub says: Vec<String>,
    /// How it stands here.
    pub state: TokenState,
}

/// Whether something would be allowed, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Yes.
    pub allowed: bool,
    /// The name of the refusal's code, when not.
    pub code: Option<String>,
    /// Why not, in words.
    pub reason: Option<String>,
}

/// The answer to [`TokenInspect`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInspected {
    /// The chain as a whole.
    pub record: TokenRecord,
    /// Its links, the root first.
    pub links: Vec<LinkWords>,
    /// Whether it would be taken at all when its audience shows it.
    pub shown: Verdict,
    /// The answer to the question, if one was asked.
    pub verdict: Option<Verdict>,
    /// What later versions add.
    pub ext: Ext,
}

/// Which of the tokens held would be used at a node, or why none? Needs `/clankers/admin/grant`; no network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenWhy {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The node: an id, a unique prefix, or a label.
    pub node: String,
    /// For what.
    pub question: Question,
    /// What later versions add.
    pub ext: Ext,
}

/// A token that was considered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// The token.
    pub token: TokenEntry,
    /// What it says to the question.
    pub verdict: Verdict,
}

/// The answer to [`TokenWhy`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenWhyReply {
    /// The node that is meant.
    pub node: NodeId,
    /// It is this node itself: its owner needs no token.
    pub own: bool,
    /// The tokens held for it, the one that would be used first.
    pub considered: Vec<Considered>,
    /// What later versions add.
    pub ext: Ext,
}

impl Message for TokenInspect {
    const KIND: Kind = Kind::TOKEN_INSPECT;

    fn check(&self) -> Result<(), MessageError> {
        self.token.check()?;
        within("node", self.node.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
        self.question.iter().try_for_each(Question::check)?;
        self.ext.check()
    }
}

impl Message for TokenInspected {
    const KIND: Kind = Kind::TOKEN_INSPECTED;

    fn check(&self) -> Result<(), MessageError> {
        within("links", self.links.len(), limits::CHAINS)?;
        self.ext.check()
    }
}

impl Message for TokenWhy {
    const KIND: Kind = Kind::TOKEN_WHY;

    fn check(&self) -> Result<(), MessageError> {
        within("node", self.node.len(), limits::SELECTOR_BYTES)?;
        self.question.check()?;
        self.ext.check()
    }
}

impl Message for TokenWhyReply {
    const KIND: Kind = Kind::TOKEN_WHY_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("tokens", self.considered.len(), limits::PAGE_ENTRIES)?;
        self.ext.check()
    }
}
