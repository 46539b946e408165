//! The environment of a command.
//!
//! Secrets are taken out so that a command does not print, log or send them by accident. It is no barrier against a
//! command that looks for them: it runs as the same user.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Parts of a name that make it a secret's, in upper case.
const SECRET_PARTS: &[&str] = &[
    "KEY",
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CONNECTION_STRING",
    "DATABASE_URL",
];
/// Words that hold such a part and are no secret's.
const HARMLESS: &[&str] = &["KEYBOARD", "KEYMAP", "KEYTIMEOUT"];
/// Beginnings of the names of the model providers' settings, whose addresses can hold secrets as well.
const PROVIDERS: &[&str] = &["ANTHROPIC_", "OPENAI_"];
/// Ends of a name that make it a secret's.
const SECRET_ENDS: &[&str] = &["_PAT", "_DSN", "_PW", "_PASS", "_AUTH", "_COOKIE"];
/// Names that would make the shell run something else first, or that are the node's own.
const FOREIGN: &[&str] =
    &["BASH_ENV", "ENV", "PS4", "SHELLOPTS", "BASHOPTS", "OLDPWD", "PWD", "MALLOC_ARENA_MAX"];

/// Whether a variable stays out of a command's environment.
pub(super) fn is_kept_out(name: &OsStr) -> bool {
    // A name that cannot be read cannot be judged.
    let Some(name) = name.to_str().map(str::to_ascii_uppercase) else { return true };
    name.starts_with("CLANKERS_")
        || name.starts_with("BASH_FUNC_")
        || PROVIDERS.iter().any(|provider| name.starts_with(provider))
        || FOREIGN.contains(&name.as_str())
        || is_secret(&name)
}

fn is_secret(name: &str) -> bool {
    let mut name = name.to_owned();
    for harmless in HARMLESS {
        name = name.replace(harmless, "");
    }
    SECRET_PARTS.iter().any(|part| name.contains(part)) || SECRET_ENDS.iter().any(|end| name.ends_with(end))
}

/// The variables a command gets: the node's, without secrets, and with what keeps programs from asking or paging.
pub(super) fn scrubbed(vars: impl Iterator<Item = (OsString, OsString)>) -> Vec<(OsString, OsString)> {
    let mut kept: Vec<_> = vars.filter(|(name, _)| !is_kept_out(name)).collect();
    for (name, value) in
        [("TERM", "dumb"), ("PAGER", "cat"), ("GIT_PAGER", "cat"), ("GIT_TERMINAL_PROMPT", "0")]
    {
        kept.retain(|(other, _)| other != name);
        kept.push((name.into(), value.into()));
    }
    kept
}

/// The shell: bash where it is, otherwise the system's.
pub(super) fn shell() -> PathBuf {
    ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash", "/opt/homebrew/bin/bash"]
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
        .unwrap_or(Path::new("/bin/sh"))
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_kept_out() {
        for name in [
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GITHUB_TOKEN",
            "gh_token",
            "NPM_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_ACCESS_KEY_ID",
            "AWS_SESSION_TOKEN",
            "MY_SECRET",
            "DB_PASSWORD",
            "PGPASSWORD",
            "SIGNING_KEY",
            "CLANKERS_HOME",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "DATABASE_URL",
            "SENTRY_DSN",
            "NPM_CONFIG__AUTH",
            "BASH_ENV",
            "ENV",
            "BASH_FUNC_ls%%",
            "SLACK_BOT_TOKEN_2",
            "ANTHROPIC_BASE_URL",
            "OPENAI_ORG_ID",
            "openai_base_url",
            "DEPLOY_KEY_2",
            "STRIPEKEY",
            "KEYBOARD_KEY",
        ] {
            assert!(is_kept_out(OsStr::new(name)), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "USER",
            "LANG",
            "CARGO_HOME",
            "SSH_AUTH_SOCK",
            "EDITOR",
            "KEYBOARD",
            "XKB_KEYMAP",
            "http_proxy",
            "RUSTFLAGS",
        ] {
            assert!(!is_kept_out(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn programs_are_told_not_to_ask() {
        let vars = [("PATH", "/bin"), ("PAGER", "less"), ("X_TOKEN", "t")].map(|(n, v)| (n.into(), v.into()));
        let kept = scrubbed(vars.into_iter());
        assert!(kept.contains(&("PATH".into(), "/bin".into())));
        assert!(kept.contains(&("PAGER".into(), "cat".into())));
        assert_eq!(kept.iter().filter(|(name, _)| name == "PAGER").count(), 1);
        assert!(!kept.iter().any(|(name, _)| name == "X_TOKEN"));
    }
}
