//! Asking a chain what it allows: with the values that its own policies name, and a few others.

use std::cell::Cell;

use ucan::{Chain, Delegation, Policy, Profile, Verified};

use crate::{
    gate::ipld,
    limits::{PROBES, PROBES_OF_ONE},
    preset::Literals,
    vocab::{Arg, Args, Command, SHELL_TOOL},
};

/// A chain, and the values to ask it with.
pub(super) struct Probe<'a> {
    chain: &'a Chain<Verified<Delegation>>,
    sessions: Vec<String>,
    workspaces: Vec<String>,
    paths: Vec<String>,
    models: Vec<String>,
    path_scoped: bool,
    /// How often it may still be asked (count).
    left: Cell<usize>,
    /// It was asked too often: an answer of no may be wrong.
    exhausted: Cell<bool>,
}

/// A name that no policy names.
const OTHER: &str = "x";

fn with_other(named: impl IntoIterator<Item = String>, other: &str) -> Vec<String> {
    // What a policy names is what it allows, mostly: first, so that few questions do.
    named.into_iter().take(PROBES.saturating_sub(1)).chain([other.to_owned()]).collect()
}

impl<'a> Probe<'a> {
    pub(super) fn new(chain: &'a Chain<Verified<Delegation>>) -> Self {
        let policies: Vec<&Policy> = chain.links().map(|link| link.policy()).collect();
        let found = Literals::of(policies.iter().copied());
        let plain = |pattern: &String| pattern.replace('*', OTHER);
        let paths = found.paths.iter().cloned().chain(found.path_patterns.iter().map(plain));
        Self {
            chain,
            sessions: with_other(found.sessions.iter().cloned(), OTHER),
            workspaces: with_other(found.workspaces.iter().cloned(), OTHER),
            paths: with_other(paths, "."),
            models: with_other(found.models.iter().map(plain), OTHER),
            path_scoped: policies.iter().any(|policy| policy.speaks_of(&["path"])),
            left: Cell::new(PROBES_OF_ONE),
            exhausted: Cell::new(false),
        }
    }

    /// Whether it was asked as often as may be, and not all was answered.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Whether a command is allowed with some of the values, nothing being used up yet.
    pub(super) fn allows(&self, command: Command, tool: Option<&str>) -> bool {
        let Ok(path) = ucan::Command::parse(command.path()) else { return false };
        if self.chain.check_command(&path).is_err() || (command == Command::ShellExec && self.path_scoped) {
            return false;
        }
        let has = |arg: Arg| command.args().contains(&arg);
        // One value when the command has no such argument: it is not there.
        let values = |arg: Arg, some: &[String]| -> Vec<Option<String>> {
            if has(arg) { some.iter().cloned().map(Some).collect() } else { vec![None] }
        };
        let sessions = values(Arg::Session, &self.sessions);
        let workspaces = values(Arg::Workspace, &self.workspaces);
        let paths = values(Arg::Path, &self.paths);
        let models = values(Arg::Model, &self.models);
        let base = Args {
            tool: tool.filter(|_| has(Arg::Tool)).map(str::to_owned),
            argv0: has(Arg::Argv0).then(|| SHELL_TOOL.to_owned()),
            size: has(Arg::Size).then_some(0),
            ..Args::default()
        };
        sessions.iter().any(|session| {
            workspaces.iter().any(|workspace| {
                paths.iter().any(|path| {
                    models.iter().any(|model| {
                        let args = Args {
                            session: session.clone(),
                            workspace: workspace.clone(),
                            path: path.clone(),
                            model: model.clone(),
                            ..base.clone()
                        };
                        self.accepts(command, &args)
                    })
                })
            })
        })
    }

    fn accepts(&self, command: Command, args: &Args) -> bool {
        let Some(left) = self.left.get().checked_sub(1) else {
            self.exhausted.set(true);
            return false;
        };
        self.left.set(left);
        let plain = crate::gate::unused(ipld(command, args));
        self.chain.check_policy(&plain, Profile::Strict).is_ok()
    }
}
