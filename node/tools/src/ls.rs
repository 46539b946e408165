//! The tool `ls`.

use rustix::fs::FileType;
use serde_json::json;

use crate::call::LsArgs;
use crate::error::{ToolError, shown};
use crate::limits::LS_ENTRIES_MAX;
use crate::outcome::{CutBy, ToolOutcome, Truncated};
use crate::path;
use crate::text::Lines;
use crate::walk::{self, Ignores, with_notes};
use crate::workspace::View;

/// Lists a directory.
pub(crate) fn run(view: &View, args: &LsArgs) -> Result<ToolOutcome, ToolError> {
    let asked = args.path.as_deref().unwrap_or(path::ROOT);
    let dir = view.open_dir(asked)?;
    let names = walk::list(&dir).map_err(|error| ToolError::io("list", dir.path(), error))?;
    let ignores = Ignores::of(view, &dir, &names.entries, Ignores::above(view, &dir));
    let mut hidden = 0u64;
    let mut shown_names = Vec::new();
    for (name, kind) in &names.entries {
        let path = path::join(dir.path(), name);
        if !view.allows(&path) {
            continue;
        }
        if !args.all && ignores.ignored(&path, *kind == FileType::Directory) {
            hidden += 1;
            continue;
        }
        let mark = match *kind {
            FileType::Directory => "/",
            FileType::Symlink => "@",
            FileType::Fifo => "|",
            FileType::Socket => "=",
            FileType::CharacterDevice | FileType::BlockDevice => "%",
            _ => "",
        };
        shown_names.push((name.to_lowercase(), format!("{}{mark}", shown(name))));
    }
    shown_names.sort();
    let limit =
        args.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX).min(LS_ENTRIES_MAX);
    let total = shown_names.len();
    let mut lines = Lines::default();
    let fitted = shown_names.iter().take(limit).all(|(_, line)| lines.push(line));
    let shown_count = lines.shown();
    let mut notes = Vec::new();
    if shown_count < total {
        notes.push(format!("{shown_count} of {total} entries; find with a pattern shows the others"));
    }
    if hidden > 0 {
        notes.push(format!("{hidden} left out by ignore files; all: true shows them"));
    }
    if names.odd > 0 {
        notes.push(format!("{} names are not UTF-8 and left out", names.odd));
    }
    if total == 0 && hidden == 0 {
        notes.push(format!("{} has no entries", shown(dir.path())));
    }
    let (text, _) = lines.finish();
    let mut outcome = ToolOutcome::ok(with_notes(text, &notes)).with_details(
        json!({ "path": dir.path(), "entries": shown_count, "total": total, "ignored": hidden }),
    );
    if shown_count < total {
        let by = if fitted { CutBy::Count } else { CutBy::Bytes };
        outcome.truncated =
            Some(Truncated { by, shown_lines: shown_count as u64, total_lines: Some(total as u64) });
    }
    Ok(outcome)
}
