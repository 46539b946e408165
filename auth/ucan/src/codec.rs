//! Strict DAG-CBOR: bounds and canonical form are checked before anything is built.
//!
//! Source: DAG-CBOR specification ("strictness"), RFC 8949 section 4.2.

mod scan;

use ipld_core::ipld::Ipld;
use thiserror::Error;

pub(crate) use scan::{Bounds, scan};

/// Why bytes are not the one canonical DAG-CBOR encoding of a value within bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The input is longer than the limit.
    #[error("the input has {found} bytes, at most {limit} are read; send less")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The input ends before the value does.
    #[error("the input ends too early; it was cut off")]
    Truncated,
    /// Bytes follow the value.
    #[error("{extra} bytes follow the value; send exactly one value")]
    TrailingBytes {
        /// Bytes left over.
        extra: usize,
    },
    /// Lists and maps are nested deeper than the limit.
    #[error("values are nested deeper than {limit} levels")]
    TooDeep {
        /// Levels allowed.
        limit: usize,
    },
    /// There are more values than the limit.
    #[error("there are more than {limit} values")]
    TooManyItems {
        /// Values allowed.
        limit: usize,
    },
    /// A length or number is not encoded in its shortest form.
    #[error("a number or length is not in its shortest form; encode canonically")]
    NotShortest,
    /// A string, list or map of indefinite length.
    #[error("a value of indefinite length; encode canonically")]
    Indefinite,
    /// A reserved or malformed initial byte.
    #[error("the input is not CBOR: reserved initial byte")]
    Reserved,
    /// Keys of a map are not in canonical order (shorter first, then bytewise).
    #[error("the keys of a map are not in canonical order; encode canonically")]
    KeyOrder,
    /// A map has the same key twice.
    #[error("a map has the same key twice")]
    DuplicateKey,
    /// A key of a map is not a text.
    #[error("a key of a map is not a text")]
    KeyNotText,
    /// A text is not UTF-8.
    #[error("a text is not UTF-8")]
    NotUtf8,
    /// A tag other than 42 (link).
    #[error("tag {tag} is not known to DAG-CBOR; only links (42) are tagged")]
    UnknownTag {
        /// The tag found.
        tag: u64,
    },
    /// A link that is not a binary CID with the identity prefix.
    #[error("a link does not hold a binary CID")]
    BadLink,
    /// A simple value other than false, true, null; half and single floats.
    #[error("a simple value or a short float that DAG-CBOR does not have")]
    BadSimple,
    /// A float that is not finite.
    #[error("a float is infinite or not a number")]
    NotFinite,
    /// A float where the profile has none.
    #[error("a floating-point number; use integers in a smaller unit")]
    Float,
    /// An integer beyond 2^53 - 1 in magnitude where the profile bounds them.
    #[error("an integer beyond 2^53 - 1; use a larger unit")]
    IntegerTooLarge,
    /// The value's canonical encoding is other than the input.
    #[error("the input is not the canonical encoding of its value; encode canonically")]
    NotCanonical,
}

/// Decodes exactly one value that must be canonical and within `bounds`.
pub(crate) fn decode(bytes: &[u8], bounds: &Bounds) -> Result<Ipld, CodecError> {
    scan(bytes, bounds)?;
    let value: Ipld = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| CodecError::BadLink)?;
    // The scanner is meant to leave nothing for this to find; it stays as the second lock.
    if encode(&value)? == bytes { Ok(value) } else { Err(CodecError::NotCanonical) }
}

/// The canonical encoding of a value. Fails only for values that DAG-CBOR cannot say.
pub(crate) fn encode(value: &Ipld) -> Result<Vec<u8>, CodecError> {
    serde_ipld_dagcbor::to_vec(value).map_err(|_| CodecError::NotFinite)
}

#[cfg(test)]
mod tests;
