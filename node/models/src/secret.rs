//! A key that cannot be printed by accident.

use std::fmt;

use zeroize::Zeroizing;

/// An API key: wiped when dropped, never shown, not even its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// A key, without the spaces and newlines that files and shells leave around it; `None` when nothing is left.
    #[must_use]
    pub fn new(key: &str) -> Option<Self> {
        let key = key.trim();
        (!key.is_empty()).then(|| Self(Zeroizing::new(key.to_owned())))
    }

    /// The key itself, for the one header that carries it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without the key: some servers echo it, whole or as its first and last characters.
    #[must_use]
    pub fn scrub(&self, text: &str) -> String {
        const SHORTEST_PART: usize = 8;
        let mut clean = text.replace(self.reveal(), "[key]");
        let chars: Vec<char> = self.reveal().chars().collect();
        // `Incorrect API key provided: sk-proj-******abcd.`, or a message cut in the middle of the key: its beginnings
        // and ends of eight characters and more are taken out too, longest first.
        for length in (SHORTEST_PART..chars.len()).rev() {
            let first: String = chars.iter().take(length).collect();
            let last: String = chars.iter().skip(chars.len() - length).collect();
            clean = clean.replace(&first, "[key]").replace(&last, "[key]");
        }
        clean
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_shown() {
        let key = Secret::new(" sk-proj-0123456789abcdefghij\n").unwrap();
        assert_eq!(key.reveal(), "sk-proj-0123456789abcdefghij");
        assert_eq!(format!("{key:?}"), "Secret(..)");
        assert_eq!(key.scrub("bad key sk-proj-0123456789abcdefghij!"), "bad key [key]!");
        assert_eq!(key.scrub("bad key sk-proj-****cdefghij!"), "bad key [key]****[key]!");
        assert_eq!(key.scrub("bad key sk-proj-012345****6789abcdefghij"), "bad key [key]****[key]");
        assert_eq!(key.scrub("cut: sk-proj-0123456789abcdef"), "cut: [key]");
        assert_eq!(key.scrub("nothing here"), "nothing here");
        assert_eq!(Secret::new(" \n"), None);
    }

    #[test]
    fn a_short_key_is_scrubbed_whole() {
        assert_eq!(Secret::new("ollama").unwrap().scrub("key ollama refused"), "key [key] refused");
    }
}
