//! The tool `edit`.

mod apply;
mod diff;
mod fuzzy;
#[cfg(test)]
mod tests;

use std::io::Read;

use serde_json::json;
use thiserror::Error;

use crate::call::EditArgs;
use crate::error::{ToolError, shown};
use crate::limits::EDIT_FILE_BYTES_MAX;
use crate::os::{self, Stamp};
use crate::outcome::ToolOutcome;
use crate::replace;
use crate::seen::Seen;
use crate::text::Lines;
use crate::workspace::View;

pub(crate) use apply::apply;

/// Why edits do not apply. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EditError {
    /// The old text is nowhere.
    #[error(
        "edit {number} of {total}: the old text is not in the file{hint}. Read the file again and copy the text exactly"
    )]
    NotFound {
        /// Which edit, from 1.
        number: usize,
        /// Of how many.
        total: usize,
        /// Where something like it is, or nothing.
        hint: String,
    },
    /// The old text is there more than once.
    #[error(
        "edit {number} of {total}: the old text is in the file {}{count} times, at lines {lines}; it must be unique, add lines around it",
        if *.more { "at least " } else { "" }
    )]
    Ambiguous {
        /// Which edit, from 1.
        number: usize,
        /// Of how many.
        total: usize,
        /// How often it was found.
        count: usize,
        /// Whether counting stopped there.
        more: bool,
        /// The lines where it was found, from 1.
        lines: String,
    },
    /// Two edits want the same text.
    #[error("edits {first} and {second} overlap; make them one edit")]
    Overlap {
        /// The one that begins first, from 1.
        first: usize,
        /// The other.
        second: usize,
    },
    /// The old text is empty.
    #[error(
        "edit {number} of {total}: old_text is empty; say which text to replace, or use write for a new file"
    )]
    EmptyOld {
        /// Which edit, from 1.
        number: usize,
        /// Of how many.
        total: usize,
    },
    /// Everything would stay as it is.
    #[error("the edits change nothing: the new text equals the old; the file was left alone")]
    NoChange,
}

/// Edits a file.
pub(crate) fn run(view: &View, seen: &Seen, args: &EditArgs) -> Result<ToolOutcome, ToolError> {
    let mut place = view.place(&args.path)?;
    replace::check_place(view, &place)?;
    if place.stat.is_none() {
        return Err(view.gone_or(ToolError::NotFound { path: shown(&args.path) }));
    }
    let file = view.open_file(&args.path)?;
    let stamp = Stamp::of(&file.stat);
    if file.path != place.path || seen.differs(&file.path, Some(stamp)) {
        return Err(ToolError::Changed { path: shown(&file.path) });
    }
    let path = shown(&file.path);
    let original = load(&file.file, &path, os::size(&file.stat))?;
    // From here on the place is the very file whose content was read: a change since then stops the replacement.
    place.stat = Some(file.stat);
    let applied =
        apply(&original, &args.edits).map_err(|source| ToolError::Edit { path: path.clone(), source })?;
    let stamp = replace::replace(view, &place, &applied.content)?;
    seen.note(&place.path, stamp);
    let diff = diff::unified(&path, &original, &applied.content, &applied.changes);
    let mut lines = Lines::default();
    let whole = diff.lines().all(|line| lines.push(line));
    let count = diff.lines().count();
    let (kept, mut truncated) = lines.finish();
    if let Some(cut) = &mut truncated {
        cut.total_lines = Some(count as u64);
    }
    let mut text = format!("edited {path}: {} of {} edits applied", args.edits.len(), args.edits.len());
    if !applied.fuzzy.is_empty() {
        let which: Vec<String> = applied.fuzzy.iter().map(usize::to_string).collect();
        text +=
            &format!("; edit {} matched only with spaces, quotes and dashes taken loosely", which.join(", "));
    }
    text += &format!("\n\n{kept}");
    if !whole {
        text += "\n\n[the rest of the diff is left out; read shows the file]";
    }
    let mut outcome = ToolOutcome::ok(text).with_details(json!({
        "path": place.path, "edits": args.edits.len(), "fuzzy": applied.fuzzy, "bytes": applied.content.len(), "diff": kept,
    }));
    outcome.truncated = truncated;
    Ok(outcome)
}

fn load(file: &std::fs::File, path: &str, size: u64) -> Result<Vec<u8>, ToolError> {
    let mut content = Vec::new();
    file.take(EDIT_FILE_BYTES_MAX + 1)
        .read_to_end(&mut content)
        .map_err(|error| ToolError::io("read", path, error))?;
    if content.len() as u64 > EDIT_FILE_BYTES_MAX {
        return Err(ToolError::TooLarge {
            what: path.to_owned(),
            actual: size.max(content.len() as u64),
            limit: EDIT_FILE_BYTES_MAX,
            hint: "change it with a command such as sed",
        });
    }
    if content.contains(&0) {
        return Err(ToolError::Binary { path: path.to_owned(), what: "it holds NUL bytes", bytes: size });
    }
    Ok(content)
}
