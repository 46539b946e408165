//! Identifiers. Node and session ids are 32 bytes, written as 64 lower-case hex digits.

use std::{fmt, str::FromStr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::limits::PROMPT_ID_BYTES;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseIdError {
    /// Not 64 lower-case hex digits.
    #[error("not an id: an id is 64 lower-case hex digits, this has {0} characters")]
    Hex(usize),
    /// A prompt id with a character or length that is not allowed.
    #[error("not a prompt id: use 1 to 128 of the characters a-z A-Z 0-9 . _ -")]
    PromptId,
}

fn parse_hex(s: &str) -> Result<[u8; 32], ParseIdError> {
    HEXLOWER
        .decode(s.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| ParseIdError::Hex(s.chars().count()))
}

macro_rules! id32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The first ten hex digits: what people read.
            #[must_use]
            pub fn short(&self) -> String {
                let mut text = self.to_string();
                text.truncate(10);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                parse_hex(s).map(Self)
            }
        }

        // Hex in JSON, 32 plain bytes on the wire.
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { self.0.serialize(s) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                if d.is_human_readable() {
                    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
                } else {
                    <[u8; 32]>::deserialize(d).map(Self)
                }
            }
        }
    };
}

id32!(
    /// A node's id: its Ed25519 public key, the same as iroh's endpoint id.
    NodeId
);
id32!(
    /// A session's id: 32 random bytes.
    SessionId
);
id32!(
    /// The SHA-256 digest inside the CID of a UCAN delegation (CIDv1, DAG-CBOR, SHA-256): names a token.
    CidDigest
);
id32!(
    /// A team's id: its Ed25519 public key.
    TeamId
);

impl TeamId {
    /// The same key as a `did:key`.
    #[must_use]
    pub fn did(&self) -> String {
        self.node().did()
    }

    /// The same key where authority speaks of subjects.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId(self.0)
    }
}

impl NodeId {
    /// The same key as a `did:key` (multicodec 0xed, base58btc; W3C did:key method).
    #[must_use]
    pub fn did(&self) -> String {
        let mut bytes = vec![0xed, 0x01];
        bytes.extend_from_slice(&self.0);
        format!("did:key:z{}", bs58::encode(bytes).into_string())
    }
}

/// A prompt's id, chosen by the client: sending it again never runs the prompt again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PromptId(String);

impl PromptId {
    /// A prompt id from 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(HEXLOWER.encode(&bytes))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PromptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for PromptId {
    type Err = ParseIdError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if s.is_empty() || s.len() > PROMPT_ID_BYTES || !s.bytes().all(allowed) {
            return Err(ParseIdError::PromptId);
        }
        Ok(Self(s.to_owned()))
    }
}

impl<'de> Deserialize<'de> for PromptId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact() {
        let id = NodeId([0xab; 32]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.short(), "ababababab");
        for bad in ["", "AB", &"AB".repeat(32), &"ab".repeat(31), &"ab".repeat(33), &"zz".repeat(32)] {
            assert!(bad.parse::<NodeId>().is_err(), "{bad}");
        }
        for bad in ["", "a b", "../x", "\u{1b}[2J", &"x".repeat(129)] {
            assert_eq!(bad.parse::<PromptId>(), Err(ParseIdError::PromptId));
        }
    }

    #[test]
    fn a_node_id_is_a_did_key() {
        // From the official delegation fixture's principals: the key of "bob".
        let key: NodeId = "dededededededededededededededededededededededededededededededede".parse().unwrap();
        assert!(key.did().starts_with("did:key:z6Mk"));
    }

    #[test]
    fn a_prompt_id_from_the_wire_is_checked() {
        let bytes = postcard::to_stdvec("../../etc").unwrap();
        assert!(postcard::from_bytes::<PromptId>(&bytes).is_err());
    }
}
