//! What can go wrong, in words that a model or a person can act on.

use std::io;

use thiserror::Error;

use crate::edit::EditError;

/// Why a tool did not do what was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ToolError {
    /// No tool has that name.
    #[error("there is no tool named {name:?}; the tools are {known}")]
    UnknownTool {
        /// The name that was asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The arguments do not fit the tool.
    #[error("{tool}: the arguments do not fit: {why}. Expected: {usage}")]
    BadArguments {
        /// The tool.
        tool: &'static str,
        /// What is wrong with them.
        why: String,
        /// How a right call looks.
        usage: &'static str,
    },
    /// A path that cannot name anything in the workspace.
    #[error("the path {path:?} is refused: {why}")]
    BadPath {
        /// The path as asked for.
        path: String,
        /// Why it is refused and what to write instead.
        why: &'static str,
    },
    /// Resolving the path leads out of the workspace.
    #[error("{path}: a link leads out of the workspace; only what lies beneath it can be reached")]
    Escapes {
        /// The path as asked for.
        path: String,
    },
    /// The caller's grant does not reach the path.
    #[error("{path}: denied, your grant does not reach this path; ask its issuer for a wider --path")]
    Denied {
        /// The canonical path, or the asked one where the canonical would tell too much.
        path: String,
    },
    /// The path leads into a directory that no tool may reach.
    #[error("{path}: denied, this belongs to the node itself and no tool may reach it")]
    Guarded {
        /// The path as asked for.
        path: String,
    },
    /// A write into git's own files.
    #[error(
        "{path}: denied, git's own files are not written by tools: a hook or a config line there would run \
         as a command at the next git call, so that a right to write would become a right to a shell. Use git itself"
    )]
    GitInternals {
        /// The canonical path.
        path: String,
    },
    /// Nothing there.
    #[error("{path}: no such file or directory; `find` or `ls` shows what there is")]
    NotFound {
        /// The path as asked for.
        path: String,
    },
    /// A directory where a file was wanted.
    #[error("{path}: is a directory; use `ls` to list it, or name a file in it")]
    IsDirectory {
        /// The path as asked for.
        path: String,
    },
    /// Not a directory where one was wanted.
    #[error("{path}: is not a directory")]
    NotDirectory {
        /// The path as asked for.
        path: String,
    },
    /// A FIFO, device or socket.
    #[error("{path}: is a {kind}, not a regular file; tools open regular files only")]
    NotRegular {
        /// The path as asked for.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// Too many links.
    #[error("{path}: more than 40 symbolic links in a row, most likely a loop")]
    LinkLoop {
        /// The path as asked for.
        path: String,
    },
    /// An entry was swapped again and again while the path was resolved.
    #[error("{path}: it keeps changing while it is opened; try again when nothing else writes there")]
    Unsteady {
        /// The path as asked for.
        path: String,
    },
    /// A name that is not UTF-8.
    #[error("{path}: leads to a name that is not UTF-8; rename it first")]
    NotUtf8 {
        /// The path as asked for.
        path: String,
    },
    /// A file that is not text.
    #[error("{path}: {what}, {bytes} bytes; it cannot be shown as text")]
    Binary {
        /// The path as asked for.
        path: String,
        /// What it seems to be.
        what: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// An image, where nothing carries images to the model.
    #[error(
        "{path}: is an image ({mime}, {bytes} bytes), and images cannot be shown here; a command such as `file` tells \
         more about it, or ask the user what is on it"
    )]
    Image {
        /// The path as asked for.
        path: String,
        /// Its media type.
        mime: &'static str,
        /// Its size.
        bytes: u64,
    },
    /// More than a limit.
    #[error("{what} is {actual} bytes, the limit is {limit}; {hint}")]
    TooLarge {
        /// What is too large.
        what: String,
        /// Its size in bytes.
        actual: u64,
        /// The limit in bytes.
        limit: u64,
        /// What to do instead.
        hint: &'static str,
    },
    /// Reading beyond the end.
    #[error("{path}: offset {offset} is beyond its end, it has {lines} lines")]
    BeyondEnd {
        /// The path as asked for.
        path: String,
        /// The offset asked for, 1-based.
        offset: u64,
        /// The lines it has.
        lines: u64,
    },
    /// The file is not what this session read.
    #[error("{path}: changed on disk since it was last read here; read it again, then repeat the change")]
    Changed {
        /// The canonical path.
        path: String,
    },
    /// The edits do not apply.
    #[error("{path}: {source}")]
    Edit {
        /// The path as asked for.
        path: String,
        /// Why not.
        source: EditError,
    },
    /// A pattern that does not compile.
    #[error("the pattern {pattern:?} is not valid: {why}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What the compiler says.
        why: String,
    },
    /// The workspace directory is gone.
    #[error(
        "the workspace {path} was deleted or moved; create it again or start a session in another directory"
    )]
    WorkspaceGone {
        /// Its path at opening.
        path: String,
    },
    /// The directory cannot be a workspace.
    #[error("{path} cannot be a workspace: {why}")]
    NotAWorkspace {
        /// The path as given.
        path: String,
        /// Why not.
        why: String,
    },
    /// The call was cancelled.
    #[error("interrupted")]
    Interrupted,
    /// The operating system refused.
    #[error("{path}: could not {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: String,
        /// What the system said.
        source: io::Error,
    },
}

impl ToolError {
    /// Whether this is a refusal by a rule (exit code 4 for a direct prompt) rather than a failure.
    pub fn is_denial(&self) -> bool {
        matches!(
            self,
            Self::Denied { .. } | Self::Guarded { .. } | Self::GitInternals { .. } | Self::Escapes { .. }
        ) || matches!(self, Self::BadPath { .. })
    }

    pub(crate) fn io(what: &'static str, path: &str, source: impl Into<io::Error>) -> Self {
        Self::Io { what, path: shown(path), source: source.into() }
    }
}

/// A name or path as it may stand in one line of output: control characters (a newline could forge an entry)
/// are escaped, everything else is left as it is.
pub(crate) fn shown(name: &str) -> String {
    if name.chars().any(char::is_control) { name.escape_debug().to_string() } else { name.to_owned() }
}
