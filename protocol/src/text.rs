//! A peer's text is dirty until it has been through here: nothing from elsewhere reaches a terminal raw.
//!
//! What is taken out: C0 and C1 controls (escape sequences begin there), bidirectional overrides and
//! isolates ("Trojan Source", CVE-2021-42574), zero-width and other invisible format characters, and
//! line separators. Each becomes `\u{fffd}`, so that the reader sees that something stood there.

/// Text that is safe to show: made only by this module.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Clean(String);

impl Clean {
    /// Several lines: newline and tab stay.
    #[must_use]
    pub fn block(dirty: &str) -> Self {
        Self(dirty.chars().map(|c| if matches!(c, '\n' | '\t') { c } else { replace(c) }).collect())
    }

    /// One line of at most `max_chars` characters; what is longer ends in `…`.
    #[must_use]
    pub fn line(dirty: &str, max_chars: usize) -> Self {
        Self(line(dirty, max_chars))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Clean {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// [`Clean::line`] as a plain string.
#[must_use]
pub fn line(dirty: &str, max_chars: usize) -> String {
    let mut chars = dirty.chars().map(replace);
    let mut out: String = chars.by_ref().take(max_chars).collect();
    if chars.next().is_some() {
        out.pop();
        out.push('…');
    }
    out
}

/// The longest beginning of `text` that fits in `max_bytes` and ends at a character's end.
#[must_use]
pub fn head(text: &str, max_bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(max_bytes)).unwrap_or(text)
}

/// Bytes as people read them: `3.4 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, rounded; carried on where it rounds up to the next.
    let mut tenths = u128::from(bytes) * 10 / 1024 + u128::from(u128::from(bytes) * 10 % 1024 >= 512);
    let mut units = UNITS.iter();
    let mut unit = units.next();
    while tenths >= 10_240 {
        tenths = (tenths + 512) / 1024;
        unit = units.next();
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.unwrap_or(&"EiB"))
}

fn replace(c: char) -> char {
    if is_dirty(c) { '\u{fffd}' } else { c }
}

pub(crate) fn is_dirty(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{034f}' | '\u{061c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_overrides_do_not_pass() {
        assert_eq!(
            Clean::block("a\x1b[31mb\r\nc\td\u{9b}2J").as_str(),
            "a\u{fffd}[31mb\u{fffd}\nc\td\u{fffd}2J"
        );
        assert_eq!(line("safe\u{202e}gpj.exe\n", 80), "safe\u{fffd}gpj.exe\u{fffd}");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(head("añb", 2), "a");
    }

    proptest! {
        #[test]
        fn clean_text_has_no_dirt(s in any::<String>(), n in 1_usize..50) {
            let block = Clean::block(&s);
            prop_assert!(!block.as_str().chars().any(|c| c != '\n' && c != '\t' && is_dirty(c)));
            let one = line(&s, n);
            prop_assert!(!one.chars().any(is_dirty));
            prop_assert!(one.chars().count() <= n);
        }
    }
}
