//! Globs of the `like` operator: one wildcard `*`, escaped as `\*`; matched in linear time.

use thiserror::Error;

/// A pattern of `like`, cut at its wildcards.
///
/// `*` stands for zero or more characters, `\*` for a star; every other character, a backslash
/// included, stands for itself. Matching costs time linear in the lengths of pattern and text:
/// the parts between wildcards are searched once each, leftmost first, which finds a match
/// whenever there is one.
///
/// Source: UCAN Delegation 1.0, "Glob Matching".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    /// Literal parts; a wildcard between each two. Never empty.
    first: String,
    rest: Vec<String>,
}

/// A text cannot be put in front of a wildcard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a text that ends with a backslash cannot be followed by a wildcard: `\\*` is an escaped star")]
pub struct GlobError;

impl Glob {
    /// Reads a pattern; every text is one.
    pub fn parse(pattern: &str) -> Self {
        let mut parts = vec![];
        let mut part = String::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'*') => {
                    chars.next();
                    part.push('*');
                }
                '*' => parts.push(std::mem::take(&mut part)),
                other => part.push(other),
            }
        }
        parts.push(part);
        let rest = parts.split_off(1);
        Self { text: pattern.to_owned(), first: parts.pop().unwrap_or_default(), rest }
    }

    /// The pattern that matches exactly `literal`.
    pub fn escape(literal: &str) -> String {
        literal.replace('*', "\\*")
    }

    /// The pattern that matches every text which begins with `literal`.
    ///
    /// # Errors
    /// [`GlobError`] when `literal` ends with a backslash.
    pub fn prefix(literal: &str) -> Result<String, GlobError> {
        if literal.ends_with('\\') { Err(GlobError) } else { Ok(format!("{}*", Self::escape(literal))) }
    }

    /// The text of the pattern.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        let Some((last, middle)) = self.rest.split_last() else { return text == self.first };
        let Some(mut left) = text.strip_prefix(self.first.as_str()) else { return false };
        for part in middle {
            match left.split_once(part.as_str()) {
                Some((_, after)) => left = after,
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Tile {
        Star,
        Char(char),
    }

    /// The obvious exponential matcher, on patterns given as tiles.
    fn naive(pattern: &[Tile], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some((Tile::Star, rest)), None) => naive(rest, text),
            (Some((Tile::Star, rest)), Some((_, more))) => naive(rest, text) || naive(pattern, more),
            (Some((Tile::Char(_), _)), None) => false,
            (Some((Tile::Char(p), rest)), Some((t, more))) => p == t && naive(rest, more),
        }
    }

    fn spell(tiles: &[Tile]) -> String {
        tiles.iter().fold(String::new(), |mut out, tile| {
            match tile {
                Tile::Star => out.push('*'),
                Tile::Char('*') => out.push_str("\\*"),
                Tile::Char(c) => out.push(*c),
            }
            out
        })
    }

    #[test]
    fn a_pathological_pattern_is_answered_at_once() {
        let text = "a".repeat(64 * 1024);
        let pattern = format!("{}b", "a*".repeat(2048));
        let start = std::time::Instant::now();
        assert!(!Glob::parse(&pattern).matches(&text));
        assert!(start.elapsed().as_secs() < 5, "an exponential or quadratic matcher would not end");
    }

    #[test]
    fn backslashes_stand_for_themselves_unless_before_a_star() {
        assert!(Glob::parse(r"a\b").matches(r"a\b"));
        assert!(Glob::parse(r"a\\*").matches(r"a\*"));
        assert!(!Glob::parse(r"a\*").matches(r"a\b"));
        assert!(Glob::parse("\\").matches("\\"));
    }

    #[test]
    fn parts_do_not_overlap() {
        assert!(!Glob::parse("ab*ba").matches("aba"));
        assert!(Glob::parse("ab*ba").matches("abba"));
        assert!(!Glob::parse("*aa*aa*").matches("aaa"));
        assert!(!Glob::parse("src/*").matches("src2/x"));
        assert!(Glob::parse("").matches("") && !Glob::parse("").matches("a"));
        assert!(Glob::parse("*").matches("") && Glob::parse("**").matches("a"));
    }

    #[test]
    fn a_prefix_cannot_swallow_its_wildcard() {
        assert_eq!(Glob::prefix("a\\"), Err(GlobError));
        assert!(Glob::parse(&Glob::prefix("a*b").unwrap()).matches("a*bc"));
        assert!(!Glob::parse(&Glob::prefix("a*b").unwrap()).matches("axbc"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn agrees_with_the_naive_matcher(
            tiles in prop::collection::vec(prop_oneof![
                Just(Tile::Star), Just(Tile::Char('a')), Just(Tile::Char('b')), Just(Tile::Char('*')), Just(Tile::Char('é')),
            ], 0..10),
            text in prop::collection::vec(prop_oneof![Just('a'), Just('b'), Just('*'), Just('é')], 0..12),
        ) {
            let pattern = spell(&tiles);
            let string: String = text.iter().collect();
            prop_assert_eq!(Glob::parse(&pattern).matches(&string), naive(&tiles, &text), "{} {}", pattern, string);
        }

        #[test]
        fn an_escaped_text_matches_itself_only(a in "[ab*\\\\]{0,6}", b in "[ab*\\\\]{0,6}") {
            prop_assert_eq!(Glob::parse(&Glob::escape(&a)).matches(&b), a == b);
        }
    }
}
