//! Tokens: what a node has issued, and what it holds.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// What a token is to allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Preset {
    /// Observe, list and read files, node info; not prompt.
    ReadOnly,
    /// Read-only, and prompt with the tools read, grep, find, ls.
    Reviewer,
    /// Drive, prompt, all tools but the shell.
    Operator,
    /// Everything.
    Root,
}

/// Make a token for a peer. Needs `/clankers/admin/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreate {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// For whom: an id, a unique prefix, or a label.
    pub audience: String,
    /// What for, as a whole.
    pub preset: Option<Preset>,
    /// Just these tools (and the right to prompt with them), or a preset's narrowed to these.
    pub tools: Option<Vec<String>>,
    /// How long from now (seconds).
    pub expire_secs: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// A token that was issued or is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The CID of its leaf, as text.
    pub cid: String,
    /// The node whose rights it carries.
    pub subject: NodeId,
    /// Who signed the leaf.
    pub issuer: NodeId,
    /// For whom.
    pub audience: NodeId,
    /// From when.
    pub not_before: Timestamp,
    /// Until when.
    pub expires: Timestamp,
    /// What it grants, in words.
    pub grants: Vec<String>,
    /// Whether this node issued it (else: holds it).
    pub issued: bool,
}

/// The answer to [`TokenCreate`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// The token in words.
    pub record: TokenRecord,
    /// The token's text: a UCAN container in base64url.
    pub token: String,
    /// What the owner should know about it.
    pub warnings: Vec<String>,
    /// What later versions add.
    pub ext: Ext,
}

/// Keep a token that was made for this node. Needs `/clankers/admin/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenImport {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// The token's text.
    pub token: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TokenImport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenImported {
    /// The token in words.
    pub record: TokenRecord,
    /// It was held already.
    pub known: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// Which tokens were issued and are held? Needs `/clankers/admin/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// How many to leave out at the beginning: those of earlier pages.
    pub skip: u64,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TokenList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenListReply {
    /// Issued first, then held; the latest to expire first.
    pub tokens: Vec<TokenRecord>,
    /// How many more there are after these.
    pub more: u64,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    TokenCreated = TOKEN_CREATED;
    TokenImported = TOKEN_IMPORTED;
    TokenList = TOKEN_LIST;
}

impl Message for TokenCreate {
    const KIND: Kind = Kind::TOKEN_CREATE;

    fn check(&self) -> Result<(), MessageError> {
        within("audience", self.audience.len(), limits::SELECTOR_BYTES)?;
        if let Some(tools) = &self.tools {
            within("tools", tools.len(), limits::TOOLS)?;
            tools.iter().try_for_each(|tool| within("tool", tool.len(), limits::SELECTOR_BYTES))?;
        }
        self.ext.check()
    }
}

impl Message for TokenImport {
    const KIND: Kind = Kind::TOKEN_IMPORT;

    fn check(&self) -> Result<(), MessageError> {
        // Base64url of a container: four characters for three bytes, and the header.
        within("token", self.token.len(), limits::CHAIN_BYTES * 4 / 3 + 8)?;
        self.ext.check()
    }
}

impl Message for TokenListReply {
    const KIND: Kind = Kind::TOKEN_LIST_REPLY;

    fn check(&self) -> Result<(), MessageError> {
        within("tokens", self.tokens.len(), limits::PAGE_ENTRIES)?;
        self.ext.check()
    }
}
