//! Tokens: what a node has issued, and what it holds.

use serde::{Deserialize, Serialize};

use super::plain_messages;
use crate::{
    CidDigest, NanoUsd, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// A token's text (bytes): base64url of a container, four characters for three bytes, and the header.
pub(super) const TOKEN_TEXT_BYTES: usize = limits::CHAIN_BYTES * 4 / 3 + 8;

/// Entry of a [`TokenCreate`]'s or [`TokenDelegate`]'s `ext`: rights to send files, one byte of [`RIGHT_DROP`] and
/// [`RIGHT_OFFER`].
pub const EXT_FILE_RIGHTS: u16 = 1;
/// Send files into the inbox.
pub const RIGHT_DROP: u8 = 1;
/// Offer files, which the owner then takes or not.
pub const RIGHT_OFFER: u8 = 2;

/// The rights to send files that an `ext` asks for: to drop, and to offer.
#[must_use]
pub fn file_rights(ext: &Ext) -> (bool, bool) {
    let bits = ext.get(EXT_FILE_RIGHTS).and_then(|value| value.first()).copied().unwrap_or(0);
    (bits & RIGHT_DROP != 0, bits & RIGHT_OFFER != 0)
}

/// Entry of the same `ext`: the most that may be sent in all (bytes): 8 bytes, the lowest first. A node that made such a
/// token says it back: one of an earlier version knows nothing of it.
pub const EXT_MAX_TOTAL: u16 = 2;

/// The total of files that an `ext` speaks of (bytes).
#[must_use]
pub fn max_total(ext: &Ext) -> Option<u64> {
    Some(u64::from_le_bytes(ext.get(EXT_MAX_TOTAL)?.try_into().ok()?))
}

/// The same `ext` with a total of files (bytes).
#[must_use]
pub fn with_max_total(mut ext: Ext, most: Option<u64>) -> Ext {
    ext.0.extend(most.map(|most| (EXT_MAX_TOTAL, most.to_le_bytes().to_vec())));
    ext
}

/// Entry of a [`TokenListReply`]'s `ext`: what was received here under its tokens, postcard of (place in the list, bytes).
pub const EXT_RECEIVED: u16 = 1;

/// An `ext` that says what was received under which of the listed tokens (place, bytes).
#[must_use]
pub fn with_received(received: &[(u16, u64)]) -> Ext {
    let value = postcard::to_stdvec(received).ok().filter(|_| !received.is_empty());
    Ext(value.map(|value| (EXT_RECEIVED, value)).into_iter().collect())
}

/// What was received under which of the listed tokens (place, bytes).
#[must_use]
pub fn received(ext: &Ext) -> Vec<(u16, u64)> {
    ext.get(EXT_RECEIVED).and_then(|value| postcard::from_bytes(value).ok()).unwrap_or_default()
}

/// An `ext` that asks for the rights to drop and to offer files.
#[must_use]
pub fn with_file_rights(drop: bool, offer: bool) -> Ext {
    let bits = if drop { RIGHT_DROP } else { 0 } | if offer { RIGHT_OFFER } else { 0 };
    Ext(if bits == 0 { Vec::new() } else { vec![(EXT_FILE_RIGHTS, vec![bits])] })
}

/// What a token is to allow, as a whole.
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

/// What a grant may cost.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CostLimit {
    /// The node's default for a new grant; for a delegation, what its parents allow.
    #[default]
    Default,
    /// No limit of its own.
    Unlimited,
    /// At most this.
    AtMost(NanoUsd),
}

/// What a token is to allow: a preset, tools, and what narrows them. What is empty or `None` narrows nothing.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    /// What for, as a whole.
    pub preset: Option<Preset>,
    /// Just these tools (and the right to prompt with them), or a preset's narrowed to these.
    pub tools: Option<Vec<String>>,
    /// Only beneath these paths of the node's workspace.
    pub paths: Vec<String>,
    /// These sessions, whoever made them: ids, unique prefixes, or `all`.
    pub sessions: Vec<String>,
    /// Only these models.
    pub models: Vec<String>,
    /// Cost of the model calls.
    pub cost: CostLimit,
    /// Tokens of the model calls (count, all kinds).
    pub max_tokens: Option<u64>,
    /// Delegations below this one (count).
    pub max_depth: Option<u32>,
    /// Prompts begun within a minute (count).
    pub per_minute: Option<u32>,
    /// Prompts that run at a time (count).
    pub concurrent: Option<u32>,
    /// The largest file (bytes).
    pub max_size: Option<u64>,
}

