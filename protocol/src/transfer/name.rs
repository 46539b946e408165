//! Names from elsewhere. A path that a peer says is dirty until it is a [`SafePath`]; only those come near a file system.
//!
//! What is refused here may be a plain name where it was made. It is refused because it means something else somewhere:
//! it leaves the directory, hides what it is on a terminal, or is another file's name on another system.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::{
    limits::{PATH_BYTES, TRANSFER_DEPTH, TRANSFER_PART_BYTES},
    text::is_dirty,
};

/// The directory in which a receiver keeps what is not whole yet: no name that is received.
pub const PART_DIRECTORY: &str = ".clankers-part";

/// Why a path is not safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// `/etc`, `//server/share`.
    #[error("it is absolute, and only names beneath a directory can be sent")]
    Absolute,
    /// `a//b`, `a/`.
    #[error("it has an empty part")]
    EmptyPart,
    /// `.` or `..` as a part.
    #[error("it has a part that is . or .., which leads elsewhere")]
    Dots,
    /// Over [`PATH_BYTES`].
    #[error("it has {0} bytes, the limit is {PATH_BYTES}")]
    TooLong(usize),
    /// Over [`TRANSFER_PART_BYTES`].
    #[error("a part of it has {0} bytes, the limit is {TRANSFER_PART_BYTES}")]
    PartTooLong(usize),
    /// Over [`TRANSFER_DEPTH`].
    #[error("it has {0} parts, the limit is {TRANSFER_DEPTH}")]
    TooDeep(usize),
    /// NUL, control, bidi or invisible character.
    #[error("it holds the character {0}, which does not show as it is")]
    Character(Codepoint),
    /// A slash within a part.
    #[error("a part of it holds a slash")]
    Separator,
    /// `a\b`, `\\server\share`.
    #[error("it holds a backslash, which separates parts on Windows")]
    Backslash,
    /// `C:`, `c:x`.
    #[error("it begins like a drive of Windows")]
    Drive,
    /// `a.`, `a `.
    #[error("a part of it ends in a dot or a space, which Windows leaves out")]
    Trailing,
    /// `CON`, `nul`, `com1`.
    #[error("it is a device's name on Windows")]
    Device,
    /// Not composed (Unicode NFC).
    #[error("it is not in Unicode's composed form (NFC)")]
    NotComposed,
    /// [`PART_DIRECTORY`].
    #[error("{PART_DIRECTORY} is where the receiver keeps what is not whole yet")]
    PartDirectory,
}

/// A character, shown by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Codepoint(pub char);

impl fmt::Display for Codepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "U+{:04X}", u32::from(self.0))
    }
}

/// A relative path of parts that are names on every system: made only by the checks here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(String);

impl SafePath {
    /// What a peer said; it has to be in composed form already.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > PATH_BYTES {
            return Err(NameError::TooLong(text.len()));
        }
        if text.starts_with('/') {
            return Err(NameError::Absolute);
        }
        let parts = text.split('/').count();
        if parts > TRANSFER_DEPTH {
            return Err(NameError::TooDeep(parts));
        }
        text.split('/').try_for_each(check_part)?;
        Ok(Self(text.to_owned()))
    }

    /// A path of one's own disk or command line: composed first (macOS keeps names decomposed).
    ///
    /// # Errors
    /// [`NameError`].
    pub fn from_source(text: &str) -> Result<Self, NameError> {
        if is_nfc(text) { Self::parse(text) } else { Self::parse(&text.nfc().collect::<String>()) }
    }

    /// The path, its parts parted by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last part.
    #[must_use]
    pub fn name(&self) -> &str {
        self.parts().next_back().unwrap_or(&self.0)
    }

    /// Without the last part; none when there is one part only.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// With one more part.
    ///
    /// # Errors
    /// [`NameError`] when the part is none, or the whole is too long or too deep.
    pub fn join(&self, part: &str) -> Result<Self, NameError> {
        check_part(part)?;
        Self::parse(&format!("{}/{part}", self.0))
    }

    /// How many parts it has.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.parts().count()
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks one part of a path.
///
/// # Errors
/// [`NameError`].
pub fn check_part(part: &str) -> Result<(), NameError> {
    if part.is_empty() {
        return Err(NameError::EmptyPart);
    }
    if matches!(part, "." | "..") {
        return Err(NameError::Dots);
    }
    if part.len() > TRANSFER_PART_BYTES {
        return Err(NameError::PartTooLong(part.len()));
    }
    if let Some(c) = part.chars().find(|c| is_hidden(*c)) {
        return Err(NameError::Character(Codepoint(c)));
    }
    if part.contains('/') {
        return Err(NameError::Separator);
    }
    if part.contains('\\') {
        return Err(NameError::Backslash);
    }
    if matches!(part.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic()) {
        return Err(NameError::Drive);
    }
    if part.ends_with(['.', ' ']) {
        return Err(NameError::Trailing);
    }
    if is_device(part) {
        return Err(NameError::Device);
    }
    if !is_nfc(part) {
        return Err(NameError::NotComposed);
    }
    if fold(part) == PART_DIRECTORY {
        return Err(NameError::PartDirectory);
    }
    Ok(())
}

