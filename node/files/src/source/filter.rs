//! What the owner leaves out, by glob.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::{
    error::{FilesError, Result, Trouble},
    limits,
};

/// The globs of one walk.
#[derive(Debug)]
pub(super) struct Filter {
    names: GlobSet,
    paths: GlobSet,
    dir_names: GlobSet,
    dir_paths: GlobSet,
}

impl Filter {
    pub(super) fn new(globs: &[String]) -> Result<Self> {
        let refuse = |glob: &str, why: String| FilesError::new(Trouble::BadGlob, "use the glob", glob, why);
        if globs.len() > limits::EXCLUDES {
            return Err(FilesError::new(Trouble::TooMany, "use", "the globs", "there are too many"));
        }
        let mut sets = [(); 4].map(|()| GlobSetBuilder::new());
        for glob in globs {
            let (text, for_dirs) = glob.strip_suffix('/').map_or((glob.as_str(), false), |text| (text, true));
            let is_path = text.contains('/');
            let text = text.strip_prefix('/').unwrap_or(text);
            let built = GlobBuilder::new(text).literal_separator(true).build();
            let built = built.map_err(|e| refuse(glob, e.to_string()))?;
            let at = usize::from(is_path) + if for_dirs { 2 } else { 0 };
            if let Some(set) = sets.get_mut(at) {
                set.add(built);
            }
        }
        let [names, paths, dir_names, dir_paths] =
            sets.map(|set| set.build().map_err(|e| refuse("of --exclude", e.to_string())));
        Ok(Self { names: names?, paths: paths?, dir_names: dir_names?, dir_paths: dir_paths? })
    }

    /// Whether something is left out: its name, and its path beneath the root.
    pub(super) fn leaves_out(&self, name: &str, path: &str, is_dir: bool) -> bool {
        self.names.is_match(name)
            || self.paths.is_match(path)
            || (is_dir && (self.dir_names.is_match(name) || self.dir_paths.is_match(path)))
    }

    /// Whether nothing is ever left out.
    pub(super) fn is_empty(&self) -> bool {
        [&self.names, &self.paths, &self.dir_names, &self.dir_paths].iter().all(|set| set.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_with_a_slash_are_for_paths_and_without_for_names() {
        let filter =
            |globs: &[&str]| Filter::new(&globs.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>()).unwrap();
        let f = filter(&["*.o", "target/", "/top", "docs/*.md", "**/cache/x"]);
        assert!(f.leaves_out("a.o", "deep/down/a.o", false));
        assert!(f.leaves_out("target", "x/target", true));
        assert!(!f.leaves_out("target", "x/target", false));
        assert!(f.leaves_out("top", "top", false));
        assert!(!f.leaves_out("top", "x/top", false));
        assert!(f.leaves_out("a.md", "docs/a.md", false));
        assert!(!f.leaves_out("a.md", "docs/deep/a.md", false));
        assert!(f.leaves_out("x", "a/b/cache/x", false));
        assert!(filter(&[]).is_empty() && !f.is_empty());
        assert_eq!(Filter::new(&["[".to_owned()]).unwrap_err().kind(), Trouble::BadGlob);
    }
}
