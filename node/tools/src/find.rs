//! The tool `find`.

use std::time::Instant;

use globset::{GlobBuilder, GlobSet};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::call::FindArgs;
use crate::error::ToolError;
use crate::limits::{FIND_PATHS_MAX, QUOTED_CHARS_MAX, SEARCH_TIME_MAX};
use crate::outcome::{CutBy, ToolOutcome, Truncated};
use crate::path;
use crate::text::Lines;
use crate::walk::{Entry, Walk, shown_entry, with_notes};
use crate::workspace::View;

/// A glob: with a `/` it is matched with the path, otherwise with the name.
pub(crate) struct NameGlob {
    /// A set of one: unlike a single matcher it does not panic on a glob whose regular expression is too deep.
    matcher: GlobSet,
    by_path: bool,
    start: String,
}

impl NameGlob {
    /// Compiles a glob for a search that begins at the canonical path `start`.
    pub(crate) fn new(pattern: &str, start: &str) -> Result<Self, ToolError> {
        let short = |text: &str| text.chars().take(QUOTED_CHARS_MAX).collect::<String>();
        let bad = |why: String| ToolError::BadPattern { pattern: short(pattern), why: short(&why) };
        let plain = pattern.strip_prefix("./").unwrap_or(pattern);
        let glob = GlobBuilder::new(plain).literal_separator(true).build();
        let set = glob.and_then(|glob| GlobSet::builder().add(glob).build());
        let matcher = set.map_err(|error| bad(error.to_string()))?;
        Ok(Self { matcher, by_path: plain.contains('/'), start: start.to_owned() })
    }

    /// Whether an entry matches. Paths count from the workspace or from where the search began.
    pub(crate) fn matches(&self, name: &str, path: &str) -> bool {
        if !self.by_path {
            return self.matcher.is_match(name);
        }
        let from_start = path.strip_prefix(&self.start).and_then(|rest| rest.strip_prefix('/'));
        self.matcher.is_match(path) || from_start.is_some_and(|rest| self.matcher.is_match(rest))
    }
}

/// Finds entries by name.
pub(crate) fn run(
    view: &View,
    args: &FindArgs,
    cancel: &CancellationToken,
) -> Result<ToolOutcome, ToolError> {
    let dir = view.open_dir(args.path.as_deref().unwrap_or(path::ROOT))?;
    let start = dir.path().to_owned();
    let glob = NameGlob::new(&args.pattern, &start)?;
    let limit =
        args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX).min(FIND_PATHS_MAX);
    let mut walk = Walk::new(view, dir, args.all, cancel, Instant::now() + SEARCH_TIME_MAX)?;
    let mut lines = Lines::default();
    let mut cut = None;
    while let Some(Entry { name, path, kind, .. }) = walk.next()? {
        if !glob.matches(&name, &path) || !view.allows(&path) {
            continue;
        }
        if lines.shown() == limit {
            cut = Some(CutBy::Count);
            break;
        }
        if !lines.push(&shown_entry(&path, kind)) {
            cut = lines.cut();
            break;
        }
    }
    let mut notes = walk.skipped.notes();
    if cut.is_some() {
        notes.insert(
            0,
            format!("only the first {} are shown; give a narrower pattern or path", lines.shown()),
        );
    }
    let found = lines.shown();
    if found == 0 && cut.is_none() {
        notes.insert(0, format!("nothing matches; names are matched whole, {}", ignored_hint(args.all)));
    }
    cut = cut.or(walk.skipped.effort.then_some(CutBy::Effort));
    let (text, _) = lines.finish();
    let mut outcome =
        ToolOutcome::ok(with_notes(text, &notes)).with_details(json!({ "path": start, "found": found }));
    outcome.truncated = cut.map(|by| Truncated { by, shown_lines: found as u64, total_lines: None });
    Ok(outcome)
}

/// What to try when nothing was found.
pub(crate) fn ignored_hint(all: bool) -> &'static str {
    if all {
        "ignored files were searched too"
    } else {
        "what .gitignore names was left out (all: true includes it)"
    }
}
