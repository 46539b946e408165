//! Running calls: one [`Tools`] per session.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::MutexGuard;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::bash::Shell;
use crate::call::ToolCall;
use crate::error::ToolError;
use crate::gate::PathGate;
use crate::outcome::{OutputSink, ToolOutcome};
use crate::seen::Seen;
use crate::workspace::{View, Workspace};
use crate::{edit, find, grep, ls, read, replace, write};

/// The tools of one session: its workspace, what it has read, and its shell's leftovers.
#[derive(Debug)]
pub struct Tools {
    workspace: Arc<Workspace>,
    seen: Arc<Seen>,
    shell: Shell,
    images: bool,
}

impl Tools {
    /// Tools that work in `workspace`. `output_dir` is where the whole output of long commands is kept, in a directory
    /// of its own that is removed with the workspace (default: the system's temporary directory). `read` and `grep` open
    /// those files by the path that the answer names, where the gate allows it: it is asked about `~/output/NAME`.
    pub fn new(workspace: Arc<Workspace>, output_dir: Option<PathBuf>) -> Self {
        Self { workspace, seen: Arc::default(), shell: Shell::new(output_dir), images: false }
    }

    /// These tools, with images attached to the outcome of `read`: for a caller that hands them to the model. Others are
    /// told that an image cannot be shown.
    #[must_use]
    pub fn with_images(mut self) -> Self {
        self.images = true;
        self
    }

    /// The workspace.
    pub fn workspace(&self) -> &Arc<Workspace> {
        &self.workspace
    }

    /// Runs a call. Never fails: what goes wrong is in the outcome, in words.
    ///
    /// The caller has asked authority about [`ToolCall::facts`] before; `gate` is asked about the real path of
    /// everything that is opened. Cancelling ends every tool soon, and kills a command with all its children.
    /// Dropping the future does so too, except that a file operation that has begun ends in the background.
    pub async fn run(
        &self,
        call: &ToolCall,
        gate: Arc<dyn PathGate>,
        output: OutputSink,
        cancel: CancellationToken,
    ) -> ToolOutcome {
        let cancel = cancel.child_token();
        // Dropping this future must end a search that runs on another thread.
        let _stop = cancel.clone().drop_guard();
        let result = match call {
            ToolCall::Bash(args) => self.shell.run(&self.workspace, args, output, &cancel).await,
            ToolCall::Write(_) | ToolCall::Edit(_) => self.change(call.clone(), gate, &cancel).await,
            _ => self.blocking(call.clone(), gate, &cancel, None).await,
        };
        result.unwrap_or_else(ToolOutcome::from)
    }

    /// Kills whatever commands of this session run or were left running in the background: for a session that is
    /// killed. (Everything dies with the node in any case. Systems without `/proc` find only running commands.)
    pub async fn kill_background(&self) {
        self.shell.kill_background().await;
    }

    /// Waits for the file's turn, then changes it.
    async fn change(
        &self,
        call: ToolCall,
        gate: Arc<dyn PathGate>,
        cancel: &CancellationToken,
    ) -> Result<ToolOutcome, ToolError> {
        let (ToolCall::Write(crate::WriteArgs { path, .. }) | ToolCall::Edit(crate::EditArgs { path, .. })) =
            &call
        else {
            return Err(ToolError::Interrupted);
        };
        let (workspace, asked, same_gate) = (self.workspace.clone(), path.clone(), gate.clone());
        let key = on_thread(move || Ok(View::new(workspace, same_gate)?.place(&asked)?.key())).await?;
        let turn = tokio::select! {
            turn = replace::turn(&key) => turn,
            () = cancel.cancelled() => return Err(ToolError::Interrupted),
        };
        self.blocking(call, gate, cancel, Some(turn)).await
    }

    async fn blocking(
        &self,
        call: ToolCall,
        gate: Arc<dyn PathGate>,
        cancel: &CancellationToken,
        turn: Option<MutexGuard<'static, ()>>,
    ) -> Result<ToolOutcome, ToolError> {
        if cancel.is_cancelled() {
            return Err(ToolError::Interrupted);
        }
        let (workspace, seen, cancel) = (self.workspace.clone(), self.seen.clone(), cancel.clone());
        let images = self.images;
        on_thread(move || {
            // Held to the end of the work, even when nobody waits for it any more.
            let _turn = turn;
            let view = View::new(workspace, gate)?;
            match &call {
                ToolCall::Read(args) => read::run(&view, &seen, args, images, &cancel),
                ToolCall::Write(args) => write::run(&view, &seen, args),
                ToolCall::Edit(args) => edit::run(&view, &seen, args),
                ToolCall::Grep(args) => grep::run(&view, args, &cancel),
                ToolCall::Find(args) => find::run(&view, args, &cancel),
                ToolCall::Ls(args) => ls::run(&view, args),
                // Never here: commands do not run on a blocking thread.
                ToolCall::Bash(_) => Err(ToolError::Interrupted),
            }
        })
        .await
    }
}

async fn on_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ToolError> + Send + 'static,
) -> Result<T, ToolError> {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_cancelled() => Err(ToolError::Interrupted),
        Err(error) => Err(ToolError::io("finish", "the tool", std::io::Error::other(error))),
    }
}
