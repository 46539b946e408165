//! Why the peer book says no.

use clankers_protocol::{NodeId, text};

use crate::StoreError;

/// Why the peer book says no.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// Nobody of that name.
    #[error("no known peer is called '{}'", text::line(.0, 80))]
    NotFound(String),
    /// More than one.
    #[error("'{}' may mean {count} peers; write more of the id, or a label of yours", text::line(name, 80))]
    Ambiguous {
        /// What was asked.
        name: String,
        /// How many it may mean.
        count: usize,
    },
    /// Too short a beginning of an id.
    #[error("'{}' is no label, and too short to be the beginning of an id: write at least {} digits", text::line(.0, 80),
        crate::limits::PREFIX_DIGITS)]
    TooShort(String),
    /// Another peer has the label.
    #[error("the label '{label}' belongs to {}; take it away first, or choose another", holder.short())]
    LabelTaken {
        /// The label.
        label: String,
        /// Who has it.
        holder: NodeId,
    },
    /// It cannot be a label.
    #[error("'{}' cannot be a label: {why}", text::line(label, 80))]
    BadLabel {
        /// The text.
        label: String,
        /// Why.
        why: &'static str,
    },
    /// It is no socket address.
    #[error("'{}' is not an address: write it like 192.0.2.7:4433 or [2001:db8::7]:4433", text::line(.0, 80))]
    BadAddress(String),
    /// Too many addresses, or one that is too long.
    #[error("{what}: at most {limit}")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit (count or bytes).
        limit: usize,
    },
    /// The book is full.
    #[error("the peer book is full ({limit} peers); remove some with `clankers rpc peers remove`")]
    Full {
        /// How many fit.
        limit: u64,
    },
    /// Trouble with the database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! from_redb {
    ($($kind:ident)*) => {$(
        impl From<redb::$kind> for PeerError {
            fn from(error: redb::$kind) -> Self {
                Self::Store(error.into())
            }
        }
    )*};
}

from_redb!(TableError StorageError);
