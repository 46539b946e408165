//! The disk of file transfer: what is read to be sent, and what arrives until it has its final name.
//!
//! Everything blocks: callers use threads where that is allowed. In the order in which a file meets it:
//!
//! - [`Source`]: a file or directory, listed once, read block by block, watched for change; [`Export`]: what peers may fetch
//! - [`Inbox`] and [`Place`]: where transfers land, what is unfinished there, how much it holds
//! - [`Place::begin`]: a transfer begins or goes on, in a part directory on the same file system
//! - [`Landing`]: blocks are compared, written and written down in a journal; at the end all gets its final name at once
//! - [`Wanted`]: a manifest with what the owner declined, as a landing needs it
//! - [`limits`]: every bound, with its unit
//!
//! What is promised: nothing is written outside of the place, whatever names are swapped meanwhile; what has its final name
//! is whole and was compared with the sender's hashes; a kill at any moment costs the blocks that were on their way; the
//! journal and the part files are believed only after they were read again; nothing that arrived is removed because the
//! end failed.

mod about;
mod dir;
mod error;
mod hash;
mod inbox;
mod journal;
mod landing;
pub mod limits;
mod listing;
mod os;
mod place;
mod source;

pub use about::{About, PartId};
pub use clankers_protocol::request::transfer::{EntryKind, OnConflict};
pub use error::{FilesError, Result, Trouble};
pub use inbox::{Inbox, There};
pub use landing::{Had, HadFrom, Landed, Landing, Plan, Small, Written};
pub use listing::{Item, Listing, Wanted};
pub use place::{Begun, Partial, Place, Remembered, Usage, Wish};
pub use source::{Export, Selection, Shelf, SkipReason, Skipped, Skips, Source, SourceFile};
