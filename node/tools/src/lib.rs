//! The agent's tools: read, write, edit, bash, grep, find and ls, and their confinement to a workspace.
//!
//! A model's request becomes a [`ToolCall`] (or a person's line does: `/grep TODO src`). The executor asks authority
//! about its [`Facts`], then [`Tools::run`] does it. Every path is resolved beneath the [`Workspace`], through
//! directory handles and name by name; the [`PathGate`] is asked about the real path of whatever is opened; the
//! directories of the node itself ([`Forbidden`]) are out of reach whatever path leads there. `bash` is the
//! exception: a shell can do all that the user's account can, and authority treats it so.
//!
//! Output is cut to [`limits`], always at whole lines, and says how to get the rest. Nothing blocks the runtime.

mod bash;
mod call;
mod edit;
mod error;
mod find;
mod gate;
mod grep;
pub mod limits;
mod ls;
mod os;
mod outcome;
mod path;
mod read;
mod replace;
mod run;
mod seen;
mod text;
mod walk;
mod workspace;
mod write;

pub use call::{
    BashArgs, EditArgs, Facts, FindArgs, GrepArgs, LsArgs, ReadArgs, Replacement, ToolCall, ToolSpec,
    WriteArgs, is_tool, specs,
};
pub use edit::EditError;
pub use error::ToolError;
pub use gate::{AllowAll, PathGate};
pub use outcome::{Attachment, CutBy, OutputChunk, OutputSink, Status, ToolOutcome, Truncated};
pub use run::Tools;
pub use workspace::{Forbidden, Workspace};
