//! What ignore files leave out: `.gitignore`, `.ignore` and the repository's `info/exclude`.

use std::io::Read;
use std::sync::Arc;

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use rustix::fs::FileType;

use super::Named;
use crate::limits::{IGNORE_FILE_BYTES_MAX, IGNORE_LINES_MAX};
use crate::path;
use crate::workspace::{DirAt, View};

/// The ignore files of one directory, and those above it within the workspace.
///
/// They are read without asking the gate: nothing of them is shown, they only leave entries out, and a caller whose
/// scope is `src` should not be shown what the project's root ignores.
#[derive(Debug)]
pub(crate) struct Ignores {
    /// The directory's canonical path.
    dir: String,
    /// `.ignore` first, since it is the stronger.
    own: Vec<Gitignore>,
    /// A repository begins here: what is above is another's.
    repository: bool,
    above: Option<Arc<Self>>,
}

impl Ignores {
    /// Those of all directories above `dir`, from the workspace down; `None` for the workspace itself.
    pub(crate) fn above(view: &View, dir: &DirAt) -> Option<Arc<Self>> {
        if dir.path() == path::ROOT {
            return None;
        }
        let mut at = view.root_dir()?;
        let mut above = None;
        for name in dir.path().split('/') {
            let names = super::list(&at).map(|names| names.entries).unwrap_or_default();
            above = Some(Arc::new(Self::of(view, &at, &names, above)));
            at = match view.enter(&at, name) {
                Ok(Some(next)) => next,
                _ => return above,
            };
        }
        above
    }

    /// Those of `dir`, whose names are known, on top of those above it.
    pub(crate) fn of(view: &View, dir: &DirAt, names: &[Named], above: Option<Arc<Self>>) -> Self {
        let has = |name: &str| names.binary_search_by(|(other, _)| other.as_str().cmp(name)).is_ok();
        let git_dir = names.iter().any(|(name, kind)| name == ".git" && *kind == FileType::Directory);
        let mut own = Vec::new();
        for file in [".ignore", ".gitignore"] {
            if has(file) {
                own.extend(load(view, dir, file));
            }
        }
        if git_dir {
            let info = view
                .enter(dir, ".git")
                .ok()
                .flatten()
                .and_then(|git| view.enter(&git, "info").ok().flatten());
            own.extend(info.and_then(|info| load(view, &info, "exclude")));
        }
        Self { dir: dir.path().to_owned(), own, repository: has(".git"), above }
    }

    /// Whether the entry at this canonical path, beneath this directory, is left out.
    pub(crate) fn ignored(&self, path: &str, is_dir: bool) -> bool {
        let mut level = Some(self);
        while let Some(ignores) = level {
            let relative = match ignores.dir.as_str() {
                path::ROOT => path,
                dir => path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path),
            };
            for file in &ignores.own {
                match file.matched(relative, is_dir) {
                    Match::Ignore(_) => return true,
                    Match::Whitelist(_) => return false,
                    Match::None => {}
                }
            }
            level = if ignores.repository { None } else { ignores.above.as_deref() };
        }
        false
    }
}

fn load(view: &View, dir: &DirAt, name: &str) -> Option<Gitignore> {
    let file = view.file_unasked(dir, name)?;
    let mut text = Vec::new();
    file.take(IGNORE_FILE_BYTES_MAX).read_to_end(&mut text).ok()?;
    // Entries are matched relative to their directory, so that is the matcher's root.
    let mut builder = GitignoreBuilder::new(".");
    for line in String::from_utf8_lossy(&text).trim_start_matches('\u{feff}').lines().take(IGNORE_LINES_MAX) {
        // A line that is no glob leaves nothing out, as in git.
        let _ = builder.add_line(None, line);
    }
    builder.build().ok()
}
