//! Cutting text to the output limits: whole lines, whole characters.

use crate::limits::{LINE_CHARS_MAX, OUTPUT_BYTES_MAX, OUTPUT_LINES_MAX};
use crate::outcome::{CutBy, Truncated};

/// Collects lines until a limit is met.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    text: String,
    shown: usize,
    offered: u64,
    cut: Option<CutBy>,
}

impl Lines {
    /// Adds a line (without its end). Once one did not fit, later ones are only counted.
    pub(crate) fn push(&mut self, line: &str) -> bool {
        self.offered += 1;
        if self.cut.is_none() {
            let end = usize::from(self.shown > 0);
            if self.shown >= OUTPUT_LINES_MAX {
                self.cut = Some(CutBy::Lines);
            } else if self.text.len() + end + line.len() > OUTPUT_BYTES_MAX {
                self.cut = Some(CutBy::Bytes);
            } else {
                if end == 1 {
                    self.text.push('\n');
                }
                self.text.push_str(line);
                self.shown += 1;
            }
        }
        self.cut.is_none()
    }

    /// Lines that fitted.
    pub(crate) fn shown(&self) -> usize {
        self.shown
    }

    /// What cut them, if anything.
    pub(crate) fn cut(&self) -> Option<CutBy> {
        self.cut
    }

    /// The text and, if a limit was met, what was cut, out of the lines offered.
    pub(crate) fn finish(self) -> (String, Option<Truncated>) {
        let truncated = self.cut.map(|by| Truncated {
            by,
            shown_lines: self.shown as u64,
            total_lines: Some(self.offered),
        });
        (self.text, truncated)
    }
}

/// The end of `text` that fits the limits: whole lines, unless the last line alone is too long; then its end, from a
/// whole character on (`half` is true).
pub(crate) fn tail(text: &str) -> (&str, Option<CutBy>, bool) {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let mut start = body.len();
    let mut lines = 0;
    let mut cut = None;
    while start > 0 || lines == 0 {
        // The line that ends at `start`, and where it begins.
        let end = if lines == 0 { start } else { start - 1 };
        let begin = body.get(..end).and_then(|head| head.rfind('\n')).map_or(0, |at| at + 1);
        if lines == OUTPUT_LINES_MAX {
            cut = Some(CutBy::Lines);
        } else if body.len() - begin > OUTPUT_BYTES_MAX {
            cut = Some(CutBy::Bytes);
        }
        if cut.is_some() {
            break;
        }
        lines += 1;
        start = begin;
        if begin == 0 {
            break;
        }
    }
    if cut.is_some() && lines == 0 {
        let mut from = body.len().saturating_sub(OUTPUT_BYTES_MAX);
        while !body.is_char_boundary(from) {
            from += 1;
        }
        return (body.get(from..).unwrap_or_default(), cut, true);
    }
    (body.get(start..).unwrap_or_default(), cut, false)
}

/// A line cut at the limit of characters, with a mark where it was.
pub(crate) fn short_line(line: &str) -> (String, bool) {
    match line.char_indices().nth(LINE_CHARS_MAX) {
        Some((at, _)) => (format!("{} [line cut]", line.get(..at).unwrap_or_default()), true),
        None => (line.to_owned(), false),
    }
}

/// Turns bytes that come in pieces into text: a character that is split over two pieces is held back until it is
/// whole; bytes that are not UTF-8 become U+FFFD.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    held: Vec<u8>,
}

impl Decoder {
    /// The text of what was held and `piece`.
    pub(crate) fn feed(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut text = String::with_capacity(bytes.len());
        let mut rest = bytes.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(good) => {
                    text.push_str(good);
                    return text;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at_checked(error.valid_up_to()).unwrap_or((rest, &[]));
                    text.push_str(std::str::from_utf8(good).unwrap_or_default());
                    let Some(len) = error.error_len() else {
                        self.held = bad.to_vec();
                        return text;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = bad.get(len..).unwrap_or_default();
                }
            }
        }
    }

    /// What is still held at the end.
    pub(crate) fn finish(&mut self) -> &'static str {
        if std::mem::take(&mut self.held).is_empty() { "" } else { "\u{fffd}" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tails_keep_whole_lines() {
        assert_eq!(tail(""), ("", None, false));
        assert_eq!(tail("a\n"), ("a", None, false));
        assert_eq!(tail("\na"), ("\na", None, false));
        assert_eq!(tail("\n\n"), ("\n", None, false));
        let many: String = (0..OUTPUT_LINES_MAX + 5).map(|n| format!("{n}\n")).collect();
        let (kept, cut, half) = tail(&many);
        assert_eq!(
            (kept.lines().count(), kept.lines().next(), cut, half),
            (OUTPUT_LINES_MAX, Some("5"), Some(CutBy::Lines), false)
        );
        let long = format!("first\n{}", "é".repeat(OUTPUT_BYTES_MAX));
        let (kept, cut, half) = tail(&long);
        assert!(
            half && cut == Some(CutBy::Bytes)
                && kept.len() <= OUTPUT_BYTES_MAX
                && kept.chars().all(|c| c == 'é')
        );
    }

    #[test]
    fn lines_stop_at_the_first_that_does_not_fit() {
        let mut lines = Lines::default();
        assert!(lines.push(&"x".repeat(OUTPUT_BYTES_MAX - 2)));
        assert!(!lines.push("yy"));
        assert!(!lines.push(""));
        let (text, cut) = lines.finish();
        assert_eq!(text.len(), OUTPUT_BYTES_MAX - 2);
        assert_eq!(cut, Some(Truncated { by: CutBy::Bytes, shown_lines: 1, total_lines: Some(3) }));
    }

    proptest! {
        #[test]
        fn a_tail_is_an_end_of_whole_lines(text in "[a\n]{0,40}") {
            let (kept, cut, _) = tail(&text);
            prop_assert_eq!(kept, text.strip_suffix('\n').unwrap_or(&text));
            prop_assert!(cut.is_none());
        }

        #[test]
        fn decoding_in_pieces_equals_decoding_at_once(
            bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xe2), Just(0x82), Just(0xac), Just(b'a')], 0..60),
            cuts in proptest::collection::vec(0usize..60, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let (mut text, mut from) = (String::new(), 0);
            for cut in cuts {
                text += &decoder.feed(&bytes[from..cut]);
                from = cut;
            }
            text += &decoder.feed(&bytes[from..]);
            text += decoder.finish();
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
        }
    }
}
