//! The diff of an edit: only what lies around its changes is compared, so that a large file costs no more.

use std::fmt::Write;
use std::ops::Range;
use std::time::Instant;

use memchr::{memchr, memchr_iter, memrchr};
use similar::{ChangeTag, DiffOp, TextDiff};

use super::apply::Change;
use crate::limits::{DIFF_CONTEXT_LINES, DIFF_TIME_MAX};

/// A unified diff. Bytes that are not UTF-8 are shown as U+FFFD.
pub(super) fn unified(path: &str, old: &[u8], new: &[u8], changes: &[Change]) -> String {
    let mut text = format!("--- a/{path}\n+++ b/{path}\n");
    let deadline = Instant::now() + DIFF_TIME_MAX;
    for region in regions(old, new, changes) {
        let (before, after) = (slice(old, &region.old), slice(new, &region.new));
        let (first_old, first_new) =
            (lines_before(old, region.old.start), lines_before(new, region.new.start));
        let diff = TextDiff::configure().deadline(deadline).diff_lines(before.as_str(), after.as_str());
        for group in diff.grouped_ops(DIFF_CONTEXT_LINES) {
            header(&mut text, &group, first_old, first_new);
            for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                    ChangeTag::Equal => ' ',
                };
                let line = change.value();
                let _ = writeln!(text, "{sign}{}", line.strip_suffix('\n').unwrap_or(line));
                if !line.ends_with('\n') {
                    text.push_str("\\ No newline at end of file\n");
                }
            }
        }
    }
    text
}

fn header(text: &mut String, group: &[DiffOp], first_old: usize, first_new: usize) {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return };
    // An empty range is named by the line before it.
    let side = |start: usize, end: usize, base: usize| (base + start + usize::from(end > start), end - start);
    let (old, old_len) = side(first.old_range().start, last.old_range().end, first_old);
    let (new, new_len) = side(first.new_range().start, last.new_range().end, first_new);
    let _ = writeln!(text, "@@ -{old},{old_len} +{new},{new_len} @@");
}

/// Whole lines around one or more changes, with context, in the old and the new content.
struct Region {
    old: Range<usize>,
    new: Range<usize>,
}

fn regions(old: &[u8], new: &[u8], changes: &[Change]) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for change in changes {
        let start = line_start(old, change.old.start);
        let end = line_end(old, change.old.end);
        // What lies between the change and the ends of the region is the same on both sides.
        let (above, below) = (change.old.start - start, end - change.old.end);
        let region = Region {
            old: start..end,
            new: change.new.start.saturating_sub(above)..(change.new.end + below).min(new.len()),
        };
        match regions.last_mut() {
            Some(last) if region.old.start <= last.old.end => {
                // The later change knows the shift of all before it; the ends only ever grow.
                last.old.end = region.old.end;
                last.new.end = region.new.end;
            }
            _ => regions.push(region),
        }
    }
    regions
}

/// The start of the line some lines above the one that holds `at`.
fn line_start(content: &[u8], at: usize) -> usize {
    let begin = |at: usize| memrchr(b'\n', content.get(..at).unwrap_or_default()).map_or(0, |end| end + 1);
    let mut start = begin(at);
    for _ in 0..DIFF_CONTEXT_LINES {
        let Some(above) = start.checked_sub(1) else { return 0 };
        start = begin(above);
    }
    start
}

/// The end of the line some lines below the one that holds `at`.
fn line_end(content: &[u8], at: usize) -> usize {
    let mut end = at;
    for _ in 0..=DIFF_CONTEXT_LINES {
        match memchr(b'\n', content.get(end..).unwrap_or_default()) {
            Some(len) => end += len + 1,
            None => return content.len(),
        }
    }
    end
}

fn slice(content: &[u8], range: &Range<usize>) -> String {
    String::from_utf8_lossy(content.get(range.clone()).unwrap_or_default()).into_owned()
}

fn lines_before(content: &[u8], at: usize) -> usize {
    memchr_iter(b'\n', content.get(..at).unwrap_or_default()).count()
}
