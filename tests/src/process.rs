//! Children that never outlive the test: each leads a process group, which ends with it.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::{
        ffi::OsStrExt,
        process::{CommandExt, ExitStatusExt},
    },
    path::Path,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    io::Errno,
    process::{self, Pid, Signal, WaitId, WaitIdOptions},
};

use crate::{
    capture::Capture,
    limits::{DRAIN, KILLED},
};

/// Leaders of the groups that live now, for [`kill_all`].
static LIVE: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn live() -> MutexGuard<'static, BTreeSet<u32>> {
    LIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a node in the background, which leads a session of its own, for [`kill_all`].
pub(crate) fn remember(pid: u32) {
    live().insert(pid);
}

/// It has ended: its id may be another's.
pub(crate) fn forget(pid: u32) {
    live().remove(&pid);
}

/// Kills every process of this lab with its group: for a program that was interrupted.
pub fn kill_all() {
    for pid in std::mem::take(&mut *live()) {
        signal_group(pid, Signal::KILL);
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// From before it was spawned to its end.
    pub took: Duration,
}

/// What a process reads.
#[derive(Debug, Clone, Default)]
pub enum Input {
    /// Nothing: its end at once.
    #[default]
    Nothing,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// A pipe that stays open and silent.
    Open,
}

#[derive(Debug, Default)]
struct Shared {
    exit: Mutex<Option<Exit>>,
    ended: Condvar,
    /// Standard input that was left open.
    stdin: Mutex<Option<ChildStdin>>,
}

/// A child that leads a process group. Dropping it kills what is left of the group.
#[derive(Debug)]
pub struct Process {
    words: String,
    pid: u32,
    started: Instant,
    shared: Arc<Shared>,
    stdout: Capture,
    stderr: Capture,
}

impl Process {
    /// Starts `command`, with both outputs captured.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command, input: Input) -> Self {
        let words = words(&command);
        let stdin = if matches!(input, Input::Nothing) { Stdio::null() } else { Stdio::piped() };
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{words}`: {error}"));
        let pid = child.id();
        live().insert(pid);
        let stdout = Capture::of(child.stdout.take().expect("asked for"));
        let stderr = Capture::of(child.stderr.take().expect("asked for"));
        let pipe = child.stdin.take();
        let shared = Arc::new(Shared::default());
        thread::spawn({
            let shared = Arc::clone(&shared);
            move || reap(child, started, &shared)
        });
        let ended = Arc::clone(&shared);
        thread::spawn(move || match (input, pipe) {
            // A process may end without having read all of it.
            (Input::Bytes(bytes), Some(mut pipe)) => drop(pipe.write_all(&bytes)),
            (Input::Open, Some(pipe)) => {
                *ended.stdin.lock().unwrap_or_else(PoisonError::into_inner) = Some(pipe);
                ended.wait(Duration::MAX);
                drop(ended.stdin.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
            _ => {}
        });
        Self { words, pid, started, shared, stdout, stderr }
    }

    /// Writes to standard input that was left open.
    ///
    /// # Panics
    /// When it was not, or the process has ended.
    pub fn write(&self, bytes: &[u8]) {
        crate::wait::until("an open standard input", Duration::from_secs(10), || {
            let mut stdin = self.shared.stdin.lock().unwrap_or_else(PoisonError::into_inner);
            stdin.as_mut().map(|pipe| pipe.write_all(bytes).expect("somebody who reads it"))
        });
    }

    /// The command as a person would type it.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Just before it was spawned.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// What it prints on standard output.
    #[must_use]
    pub fn stdout(&self) -> &Capture {
        &self.stdout
    }

    /// What it prints on standard error.
    #[must_use]
    pub fn stderr(&self) -> &Capture {
        &self.stderr
    }

    /// Waits for its end, and for the last of what it printed; `None` when it still runs after `limit`.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Exit> {
        let exit = self.shared.wait(limit)?;
        // A background child that left the group may hold a pipe open: its words are not awaited for ever.
        let _whole = self.stdout.wait_closed(DRAIN) && self.stderr.wait_closed(DRAIN);
        Some(exit)
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        *self.shared.lock()
    }

    /// Sends a signal to the process alone, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        let exit = self.shared.lock();
        if exit.is_none()
            && let Some(pid) = pid(self.pid)
        {
            // Between its end and its reaping the signal hits a zombie, which feels nothing.
            let _gone = process::kill_process(pid, signal);
        }
    }

    /// Kills the process and its group, and waits until it is gone.
    ///
    /// # Panics
    /// When it does not go.
    pub fn kill(&self) {
        if self.exit().is_none() {
            signal_group(self.pid, Signal::KILL);
            assert!(self.shared.wait(KILLED).is_some(), "`{}` survived SIGKILL for {KILLED:?}", self.words);
        }
    }

    /// All that is known about it, for a failed test.
    #[must_use]
    pub fn story(&self) -> String {
        let end = match self.exit() {
            None => "still running".to_owned(),
            Some(Exit { code: Some(code), took, .. }) => format!("exit code {code} after {took:?}"),
            Some(Exit { signal, took, .. }) => format!("signal {signal:?} after {took:?}"),
        };
        format!(
            "`{}` (pid {}): {end}\n  stdout:\n{}  stderr:\n{}",
            self.words,
            self.pid,
            self.stdout.tail(),
            self.stderr.tail()
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.exit().is_none() {
            signal_group(self.pid, Signal::KILL);
            let _gone = self.shared.wait(KILLED);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Option<Exit>> {
        self.exit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, limit: Duration) -> Option<Exit> {
        let deadline = Instant::now().checked_add(limit);
        let mut exit = self.lock();
        while exit.is_none() {
            exit = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.ended.wait(exit).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => return None,
                Some(left) => self.ended.wait_timeout(exit, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
        *exit
    }
}

/// Waits for the child's end, ends what is left of its group while its id cannot be another's, then buries it.
fn reap(mut child: Child, started: Instant, shared: &Shared) {
    let id = child.id();
    if let Some(leader) = pid(id) {
        let dead = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(process::waitid(WaitId::Pid(leader), dead), Err(Errno::INTR)) {}
    }
    let took = started.elapsed();
    let mut exit = shared.lock();
    signal_group(id, Signal::KILL);
    live().remove(&id);
    let status = child.wait().unwrap_or_else(|_| ExitStatus::from_raw(-1));
    *exit = Some(Exit { code: status.code(), signal: status.signal(), took });
    drop(exit);
    shared.ended.notify_all();
}

fn pid(id: u32) -> Option<Pid> {
    i32::try_from(id).ok().and_then(Pid::from_raw)
}

fn signal_group(leader: u32, signal: Signal) {
    if let Some(group) = pid(leader) {
        let _gone = process::kill_process_group(group, signal);
    }
}

/// Sends a signal to a process that is not a child, such as a node in the background.
pub fn signal_stranger(id: u32, signal: Signal) {
    if let Some(pid) = pid(id) {
        let _gone = process::kill_process(pid, signal);
    }
}

/// Whether a process with this id lives. A zombie does not.
#[must_use]
pub fn lives(id: u32) -> bool {
    fs::read_to_string(format!("/proc/{id}/stat"))
        .ok()
        .and_then(|stat| stat.rsplit_once(") ").map(|(_, rest)| !rest.starts_with(['Z', 'X'])))
        .unwrap_or(false)
}

/// Processes whose `HOME` is this directory, as far as the system tells.
#[must_use]
pub fn living_in(home: &Path) -> Vec<u32> {
    let wanted = [b"HOME=", home.as_os_str().as_bytes()].concat();
    let lives_there = |pid: &u32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted)
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(lives_there).collect()
}

/// A command as a person would type it.
#[must_use]
pub fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut out = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        let text = argument.to_string_lossy();
        let plain = |c: char| c.is_alphanumeric() || "-_./:=@,+".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            out.push_str(&format!(" {text}"));
        } else {
            out.push_str(&format!(" '{}'", text.replace('\'', "'\\''")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn input_output_and_exit_code() {
        let process = Process::spawn(shell("cat; echo bad >&2; exit 7"), Input::Bytes(b"hello".to_vec()));
        let exit = process.wait(SOON).unwrap();
        assert_eq!((exit.code, exit.signal), (Some(7), None));
        assert_eq!((process.stdout().text(), process.stderr().text()), ("hello".into(), "bad\n".into()));
        process.signal(Signal::TERM);
    }

    #[test]
    fn a_whole_group_dies_with_its_process() {
        let process = Process::spawn(shell("sleep 1000 & echo $!; wait"), Input::Open);
        let (line, _) = process.stdout().line(0, SOON).unwrap();
        let grandchild: u32 = line.text().parse().unwrap();
        assert!(lives(grandchild));
        assert_eq!(process.wait(Duration::from_millis(1)), None);
        drop(process);
        crate::wait::until("the grandchild's end", SOON, || (!lives(grandchild)).then_some(()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn who_lives_in_a_home_is_found() {
        let home = tempfile::tempdir().unwrap();
        let mut command = shell("echo here; exec sleep 1000");
        command.env("HOME", home.path());
        let process = Process::spawn(command, Input::Nothing);
        assert!(process.stdout().line(0, SOON).is_some());
        // Amid its exec a process shows no environment.
        crate::wait::until("the process", SOON, || (living_in(home.path()) == [process.pid()]).then_some(()));
        process.kill();
        assert!(living_in(home.path()).is_empty());
    }

    #[test]
    fn words_can_be_typed() {
        let mut command = Command::new("/usr/bin/echo");
        command.args(["a/b", "it's", ""]);
        assert_eq!(words(&command), r"echo a/b 'it'\''s' ''");
    }
}
