//! The tool `write`.

use serde_json::json;

use crate::call::WriteArgs;
use crate::error::{ToolError, shown};
use crate::os::Stamp;
use crate::outcome::ToolOutcome;
use crate::replace;
use crate::seen::Seen;
use crate::workspace::View;

/// Creates or replaces a file.
pub(crate) fn run(view: &View, seen: &Seen, args: &WriteArgs) -> Result<ToolOutcome, ToolError> {
    let place = view.place(&args.path)?;
    if seen.differs(&place.path, place.stat.as_ref().map(Stamp::of)) && place.stat.is_some() {
        return Err(ToolError::Changed { path: shown(&place.path) });
    }
    let stamp = replace::replace(view, &place, args.content.as_bytes())?;
    seen.note(&place.path, stamp);
    let (bytes, path) = (args.content.len(), shown(&place.path));
    let what = if place.stat.is_some() { "replaced" } else { "created" };
    Ok(ToolOutcome::ok(format!("{what} {path}: {bytes} bytes written"))
        .with_details(json!({ "path": place.path, "bytes": bytes, "created": place.stat.is_none() })))
}
