//! Containers: the tokens of one message, as bytes or as text.
//!
//! The form is a header byte and `{"ctn-v1": [token, ...]}` in DAG-CBOR, raw (`@`), in base64
//! (`B`) or in base64url without padding (`C`). The forms compressed with gzip (`M`, `O`, `P`) are
//! refused in both profiles: a few bytes could unfold into many, and tokens hardly shrink.
//!
//! Source: UCAN Container 0.1.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use ipld_core::ipld::Ipld;
use thiserror::Error;

use crate::chain::Shown;
use crate::cid::Cid;
use crate::codec::{self, Bounds, CodecError};
use crate::limits;
use crate::profile::Profile;
use crate::token::delegation::Delegation;
use crate::token::invocation::Invocation;
use crate::token::{DecodeError, Payload, Unverified, Verified, peek_tag};

const KEY: &str = "ctn-v1";
const RAW: u8 = b'@';
const BASE64_STD: u8 = b'B';
const BASE64_URL: u8 = b'C';
/// The map, its key and the list.
const FRAME_ITEMS: usize = 3;
/// The map and the list.
const FRAME_DEPTH: usize = 2;

/// What a container may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerLimits {
    /// Largest container, bytes before base64, with its header byte.
    pub bytes: usize,
    /// Most tokens.
    pub tokens: usize,
    /// Largest token, bytes.
    pub token_bytes: usize,
}

impl ContainerLimits {
    /// A chain: 16 KiB, 8 tokens of at most 4 KiB.
    pub const CHAIN: Self = Self {
        bytes: limits::CONTAINER_BYTES,
        tokens: limits::CONTAINER_TOKENS,
        token_bytes: limits::STRICT_TOKEN_BYTES,
    };

    /// An invocation or a revocation with its chain: one token more.
    pub const WITH_INVOCATION: Self =
        Self { tokens: limits::CONTAINER_TOKENS_WITH_INVOCATION, ..Self::CHAIN };
}

/// The encoded tokens of one message: a set, sorted bytewise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    tokens: Vec<Vec<u8>>,
}

/// A token of either kind, not verified.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyToken {
    /// A delegation.
    Delegation(Unverified<Delegation>),
    /// An invocation.
    Invocation(Unverified<Invocation>),
}

