//! From a grant to a delegation's command and policy.
//!
//! The policy is one `or` over what is allowed: plain commands as they are, and groups of commands that share
//! conditions, each as `and` of the commands and the conditions. The order matters: an argument that is not there
//! denies the whole policy where it is asked for, so `cmd` is always asked first.

use ucan::{Draft, Literal, Policy, Profile};

use super::{GrantSpec, Sessions, SpecError, scope};
use crate::{
    gate::RECEIVED_SELECTOR,
    vocab::{Arg, Command, SHELL_TOOL},
};

/// What brings files to the node.
const RECEIVING: &[Command] = &[Command::FileDrop, Command::FileOffer];
const SPENDING: &[Command] = &[Command::PromptSend, Command::ModelUse];
/// About one session that is there already.
const ABOUT_A_SESSION: &[Command] =
    &[Command::SessionKill, Command::Observe, Command::Drive, Command::PromptCancel, Command::Approve];

/// The parts of a policy being put together.
struct Parts<'a> {
    spec: &'a GrantSpec,
    /// What is granted, those without conditions crossed out as they are written.
    commands: Vec<Command>,
    either: Vec<Draft>,
}

fn any(mut drafts: Vec<Draft>) -> Draft {
    match drafts.len() {
        1 => drafts.remove(0),
        _ => Policy::or(drafts),
    }
}

fn both(first: Draft, mut conditions: Vec<Draft>) -> Draft {
    if conditions.is_empty() {
        return first;
    }
    conditions.insert(0, first);
    Policy::and(conditions)
}

fn is(command: Command) -> Draft {
    Policy::eq(".cmd", command.path())
}

fn one_of<L: Literal>(selector: &str, literals: impl IntoIterator<Item = L>) -> Draft {
    any(literals.into_iter().map(|literal| Policy::eq(selector, literal)).collect())
}

impl GrantSpec {
    /// The delegation's command and policy.
    ///
    /// A grant that names no command and no tool is taken as a narrowing: all that the link above allows, under the
    /// conditions; under a path, without the shell.
    ///
    /// # Errors
    /// [`SpecError`] when a word of it makes no sense, or the policy is over the strict profile's limits.
    pub fn compile(&self) -> Result<(&'static str, Policy), SpecError> {
        scope::check(self)?;
        let spec = self.tidy();
        let mut policy = Vec::new();
        let all = spec.everything || spec.names_nothing();
        if !all || spec.limits_something() {
            let either = Parts::new(&spec, all).write();
            policy.push(any(either));
        }
        if let Some(depth) = spec.max_depth {
            policy.push(Policy::le(".ctx.depth", depth));
        }
        let command = if all && !spec.limits_something() { "/" } else { "/clankers" };
        Ok((command, Policy::build(policy, Profile::Strict)?))
    }
}

/// Each word once, in order.
fn once<'w>(words: impl IntoIterator<Item = &'w str>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for word in words {
        if !kept.iter().any(|known| known == word) {
            kept.push(word.to_owned());
        }
    }
    kept
}

impl GrantSpec {
    /// The same with each word once, and no slash after a path.
    fn tidy(&self) -> Self {
        let all = |words: &[String]| once(words.iter().map(String::as_str));
        Self {
            tools: all(&self.tools),
            paths: once(self.paths.iter().map(|path| path.strip_suffix('/').unwrap_or(path))),
            models: all(&self.models),
            sessions: match &self.sessions {
                Sessions::These(ids) => Sessions::These(all(ids)),
                other => other.clone(),
            },
            ..self.clone()
        }
    }
}

impl<'a> Parts<'a> {
    fn new(spec: &'a GrantSpec, all: bool) -> Self {
        let granted = |command: &&Command| {
            let tool = matches!(command, Command::ToolUse | Command::ShellExec);
            // A session that is being made is none of those that are named.
            let never = **command == Command::SessionCreate && matches!(spec.sessions, Sessions::These(_));
            !tool && !never && (all || spec.commands.contains(command))
        };
        Self { spec, commands: Command::ALL.iter().filter(granted).copied().collect(), either: Vec::new() }
    }

    fn write(mut self) -> Vec<Draft> {
        let spending = self.spending();
        let session = self.about_sessions();
        let scoped = self.scoped();
        let sized = self.sized();
        let plain = std::mem::take(&mut self.commands);
        let mut either: Vec<Draft> = plain.into_iter().map(is).collect();
        either.extend(session);
        either.extend(spending);
        either.extend(sized);
        either.extend(scoped);
        either.append(&mut self.either);
        either
    }

    /// Takes out those of `commands` that are granted.
    fn take(&mut self, wanted: impl Fn(Command) -> bool) -> Vec<Command> {
        self.commands.extract_if(.., |command| wanted(*command)).collect()
    }

    fn session(&self) -> Vec<Draft> {
        match &self.spec.sessions {
            Sessions::Own => Vec::new(),
            Sessions::All => vec![Policy::like(".session", "*")],
            Sessions::These(ids) => vec![one_of(".session", ids)],
        }
    }

