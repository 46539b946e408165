//! A message: a postcard body of a known kind.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{kind::Kind, limits};

/// Room for what later versions add to a frozen struct: numbered values that an older reader skips.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ext(pub Vec<(u16, Vec<u8>)>);

impl Ext {
    /// The value with this number.
    #[must_use]
    pub fn get(&self, number: u16) -> Option<&[u8]> {
        self.0.iter().find(|(n, _)| *n == number).map(|(_, value)| value.as_slice())
    }

    /// Checks the limits on what a peer sent.
    ///
    /// # Errors
    /// [`MessageError::Limit`] when there are too many entries or one is too large.
    pub fn check(&self) -> Result<(), MessageError> {
        within("ext entries", self.0.len(), limits::EXT_ENTRIES)?;
        self.0.iter().try_for_each(|(_, value)| within("ext value", value.len(), limits::EXT_BYTES))
    }
}

/// Why a body is not the message that its kind promises.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Not valid postcard of this type.
    #[error("malformed message of kind {0}")]
    Malformed(Kind),
    /// Valid, with bytes left over.
    #[error("{1} bytes too many after a message of kind {0}")]
    Trailing(Kind, usize),
    /// A field is over its limit.
    #[error("'{what}' is too large: {got} bytes or entries, the limit is {limit}")]
    Limit {
        /// Which field.
        what: &'static str,
        /// Its size.
        got: usize,
        /// What is allowed, in the same unit.
        limit: usize,
    },
    /// A message of another kind was expected here.
    #[error("expected a message of kind {expected}, got {got}")]
    Unexpected {
        /// What should have come.
        expected: Kind,
        /// What came.
        got: Kind,
    },
}

/// Passes a size that is within its limit.
///
/// # Errors
/// [`MessageError::Limit`] otherwise.
pub fn within(what: &'static str, got: usize, limit: usize) -> Result<(), MessageError> {
    if got > limit { Err(MessageError::Limit { what, got, limit }) } else { Ok(()) }
}

/// A struct with a number on the wire. Once released, its fields are frozen; it grows by its `ext`.
pub trait Message: Serialize + DeserializeOwned {
    /// The kind of its frames.
    const KIND: Kind;

    /// Checks the named limits of its fields; called by [`Message::decode`].
    ///
    /// # Errors
    /// [`MessageError::Limit`] that names the field.
    fn check(&self) -> Result<(), MessageError> {
        Ok(())
    }

    /// The body's bytes.
    fn encode(&self) -> Vec<u8> {
        // Serializing to memory fails only for types that postcard cannot hold; the golden vectors hold one
        // of each, so an empty body (which no decoder accepts) cannot reach a release.
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// The message in a body.
    ///
    /// # Errors
    /// [`MessageError`] when the body is malformed, has bytes left over, or breaks a limit.
    fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let (value, rest) =
            postcard::take_from_bytes::<Self>(body).map_err(|_| MessageError::Malformed(Self::KIND))?;
        if !rest.is_empty() {
            return Err(MessageError::Trailing(Self::KIND, rest.len()));
        }
        value.check()?;
        Ok(value)
    }
}
