//! What a grant's words may be, and why a grant cannot be written.

use super::{GrantSpec, Sessions};
use crate::limits::{SCOPE_NAME_BYTES, SCOPE_PATH_BYTES};

/// Why a grant cannot be written as a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// A path is not relative and plain.
    #[error("'{path}' cannot be a path of a grant: {reason}; name a path inside the workspace, such as src")]
    Path {
        /// The path, as it was given.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A shell cannot be kept to paths.
    #[error(
        "a shell can leave every path, so a token cannot have both: leave out bash (not --root, which has it), or the path"
    )]
    ShellUnderPath,
    /// A name is empty, too long or not plain.
    #[error("'{name}' cannot be the name of a {what}: {reason}")]
    Name {
        /// The name, as it was given.
        name: String,
        /// Of what.
        what: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// No session is named.
    #[error("the token would be about no session at all: name one, or 'all'")]
    NoSession,
    /// A number is larger than a token can carry.
    #[error("{0} is larger than a token can say; leave it out, or make it smaller")]
    Number(&'static str),
    /// The policy is over the limits.
    #[error(
        "the grant is too complicated for one token ({0}): name fewer paths, tools or models, or make two tokens"
    )]
    TooComplicated(#[from] ucan::PolicyError),
}

/// The path without a slash at its end; `.` is the whole workspace.
pub(super) fn path(asked: &str) -> Result<&str, SpecError> {
    let fail = |reason| Err(SpecError::Path { path: clankers_protocol::text::line(asked, 80), reason });
    let path = match asked.strip_suffix('/') {
        Some("") => return fail("it is absolute"),
        Some(path) => path,
        None => asked,
    };
    if path == "." {
        return Ok(path);
    }
    if path.len() > SCOPE_PATH_BYTES {
        return fail("it is too long");
    }
    if path.starts_with('/') {
        return fail("it is absolute");
    }
    if path.contains(['*', '\\']) {
        return fail("it has a star or a backslash; what is beneath a path is always included");
    }
    if path.chars().any(char::is_control) {
        return fail("it has a control character");
    }
    match path.split('/').find(|part| matches!(*part, "" | "." | "..")) {
        Some("..") => fail("it has '..'"),
        Some(".") => fail("it has '.' in it"),
        Some(_) => fail("it has an empty part"),
        None => Ok(path),
    }
}

fn name(name: &str, what: &'static str, star: bool) -> Result<(), SpecError> {
    let fail = |reason| Err(SpecError::Name { name: clankers_protocol::text::line(name, 80), what, reason });
    if name.is_empty() || name.len() > SCOPE_NAME_BYTES {
        return fail("it is empty, or too long");
    }
    if name.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return fail("it has white space, a control character or a backslash");
    }
    if name.contains('*') && !star {
        return fail("it has a star");
    }
    Ok(())
}

/// The largest number that a token can carry.
const LARGEST: u64 = ucan::limits::MAX_SAFE_INTEGER;

/// Checks all words and numbers of a grant.
pub(super) fn check(spec: &GrantSpec) -> Result<(), SpecError> {
    if !spec.paths.is_empty() && spec.allows_shell() {
        return Err(SpecError::ShellUnderPath);
    }
    spec.paths.iter().try_for_each(|asked| path(asked).map(|_| ()))?;
    spec.tools.iter().try_for_each(|tool| name(tool, "tool", false))?;
    spec.models.iter().try_for_each(|model| name(model, "model", true))?;
    spec.workspace.iter().try_for_each(|workspace| name(workspace, "workspace", false))?;
    if let Sessions::These(sessions) = &spec.sessions {
        if sessions.is_empty() {
            return Err(SpecError::NoSession);
        }
        sessions.iter().try_for_each(|session| name(session, "session", false))?;
    }
    for (what, number) in [
        ("the cost", spec.max_cost.map(|cost| cost.0)),
        ("the number of model tokens", spec.max_tokens),
        ("the number of prompts per minute", spec.per_min),
        ("the number of prompts at the same time", spec.concurrent),
        ("the size of files", spec.max_size),
        ("the total of files", spec.max_total),
    ] {
        if number.is_some_and(|number| number > LARGEST) {
            return Err(SpecError::Number(what));
        }
    }
    Ok(())
}