/// Characters that a name does not hold. The two joiners are spelling in Persian and in many signs; [`fold`] leaves them
/// out, so that they make no twin.
fn is_hidden(c: char) -> bool {
    let number = u32::from(c);
    let is_noncharacter = number & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&number);
    is_noncharacter || (is_dirty(c) && !matches!(c, '\u{200c}' | '\u{200d}'))
}

/// What Windows takes for a device, whatever the directory. With an ending (`aux.c`) it is a name since Windows 11, and a
/// file in many a source tree: those pass.
fn is_device(part: &str) -> bool {
    let upper = part.to_ascii_uppercase();
    if matches!(upper.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$" | "CLOCK$") {
        return true;
    }
    let port = upper.strip_prefix("COM").or_else(|| upper.strip_prefix("LPT"));
    let digit = port.and_then(|rest| {
        let mut chars = rest.chars();
        chars.next().filter(|_| chars.next().is_none())
    });
    digit.is_some_and(|c| c.is_ascii_digit() || matches!(c, '¹' | '²' | '³'))
}

/// What a part is where letters have no case and looks decide: two parts of one directory that fold to the same are
/// twins, of which one would overwrite the other on macOS or Windows.
#[must_use]
pub fn fold(part: &str) -> String {
    if part.is_ascii() {
        return part.to_ascii_lowercase();
    }
    // Joiners and variation selectors show nothing by themselves.
    let shown = part.chars().filter(
        |c| !matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}'),
    );
    // By way of upper case, where ß and ss, final and other sigma, long and round s are the same; and to there by way of
    // lower case, since the capital ẞ is its own upper case.
    let lower = shown.nfd().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_names_pass() {
        for good in [
            "a",
            "a/b/c",
            "...a",
            ".hidden",
            "..a",
            "a b",
            "Ü/naïve.txt",
            "aux.c",
            "com10",
            "conf",
            "日本語",
            "نمی\u{200c}خواهم",
            "👩\u{200d}🚀.png",
            "12:30.log",
            "2024-01-01T12:00",
            "a~1",
            "-rf",
            "$(x)",
            "*?",
            "%2e%2e",
            "nul.txt",
        ] {
            assert_eq!(SafePath::parse(good).map(|path| path.0), Ok(good.to_owned()));
        }
        let path = SafePath::parse("a/b/c").unwrap();
        assert_eq!((path.name(), path.depth()), ("c", 3));
        assert_eq!(path.parent().map(|p| p.0), Some("a/b".into()));
        assert_eq!(path.join("d").map(|p| p.0), Ok("a/b/c/d".into()));
        assert_eq!(path.join("d/e"), Err(NameError::Separator));
        assert_eq!(path.join(".."), Err(NameError::Dots));
    }

    #[test]
    fn names_of_ones_own_disk_are_composed() {
        assert_eq!(SafePath::parse("e\u{301}"), Err(NameError::NotComposed));
        assert_eq!(SafePath::from_source("e\u{301}").map(|p| p.0), Ok("é".into()));
        assert_eq!(SafePath::from_source("e\u{301}/.."), Err(NameError::Dots));
    }

    #[test]
    fn twins_fold_to_the_same() {
        for (a, b) in [
            ("README", "readme"),
            ("É", "é"),
            ("straße", "STRASSE"),
            ("STRAẞE", "strasse"),
            ("ΣΑΣ", "σας"),
            ("ſ", "S"),
            ("a\u{200d}b", "ab"),
            ("❤\u{fe0f}", "❤"),
            ("ﬁ", "FI"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} and {b}");
        }
        assert_ne!(fold("a"), fold("b"));
        assert_ne!(fold("é"), fold("e"));
    }

    /// Random text meets the few letters with a case of their own once in ten thousand runs: here each is met.
    #[test]
    fn every_character_settles() {
        for c in '\u{1}'..=char::MAX {
            if c.to_uppercase().chain(c.to_lowercase()).all(|other| other == c)
                && [c].into_iter().nfd().eq([c])
            {
                continue;
            }
            for text in [c.to_string(), format!("{c}\u{301}"), format!("{c}\u{345}"), format!("é{c}")] {
                let once = fold(&text);
                assert_eq!(fold(&once), once, "{text:?}");
            }
            let alone = c.to_string();
            for case in [alone.to_uppercase(), alone.to_lowercase()] {
                assert_eq!(fold(&case), fold(&alone), "{case:?} and {alone:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_passes_stays_beneath(text in "[a./\\\\: \u{301}éC\u{202e}\u{0}-]{0,12}") {
            if let Ok(path) = SafePath::parse(&text) {
                let mut depth = 0;
                for part in std::path::Path::new(path.as_str()).components() {
                    prop_assert!(matches!(part, std::path::Component::Normal(_)));
                    depth += 1;
                }
                prop_assert_eq!(depth, path.depth());
                let dirty = ['\\', '\0', '\u{202e}'];
                prop_assert!(!text.contains(dirty));
                prop_assert!(is_nfc(&text));
            }
        }

        #[test]
        fn any_text_is_judged_and_folding_settles(text in any::<String>()) {
            let _judged = SafePath::parse(&text);
            let _own = SafePath::from_source(&text);
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }
    }
}
