//! From a policy back to words: the values that it names, and the grant that it was compiled from.

use clankers_protocol::NanoUsd;
use ucan::{
    Ipld, Policy,
    policy::{Comparison, Statement},
};

use super::{GrantSpec, Sessions};
use crate::{
    gate::RECEIVED_SELECTOR,
    limits::PROBES,
    vocab::{Command, SHELL_TOOL},
};

/// The values that policies compare arguments with, in their order, each once.
#[derive(Debug, Default, Clone)]
pub(crate) struct Literals {
    pub(crate) commands: Vec<String>,
    pub(crate) tools: Vec<String>,
    pub(crate) workspaces: Vec<String>,
    pub(crate) paths: Vec<String>,
    pub(crate) sessions: Vec<String>,
    /// Names and patterns.
    pub(crate) models: Vec<String>,
    pub(crate) path_patterns: Vec<String>,
    pub(crate) session_patterns: Vec<String>,
    /// Largest numbers, by selector.
    pub(crate) at_most: Vec<(String, u64)>,
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

impl Literals {
    pub(crate) fn of<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Self {
        let mut found = Self::default();
        policies.into_iter().for_each(|policy| found.look(policy.statements()));
        found
    }

    /// Recursion is bounded by the depth limit of the policy's parser.
    fn look(&mut self, statements: &[Statement]) {
        for statement in statements {
            match statement {
                Statement::And(inner) | Statement::Or(inner) => self.look(inner),
                Statement::Compare { operator, selector, literal } => {
                    self.compared(*operator, selector.as_str(), literal);
                }
                Statement::Like { selector, pattern } => self.matched(selector.as_str(), pattern.as_str()),
                _ => {}
            }
        }
    }

    fn compared(&mut self, operator: Comparison, selector: &str, literal: &Ipld) {
        match (operator, literal) {
            (Comparison::Equal, Ipld::String(text)) => {
                let list = match selector {
                    ".cmd" => &mut self.commands,
                    ".tool" => &mut self.tools,
                    ".workspace" => &mut self.workspaces,
                    ".path" => &mut self.paths,
                    ".session" => &mut self.sessions,
                    ".model" => &mut self.models,
                    _ => return,
                };
                add(list, text.clone());
            }
            (Comparison::LessOrEqual, Ipld::Integer(most)) => {
                if let Ok(most) = u64::try_from(*most) {
                    add(&mut self.at_most, (selector.to_owned(), most));
                }
            }
            _ => {}
        }
    }

    fn matched(&mut self, selector: &str, pattern: &str) {
        let list = match selector {
            ".model" => &mut self.models,
            ".path" => &mut self.path_patterns,
            ".session" => &mut self.session_patterns,
            _ => return,
        };
        add(list, pattern.to_owned());
    }

    /// The smallest of the largest numbers that there are for this selector.
    pub(crate) fn least(&self, selector: &str) -> Option<u64> {
        self.at_most.iter().filter(|(found, _)| found == selector).map(|(_, most)| *most).min()
    }

    fn most(&self, selector: &str) -> Option<u64> {
        self.at_most.iter().find(|(found, _)| found == selector).map(|(_, most)| *most)
    }

    fn spec(&self) -> GrantSpec {
        let mut tools = self.tools.clone();
        if self.commands.iter().any(|command| command == Command::ShellExec.path()) {
            add(&mut tools, SHELL_TOOL.to_owned());
        }
        let mut paths = self.paths.clone();
        if self.path_patterns.iter().any(|pattern| pattern == "*") {
            add(&mut paths, ".".to_owned());
        }
        let sessions = match (self.sessions.is_empty(), self.session_patterns.is_empty()) {
            (false, _) => Sessions::These(self.sessions.clone()),
            (true, false) => Sessions::All,
            (true, true) => Sessions::Own,
        };
        let commands = self.commands.iter().filter_map(|path| Command::from_path(path));
        GrantSpec {
            commands: commands
                .filter(|command| !matches!(command, Command::ToolUse | Command::ShellExec))
                .collect(),
            tools,
            everything: false,
            workspace: self.workspaces.first().cloned(),
            paths,
            sessions,
            models: self.models.clone(),
            max_cost: self.most(".ctx.spent_nano_usd").map(NanoUsd),
            max_tokens: self.most(".ctx.tokens_used"),
            max_depth: self.most(".ctx.depth").and_then(|most| u32::try_from(most).ok()),
            per_min: self.most(".ctx.per_min"),
            concurrent: self.most(".ctx.concurrent"),
            max_size: self.most(".size"),
            max_total: self.most(RECEIVED_SELECTOR),
            renew: false,
        }
    }
}

impl GrantSpec {
    /// The grant that compiles to exactly this command and policy, if there is one.
    #[must_use]
    pub fn read(command: &str, policy: &Policy) -> Option<Self> {
        let named = Literals::of([policy]).spec();
        let all = Self { everything: true, commands: Vec::new(), tools: Vec::new(), ..named.clone() };
        let narrowing = Self { everything: false, ..all.clone() };
        [all, narrowing, named]
            .into_iter()
            .find(|spec| spec.compile().is_ok_and(|(path, written)| path == command && written == *policy))
    }
}

/// Paths of which some policy speaks, bounded: a place to try when the whole workspace is not allowed.
pub(crate) fn named_paths<'a>(policies: impl IntoIterator<Item = &'a Policy>) -> Vec<String> {
    let found = Literals::of(policies);
    let patterns = found.path_patterns.iter().map(|pattern| pattern.replace('*', "x"));
    found.paths.iter().cloned().chain(patterns).take(PROBES).collect()
}
