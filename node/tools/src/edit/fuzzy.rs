//! The second pass: text that differs only in trailing spaces, quotes, dashes, odd spaces or Unicode form.

use std::ops::Range;

use memchr::memmem::Finder;
use unicode_normalization::UnicodeNormalization;

use crate::limits::{EDIT_MATCHES_COUNTED, FUZZY_LINE_BYTES_MAX};

/// A file's lines beside their plain form.
pub(super) struct Loose<'o> {
    original: &'o [u8],
    lines: Vec<LooseLine>,
    /// The plain lines, each ended by `\n` except the last.
    plain: String,
}

struct LooseLine {
    /// The line in the original, without its ending.
    body: Range<usize>,
    /// Where its ending ends.
    end: usize,
    /// Where its plain form begins in `plain`.
    plain: usize,
}

/// A loose match, widened to whole lines.
pub(super) struct Widened {
    /// The lines in the original.
    pub(super) range: Range<usize>,
    /// What of the first line lies before the match.
    pub(super) before: Vec<u8>,
    /// What of the last line lies after it.
    pub(super) after: Vec<u8>,
}

/// The plain form of a line: NFKC, straight quotes, hyphens, ordinary spaces; none at the end.
fn plain(line: &str) -> String {
    let straight: String = line.nfkc().map(straight).collect();
    straight.trim_end().to_owned()
}

fn straight(c: char) -> char {
    match c {
        '\u{2018}'..='\u{201b}' | '\u{2032}' | '\u{2035}' => '\'',
        '\u{201c}'..='\u{201f}' | '\u{2033}' | '\u{2036}' => '"',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => ' ',
        c => c,
    }
}

fn plain_text(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

impl<'o> Loose<'o> {
    pub(super) fn new(original: &'o [u8], start: usize) -> Self {
        let mut this = Self { original, lines: Vec::new(), plain: String::new() };
        let mut from = start;
        loop {
            let rest = original.get(from..).unwrap_or_default();
            let (len, ending) = match memchr::memchr(b'\n', rest) {
                Some(at) => (at, 1),
                None => (rest.len(), 0),
            };
            let cr = usize::from(ending == 1 && rest.get(..len).is_some_and(|line| line.ends_with(b"\r")));
            let line =
                LooseLine { body: from..from + len - cr, end: from + len + ending, plain: this.plain.len() };
            let body = String::from_utf8_lossy(original.get(line.body.clone()).unwrap_or_default());
            this.plain.push_str(&plain(&body));
            from = line.end;
            this.lines.push(line);
            if ending == 0 {
                return this;
            }
            this.plain.push('\n');
        }
    }

    /// Where it is in the plain text; overlapping matches included, one more than is counted at most.
    fn matches(&self, needle: &str) -> Vec<usize> {
        let mut found = Vec::new();
        if needle.trim().is_empty() {
            return found;
        }
        let finder = Finder::new(needle.as_bytes());
        let mut from = 0;
        while found.len() <= EDIT_MATCHES_COUNTED
            && let Some(at) = self.plain.as_bytes().get(from..).and_then(|rest| finder.find(rest))
        {
            found.push(from + at);
            from += at + 1;
        }
        found
    }

    fn line(&self, plain: usize) -> Option<&LooseLine> {
        let after = self.lines.partition_point(|line| line.plain <= plain);
        self.lines.get(after.checked_sub(1)?)
    }

    /// The match of `old` if there is just one, widened to whole lines; otherwise where all of them are, each by an
    /// offset in the original that lies in its first line.
    pub(super) fn find(&self, old: &str) -> Result<Widened, Vec<usize>> {
        let needle = plain_text(old);
        let found = self.matches(&needle);
        if let [from] = *found
            && let Some(widened) = self.widen(from, &needle)
        {
            return Ok(widened);
        }
        Err(found.into_iter().filter_map(|at| self.line(at)).map(|line| line.body.start).collect())
    }

    fn widen(&self, from: usize, needle: &str) -> Option<Widened> {
        let to = from + needle.len();
        // A match that ends with a line's end takes that end with it, and nothing of the next line.
        let whole_last = needle.ends_with('\n');
        let last_at = if whole_last { to - 1 } else { to };
        let (first, last) = (self.line(from)?, self.line(last_at)?);
        let before = self.around(first, 0..from - first.plain, Side::Before);
        let end = if whole_last { last.end } else { last.body.end };
        let last_len = self.plain.get(last.plain..).map_or(0, |rest| rest.find('\n').unwrap_or(rest.len()));
        let after =
            if whole_last { Vec::new() } else { self.around(last, to - last.plain..last_len, Side::After) };
        Some(Widened { range: first.body.start..end, before, after })
    }

    /// The part of a line whose plain form is `part` of the line's plain form: from the original where a cut between
    /// two characters gives just that, otherwise the plain form itself.
    fn around(&self, line: &LooseLine, part: Range<usize>, side: Side) -> Vec<u8> {
        let want = self.plain.get(line.plain + part.start..line.plain + part.end).unwrap_or_default();
        if want.is_empty() {
            return Vec::new();
        }
        let body = self.original.get(line.body.clone()).unwrap_or_default();
        if body.len() <= FUZZY_LINE_BYTES_MAX
            && let Ok(text) = std::str::from_utf8(body)
        {
            for cut in text.char_indices().map(|(cut, _)| cut).chain([text.len()]) {
                let Some((head, tail)) = text.split_at_checked(cut) else { continue };
                match side {
                    // The end of the head counts here, trailing spaces and all.
                    Side::Before if untrimmed(head) == want => return head.as_bytes().to_vec(),
                    Side::After if plain(tail) == want => return tail.as_bytes().to_vec(),
                    _ => {}
                }
            }
        }
        want.as_bytes().to_vec()
    }
}

fn untrimmed(text: &str) -> String {
    text.nfkc().map(straight).collect()
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}
