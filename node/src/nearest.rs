//! "Did you mean ...?"

use crate::limits::TYPO_LETTERS;

/// The name that a mistyped word was probably meant to be.
#[must_use]
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    names
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(word, name), name))
        .filter(|(distance, name)| *distance <= TYPO_LETTERS && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_forgiven_but_not_inventions() {
        let names = ["read", "write", "grep", "ls"];
        assert_eq!(nearest("gerp", names), Some("grep"));
        assert_eq!(nearest("raed", names), Some("read"));
        assert_eq!(nearest("frobnicate", names), None);
        assert_eq!(nearest("xy", names), None);
    }
}
