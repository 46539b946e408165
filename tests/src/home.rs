//! A machine of one's own: a user with an empty home, a workspace with a few files, a clean environment.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use clankers_protocol::NodeId;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    cli::Cli,
    node::{Node, Start},
    process,
    script::Script,
};

/// Files of every fresh workspace: name and content.
pub const WORKSPACE: &[(&str, &str)] = &[
    ("README.md", "# Sample\n\nA workspace of the lab.\n"),
    ("src/main.rs", "fn main() {\n    // TODO: say something\n    println!(\"hello\");\n}\n"),
    ("src/lib.rs", "//! Nothing yet.\n// TODO: begin\n"),
    ("notes.txt", "one\ntwo\nthree\n"),
];

/// The user's directory beneath the root.
const USER: &str = "user";

/// Directories that exist now, for [`remove_all`].
static ROOTS: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn roots() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ROOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends every process that lives in a home of this lab, and removes the homes: for a program that was interrupted.
pub fn remove_all() {
    for root in std::mem::take(&mut *roots()) {
        for pid in process::living_in(&root.join(USER)) {
            process::signal_stranger(pid, Signal::KILL);
        }
        // A process that is just dying may still write into it.
        let _left = fs::remove_dir_all(root);
    }
}

#[derive(Debug)]
struct Inner {
    binary: PathBuf,
    /// Removed when the last handle is dropped.
    root: TempDir,
}

impl Drop for Inner {
    fn drop(&mut self) {
        roots().remove(self.root.path());
    }
}

/// A user's machine as far as `clankers` can see it. Clones share it; the last one removes it.
#[derive(Debug, Clone)]
pub struct NodeHome(Arc<Inner>);

impl NodeHome {
    /// A fresh one, for this binary: `NodeHome::new(env!("CARGO_BIN_EXE_clankers"))`.
    ///
    /// # Panics
    /// When the temporary directory cannot be made.
    #[must_use]
    pub fn new(binary: impl AsRef<Path>) -> Self {
        let root = tempfile::Builder::new().prefix("clankers-lab-").tempdir().expect("a temporary directory");
        roots().insert(root.path().to_owned());
        let home = Self(Arc::new(Inner { binary: binary.as_ref().to_owned(), root }));
        fs::create_dir(home.user()).expect("the user's directory");
        fs::create_dir(home.workspace()).expect("the workspace");
        for (name, content) in WORKSPACE {
            home.file(name, content);
        }
        home
    }

    /// The directory of everything here.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.root.path()
    }

    /// The user's directory: `HOME`.
    #[must_use]
    pub fn user(&self) -> PathBuf {
        self.root().join(USER)
    }

    /// Processes that live in this home, children or not: what a command left running.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        process::living_in(&self.user())
    }

    /// The node's home, where it is by default: `~/.clankers`. It need not exist yet.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.user().join(".clankers")
    }

    /// The directory in which commands run.
    #[must_use]
    pub fn workspace(&self) -> PathBuf {
        self.root().join("workspace")
    }

    /// The binary.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.0.binary
    }

    /// Writes a file of the workspace, with the directories above it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.workspace().join(name);
        let parent = path.parent().expect("beneath the workspace");
        fs::create_dir_all(parent).and_then(|()| fs::write(&path, content)).expect("a file of the workspace");
        path
    }

    fn in_home(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path();
        if !path.exists() {
            fs::DirBuilder::new().mode(0o700).create(&path).expect("the node's home");
        }
        let path = path.join(name);
        fs::write(&path, content).expect("a file of the home");
        path
    }

    /// Writes `settings.toml`, whole.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn settings(&self, toml: &str) {
        self.in_home("settings.toml", toml);
    }

    /// Makes the scripted model say this, and the default.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script(&self, script: &Script) {
        self.script_and(script, "");
    }

    /// [`NodeHome::script`] with more settings: top-level keys first, then tables.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn script_and(&self, script: &Script, more: &str) {
        let path = self.in_home("script.toml", &script.to_toml());
        let (keys, tables) = more.split_at(more.find('[').unwrap_or(more.len()));
        self.settings(&format!(
            "model = \"scripted\"\n{keys}\n[models.scripted]\npath = {:?}\n\n{tables}",
            path.display().to_string()
        ));
    }

    /// The bare command: this machine's environment and no other, in the workspace.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.binary());
        self.furnish(&mut command);
        command
    }

    /// Gives any command this machine's environment and directory.
    pub fn furnish(&self, command: &mut Command) {
        command.env_clear().current_dir(self.workspace());
        command.env("HOME", self.user()).env("USER", "lab").env("LANG", "C.UTF-8").env("RUST_BACKTRACE", "1");
        for kept in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
    }

    /// A command line to run here.
    pub fn cli<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Cli {
        Cli::new(self).args(arguments)
    }

    /// Starts a node in the foreground, on loopback alone, and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn start(&self) -> Node {
        Start::new().on(self)
    }

    /// The node's id, made now if there is none.
    ///
    /// # Panics
    /// When `clankers rpc id` fails.
    #[must_use]
    pub fn id(&self) -> NodeId {
        let answer = self.cli(["rpc", "id", "--json"]).run().ok().json();
        let id = answer["id"].as_str().expect("an id");
        id.parse().expect("64 hex digits")
    }

    /// The secret key of the node, once there is one: to play the node itself, or its owner.
    ///
    /// # Panics
    /// When there is no key file of 64 hex digits.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        let path = self.path().join("identity.key");
        let text = fs::read_to_string(&path).expect("identity.key");
        let key: NodeId = text.trim_end().parse().expect("64 hex digits");
        key.0
    }

    /// The whole of a session's log, by its id.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn session_log(&self, id: &str) -> Vec<u8> {
        let path = self.path().join("sessions").join(format!("{id}.jsonl"));
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Whatever the node wrote into its log so far.
    #[must_use]
    pub fn node_log(&self) -> String {
        fs::read_to_string(self.path().join("logs/node.log")).unwrap_or_default()
    }
}
