//! A workspace in a temporary directory, and its tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clankers_tools::{
    AllowAll, Forbidden, OutputSink, PathGate, Status, ToolCall, ToolOutcome, Tools, Workspace,
};
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

pub struct Lab {
    /// Holds `work` (the workspace) and whatever a test puts beside it.
    pub outer: TempDir,
    pub tools: Arc<Tools>,
}

impl Lab {
    pub fn new() -> Self {
        Self::with(|_| Forbidden::none())
    }

    pub fn with(forbidden: impl FnOnce(&Path) -> Forbidden) -> Self {
        let outer = tempfile::tempdir().unwrap();
        fs::create_dir(outer.path().join("work")).unwrap();
        let forbidden = forbidden(outer.path());
        let workspace = Workspace::open(&outer.path().join("work"), forbidden).unwrap();
        let tools = Arc::new(Tools::new(Arc::new(workspace), Some(outer.path().to_owned())));
        Self { outer, tools }
    }

    /// A path in the workspace.
    pub fn at(&self, path: &str) -> PathBuf {
        self.outer.path().join("work").join(path)
    }

    /// Puts a file there, past the tools.
    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn get(&self, path: &str) -> Vec<u8> {
        fs::read(self.at(path)).unwrap()
    }

    pub fn call(&self, name: &str, args: Value) -> ToolCall {
        ToolCall::parse(name, &args.to_string()).unwrap()
    }

    pub async fn run(&self, name: &str, args: Value) -> ToolOutcome {
        self.gated(name, args, Arc::new(AllowAll)).await
    }

    pub async fn gated(&self, name: &str, args: Value, gate: Arc<dyn PathGate>) -> ToolOutcome {
        let call = self.call(name, args);
        self.tools.run(&call, gate, OutputSink::none(), CancellationToken::new()).await
    }

    /// Runs and expects success.
    pub async fn ok(&self, name: &str, args: Value) -> String {
        let outcome = self.run(name, args).await;
        assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
        outcome.text
    }

    /// Runs and expects a failure.
    pub async fn fails(&self, name: &str, args: Value) -> String {
        let outcome = self.run(name, args).await;
        assert_eq!(outcome.status, Status::Error, "{}", outcome.text);
        outcome.text
    }

    /// Runs and expects a refusal by a rule.
    pub async fn denied(&self, name: &str, args: Value) -> String {
        let outcome = self.run(name, args).await;
        assert_eq!(outcome.status, Status::Denied, "{}", outcome.text);
        outcome.text
    }
}

/// A gate as a policy over a directory makes it.
pub fn only(scope: &'static str) -> Arc<dyn PathGate> {
    Arc::new(move |path: &str| {
        path == scope || path.strip_prefix(scope).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Waits until something is so, at most ten seconds.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process is there and no zombie.
pub fn alive(pid: i32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'),
        Err(_) => false,
    }
}

/// A process number in a file that a command writes, once it is there.
pub async fn pid_in(path: &Path) -> i32 {
    let read = || {
        fs::read_to_string(path).ok().filter(|text| text.ends_with('\n')).and_then(|t| t.trim().parse().ok())
    };
    until("a process number is written", || read().is_some()).await;
    read().unwrap()
}

pub fn fifo(path: &Path) {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
}
