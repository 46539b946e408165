//! What the tools ask before any content is used.

/// Decides which paths of the workspace the caller may reach.
///
/// The tools ask with the canonical path of what they are about to open: relative to the workspace,
/// `/`-separated, links resolved, `.` for the workspace itself. A link `src/l` to `../secret` is asked about
/// as `secret`, whatever name the caller used. For `grep`, `find` and `ls` every entry is asked about, and one
/// that is not allowed is left out.
///
/// One kind of file is opened unasked: ignore files such as `.gitignore`, which only ever leave entries out.
///
/// The answer must not block: a walk asks some hundred thousand times.
pub trait PathGate: Send + Sync {
    /// Whether the caller may reach `path`.
    fn allow(&self, path: &str) -> bool;
}

/// The gate of a caller without path scopes.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl PathGate for AllowAll {
    fn allow(&self, _path: &str) -> bool {
        true
    }
}

impl<F: Fn(&str) -> bool + Send + Sync> PathGate for F {
    fn allow(&self, path: &str) -> bool {
        self(path)
    }
}
