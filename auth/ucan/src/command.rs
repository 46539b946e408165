//! Commands: slash-delimited paths that cover everything beneath them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::limits::{COMMAND_BYTES, COMMAND_SEGMENTS};

/// A command path such as `/blog/post/create`; `/` alone is every command.
///
/// A command covers itself and all paths beneath it, segment by segment: `/file` covers
/// `/file/read` and not `/filesystem`.
///
/// Source: UCAN 1.0, "Command": lower case, begins with a slash, no trailing slash, no empty
/// segment. In addition control characters and white space are refused here.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(String);

/// Why a text is not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The text does not begin with a slash.
    #[error("a command begins with `/`")]
    NoLeadingSlash,
    /// The text ends with a slash and is not the root.
    #[error("a command does not end with `/`; remove the last slash")]
    TrailingSlash,
    /// Two slashes follow each other.
    #[error("a command has no empty segment; remove the doubled slash")]
    EmptySegment,
    /// A character is in upper case.
    #[error("a command is written in lower case")]
    NotLowerCase,
    /// White space or a control character, or in the strict profile anything but `a-z 0-9 - _`.
    #[error("a command has a character that is not allowed in it")]
    Character,
    /// More bytes or segments than the limit.
    #[error("a command has at most {COMMAND_BYTES} bytes and {COMMAND_SEGMENTS} segments")]
    TooLong,
}

impl Command {
    /// The root command `/`, which covers every command.
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Reads a command.
    ///
    /// # Errors
    /// [`CommandError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, CommandError> {
        if text.len() > COMMAND_BYTES {
            return Err(CommandError::TooLong);
        }
        let path = text.strip_prefix('/').ok_or(CommandError::NoLeadingSlash)?;
        if path.is_empty() {
            return Ok(Self::root());
        }
        if path.ends_with('/') {
            return Err(CommandError::TrailingSlash);
        }
        if path.split('/').any(str::is_empty) {
            return Err(CommandError::EmptySegment);
        }
        if path.split('/').count() > COMMAND_SEGMENTS {
            return Err(CommandError::TooLong);
        }
        if path.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(CommandError::Character);
        }
        if path.chars().any(|c| c.is_uppercase() || !c.to_lowercase().eq([c])) {
            return Err(CommandError::NotLowerCase);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text of the command.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, none for the root.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|s| !s.is_empty())
    }

    /// Whether this command is `other` or above it.
    pub fn covers(&self, other: &Self) -> bool {
        let mut theirs = other.segments();
        self.segments().all(|mine| theirs.next() == Some(mine))
    }

    /// Checks the character set of the strict profile: `a-z 0-9 - _`.
    pub(crate) fn check_strict(&self) -> Result<(), CommandError> {
        let plain =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_' || b == b'/';
        if self.0.bytes().all(plain) { Ok(()) } else { Err(CommandError::Character) }
    }
}

impl FromStr for Command {
    type Err = CommandError;

    fn from_str(text: &str) -> Result<Self, CommandError> {
        Self::parse(text)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cmd(text: &str) -> Command {
        Command::parse(text).unwrap()
    }

    #[test]
    fn a_command_covers_what_is_beneath_it_by_segment() {
        assert!(cmd("/").covers(&cmd("/")));
        assert!(cmd("/").covers(&cmd("/file/read")));
        assert!(cmd("/file").covers(&cmd("/file")));
        assert!(cmd("/file").covers(&cmd("/file/read")));
        assert!(!cmd("/file").covers(&cmd("/filesystem")));
        assert!(!cmd("/file").covers(&cmd("/")));
        assert!(!cmd("/file/read").covers(&cmd("/file")));
        assert!(!cmd("/file/read").covers(&cmd("/file/write")));
    }

    #[test]
    fn odd_forms_are_refused() {
        use CommandError::*;
        for (text, why) in [
            ("", NoLeadingSlash),
            ("file", NoLeadingSlash),
            ("/file/", TrailingSlash),
            ("//", TrailingSlash),
            ("//file", EmptySegment),
            ("/a//b", EmptySegment),
            ("/File", NotLowerCase),
            ("/a/\u{130}", NotLowerCase),
            ("/a b", Character),
            ("/a\0", Character),
            ("/a\u{a0}b", Character),
        ] {
            assert_eq!(Command::parse(text), Err(why), "{text:?}");
        }
        assert_eq!(Command::parse(&format!("/{}", "a".repeat(COMMAND_BYTES))), Err(TooLong));
        assert_eq!(Command::parse(&"/a".repeat(COMMAND_SEGMENTS + 1)), Err(TooLong));
    }

    #[test]
    fn the_strict_profile_keeps_to_plain_characters() {
        assert!(cmd("/a-b/c_1").check_strict().is_ok());
        for text in ["/a.b", "/a/../b", "/é", "/a%2fb", "/a\\b", "/*"] {
            assert_eq!(cmd(text).check_strict(), Err(CommandError::Character), "{text}");
        }
    }
}
