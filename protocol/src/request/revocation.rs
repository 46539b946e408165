//! Taking rights back, and handing tokens and revocations from node to node.

use serde::{Deserialize, Serialize};

use super::{
    plain_messages,
    tokens::{TOKEN_TEXT_BYTES, TokenChoice, TokenRecord},
};
use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// What is revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RevokeWhat {
    /// A token, or a link within one: its CID or a unique beginning of it, looked for among those that this node
    /// issued or holds.
    Kept(String),
    /// A link of this token: its last one, or the one with this CID.
    Chain {
        /// The token's text.
        token: String,
        /// The link; the last one when not given.
        cid: Option<String>,
    },
    /// Everything that this node has ever issued: its epoch moves to now.
    Everything,
}

/// Take rights back for good. Needs `/clankers/admin/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoke {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// What.
    pub what: RevokeWhat,
    /// What later versions add.
    pub ext: Ext,
}

/// A link that was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedLink {
    /// Its CID, as text.
    pub cid: String,
    /// The node that has to know.
    pub subject: NodeId,
    /// For whom it was.
    pub audience: NodeId,
    /// When it would have ended.
    pub expires: Timestamp,
    /// The signed revocation with its witness, to be handed to the subject when that is another node.
    pub revocation: Vec<u8>,
}

/// The answer to [`TokenRevoke`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// What was revoked: several when a token had been renewed.
    pub links: Vec<RevokedLink>,
    /// It was revoked already.
    pub known: bool,
    /// What was running under it here and is being ended (count).
    pub ended: u64,
    /// The node's epoch, when it was moved.
    pub epoch: Option<Timestamp>,
    /// What later versions add.
    pub ext: Ext,
}

/// Revocations for the node that they are about. Each carries its own proof: no token is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationOffer {
    /// Signed revocations, each with its witness.
    pub revocations: Vec<Vec<u8>>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`RevocationOffer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationTaken {
    /// Stored now (count).
    pub stored: u64,
    /// Known before (count).
    pub known: u64,
    /// Not taken: a [`crate::refusal::RefusalCode`]'s number for each.
    pub refused: Vec<u16>,
    /// What later versions add.
    pub ext: Ext,
}

/// Do we know the same revocations about `subject`? Needs a valid chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationSync {
    /// Whose rights they take back.
    pub subject: NodeId,
    /// How many the asker knows (count).
    pub count: u64,
    /// SHA-256 over their targets' digests, in order of bytes.
    pub hash: [u8; 32],
    /// The targets that the asker knows; none in a first question.
    pub have: Vec<CidDigest>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`RevocationSync`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationSynced {
    /// Count and hash are the same: nothing to do.
    pub same: bool,
    /// Targets in `have` that the node does not know: offer them.
    pub want: Vec<CidDigest>,
    /// Revocations that the asker did not list, as many as fit.
    pub missing: Vec<Vec<u8>>,
    /// What later versions add.
    pub ext: Ext,
}

/// A token for the node that is asked. Nothing is needed: the token speaks for itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenOffer {
    /// The token's text.
    pub token: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TokenOffer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenOffered {
    /// It was held already.
    pub known: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// Issue my grant again. Needs a valid chain of one grant that its issuer marked to be renewed, or one that was
/// valid until lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRenew {
    /// The chain to renew, in raw form.
    pub chain: Vec<u8>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TokenRenew`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRenewed {
    /// The new token's text.
    pub token: String,
    /// What later versions add.
    pub ext: Ext,
}

/// Drop a token that this node holds. Needs `/clankers/admin/grant`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenForget {
    /// The chain's leaf.
    pub leaf: Option<CidDigest>,
    /// Its CID, or a unique beginning of it.
    pub cid: String,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`TokenForget`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenForgotten {
    /// What it was.
    pub record: TokenRecord,
    /// What later versions add.
    pub ext: Ext,
}

plain_messages! {
    TokenOffered = TOKEN_OFFERED;
    TokenForgotten = TOKEN_FORGOTTEN;
}

impl Message for TokenForget {
    const KIND: Kind = Kind::TOKEN_FORGET;

    fn check(&self) -> Result<(), MessageError> {
        within("cid", self.cid.len(), limits::SELECTOR_BYTES)?;
        self.ext.check()
    }
}

impl Message for TokenRevoke {
    const KIND: Kind = Kind::TOKEN_REVOKE;

    fn check(&self) -> Result<(), MessageError> {
        match &self.what {
            RevokeWhat::Kept(cid) => TokenChoice::Kept(cid.clone()).check()?,
            RevokeWhat::Chain { token, cid } => {
                within("token", token.len(), TOKEN_TEXT_BYTES)?;
                within("cid", cid.as_ref().map_or(0, String::len), limits::SELECTOR_BYTES)?;
            }
            RevokeWhat::Everything => {}
        }
        self.ext.check()
    }
}

impl Message for TokenRevoked {
    const KIND: Kind = Kind::TOKEN_REVOKED;

    fn check(&self) -> Result<(), MessageError> {
        within("links", self.links.len(), limits::REVOCATIONS)?;
        self.links
            .iter()
            .try_for_each(|link| within("revocation", link.revocation.len(), limits::CHAIN_BYTES))?;
        self.ext.check()
    }
}

fn revocations(list: &[Vec<u8>]) -> Result<(), MessageError> {
    within("revocations", list.len(), limits::REVOCATIONS)?;
    list.iter().try_for_each(|bytes| within("revocation", bytes.len(), limits::CHAIN_BYTES))
}

impl Message for RevocationOffer {
    const KIND: Kind = Kind::REVOCATION_OFFER;

    fn check(&self) -> Result<(), MessageError> {
        revocations(&self.revocations)?;
        self.ext.check()
    }
}

impl Message for RevocationTaken {
    const KIND: Kind = Kind::REVOCATION_TAKEN;

    fn check(&self) -> Result<(), MessageError> {
        within("refused", self.refused.len(), limits::REVOCATIONS)?;
        self.ext.check()
    }
}

impl Message for RevocationSync {
    const KIND: Kind = Kind::REVOCATION_SYNC;

    fn check(&self) -> Result<(), MessageError> {
        within("have", self.have.len(), limits::REVOCATION_DIGESTS)?;
        self.ext.check()
    }
}

impl Message for RevocationSynced {
    const KIND: Kind = Kind::REVOCATION_SYNCED;

    fn check(&self) -> Result<(), MessageError> {
        within("want", self.want.len(), limits::REVOCATION_DIGESTS)?;
        revocations(&self.missing)?;
        self.ext.check()
    }
}

impl Message for TokenOffer {
    const KIND: Kind = Kind::TOKEN_OFFER;

    fn check(&self) -> Result<(), MessageError> {
        within("token", self.token.len(), TOKEN_TEXT_BYTES)?;
        self.ext.check()
    }
}

impl Message for TokenRenew {
    const KIND: Kind = Kind::TOKEN_RENEW;

    fn check(&self) -> Result<(), MessageError> {
        within("chain", self.chain.len(), limits::CHAIN_BYTES)?;
        self.ext.check()
    }
}

impl Message for TokenRenewed {
    const KIND: Kind = Kind::TOKEN_RENEWED;

    fn check(&self) -> Result<(), MessageError> {
        within("token", self.token.len(), TOKEN_TEXT_BYTES)?;
        self.ext.check()
    }
}
