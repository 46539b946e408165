//! Where sessions work.

use std::path::{Path, PathBuf};

/// The directory that sessions of peers work in: the setting, or where the node was started.
///
/// A node that was started in `/`, in the user's home directory, or above its own home offers peers no
/// workspace until one is set: a grant to read "the workspace" must not mean the whole account.
#[must_use]
pub fn offered(
    setting: Option<&Path>,
    started_in: &Path,
    user_home: Option<&Path>,
    node_home: &Path,
) -> Option<PathBuf> {
    if let Some(set) = setting {
        return Some(set.to_owned());
    }
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let started = real(started_in);
    let too_wide = started.parent().is_none()
        || user_home.is_some_and(|home| real(home) == started)
        || real(node_home).starts_with(&started);
    (!too_wide).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_directories_are_not_offered() {
        let offer = |dir: &str| {
            offered(None, Path::new(dir), Some(Path::new("/home/u")), Path::new("/home/u/.clankers"))
        };
        assert_eq!(offer("/"), None);
        assert_eq!(offer("/home/u"), None);
        assert_eq!(offer("/home"), None);
        assert_eq!(offer("/home/u/.clankers"), None);
        assert_eq!(offer("/home/u/project"), Some("/home/u/project".into()));
        let set = offered(Some(Path::new("/srv")), Path::new("/"), None, Path::new("/home/u/.clankers"));
        assert_eq!(set, Some("/srv".into()));
    }
}