    fn spending(&mut self) -> Option<Draft> {
        let spec = self.spec;
        let mut conditions = Vec::new();
        if !spec.models.is_empty() {
            let model = |model: &String| match model.contains('*') {
                true => Policy::like(".model", model),
                false => Policy::eq(".model", model),
            };
            conditions.push(any(spec.models.iter().map(model).collect()));
        }
        for (selector, most) in [
            (".ctx.spent_nano_usd", spec.max_cost.map(|cost| cost.0)),
            (".ctx.tokens_used", spec.max_tokens),
            (".ctx.per_min", spec.per_min),
            (".ctx.concurrent", spec.concurrent),
        ] {
            conditions.extend(most.map(|most| Policy::le(selector, most)));
        }
        if conditions.is_empty() {
            return None;
        }
        let session = self.session();
        let commands = self.take(|command| SPENDING.contains(&command));
        let with_session = |command: &Command| match *command {
            Command::PromptSend => both(is(*command), session.clone()),
            _ => is(*command),
        };
        let commands: Vec<Draft> = commands.iter().map(with_session).collect();
        if commands.is_empty() { None } else { Some(both(any(commands), conditions)) }
    }

    /// Prompting is one of them, unless it has conditions of its own.
    fn about_sessions(&mut self) -> Option<Draft> {
        let session = self.session();
        if session.is_empty() {
            return None;
        }
        let about = |command| ABOUT_A_SESSION.contains(&command) || command == Command::PromptSend;
        let commands = self.take(about);
        if commands.is_empty() {
            return None;
        }
        Some(both(one_of(".cmd", commands.iter().map(|c| c.path())), session))
    }

    fn size(&self) -> Vec<Draft> {
        self.spec.max_size.map(|most| Policy::le(".size", most)).into_iter().collect()
    }

    fn total(&self) -> Vec<Draft> {
        self.spec.max_total.map(|most| Policy::le(RECEIVED_SELECTOR, most)).into_iter().collect()
    }

    /// Whether a command is about files of some size, and sizes are limited.
    fn is_sized(&self, command: Command) -> bool {
        self.spec.max_size.is_some() && command.args().contains(&Arg::Size)
    }

    /// Whether a command brings files, and their total is limited.
    fn is_totalled(&self, command: Command) -> bool {
        self.spec.max_total.is_some() && RECEIVING.contains(&command)
    }

    /// What happens in a workspace and on paths: files and tools; and what happens on paths of the inbox, which is in no
    /// workspace.
    fn scoped(&mut self) -> Vec<Draft> {
        let spec = self.spec;
        let workspace: Vec<Draft> =
            spec.workspace.iter().map(|workspace| Policy::eq(".workspace", workspace)).collect();
        let mut inside = self.tool_drafts();
        if workspace.is_empty() && spec.paths.is_empty() {
            return inside;
        }
        let in_workspace = |command: Command| command.args().contains(&Arg::Workspace);
        let on_path = |command: Command| command.args().contains(&Arg::Path);
        let within = self.take(|command| on_path(command) && in_workspace(command));
        inside.extend(self.on_size(within));
        let mut scope = workspace;
        if !spec.paths.is_empty() {
            let inbox = self.take(on_path);
            // One group for both: the paths are written once, and a policy is only so deep. What is in no workspace says
            // so before it is asked for one.
            if !inbox.is_empty() && !scope.is_empty() {
                let elsewhere: Vec<Draft> = inbox.iter().copied().map(is).collect();
                scope = if inside.is_empty() { Vec::new() } else { vec![any([elsewhere, scope].concat())] };
            }
            inside.extend(self.on_size(inbox));
            scope.extend(self.paths());
        }
        if inside.is_empty() { Vec::new() } else { vec![both(any(inside), scope)] }
    }

    /// On the paths of the grant and beneath them.
    fn paths(&self) -> Vec<Draft> {
        let beneath = |path: &String| match path.as_str() {
            "." => vec![Policy::like(".path", "*")],
            path => vec![Policy::eq(".path", path), Policy::like(".path", &format!("{path}/*"))],
        };
        let paths: Vec<Draft> = self.spec.paths.iter().flat_map(beneath).collect();
        if paths.is_empty() { Vec::new() } else { vec![any(paths)] }
    }

    /// These commands, those about files of some size within the largest that is allowed, those that bring files within
    /// what may come in all.
    fn on_size(&self, commands: Vec<Command>) -> Vec<Draft> {
        let (totalled, rest): (Vec<_>, Vec<_>) = commands.into_iter().partition(|c| self.is_totalled(*c));
        let (sized, plain): (Vec<_>, Vec<_>) = rest.into_iter().partition(|c| self.is_sized(*c));
        let mut drafts: Vec<Draft> = plain.into_iter().map(is).collect();
        for (commands, limits) in [(sized, self.size()), (totalled, [self.size(), self.total()].concat())] {
            if !commands.is_empty() {
                drafts.push(both(one_of(".cmd", commands.iter().map(|c| c.path())), limits));
            }
        }
        drafts
    }

    fn tool_drafts(&self) -> Vec<Draft> {
        let (spec, session) = (self.spec, self.session());
        let any_tool = spec.everything || spec.names_nothing();
        let plain: Vec<&String> = spec.tools.iter().filter(|tool| *tool != SHELL_TOOL).collect();
        let mut drafts = Vec::new();
        if any_tool {
            drafts.push(both(is(Command::ToolUse), session.clone()));
        } else if !plain.is_empty() {
            let mut conditions = session.clone();
            conditions.push(one_of(".tool", plain));
            drafts.push(both(is(Command::ToolUse), conditions));
        }
        let shell = if any_tool { spec.paths.is_empty() } else { spec.allows_shell() };
        if shell {
            drafts.push(both(is(Command::ShellExec), session));
        }
        drafts
    }

    fn sized(&mut self) -> Vec<Draft> {
        let (sizes, totals) = (self.spec.max_size.is_some(), self.spec.max_total.is_some());
        let commands = self.take(|command| {
            (sizes && command.args().contains(&Arg::Size)) || (totals && RECEIVING.contains(&command))
        });
        self.on_size(commands)
    }
}
