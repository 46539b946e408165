//! What travels on a team's gossip: three kinds of payloads, each signed by its author under a context of its own.
//!
//! A payload is refused when it is over [`GOSSIP_BYTES`], has anything left over, breaks a limit, or holds text that
//! could not be shown as it is: nothing dirty comes into any table.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    CidDigest, NodeId, TeamId, Timestamp,
    limits::{GOSSIP_BYTES, LABEL_BYTES, NOTICE_LINKS, PATH_BYTES, PRESENCE_ADDRESSES, SOFTWARE_BYTES},
    message::{Ext, MessageError, within},
    text,
};

/// How much a node has to do.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Sessions (count).
    pub sessions: u32,
    /// Turns that run now (count).
    pub running: u32,
}

/// A beat: "I am here, and this is how I am reached".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// To which team it is said.
    pub team: TeamId,
    /// Who says it.
    pub author: NodeId,
    /// Its start: higher than at every earlier one.
    pub boot_id: u64,
    /// Rises with every record of one start.
    pub counter: u64,
    /// The author's own clock, which may be wrong.
    pub at: Timestamp,
    /// How long this holds when nothing newer comes (milliseconds).
    pub lease_ms: u64,
    /// Where it is reached.
    pub addrs: Vec<SocketAddr>,
    /// The relay that it can be reached through.
    pub relay: Option<String>,
    /// What it calls itself: a claim.
    pub label: Option<String>,
    /// Its software.
    pub version: String,
    /// What it has to do.
    pub load: Load,
    /// Goodbye: it is the last record of this start.
    pub leaving: bool,
    /// What later versions add.
    pub ext: Ext,
}

/// "I lost my connection to this member": whoever lives says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// In which team.
    pub team: TeamId,
    /// Who says it.
    pub author: NodeId,
    /// Rises, over all starts of the author, so that no two are the same.
    pub counter: u64,
    /// Who was lost.
    pub member: NodeId,
    /// Its start, as far as the author knows.
    pub boot_id: u64,
    /// Its last record that the author heard.
    pub heard: u64,
}

/// A link that was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Noted {
    /// The link.
    pub cid: CidDigest,
    /// Whose rights it carries: the team, or a node. Only who is concerned fetches the revocation.
    pub subject: NodeId,
    /// When the link ends.
    pub expires: Timestamp,
}

/// "There are revocations": whoever lacks them fetches them from the peer that handed the notice on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// In which team.
    pub team: TeamId,
    /// Who says it.
    pub author: NodeId,
    /// Rises, over all starts of the author, so that no two are the same.
    pub counter: u64,
    /// What was revoked.
    pub revoked: Vec<Noted>,
}

/// An Ed25519 signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(pub [u8; 64]);

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({}..)", data_encoding::HEXLOWER.encode(self.0.get(..4).unwrap_or_default()))
    }
}

// Two halves: serde knows arrays up to 32.
impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let (head, tail) = self.0.split_at(32);
        let half = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).unwrap_or_default();
        (half(head), half(tail)).serialize(s)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let (head, tail) = <([u8; 32], [u8; 32])>::deserialize(d)?;
        let mut all = [0; 64];
        all.iter_mut().zip(head.into_iter().chain(tail)).for_each(|(to, from)| *to = from);
        Ok(Self(all))
    }
}

/// What somebody said and, as far as is known here, signed: only a check of the signature makes it theirs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    /// What.
    pub body: T,
    /// By whom.
    pub signature: Signature,
}

/// Something that is signed.
pub trait Signable: Serialize {
    /// Sets its signatures apart from those of all else that the same key signs.
    const CONTEXT: &'static str;

    /// Whose signature it needs.
    fn author(&self) -> NodeId;

    /// In which team it is said.
    fn team(&self) -> TeamId;

    /// What is signed: the context, a zero, and the value. A value has one encoding, whatever it was decoded from.
    fn signing_bytes(&self) -> Vec<u8> {
        let mut bytes = Self::CONTEXT.as_bytes().to_vec();
        bytes.push(0);
        bytes.extend(postcard::to_stdvec(self).unwrap_or_default());
        bytes
    }
}

macro_rules! signable {
    ($($name:ident = $context:literal;)*) => {
        $(impl Signable for $name {
            const CONTEXT: &'static str = $context;

            fn author(&self) -> NodeId {
                self.author
            }

            fn team(&self) -> TeamId {
                self.team
            }
        })*
    };
}

signable! {
    Record = "clankers-presence-v1";
    Lost = "clankers-lost-v1";
    Notice = "clankers-notice-v1";
}

/// A payload that is not signed yet: what the machines give out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Say {
    /// A beat.
    Presence(Record),
    /// Somebody was lost.
    Lost(Lost),
    /// Something was revoked.
    Revoked(Notice),
}

/// A payload as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Gossiped {
    /// A beat.
    Presence(Signed<Record>),
    /// Somebody was lost.
    Lost(Signed<Lost>),
    /// Something was revoked.
    Revoked(Signed<Notice>),
}

