//! The tool `bash`.
//!
//! A shell can do whatever the user's account can: nothing here confines it, and authority grants it as such. What
//! is promised is that it ends: on timeout, on cancellation, and with the node, all its children included.

mod env;
mod report;
mod spool;
mod tree;
mod undertaker;

use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::call::BashArgs;
use crate::error::ToolError;
use crate::limits::{
    BASH_LINGER_MAX, BASH_QUIET, BASH_TIME_DEFAULT, BASH_TIME_MAX, CHUNK_BYTES, KILL_TIME_MAX, LEFTOVERS_MAX,
};
use crate::outcome::{OutputSink, ToolOutcome};
use crate::workspace::Workspace;
use report::Report;
use spool::Spool;
use tree::Tree;

/// What the shell calls of one session share.
#[derive(Debug)]
pub(crate) struct Shell {
    output_dir: Option<PathBuf>,
    /// Readers of pipes that background children still hold, so that they do not die of writing to a closed one.
    leftovers: Mutex<JoinSet<()>>,
    mark: String,
}

/// How a command ended.
#[derive(Debug)]
enum End {
    Exited(ExitStatus),
    TimedOut(Duration),
    Cancelled,
}

impl Shell {
    pub(crate) fn new(output_dir: Option<PathBuf>) -> Self {
        Self { output_dir, leftovers: Mutex::new(JoinSet::new()), mark: undertaker::session_mark() }
    }

    /// Runs a command to its end.
    pub(crate) async fn run(
        &self,
        workspace: &Arc<Workspace>,
        args: &BashArgs,
        output: OutputSink,
        cancel: &CancellationToken,
    ) -> Result<ToolOutcome, ToolError> {
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        workspace.still_there()?;
        let started = Instant::now();
        let allowed = args.timeout.map_or(BASH_TIME_DEFAULT, Duration::from_secs).min(BASH_TIME_MAX);
        let failed =
            |error| workspace.still_there().err().unwrap_or_else(|| ToolError::io("start", "bash", error));
        let (mut running, pipe) = Running::start(workspace, &args.command, &self.mark).map_err(failed)?;
        let spool = Spool::new(output, self.output_dir.clone(), workspace.clone());
        let mut stream = Stream { pipe: Some(pipe), spool, buffer: vec![0; CHUNK_BYTES] };
        let deadline = started + allowed;
        let end = follow(&mut running, &mut stream, deadline, cancel).await;
        let end = match end {
            Some(status) => End::Exited(status.map_err(|error| ToolError::io("wait for", "bash", error))?),
            None => {
                running.kill().await;
                if cancel.is_cancelled() { End::Cancelled } else { End::TimedOut(allowed) }
            }
        };
        let background = stream.drain(cancel).await && matches!(end, End::Exited(_));
        running.done(background);
        if background && let Some(pipe) = stream.pipe.take() {
            self.leave(pipe);
        }
        let kept = stream.spool.finish().await;
        Ok(Report { end, kept, background, took: started.elapsed() }.outcome())
    }

    /// Kills whatever the commands of this session left running in the background.
    pub(crate) async fn kill_background(&self) {
        let tree = Tree::leftovers(self.mark.clone());
        if timeout(KILL_TIME_MAX, spawn_blocking(move || tree.kill())).await.is_err() {
            tracing::warn!("background processes of a session do not die");
        }
        self.leftovers.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Keeps reading what background children print, and drops it.
    fn leave(&self, mut pipe: Receiver) {
        let mut leftovers = self.leftovers.lock().unwrap_or_else(PoisonError::into_inner);
        while leftovers.try_join_next().is_some() {}
        if leftovers.len() >= LEFTOVERS_MAX {
            tracing::warn!(
                limit = LEFTOVERS_MAX,
                "too many background commands; the output of one is closed"
            );
            return;
        }
        leftovers.spawn(async move {
            let mut buffer = vec![0; CHUNK_BYTES];
            while matches!(pipe.read(&mut buffer).await, Ok(read) if read > 0) {}
        });
    }
}

/// A command's output on its way to the spool.
struct Stream {
    /// `None` at its end.
    pipe: Option<Receiver>,
    spool: Spool,
    buffer: Vec<u8>,
}

impl Stream {
    /// Reads a piece. Never ends when there is nothing more, so that it can stand in a `select!`. Cancel-safe: what
    /// was read is in the spool before the next wait.
    async fn piece(&mut self) {
        let Some(pipe) = &mut self.pipe else { return std::future::pending().await };
        match pipe.read(&mut self.buffer).await {
            Ok(0) | Err(_) => self.pipe = None,
            Ok(read) => self.spool.take(self.buffer.get(..read).unwrap_or_default()),
        }
    }

    /// Reads what is left once the shell is gone: to the end, or until it is quiet where a background child holds the
    /// pipe. Says whether one does.
    async fn drain(&mut self, cancel: &CancellationToken) -> bool {
        let until = Instant::now() + BASH_LINGER_MAX;
        while self.pipe.is_some() && Instant::now() < until {
            tokio::select! {
                () = self.spool.pass_on() => {}
                () = cancel.cancelled() => self.spool.nobody_listens(),
                () = tokio::time::sleep_until(until) => break,
            }
            if timeout(BASH_QUIET, self.piece()).await.is_err() {
                break;
            }
        }
        if timeout(BASH_LINGER_MAX, self.spool.pass_on()).await.is_err() {
            self.spool.nobody_listens();
        }
        self.pipe.is_some()
    }
}

/// Follows a command until its shell ends; `None` when its time is over or it was cancelled.
async fn follow(
    running: &mut Running,
    stream: &mut Stream,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Option<io::Result<ExitStatus>> {
    loop {
        // What was read is passed on before more is read: a slow listener slows the command, not the node.
        let passed_on = async {
            stream.spool.pass_on().await;
            stream.piece().await;
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return None,
            () = tokio::time::sleep_until(deadline) => return None,
            status = running.child.wait() => return Some(status),
            () = passed_on => {}
        }
    }
}

/// A shell and everything it started. Dropped before its end, it is killed.
struct Running {
    child: Child,
    tree: Tree,
    ended: bool,
}

impl Running {
    fn start(workspace: &Workspace, command: &str, session: &str) -> io::Result<(Self, Receiver)> {
        let mark = undertaker::mark(session)?;
        let (reader, writer) = io::pipe()?;
        let reader = Receiver::from_owned_fd(reader.into())?;
        let mut shell = Command::new(env::shell());
        shell
            .arg("-c")
            .arg(command)
            .current_dir(workspace.path())
            .env_clear()
            .envs(env::scrubbed(std::env::vars_os()))
            .env("PWD", workspace.path())
            .env(undertaker::MARK, &mark)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0);
        let child = shell.spawn()?;
        // The shell's ends of the pipe go with this, or the end of the output would never come.
        drop(shell);
        let tree = Tree::new(child.id(), mark);
        tree.announce();
        Ok((Self { child, tree, ended: false }, reader))
    }

    async fn kill(&mut self) {
        let tree = self.tree.clone();
        // Reaped only after the first blow, so that its number is still its own then.
        let killing = spawn_blocking(move || tree.kill());
        if timeout(KILL_TIME_MAX, killing).await.is_err()
            || timeout(KILL_TIME_MAX, self.child.wait()).await.is_err()
        {
            tracing::warn!("a killed command has processes that do not die");
        }
    }

    fn done(&mut self, background: bool) {
        self.ended = true;
        if !background {
            self.tree.forget();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.tree.kill_once();
            self.tree.forget();
        }
    }
}
