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
    /// `.ignore`: any of these, however far above, is stronger than git's, and counts across repositories.
    plain: Option<Gitignore>,
    /// `.gitignore`, then the repository's `info/exclude`.
    git: Vec<Gitignore>,
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
        let own = |file| if has(file) { load(view, dir, file) } else { None };
        let plain = own(".ignore");
        let mut git: Vec<_> = own(".gitignore").into_iter().collect();
        if git_dir {
            let info = view
                .enter(dir, ".git")
                .ok()
                .flatten()
                .and_then(|git| view.enter(&git, "info").ok().flatten());
            git.extend(info.and_then(|info| load(view, &info, "exclude")));
        }
        Self { dir: dir.path().to_owned(), plain, git, repository: has(".git"), above }
    }

    /// Whether the entry at this canonical path, beneath this directory, is left out. Ripgrep's order: the nearest
    /// `.ignore` that says something, then the nearest of git's files.
    pub(crate) fn ignored(&self, path: &str, is_dir: bool) -> bool {
        let mut git = None;
        let mut same_repository = true;
        let mut level = Some(self);
        while let Some(ignores) = level {
            if let Some(plain) = &ignores.plain
                && let Some(ignored) = verdict(plain, ignores.relative(path), is_dir)
            {
                return ignored;
            }
            if same_repository && git.is_none() {
                let relative = ignores.relative(path);
                git = ignores.git.iter().find_map(|file| verdict(file, relative, is_dir));
            }
            same_repository &= !ignores.repository;
            level = ignores.above.as_deref();
        }
        git.unwrap_or(false)
    }

    fn relative<'p>(&self, path: &'p str) -> &'p str {
        match self.dir.as_str() {
            path::ROOT => path,
            dir => path.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path),
        }
    }
}

/// Whether a file's rules leave the entry out or keep it in; `None` when they say nothing of it.
fn verdict(rules: &Gitignore, relative: &str, is_dir: bool) -> Option<bool> {
    match rules.matched(relative, is_dir) {
        Match::Ignore(_) => Some(true),
        Match::Whitelist(_) => Some(false),
        Match::None => None,
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