/// Why bytes are no payload, or a payload is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// Over the limit.
    #[error("a payload of {0} bytes does not travel on gossip, the limit is {GOSSIP_BYTES}")]
    TooLarge(usize),
    /// Cut off, or not written as this version writes it.
    #[error("not a payload of this version")]
    Malformed,
    /// A later version's kind, as far as can be told.
    #[error("a payload of kind {0}, which this version does not know")]
    Unknown(u8),
    /// Bytes are left over.
    #[error("{0} bytes too many after a payload")]
    Trailing(usize),
    /// A field is over its limit.
    #[error("{0}")]
    Limit(#[from] MessageError),
    /// An address that is nobody's own.
    #[error("{0} is no address of a node")]
    Address(SocketAddr),
    /// Text that cannot be shown as it is.
    #[error("the {0} has characters that could deceive whoever reads it")]
    Dirty(&'static str),
}

/// Kinds of payloads (count): what [`Gossiped`] has.
const KINDS: u8 = 3;

impl Gossiped {
    /// The payload's bytes.
    ///
    /// # Errors
    /// [`PayloadError`] for what no reader would accept.
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        self.check()?;
        let bytes = postcard::to_stdvec(self).map_err(|_| PayloadError::Malformed)?;
        if bytes.len() > GOSSIP_BYTES { Err(PayloadError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    /// The payload in these bytes; nobody vouched for it yet.
    ///
    /// # Errors
    /// [`PayloadError`] when it is none.
    pub fn decode(bytes: &[u8]) -> Result<Self, PayloadError> {
        if bytes.len() > GOSSIP_BYTES {
            return Err(PayloadError::TooLarge(bytes.len()));
        }
        // From 0x80 on a kind has a second byte.
        if let Some(kind) = bytes.first().filter(|kind| (KINDS..0x80).contains(*kind)) {
            return Err(PayloadError::Unknown(*kind));
        }
        let (payload, rest): (Self, _) =
            postcard::take_from_bytes(bytes).map_err(|_| PayloadError::Malformed)?;
        if !rest.is_empty() {
            return Err(PayloadError::Trailing(rest.len()));
        }
        payload.check()?;
        // A number may be written longer than it need be, and the signature holds all the same: anybody could make
        // thousands of payloads of one, each new to gossip, and use up what its author may say.
        if postcard::to_stdvec(&payload).map_err(|_| PayloadError::Malformed)? != bytes {
            return Err(PayloadError::Malformed);
        }
        Ok(payload)
    }

    /// A payload without a signature, for where signatures are not looked at.
    #[must_use]
    pub fn unsigned(say: Say) -> Self {
        let signature = Signature([0; 64]);
        match say {
            Say::Presence(body) => Self::Presence(Signed { body, signature }),
            Say::Lost(body) => Self::Lost(Signed { body, signature }),
            Say::Revoked(body) => Self::Revoked(Signed { body, signature }),
        }
    }

    /// Who is said to have said it.
    #[must_use]
    pub fn author(&self) -> NodeId {
        match self {
            Self::Presence(signed) => signed.body.author,
            Self::Lost(signed) => signed.body.author,
            Self::Revoked(signed) => signed.body.author,
        }
    }

    /// In which team.
    #[must_use]
    pub fn team(&self) -> TeamId {
        match self {
            Self::Presence(signed) => signed.body.team,
            Self::Lost(signed) => signed.body.team,
            Self::Revoked(signed) => signed.body.team,
        }
    }

    fn check(&self) -> Result<(), PayloadError> {
        match self {
            Self::Presence(signed) => signed.body.check(),
            Self::Lost(_) => Ok(()),
            Self::Revoked(signed) => Ok(within("revoked", signed.body.revoked.len(), NOTICE_LINKS)?),
        }
    }
}

/// Text of at most so many bytes that shows as it is.
fn plain(what: &'static str, value: &str, most: usize) -> Result<(), PayloadError> {
    within(what, value.len(), most)?;
    if value.trim() == value && text::line(value, most) == value {
        Ok(())
    } else {
        Err(PayloadError::Dirty(what))
    }
}

/// Whether this can be the address of one node: whoever is sent to many, or to nobody, would be dialed by a whole team.
#[must_use]
pub fn is_own(addr: &SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let broadcast = matches!(ip, std::net::IpAddr::V4(ip) if ip.is_broadcast());
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

impl Record {
    fn check(&self) -> Result<(), PayloadError> {
        within("addrs", self.addrs.len(), PRESENCE_ADDRESSES)?;
        if let Some(addr) = self.addrs.iter().find(|addr| !is_own(addr)) {
            return Err(PayloadError::Address(*addr));
        }
        self.relay.as_ref().map_or(Ok(()), |relay| plain("relay", relay, PATH_BYTES))?;
        self.label.as_ref().map_or(Ok(()), |label| plain("label", label, LABEL_BYTES))?;
        plain("version", &self.version, SOFTWARE_BYTES)?;
        Ok(self.ext.check()?)
    }

    /// Its place among the records of its author.
    #[must_use]
    pub fn place(&self) -> (u64, u64) {
        (self.boot_id, self.counter)
    }
}
