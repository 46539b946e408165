//! A session's log: append-only lines, one writer, synced before anything is announced.
//!
//! - [`LogReader`] reads, bounded, beside the writer and after damage
//! - [`SessionLog`] is the one writer: it holds the file's lock
//! - [`LogHeader`] and the lines' form: `entry`; the pass at opening: `survey`
//!
//! What an append promises: when it returns, its events are on the disk, all of them; when it fails, none of them is in
//! the log, and the next append begins where the last whole one ended. After a kill in its midst the log opens with
//! what was finished; the beginning of an unfinished line is dropped and said. Damage elsewhere is never
//! dropped and never skipped: the log is refused for writing and can be read up to the damage.

mod digest;
pub(crate) mod entry;
mod error;
pub(crate) mod reader;
pub(crate) mod survey;
mod writer;

pub use digest::{Digest, PromptMark};
pub(crate) use entry::RawEvent;
pub use entry::{LOG_VERSION, LogHeader};
pub use error::{Damage, LogError};
pub use reader::{LogEnd, LogReader, Page};
pub use writer::{DroppedTail, NewSession, SessionLog};

#[cfg(test)]
mod tests;
