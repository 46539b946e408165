//! Files on their way from one node to another.
//!
//! - [`words`]: ids, hashes, and why a file did not arrive
//! - [`name`]: paths from elsewhere, which are dirty until they are a [`SafePath`](name::SafePath)
//! - [`manifest`]: what is to be sent: the tree of files and directories, checked as it comes
//! - [`tree`]: blocks, and how their hashes make a file's
//! - [`set`]: which blocks are there
//! - [`sender`] and [`receiver`]: the two machines
//! - [`receipt`]: what a receiver signs
//!
//! The frames are in [`crate::request::transfer`].

pub mod manifest;
pub mod name;
mod pulse;
pub mod receipt;
pub mod receiver;
pub mod sender;
pub mod set;
pub mod talk;
pub mod tree;
pub mod words;

pub use manifest::Manifest;
pub use name::SafePath;
pub use set::BlockSet;
pub use talk::{End, FromReceiver, FromSender, Progress};
pub use words::{Cv, Fault, FileIdentity, Root, SourceIdentity, TransferId};
