//! Where a session's files are looked for.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use crate::{limits, os};

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The owner of the node: it lies in the node's home.
    User,
    /// The project: whoever wrote the repository.
    Project,
}

/// The directories of one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The node's home, canonical.
    pub home: PathBuf,
    /// The session's directory, canonical.
    pub cwd: PathBuf,
    /// The root of the repository around it, if there is one. `None` keeps a session from what is above its directory.
    pub repo_root: Option<PathBuf>,
    /// A repository around it that is somebody else's: not used.
    pub foreign: Option<PathBuf>,
}

impl Places {
    /// Looks around `cwd` for a repository: the nearest directory upwards that has `.git`.
    ///
    /// It counts only when it and its `.git` belong to this user, to the owner of `cwd` or to root (git's rule against
    /// "dubious ownership"): in `/tmp` anybody can make a `.git` and an AGENTS.md above everybody's directories.
    ///
    /// # Errors
    /// What the operating system says when `home` or `cwd` cannot be found.
    pub fn find(home: &Path, cwd: &Path) -> io::Result<Self> {
        let home = home.canonicalize()?;
        let cwd = cwd.canonicalize()?;
        let found = cwd.ancestors().take(limits::DEPTH).find(|dir| has_git(dir));
        let friends = [os::user(), 0, cwd.metadata()?.uid()];
        let ours = |dir: &Path| {
            let uids =
                [dir.metadata().map(|m| m.uid()), dir.join(".git").symlink_metadata().map(|m| m.uid())];
            uids.iter().all(|uid| uid.as_ref().is_ok_and(|uid| friends.contains(uid)))
        };
        let (repo_root, foreign) = match found {
            Some(root) if ours(root) => (Some(root.to_owned()), None),
            Some(root) => (None, Some(root.to_owned())),
            None => (None, None),
        };
        Ok(Self { home, cwd, repo_root, foreign })
    }

    /// Where the owner's own files lie.
    #[must_use]
    pub fn user_dir(&self) -> PathBuf {
        self.home.join("agent")
    }

    /// The project: the repository's root, or the session's directory without one. This is what is trusted.
    #[must_use]
    pub fn project(&self) -> &Path {
        self.repo_root.as_deref().unwrap_or(&self.cwd)
    }

    /// The project's `.clankers`, unless that is a node's home (somebody works in their home directory): what lies there
    /// is not the project's.
    pub(crate) fn project_dir(&self) -> Option<&'static Path> {
        let dir = self.project().join(".clankers");
        let real = dir.canonicalize().ok()?;
        let is_home = real == self.home || real.join("identity.key").symlink_metadata().is_ok();
        (!is_home).then(|| Path::new(".clankers"))
    }

    /// From the project down to the session's directory, relative to the project; the first is empty.
    pub(crate) fn chain(&self) -> Vec<PathBuf> {
        let rel = self.cwd.strip_prefix(self.project()).unwrap_or(Path::new(""));
        let mut chain: Vec<PathBuf> = rel.ancestors().take(limits::DEPTH).map(Path::to_owned).collect();
        chain.reverse();
        chain
    }
}

/// A `.git` directory with a HEAD, or a `.git` file (worktrees and submodules).
fn has_git(dir: &Path) -> bool {
    let git = dir.join(".git");
    git.symlink_metadata().is_ok_and(|meta| match meta.is_dir() {
        true => git.join("HEAD").symlink_metadata().is_ok(),
        false => meta.is_file(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("home")).unwrap();
        fs::create_dir_all(root.join("repo/.git")).unwrap();
        fs::create_dir_all(root.join("repo/a/b")).unwrap();
        fs::write(root.join("repo/.git/HEAD"), "ref: x").unwrap();
        (dir, root.join("home"), root.join("repo"))
    }

    #[test]
    fn the_repository_is_the_nearest_one() {
        let (_dir, home, repo) = world();
        let places = Places::find(&home, &repo.join("a/b")).unwrap();
        assert_eq!(places.project(), repo);
        assert_eq!(places.chain(), ["", "a", "a/b"].map(PathBuf::from));
        // A submodule is its own project: trusting the one around it says nothing of it.
        fs::write(repo.join("a/.git"), "gitdir: ../.git/modules/a").unwrap();
        let places = Places::find(&home, &repo.join("a/b")).unwrap();
        assert_eq!(places.project(), repo.join("a"));
        // An empty `.git` is no repository.
        fs::create_dir(repo.join("a/b/.git")).unwrap();
        assert_eq!(Places::find(&home, &repo.join("a/b")).unwrap().project(), repo.join("a"));
    }

    #[test]
    fn without_a_repository_only_the_directory_counts() {
        let (_dir, home, _) = world();
        let places = Places::find(&home, &home).unwrap();
        assert_eq!((places.project(), places.chain()), (home.as_path(), vec![PathBuf::new()]));
    }

    #[test]
    fn a_repository_of_somebody_else_does_not_count() {
        let (_dir, home, repo) = world();
        if std::os::unix::fs::chown(repo.join(".git"), Some(54321), None).is_err() {
            eprintln!("skipped: only root can give a directory away");
            return;
        }
        let places = Places::find(&home, &repo.join("a")).unwrap();
        assert_eq!(places.project(), repo.join("a"));
        assert_eq!(places.foreign, Some(repo));
    }

    #[test]
    fn a_nodes_home_is_not_a_projects_directory() {
        let (_dir, home, repo) = world();
        fs::create_dir(repo.join(".clankers")).unwrap();
        assert!(Places::find(&home, &repo).unwrap().project_dir().is_some());
        assert!(Places::find(&repo.join(".clankers"), &repo).unwrap().project_dir().is_none());
        fs::write(repo.join(".clankers/identity.key"), "").unwrap();
        assert!(Places::find(&home, &repo).unwrap().project_dir().is_none());
    }
}