impl Rights {
    pub(super) fn check(&self) -> Result<(), MessageError> {
        if let Some(tools) = &self.tools {
            within("tools", tools.len(), limits::TOOLS)?;
            tools.iter().try_for_each(|tool| within("tool", tool.len(), limits::SELECTOR_BYTES))?;
        }
        let lists = [
            ("path", &self.paths, limits::PATH_BYTES),
            ("session", &self.sessions, limits::SELECTOR_BYTES),
            ("model", &self.models, limits::SELECTOR_BYTES),
        ];
        lists.iter().try_for_each(|(what, list, limit)| {
            within(what, list.len(), limits::RIGHTS_ENTRIES)?;
            list.iter().try_for_each(|entry| within(what, entry.len(), *limit))
        })
    }
}

/// Make a token for a peer. Needs `/clankers/admin/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreate {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// For whom: an id, a unique prefix, or a label.
    pub audience: String,
    /// What for.
    pub rights: Rights,
    /// How long from now (seconds).
    pub expire_secs: u64,
    /// Issue it again, as long, when its holder connects, until it is revoked.
    pub renew: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// Which token is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenChoice {
    /// One that this node issued or holds: its CID, or a unique beginning of it.
    Kept(String),
    /// This one: its text.
    Text(String),
}

impl TokenChoice {
    pub(super) fn check(&self) -> Result<(), MessageError> {
        match self {
            Self::Kept(cid) => within("token", cid.len(), limits::SELECTOR_BYTES),
            Self::Text(text) => within("token", text.len(), TOKEN_TEXT_BYTES),
        }
    }
}

/// Pass a token that this node holds on to another peer, narrowed. Needs `/clankers/admin/grant`; no network.
/// Answered by [`TokenCreated`], whose `token` is the whole chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenDelegate {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What is passed on.
    pub from: TokenChoice,
    /// For whom: an id, a unique prefix, or a label.
    pub audience: String,
    /// What narrows it.
    pub rights: Rights,
    /// How long from now (seconds); as long as its parents when not given.
    pub expire_secs: Option<u64>,
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

/// How a token stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenState {
    /// It can be used.
    Valid,
    /// Its time has not come.
    NotYetValid,
    /// Its time is over.
    Expired,
    /// It, or a link above it, was revoked, or all were withdrawn after it was made.
    Revoked,
}

impl TokenState {
    /// The word that `--json` carries.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::NotYetValid => "not_yet_valid",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

/// A token in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenEntry {
    /// The token in words.
    pub record: TokenRecord,
    /// How it stands.
    pub state: TokenState,
    /// It is issued again when its holder connects.
    pub renew: bool,
    /// What was charged to it here, if it counts anything.
    pub spent: Option<NanoUsd>,
}

/// The answer to [`TokenList`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenListReply {
    /// Issued first, then held; the latest to expire first.
    pub tokens: Vec<TokenEntry>,
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
        self.rights.check()?;
        self.ext.check()
    }
}

impl Message for TokenDelegate {
    const KIND: Kind = Kind::TOKEN_DELEGATE;

    fn check(&self) -> Result<(), MessageError> {
        within("audience", self.audience.len(), limits::SELECTOR_BYTES)?;
        self.from.check()?;
        self.rights.check()?;
        self.ext.check()
    }
}

impl Message for TokenImport {
    const KIND: Kind = Kind::TOKEN_IMPORT;

    fn check(&self) -> Result<(), MessageError> {
        within("token", self.token.len(), TOKEN_TEXT_BYTES)?;
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
