//! The tool `grep`.

mod search;
mod tree;

use std::time::Instant;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::call::GrepArgs;
use crate::error::{ToolError, shown};
use crate::find::{NameGlob, ignored_hint};
use crate::limits::{
    GREP_CONTEXT_MAX, GREP_HITS_MAX, PATTERN_COMPILED_BYTES_MAX, QUOTED_CHARS_MAX, SEARCH_TIME_MAX,
};
use crate::outcome::{CutBy, ToolOutcome, Truncated};
use crate::path;
use crate::text::Lines;
use crate::walk::{Skipped, Walk, with_notes};
use crate::workspace::{Opened, View};
use search::{FileHits, Search};

/// Searches files.
pub(crate) fn run(
    view: &View,
    args: &GrepArgs,
    cancel: &CancellationToken,
) -> Result<ToolOutcome, ToolError> {
    let number = |value: Option<u64>, max: usize| {
        value.and_then(|v| usize::try_from(v).ok()).map_or(max, |v| v.min(max))
    };
    let search = Search {
        matcher: matcher(args)?,
        context: args.context.map_or(0, |context| number(Some(context), GREP_CONTEXT_MAX)),
        limit: number(args.limit, GREP_HITS_MAX),
        cancel,
        deadline: Instant::now() + SEARCH_TIME_MAX,
    };
    let asked = args.path.as_deref().unwrap_or(path::ROOT);
    let mut report = Report::new(search.limit, search.context > 0);
    let skipped = match view.open(asked)? {
        Opened::File(file) => {
            let path = file.path.clone();
            let hits = search.file(&mut search.searcher(), file.file);
            if hits.binary {
                report.notes.push(format!("{} is binary and was not searched", shown(&path)));
            }
            let unreadable = u64::from(hits.failed);
            report.add(&path, hits);
            Skipped { unreadable, ..Skipped::default() }
        }
        Opened::Dir(dir) => {
            let glob = args.glob.as_deref().map(|glob| NameGlob::new(glob, dir.path())).transpose()?;
            let walk = Walk::new(view, dir, args.all, cancel, search.deadline)?;
            tree::search(view, walk, glob.as_ref(), &search, &mut report)?
        }
    };
    if cancel.is_cancelled() {
        return Err(ToolError::Interrupted);
    }
    Ok(report.finish(skipped, args.all))
}

fn matcher(args: &GrepArgs) -> Result<RegexMatcher, ToolError> {
    RegexMatcherBuilder::new()
        .case_insensitive(args.ignore_case)
        .fixed_strings(args.literal)
        .multi_line(true)
        .crlf(true)
        .size_limit(PATTERN_COMPILED_BYTES_MAX)
        .dfa_size_limit(PATTERN_COMPILED_BYTES_MAX)
        .build(&args.pattern)
        .map_err(|error| ToolError::BadPattern {
            pattern: args.pattern.chars().take(QUOTED_CHARS_MAX).collect(),
            why: format!("{error} (Rust regex syntax; literal: true takes it as plain text)"),
        })
}

/// The answer as it grows.
struct Report {
    lines: Lines,
    hits: usize,
    limit: usize,
    files: usize,
    context: bool,
    more: bool,
    cut_lines: bool,
    notes: Vec<String>,
}

impl Report {
    fn new(limit: usize, context: bool) -> Self {
        Self {
            lines: Lines::default(),
            hits: 0,
            limit,
            files: 0,
            context,
            more: false,
            cut_lines: false,
            notes: Vec::new(),
        }
    }

    fn full(&self) -> bool {
        self.more || self.lines.cut().is_some()
    }

    fn add(&mut self, path: &str, found: FileHits) {
        if found.binary || found.lines.is_empty() || self.full() {
            return;
        }
        self.files += 1;
        let path = shown(path);
        let mut last: Option<u64> = None;
        for line in found.lines {
            if line.hit && self.hits == self.limit {
                self.more = true;
                return;
            }
            let gap = last.map_or(self.hits > 0, |last| line.number > last + 1);
            let mark = if line.hit { ':' } else { '-' };
            let fitted = (!self.context || !gap || self.lines.push("--"))
                && self.lines.push(&format!("{path}{mark}{}{mark} {}", line.number, line.text));
            if !fitted {
                return;
            }
            self.hits += usize::from(line.hit);
            self.cut_lines |= line.cut;
            last = Some(line.number);
        }
        self.more |= found.more;
    }

    fn finish(self, skipped: Skipped, all: bool) -> ToolOutcome {
        let mut notes = self.notes;
        let by = match self.lines.cut() {
            Some(by) => Some(by),
            None if self.more => Some(CutBy::Count),
            None => skipped.effort.then_some(CutBy::Effort),
        };
        if self.more || self.lines.cut().is_some() {
            notes.push(format!(
                "only the first {} hits are shown; give a narrower pattern, path or glob",
                self.hits
            ));
        } else if self.hits == 0 && notes.is_empty() {
            notes.push(format!("nothing matches; {}", ignored_hint(all)));
        }
        if self.cut_lines {
            notes.push("long lines are cut at 500 characters; read shows them whole".to_owned());
        }
        notes.extend(skipped.notes());
        let shown_lines = self.lines.shown() as u64;
        let (text, _) = self.lines.finish();
        let mut outcome = ToolOutcome::ok(with_notes(text, &notes))
            .with_details(json!({ "hits": self.hits, "files": self.files, "more": by.is_some() }));
        outcome.truncated = by.map(|by| Truncated { by, shown_lines, total_lines: None });
        outcome
    }
}
