//! Faults at an exact system call, by strace: the Nth write, sync or rename fails, or kills the program.
//!
//! ```no_run
//! # use clankers_lab::inject::Inject;
//! let Some(inject) = Inject::new(&["fsync", "fdatasync"]) else { return };
//! let command = inject.at("/tmp/home/node.redb").error("EIO").nth(3).program("/bin/true");
//! ```
//!
//! strace counts calls for each thread of its own: the third of a thread that made two never fails, while each of two
//! threads that make three has one fail.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use crate::lab::skip;

/// What the call does in place of what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It fails with this error, and does nothing.
    Error(String),
    /// The program gets this signal at the call; SIGKILL leaves the call undone.
    Signal(String),
    /// It is done, so many microseconds later.
    Delay(u64),
}

/// A fault that is being put together. Unless more is said, every call fails with EIO.
#[derive(Debug, Clone)]
#[must_use]
pub struct Inject {
    calls: String,
    path: Option<OsString>,
    fault: Fault,
    when: String,
    record: OsString,
}

impl Inject {
    /// A fault of these system calls; `None`, with the reason printed, where strace is missing or not allowed to trace.
    pub fn new(calls: &[&str]) -> Option<Self> {
        let mut trial = Command::new("strace");
        trial.args(["-f", "-D", "-o", "/dev/null", "-e", "inject=fsync:error=EIO", "true"]);
        let why = match trial.output() {
            Ok(output) if output.status.success() => {
                let calls = calls.join(",");
                return Some(Self {
                    calls,
                    path: None,
                    fault: Fault::Error("EIO".into()),
                    when: "1+".into(),
                    record: "/dev/null".into(),
                });
            }
            Ok(output) => {
                format!("strace cannot trace here: {}", String::from_utf8_lossy(&output.stderr).trim())
            }
            Err(error) => format!("no strace ({error}); install it"),
        };
        skip(&why);
        None
    }

    /// Only calls on this very file or directory (or on descriptors of it): not on what is in a directory.
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = Some(path.as_ref().into());
        self
    }

    /// They fail with this error: `EIO`, `ENOSPC`.
    pub fn error(mut self, name: &str) -> Self {
        self.fault = Fault::Error(name.into());
        self
    }

    /// The program is sent this signal there: `KILL` ends it before the call is made.
    pub fn signal(mut self, name: &str) -> Self {
        self.fault = Fault::Signal(name.into());
        self
    }

    /// They are made this much later: a slow disk.
    pub fn delay(mut self, time: std::time::Duration) -> Self {
        self.fault = Fault::Delay(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self
    }

    /// Only the Nth call of each thread, from 1.
    pub fn nth(mut self, n: u32) -> Self {
        self.when = n.max(1).to_string();
        self
    }

    /// The Nth call of each thread, from 1, and all after it.
    pub fn from_nth(mut self, n: u32) -> Self {
        self.when = format!("{}+", n.max(1));
        self
    }

    /// Writes the calls that were made into this file, a line for each, two for one that another thread came between.
    pub fn record(mut self, path: impl AsRef<Path>) -> Self {
        self.record = path.as_ref().into();
        self
    }

    fn words(&self) -> String {
        let fault = match &self.fault {
            Fault::Error(name) => format!("error={name}"),
            Fault::Signal(name) => format!("signal={name}"),
            Fault::Delay(micros) => format!("delay_enter={micros}"),
        };
        format!("inject={}:{fault}:when={}", self.calls, self.when)
    }

    /// The beginning of the command line, before the program.
    fn strace(&self) -> Vec<OsString> {
        // -D: the program is our child and strace its grandchild: signals and exit code are the program's own.
        let mut words = vec![OsString::from("-D")];
        words.extend(self.flags());
        words.push("--".into());
        words
    }

    fn flags(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = ["-f", "-qq", "-o"].map(OsString::from).to_vec();
        words.push(self.record.clone());
        words.extend(["-e".into(), format!("trace={}", self.calls).into(), "-e".into(), self.words().into()]);
        if let Some(path) = &self.path {
            words.extend(["-P".into(), path.clone()]);
        }
        words
    }

    /// The tracer of a process that runs already, whose calls fail from now on until the tracer is ended (SIGTERM): a
    /// disk that breaks, and is mended. See [`is_traced`].
    #[must_use]
    pub fn running(&self, pid: u32) -> Command {
        let mut command = Command::new("strace");
        command.args(self.flags()).args(["-p", &pid.to_string()]);
        command
    }

    /// A program that suffers it. The child that is spawned becomes the program.
    #[must_use]
    pub fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("strace");
        command.args(self.strace()).arg(program);
        command
    }

    /// The same for a command that is being put together elsewhere: append the program and its arguments. On a host
    /// of a lab: `inject.on(lab.host(0).command("strace"))`.
    #[must_use]
    pub fn on(&self, mut strace: Command) -> Command {
        strace.args(self.strace());
        strace
    }
}

/// Whether every thread of this process is traced now.
#[must_use]
pub fn is_traced(pid: u32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let traced = |task: std::fs::DirEntry| {
        // A thread that has just ended is nobody's.
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.lines().any(|line| line.starts_with("TracerPid:") && line.trim_end().ends_with("\t0"))
    };
    tasks.flatten().all(traced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_strace() {
        let base = Inject {
            calls: "write,fsync".into(),
            path: None,
            fault: Fault::Error("EIO".into()),
            when: "1+".into(),
            record: "/dev/null".into(),
        };
        assert!(!is_traced(std::process::id()));
        let running = base.clone().record("/tmp/calls").running(7);
        let running: Vec<_> = running.get_args().collect();
        assert_eq!(running[2..4], ["-o", "/tmp/calls"]);
        assert_eq!(running[running.len() - 2..], ["-p", "7"]);
        assert_eq!(base.clone().words(), "inject=write,fsync:error=EIO:when=1+");
        assert_eq!(base.clone().signal("KILL").nth(3).words(), "inject=write,fsync:signal=KILL:when=3");
        assert_eq!(
            base.clone().error("ENOSPC").from_nth(0).words(),
            "inject=write,fsync:error=ENOSPC:when=1+"
        );
        let slow = base.clone().delay(std::time::Duration::from_millis(2));
        assert_eq!(slow.words(), "inject=write,fsync:delay_enter=2000:when=1+");
        let words = base.at("/tmp/x").strace();
        assert_eq!(words[words.len() - 3..], ["-P", "/tmp/x", "--"]);
    }
}
