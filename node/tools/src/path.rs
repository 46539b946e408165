//! Paths as asked for, made canonical: relative to the workspace, `/` between names, no `.`, no `..`.
//!
//! Names are compared byte for byte, in policies and on disk alike: another case or another Unicode form of a
//! name is another name, so it never matches a scope by accident.

use crate::error::ToolError;
use crate::limits::{PATH_BYTES_MAX, PATH_DEPTH_MAX, QUOTED_CHARS_MAX};

/// The canonical path of the workspace itself.
pub(crate) const ROOT: &str = ".";

/// The canonical form of `asked` in a workspace at the absolute path `workspace`.
///
/// `a/./b//c/../d` becomes `a/b/d` before any link is looked at, so `..` never follows a link. An absolute path
/// beneath the workspace is made relative, because models send them; any other is refused.
pub(crate) fn canonical(workspace: &str, asked: &str) -> Result<String, ToolError> {
    let refuse = |why| Err(ToolError::BadPath { path: asked.chars().take(QUOTED_CHARS_MAX).collect(), why });
    if asked.is_empty() {
        return refuse("it is empty; use . for the workspace");
    }
    if asked.len() > PATH_BYTES_MAX {
        return refuse("it is longer than 4,096 bytes");
    }
    if asked.chars().any(char::is_control) {
        return refuse("it holds a control character");
    }
    if asked.contains('\\') {
        return refuse("it holds a backslash; write / between names");
    }
    let relative = if asked.starts_with('/') {
        match beneath(workspace, asked) {
            Some(rest) => rest,
            None => {
                return refuse(
                    "it is absolute and not beneath the workspace; write it relative to the workspace",
                );
            }
        }
    } else {
        asked
    };
    let mut names: Vec<&str> = Vec::new();
    for name in relative.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                if names.pop().is_none() {
                    return refuse("it leads out of the workspace");
                }
            }
            name => names.push(name),
        }
        if names.len() > PATH_DEPTH_MAX {
            return refuse("it has more than 128 names");
        }
    }
    if names.first() == Some(&"~") {
        return refuse("~ is not expanded; write it relative to the workspace");
    }
    Ok(if names.is_empty() { ROOT.to_owned() } else { names.join("/") })
}

/// The part of the absolute path `path` below `workspace`, or `None` when it is not beneath it. Only whole names
/// count: `/work2` is not beneath `/work`.
pub(crate) fn beneath<'p>(workspace: &str, path: &'p str) -> Option<&'p str> {
    let rest = path.strip_prefix(workspace.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// `name` in the directory with the canonical path `parent`.
pub(crate) fn join(parent: &str, name: &str) -> String {
    if parent == ROOT { name.to_owned() } else { format!("{parent}/{name}") }
}

/// Whether a path has a name that git treats as its own directory: `.git`, in any case, and with the invisible
/// characters that some file systems drop (CVE-2014-9390).
pub(crate) fn in_git(canonical: &str) -> bool {
    canonical.split('/').any(|name| {
        let plain: String = name.chars().filter(|c| !invisible(*c)).flat_map(char::to_lowercase).collect();
        // NTFS and HFS+ aliases, because a checkout may lie on such a disk.
        plain.trim_end_matches(['.', ' ']) == ".git" || plain == "git~1"
    })
}

fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ok(asked: &str) -> String {
        canonical("/w/space", asked).unwrap()
    }

    #[test]
    fn plain_paths_become_canonical() {
        for (asked, want) in [
            ("src/main.rs", "src/main.rs"),
            ("./src//main.rs", "src/main.rs"),
            ("src/", "src"),
            (".", "."),
            ("./", "."),
            ("a/../b", "b"),
            ("a/b/../..", "."),
            ("/w/space", "."),
            ("/w/space/", "."),
            ("/w/space/src/x", "src/x"),
            ("/w/space//src/./x", "src/x"),
            ("...", "..."),
            ("..x/y", "..x/y"),
            ("~x", "~x"),
        ] {
            assert_eq!(ok(asked), want, "{asked}");
        }
    }

    #[test]
    fn traversal_and_odd_paths_are_refused() {
        for asked in [
            "",
            "..",
            "../x",
            "src/../../etc",
            "/etc/passwd",
            "/w",
            "/w/space2",
            "/w/space/../other",
            "/",
            "//w/space/../..",
            "a\0b",
            "a\nb",
            "a\x1b[2Jb",
            "src\\..\\..\\x",
            "~",
            "~/.ssh/id_ed25519",
            "./~",
            "a/../~/x",
            "a/../../w/space/x",
        ] {
            assert!(canonical("/w/space", asked).is_err(), "{asked:?} passed");
        }
        assert!(canonical("/w", &"a/".repeat(200)).is_err());
        assert!(canonical("/w", &"a".repeat(5000)).is_err());
    }

    #[test]
    fn git_is_recognised_in_its_disguises() {
        for path in [
            ".git",
            ".git/config",
            "a/.git/hooks/x",
            ".GIT/config",
            ".g\u{200c}it/config",
            ".git./x",
            "git~1/config",
        ] {
            assert!(in_git(path), "{path}");
        }
        for path in [".gitignore", ".github/workflows/ci.yml", "a.git/x", "git/config", "."] {
            assert!(!in_git(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn canonical_is_stable_and_confined(asked in "[a.~/\\\\é ]{0,24}") {
            if let Ok(path) = canonical("/w/space", &asked) {
                prop_assert!(path == "." || path.split('/').all(|n| !n.is_empty() && n != "." && n != ".."));
                prop_assert_eq!(canonical("/w/space", &path).unwrap(), path.clone());
                prop_assert_eq!(canonical("/w/space", &format!("/w/space/{path}")).unwrap(), path);
            }
        }
    }
}
