//! The first words on a connection, and what may be shown later.

use serde::{Deserialize, Serialize};

use crate::{
    CidDigest, NodeId, Timestamp,
    kind::Kind,
    limits,
    message::{Ext, Message, MessageError, within},
};

/// Who is dialing: a node, or one run of a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerKind {
    /// A node.
    Node,
    /// A command line.
    Cli,
}

/// The dialer's first frame, on its first stream. The first requests may be sent in the same flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Protocol versions that it speaks.
    pub versions: Vec<u16>,
    /// Name and version of its software.
    pub software: String,
    /// What it is.
    pub kind: PeerKind,
    /// What it calls itself: a claim.
    pub label: Option<String>,
    /// Features that it has, by number.
    pub features: Vec<u16>,
    /// Random at each start: tells a restarted peer from one that was away.
    pub boot_id: u64,
    /// Its clock, to name skew to the user.
    pub now: Timestamp,
    /// Proof chains: UCAN containers.
    pub chains: Vec<Vec<u8>>,
    /// What later versions add.
    pub ext: Ext,
}

/// What a peer may use of the acceptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLimits {
    /// Bytes of a frame's body.
    pub frame_bytes: u32,
    /// Streams open at a time.
    pub streams: u32,
}

/// The acceptor's answer to [`Hello`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The version that both will speak.
    pub version: u16,
    /// Name and version of its software.
    pub software: String,
    /// What it calls itself: a claim.
    pub label: Option<String>,
    /// Features that it has, by number.
    pub features: Vec<u16>,
    /// Random at each start.
    pub boot_id: u64,
    /// Its clock.
    pub now: Timestamp,
    /// What it grants this connection.
    pub limits: PeerLimits,
    /// For each chain of the Hello in order: its leaf, or why it is of no use.
    pub chains: Vec<ChainVerdict>,
    /// What later versions add.
    pub ext: Ext,
}

/// What became of a chain that was shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChainVerdict {
    /// It is kept; requests may name this leaf.
    Held(CidDigest),
    /// It is of no use here; the code is a [`crate::refusal::RefusalCode`].
    Refused(u16),
}

/// Shows further chains on a connection that lives; authority stays per request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Present {
    /// Proof chains: UCAN containers.
    pub chains: Vec<Vec<u8>>,
    /// What later versions add.
    pub ext: Ext,
}

/// The answer to [`Present`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// For each chain in order: its leaf, or why it is of no use.
    pub chains: Vec<ChainVerdict>,
    /// What later versions add.
    pub ext: Ext,
}

fn check_chains(chains: &[Vec<u8>]) -> Result<(), MessageError> {
    within("chains", chains.len(), limits::CHAINS)?;
    chains.iter().try_for_each(|chain| within("chain bytes", chain.len(), limits::CHAIN_BYTES))
}

fn check_names(software: &str, label: Option<&String>, features: &[u16]) -> Result<(), MessageError> {
    within("software", software.len(), limits::SOFTWARE_BYTES)?;
    within("label", label.map_or(0, String::len), limits::LABEL_BYTES)?;
    within("features", features.len(), limits::TOOLS)
}

impl Message for Hello {
    const KIND: Kind = Kind::HELLO;

    fn check(&self) -> Result<(), MessageError> {
        within("versions", self.versions.len(), limits::EXT_ENTRIES)?;
        check_names(&self.software, self.label.as_ref(), &self.features)?;
        check_chains(&self.chains)?;
        self.ext.check()
    }
}

impl Message for Welcome {
    const KIND: Kind = Kind::WELCOME;

    fn check(&self) -> Result<(), MessageError> {
        check_names(&self.software, self.label.as_ref(), &self.features)?;
        within("chains", self.chains.len(), limits::CHAINS)?;
        self.ext.check()
    }
}

impl Message for Present {
    const KIND: Kind = Kind::PRESENT;

    fn check(&self) -> Result<(), MessageError> {
        check_chains(&self.chains)?;
        self.ext.check()
    }
}

impl Message for Presented {
    const KIND: Kind = Kind::PRESENTED;

    fn check(&self) -> Result<(), MessageError> {
        within("chains", self.chains.len(), limits::CHAINS)?;
        self.ext.check()
    }
}

/// Why a label is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Empty, too long, or with characters that a label cannot have.
    #[error(
        "a label is 1 to 64 bytes of letters, digits, '.', '_' and '-', and begins with a letter or digit"
    )]
    Form,
    /// It could be taken for an id or a ticket.
    #[error("a label may not look like a node id or a ticket")]
    LooksLikeId,
}

/// Checks a label that an owner gives to a peer or to their own node.
///
/// # Errors
/// [`LabelError`] when it could not be typed, shown, or told from an id.
pub fn check_label(label: &str) -> Result<(), LabelError> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-');
    let starts = label.chars().next().is_some_and(char::is_alphanumeric);
    if !starts || label.len() > limits::LABEL_BYTES || !label.chars().all(good) {
        return Err(LabelError::Form);
    }
    let hex = label.len() >= 8 && label.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let lower = label.to_ascii_lowercase();
    if hex || lower.starts_with("endpoint") && label.len() > 32 || lower == "local" {
        return Err(LabelError::LooksLikeId);
    }
    Ok(())
}

/// The dialer's own identity in words of this crate, for logs.
#[must_use]
pub fn describe(id: NodeId, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("{} ({})", crate::text::line(label, limits::LABEL_BYTES), id.short()),
        None => id.short(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels() {
        for good in ["desk", "büro-2", "a.b_c", "deadbee"] {
            assert_eq!(check_label(good), Ok(()), "{good}");
        }
        for bad in ["", "-x", "a b", "a\u{1b}b", "../x", &"x".repeat(65)] {
            assert_eq!(check_label(bad), Err(LabelError::Form), "{bad}");
        }
        for bad in ["deadbeef", &"ab".repeat(32), "local"] {
            assert_eq!(check_label(bad), Err(LabelError::LooksLikeId), "{bad}");
        }
    }

    #[test]
    fn an_oversized_hello_is_refused_by_field() {
        let hello = Hello {
            versions: vec![1],
            software: "x".into(),
            kind: PeerKind::Cli,
            label: None,
            features: vec![],
            boot_id: 1,
            now: Timestamp(0),
            chains: vec![vec![]; 9],
            ext: Ext::default(),
        };
        assert_eq!(
            Hello::decode(&hello.encode()),
            Err(MessageError::Limit { what: "chains", got: 9, limit: 8 })
        );
    }
}
