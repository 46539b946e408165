//! What can go wrong with files, in one shape.

use std::io;

use rustix::io::Errno;

/// What kind of trouble it is: decides what the other side is told and what can still be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Trouble {
    /// The source is not what it was when it was listed, or changed while it was read.
    Changed,
    /// The source is not there any more.
    Vanished,
    /// The source may not be read.
    Unreadable,
    /// It cannot be sent at all: no name, not a file or directory, too deep.
    NotSendable,
    /// A glob that is none.
    BadGlob,
    /// The disk is full, or a quota of it.
    NoSpace,
    /// The disk fails.
    Io,
    /// The bytes are not those that were announced.
    Corrupt,
    /// Something else has the name.
    Conflict,
    /// A link or something else that is no directory stands in the way, or the place may not be written.
    BadPlace,
    /// The same transfer is running.
    Busy,
    /// Files that were to come have not.
    Incomplete,
    /// A limit is met.
    TooMany,
    /// The caller asked to stop.
    Stopped,
    /// Several names are meant as much as each other.
    Ambiguous,
    /// A block, file or size that the listing does not have: the caller's mistake or the peer's.
    NoSuch,
}

impl Trouble {
    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::Changed => "send it again when nothing writes to it",
            Self::Vanished => "it was moved or deleted; check the path",
            Self::Unreadable => "check its owner and permissions",
            Self::NotSendable => {
                "files and directories can be sent whose names every system takes: rename it, or pack it with tar"
            }
            Self::BadGlob => "write globs like *.o, target/ or docs/*.md",
            Self::NoSpace => "free some space and try again: what has arrived is kept",
            Self::Io => "check the disk and the system's log; what has arrived is kept",
            Self::Corrupt => "it is sent again",
            Self::Conflict => "choose another name or --on-conflict rename",
            Self::BadPlace => "look at what is there, or choose another place with --to",
            Self::Busy => "wait for it, or cancel it",
            Self::Incomplete => "send again to go on where it stopped",
            Self::TooMany => "forget or finish some transfers first, or send fewer files at once",
            Self::Stopped => "send again to go on where it stopped",
            Self::Ambiguous => "rename all of them but one",
            Self::NoSuch => "this is a mistake in a program, not in the files",
        }
    }
}

/// Something failed with one file or place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("could not {action} {path}: {why}; {}", kind.hint())]
pub struct FilesError {
    kind: Trouble,
    action: &'static str,
    path: String,
    why: String,
}

impl FilesError {
    pub(crate) fn new(kind: Trouble, action: &'static str, path: &str, why: impl Into<String>) -> Self {
        Self { kind, action, path: shown(path), why: why.into() }
    }

    /// From the operating system's error while something was written.
    pub(crate) fn writing(action: &'static str, path: &str, error: &io::Error) -> Self {
        let kind = match Errno::from_io_error(error) {
            Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => Trouble::NoSpace,
            Some(Errno::LOOP | Errno::NOTDIR | Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::XDEV) => {
                Trouble::BadPlace
            }
            Some(Errno::EXIST | Errno::ISDIR | Errno::NOTEMPTY) => Trouble::Conflict,
            None if error.kind() == io::ErrorKind::WriteZero => Trouble::NoSpace,
            _ => Trouble::Io,
        };
        Self::new(kind, action, path, error.to_string())
    }

    /// From the operating system's error while something was read that is to be sent.
    pub(crate) fn reading(action: &'static str, path: &str, error: &io::Error) -> Self {
        let kind = match Errno::from_io_error(error) {
            Some(Errno::NOENT | Errno::STALE) => Trouble::Vanished,
            Some(Errno::ACCESS | Errno::PERM) => Trouble::Unreadable,
            // Something else has its name now.
            Some(Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR) => Trouble::Changed,
            _ => Trouble::Io,
        };
        Self::new(kind, action, path, error.to_string())
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> Trouble {
        self.kind
    }

    /// The path it is about, safe to show.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the system said, without path and advice.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// A name as it may be shown: control characters and those that change the direction of writing escaped.
pub(crate) fn shown(name: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match name {
        "" => ".".to_owned(),
        _ => name.chars().fold(String::with_capacity(name.len()), |mut out, c| {
            if hidden(c) {
                out.extend(c.escape_unicode())
            } else {
                out.push(c)
            }
            out
        }),
    }
}

/// A result with this crate's error.
pub type Result<T> = std::result::Result<T, FilesError>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_hidden_is_escaped() {
        assert_eq!(shown("/tmp/a b/\u{1b}[2Jx\u{202e}é"), "/tmp/a b/\\u{1b}[2Jx\\u{202e}é");
        assert_eq!(shown(""), ".");
    }
}
