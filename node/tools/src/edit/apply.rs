//! Applying edits, purely: bytes in, bytes out.

use std::ops::Range;

use memchr::memmem::Finder;

use super::EditError;
use super::fuzzy::{Loose, Widened};
use crate::call::Replacement;
use crate::limits::EDIT_MATCHES_COUNTED;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Edits that were applied.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// The new content.
    pub(crate) content: Vec<u8>,
    /// The edits, from 1, that matched only loosely.
    pub(crate) fuzzy: Vec<usize>,
    /// What was replaced, in order.
    pub(crate) changes: Vec<Change>,
}

/// One replaced range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// Where it was in the original.
    pub(crate) old: Range<usize>,
    /// Where it is in the new content.
    pub(crate) new: Range<usize>,
}

/// One edit, placed in the original.
#[derive(Debug)]
struct Patch {
    number: usize,
    range: Range<usize>,
    new: Vec<u8>,
}

/// Applies edits that are all matched against `original`.
///
/// Every byte outside the replaced ranges stays: byte order mark, line endings, bytes that are not UTF-8. Within the
/// new text, line endings become those of the place where it goes.
pub(crate) fn apply(original: &[u8], edits: &[Replacement]) -> Result<Applied, EditError> {
    let start = if original.starts_with(BOM) { BOM.len() } else { 0 };
    let mut loose = None;
    let mut patches = Vec::with_capacity(edits.len());
    let mut fuzzy = Vec::new();
    for (index, edit) in edits.iter().enumerate() {
        let (number, total) = (index + 1, edits.len());
        let old = edit.old_text.trim_start_matches('\u{feff}').replace("\r\n", "\n");
        if old.is_empty() {
            return Err(EditError::EmptyOld { number, total });
        }
        let found = exact(original, start, &old);
        let patch = match *found {
            [] => {
                let loose = loose.get_or_insert_with(|| Loose::new(original, start));
                let Widened { range, before, after } = loose
                    .find(&old)
                    .map_err(|found| not_unique(original, number, total, &found, || hint(original, &old)))?;
                fuzzy.push(number);
                let new = [before, with_endings_of(original, range.start, &edit.new_text), after].concat();
                Patch { number, range, new }
            }
            [at] => {
                let len = matched_len(original, at, &old);
                Patch { number, range: at..at + len, new: with_endings_of(original, at, &edit.new_text) }
            }
            ref several => return Err(not_unique(original, number, total, several, String::new)),
        };
        patches.push(patch);
    }
    let (content, changes) = splice(original, patches)?;
    Ok(Applied { content, fuzzy, changes })
}

fn splice(original: &[u8], mut patches: Vec<Patch>) -> Result<(Vec<u8>, Vec<Change>), EditError> {
    patches.sort_by_key(|patch| (patch.range.start, patch.range.end));
    let mut content = Vec::with_capacity(original.len());
    let mut changes = Vec::with_capacity(patches.len());
    let (mut done, mut last) = (0, 0);
    for patch in patches {
        let Some(kept) = original.get(done..patch.range.start) else {
            return Err(EditError::Overlap { first: last, second: patch.number });
        };
        content.extend_from_slice(kept);
        let new = content.len()..content.len() + patch.new.len();
        content.extend_from_slice(&patch.new);
        (done, last) = (patch.range.end, patch.number);
        changes.push(Change { old: patch.range, new });
    }
    content.extend_from_slice(original.get(done..).unwrap_or_default());
    if content == original { Err(EditError::NoChange) } else { Ok((content, changes)) }
}

/// Where `old` (with `\n`) is, overlapping matches included, as it is or with `\r\n`; one more than is counted at most.
fn exact(original: &[u8], start: usize, old: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut search = |needle: &[u8]| {
        let finder = Finder::new(needle);
        let mut from = start;
        while found.len() <= EDIT_MATCHES_COUNTED
            && let Some(at) = original.get(from..).and_then(|rest| finder.find(rest))
        {
            found.push(from + at);
            from += at + 1;
        }
    };
    search(old.as_bytes());
    if old.contains('\n') {
        search(old.replace('\n', "\r\n").as_bytes());
    }
    found.sort_unstable();
    found
}

fn matched_len(original: &[u8], at: usize, old: &str) -> usize {
    let plain = original.get(at..).is_some_and(|rest| rest.starts_with(old.as_bytes()));
    if plain { old.len() } else { old.len() + old.matches('\n').count() }
}

/// `new` with the line endings of the line at `at`: its own, or those of the line before when it is the last.
fn with_endings_of(original: &[u8], at: usize, new: &str) -> Vec<u8> {
    let new = new.replace("\r\n", "\n");
    let (before, after) = original.split_at_checked(at).unwrap_or((original, &[]));
    let crlf = match memchr::memchr(b'\n', after) {
        Some(0) => before.ends_with(b"\r"),
        Some(end) => after.get(end - 1) == Some(&b'\r'),
        None => memchr::memrchr(b'\n', before)
            .and_then(|end| before.get(..end))
            .is_some_and(|l| l.ends_with(b"\r")),
    };
    if crlf { new.replace('\n', "\r\n").into_bytes() } else { new.into_bytes() }
}

fn not_unique(
    original: &[u8],
    number: usize,
    total: usize,
    found: &[usize],
    hint: impl FnOnce() -> String,
) -> EditError {
    if found.is_empty() {
        return EditError::NotFound { number, total, hint: hint() };
    }
    let shown = found.iter().take(EDIT_MATCHES_COUNTED);
    let lines: Vec<String> = shown.map(|at| line_of(original, *at).to_string()).collect();
    let more = found.len() > EDIT_MATCHES_COUNTED;
    EditError::Ambiguous { number, total, count: lines.len(), more, lines: lines.join(", ") }
}

fn line_of(original: &[u8], at: usize) -> usize {
    memchr::memchr_iter(b'\n', original.get(..at).unwrap_or_default()).count() + 1
}

/// Where the first line of a text that was not found is, to tell a wrong place from a wrong copy.
fn hint(original: &[u8], old: &str) -> String {
    let Some(first) = old.lines().map(str::trim).find(|line| line.len() > 3) else { return String::new() };
    match memchr::memmem::find(original, first.as_bytes()) {
        Some(at) => {
            format!(" (its first line is at line {}, but what follows differs)", line_of(original, at))
        }
        None => String::new(),
    }
}