/// Why bytes or a text are not a container.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ContainerError {
    /// There is nothing.
    #[error("the container is empty; give the whole token text")]
    Empty,
    /// The container is longer than the limit.
    #[error("the container has {found} bytes, at most {limit} are read; send fewer or smaller tokens")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More tokens than the limit.
    #[error("the container has more than {limit} tokens; send one chain only")]
    TooManyTokens {
        /// Tokens allowed.
        limit: usize,
    },
    /// A token is longer than the limit.
    #[error("token {index} has {found} bytes, at most {limit} are read; shorten its policy")]
    TokenTooLarge {
        /// Which one, from 0.
        index: usize,
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The container is compressed.
    #[error("the container is compressed, which is refused; send it uncompressed (header `@` or `C`)")]
    Compressed,
    /// The header byte is not known, or not accepted in this profile.
    #[error("the container's header byte is {found:#04x}; expected `@` (raw) or `C` (base64url)")]
    Header {
        /// The byte found.
        found: u8,
    },
    /// The text is not base64 in its one canonical form.
    #[error("the container's text is not base64url without padding; copy it again, whole")]
    Base64,
    /// The content is not canonical DAG-CBOR within bounds.
    #[error("the container is not canonical DAG-CBOR: {0}")]
    Codec(#[from] CodecError),
    /// The content is not `{"ctn-v1": [bytes, ...]}`.
    #[error("the content is not a map of `{KEY}` to a list of byte strings")]
    Shape,
    /// The tokens are not sorted bytewise.
    #[error("the tokens are not sorted bytewise; sort them before encoding")]
    NotSorted,
    /// A token is there twice.
    #[error("a token is there twice; send each once")]
    Duplicate,
    /// A token is malformed.
    #[error("token {index} is malformed: {source}")]
    Token {
        /// Which one, from 0 in the sorted order.
        index: usize,
        /// Why.
        source: DecodeError,
    },
}

impl Container {
    /// Puts encoded tokens together, sorted and without duplicates.
    ///
    /// # Errors
    /// [`ContainerError`] when there are too many or they are too large.
    pub fn new<B: AsRef<[u8]>>(
        tokens: impl IntoIterator<Item = B>,
        limits: &ContainerLimits,
    ) -> Result<Self, ContainerError> {
        let mut tokens: Vec<Vec<u8>> = tokens.into_iter().map(|token| token.as_ref().to_vec()).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let container = Self { tokens };
        container.check_tokens(limits)?;
        let found = container.to_bytes()?.len();
        if found > limits.bytes {
            return Err(ContainerError::TooLarge { found, limit: limits.bytes });
        }
        Ok(container)
    }

    /// Reads a container in its raw or its text form. Text must not be surrounded by white space.
    ///
    /// The strict profile accepts the forms `@` and `C` and requires the tokens to be sorted. The
    /// tokens themselves are not decoded yet.
    ///
    /// # Errors
    /// [`ContainerError`] with the reason.
    pub fn decode(input: &[u8], limits: &ContainerLimits, profile: Profile) -> Result<Self, ContainerError> {
        let (header, body) = input.split_first().ok_or(ContainerError::Empty)?;
        let too_large = |found| ContainerError::TooLarge { found, limit: limits.bytes };
        match *header {
            RAW => {
                if input.len() > limits.bytes {
                    return Err(too_large(input.len()));
                }
                Self::read(body, limits, profile)
            }
            BASE64_URL | BASE64_STD if *header == BASE64_URL || !profile.is_strict() => {
                // Four characters for three bytes, and padding.
                let longest = limits.bytes.div_ceil(3).saturating_mul(4).saturating_add(1);
                if input.len() > longest {
                    return Err(too_large(input.len()));
                }
                let encoding = if *header == BASE64_URL { BASE64URL_NOPAD } else { BASE64 };
                let body = encoding.decode(body).map_err(|_| ContainerError::Base64)?;
                if body.len().saturating_add(1) > limits.bytes {
                    return Err(too_large(body.len().saturating_add(1)));
                }
                Self::read(&body, limits, profile)
            }
            b'M' | b'O' | b'P' => Err(ContainerError::Compressed),
            found => Err(ContainerError::Header { found }),
        }
    }

    fn read(body: &[u8], limits: &ContainerLimits, profile: Profile) -> Result<Self, ContainerError> {
        let bounds = Bounds {
            bytes: limits.bytes,
            depth: FRAME_DEPTH,
            items: limits.tokens.saturating_add(FRAME_ITEMS),
            floats: false,
            safe_integers: true,
        };
        let content = codec::decode(body, &bounds).map_err(|error| match error {
            CodecError::TooManyItems { .. } => ContainerError::TooManyTokens { limit: limits.tokens },
            other => other.into(),
        })?;
        let Ipld::Map(mut frame) = content else { return Err(ContainerError::Shape) };
        let Some(Ipld::List(list)) = frame.remove(KEY) else { return Err(ContainerError::Shape) };
        if !frame.is_empty() {
            return Err(ContainerError::Shape);
        }
        let mut tokens = Vec::with_capacity(list.len());
        for token in list {
            let Ipld::Bytes(token) = token else { return Err(ContainerError::Shape) };
            tokens.push(token);
        }
        if !profile.is_strict() {
            tokens.sort_unstable();
        }
        for pair in tokens.windows(2) {
            match pair {
                [a, b] if a == b => return Err(ContainerError::Duplicate),
                [a, b] if a > b => return Err(ContainerError::NotSorted),
                _ => {}
            }
        }
        let container = Self { tokens };
        container.check_tokens(limits)?;
        Ok(container)
    }

    fn check_tokens(&self, limits: &ContainerLimits) -> Result<(), ContainerError> {
        if self.tokens.len() > limits.tokens {
            return Err(ContainerError::TooManyTokens { limit: limits.tokens });
        }
        for (index, token) in self.tokens.iter().enumerate() {
            if token.len() > limits.token_bytes {
                return Err(ContainerError::TokenTooLarge {
                    index,
                    found: token.len(),
                    limit: limits.token_bytes,
                });
            }
        }
        Ok(())
    }

    /// The raw form, header byte `@`.
    ///
    /// # Errors
    /// [`ContainerError::Codec`]; does not occur for byte strings.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ContainerError> {
        let mut bytes = vec![RAW];
        bytes.extend(self.encode()?);
        Ok(bytes)
    }

    /// The text form, header byte `C` and base64url without padding.
    ///
    /// # Errors
    /// [`ContainerError::Codec`]; does not occur for byte strings.
    pub fn to_text(&self) -> Result<String, ContainerError> {
        Ok(format!("{}{}", char::from(BASE64_URL), BASE64URL_NOPAD.encode(&self.encode()?)))
    }

    fn encode(&self) -> Result<Vec<u8>, ContainerError> {
        let list = self.tokens.iter().cloned().map(Ipld::Bytes).collect();
        Ok(codec::encode(&Ipld::Map(BTreeMap::from([(KEY.to_owned(), Ipld::List(list))])))?)
    }

    /// The encoded tokens, sorted bytewise.
    pub fn tokens(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.tokens.iter().map(Vec::as_slice)
    }

    /// Decodes all tokens, which must be delegations.
    ///
    /// # Errors
    /// [`ContainerError::Token`] for the first that is not.
    pub fn delegations(&self, profile: Profile) -> Result<Vec<Unverified<Delegation>>, ContainerError> {
        let decode = |(index, token): (usize, &Vec<u8>)| {
            Unverified::decode(token, profile).map_err(|source| ContainerError::Token { index, source })
        };
        self.tokens.iter().enumerate().map(decode).collect()
    }

    /// All tokens, which must be delegations: those that `known` has verified before as it has them, the others
    /// decoded.
    ///
    /// # Errors
    /// [`ContainerError::Token`] for the first that is no delegation.
    pub fn shown(
        &self,
        profile: Profile,
        mut known: impl FnMut(&Cid) -> Option<Arc<Verified<Delegation>>>,
    ) -> Result<Vec<Shown>, ContainerError> {
        let mut look = |(index, token): (usize, &Vec<u8>)| match known(&Cid::of(token)) {
            Some(token) => Ok(Shown::Before(token)),
            None => Unverified::decode(token, profile)
                .map(|token| Shown::New(Box::new(token)))
                .map_err(|source| ContainerError::Token { index, source }),
        };
        self.tokens.iter().enumerate().map(&mut look).collect()
    }

    /// Decodes all tokens, delegations and invocations.
    ///
    /// # Errors
    /// [`ContainerError::Token`] for the first that is neither.
    pub fn any_tokens(&self, profile: Profile) -> Result<Vec<AnyToken>, ContainerError> {
        let decode = |(index, token): (usize, &Vec<u8>)| {
            AnyToken::decode(token, profile).map_err(|source| ContainerError::Token { index, source })
        };
        self.tokens.iter().enumerate().map(decode).collect()
    }
}

impl AnyToken {
    /// Decodes a token of either kind.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8], profile: Profile) -> Result<Self, DecodeError> {
        if peek_tag(bytes, profile)? == Invocation::TAG {
            Unverified::decode(bytes, profile).map(Self::Invocation)
        } else {
            Unverified::decode(bytes, profile).map(Self::Delegation)
        }
    }
}
