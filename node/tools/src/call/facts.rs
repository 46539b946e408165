//! What authority is asked about before a call runs.

use super::ToolCall;
use crate::error::ToolError;
use crate::path;
use crate::workspace::Workspace;

/// What a call would do, for the policies of the caller's grant. Filled in here, never by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The tool's name.
    pub tool: &'static str,
    /// The canonical path asked for, relative to the workspace, `.` for the workspace itself. Absent for `bash`,
    /// so that a policy over paths refuses a shell.
    pub path: Option<String>,
    /// The program that `bash` would run, where the command is one plain program with plain arguments. Anything that
    /// the shell itself interprets (`;`, `|`, `$`, quotes, `a=b cmd`, ...) gives `bash`, so that a policy that allows
    /// `cargo` does not allow `cargo; rm`.
    pub argv0: Option<String>,
    /// Whether the call changes nothing.
    pub read_only: bool,
}

impl ToolCall {
    /// The facts of this call in `workspace`.
    ///
    /// # Errors
    /// [`ToolError::BadPath`] when the path cannot name anything in the workspace.
    pub fn facts(&self, workspace: &Workspace) -> Result<Facts, ToolError> {
        let path = self.asked_path().map(|asked| workspace.canonical(asked)).transpose()?;
        let argv0 = match self {
            Self::Bash(args) => Some(program(&args.command)),
            _ => None,
        };
        Ok(Facts { tool: self.name(), path, argv0, read_only: self.read_only() })
    }

    fn asked_path(&self) -> Option<&str> {
        match self {
            Self::Read(a) => Some(&a.path),
            Self::Write(a) => Some(&a.path),
            Self::Edit(a) => Some(&a.path),
            Self::Bash(_) => None,
            Self::Grep(a) => Some(a.path.as_deref().unwrap_or(path::ROOT)),
            Self::Find(a) => Some(a.path.as_deref().unwrap_or(path::ROOT)),
            Self::Ls(a) => Some(a.path.as_deref().unwrap_or(path::ROOT)),
        }
    }
}

fn program(command: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ./_-+,:@%=".contains(c);
    let first = command.split(' ').find(|word| !word.is_empty()).unwrap_or_default();
    // Words of the shell's own grammar and builtins that run other text are the shell at work, not a program.
    const SHELL_WORDS: &[&str] = &[
        "", ".", ":", "bash", "sh", "builtin", "case", "command", "coproc", "do", "done", "elif", "else",
        "esac", "eval", "exec", "fi", "for", "function", "if", "in", "select", "source", "then", "time",
        "trap", "until", "while",
    ];
    if !command.chars().all(plain) || first.contains('=') || SHELL_WORDS.contains(&first) {
        return "bash".to_owned();
    }
    first.to_owned()
}

#[cfg(test)]
mod tests {
    use super::program;

    #[test]
    fn a_plain_command_names_its_program() {
        for (command, want) in [
            ("cargo test -- -q", "cargo"),
            ("  cargo test", "cargo"),
            ("./run.sh a=b", "./run.sh"),
            ("/usr/bin/make -j2", "/usr/bin/make"),
        ] {
            assert_eq!(program(command), want);
        }
    }

    #[test]
    fn what_the_shell_interprets_is_the_shell() {
        for command in [
            "cargo; rm -rf x",
            "cargo test | sh",
            "cargo $(id)",
            "cargo `id`",
            "cargo && x",
            "cargo\nrm x",
            "X=1 cargo",
            "PATH=. cargo",
            "eval cargo",
            "exec rm x",
            ". ./x",
            "cargo > x",
            "'cargo'",
            "carg\\o",
            "cargo &",
            "{ cargo",
            "!cargo",
            "cargo *",
            "~/x",
            "cargo\trm",
            "bash -c x",
            "command cargo",
            "cargo {a,b}",
            "cargo #x",
            "сargo",
        ] {
            assert_eq!(program(command), "bash", "{command:?}");
        }
    }
}
