//! All of it together.

use std::{collections::BTreeMap, path::Path, path::PathBuf};

use clankers_protocol::text::line;

use crate::{
    agents::{self, Agent, AgentScope},
    instructions::{self, Instruction},
    limits,
    note::{Note, Notes},
    places::{Origin, Places},
    skills::{self, Skill},
    source::Source,
    trust::Standing,
};

/// What a session finds beside its prompt.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// AGENTS.md and CLAUDE.md: the owner's, then from the project's root down.
    pub instructions: Vec<Instruction>,
    /// Skills, sorted by name.
    pub skills: Vec<Skill>,
    /// The agent that was asked for.
    pub agent: Option<Agent>,
    /// What was not used, and why: to be told to the person once.
    pub notes: Vec<Note>,
}

/// Why a session cannot be started as the agent that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// There is none of that name.
    #[error("there is no agent {name:?}; {}", known(there))]
    AgentNotFound {
        /// The name, clean.
        name: String,
        /// The names that there are.
        there: Vec<String>,
    },
    /// Only the project may have it, and the project is not trusted.
    #[error("the agent {name:?} can only be the project's, and {} is not trusted; look at .clankers/agents/ in it, then run `clankers trust`", project.display())]
    AgentUntrusted {
        /// The name, clean.
        name: String,
        /// The project's directory.
        project: PathBuf,
    },
}

fn known(there: &[String]) -> String {
    match there.is_empty() {
        true => {
            "there are none: an agent is a file NAME.md in ~/.clankers/agent/agents/ or .clankers/agents/"
                .into()
        }
        false => format!("there are: {}", there.join(", ")),
    }
}

/// Reads everything for one session: the owner's files, the project's AGENTS.md, and its skills and agents when it is
/// trusted. A file that cannot be used is a note, never an error.
///
/// Where the owner and the project have a skill of the same name, the owner's is used: a repository cannot replace it.
///
/// # Errors
/// [`ContextError`]: the agent that was asked for is not there, or may not be used.
pub fn gather(
    places: &Places,
    standing: Standing,
    scope: AgentScope,
    agent: Option<&str>,
) -> Result<Context, ContextError> {
    let mut notes = Notes::default();
    if let Some(root) = &places.foreign {
        notes.add(Note::Foreign { root: root.clone() });
    }
    let waiting = if standing == Standing::Trusted { (0, 0) } else { waiting(places) };
    if waiting != (0, 0) {
        let (skills, agents) = waiting;
        let replaced = standing == Standing::Replaced;
        notes.add(Note::Untrusted { project: places.project().to_owned(), skills, agents, replaced });
    }
    let agent = match agent {
        Some(name) => Some(choose(places, standing, scope, name, waiting.1 > 0, &mut notes)?),
        None => None,
    };
    let instructions = instructions::read(places, standing == Standing::Trusted, &mut notes);
    let mut skills = BTreeMap::new();
    let user = Source { base: places.user_dir(), origin: Origin::User };
    skills::read(&user, Path::new("skills"), &mut skills, &mut notes);
    if let (Standing::Trusted, Some(dir)) = (standing, places.project_dir()) {
        let project = Source { base: places.project().to_owned(), origin: Origin::Project };
        skills::read(&project, &dir.join("skills"), &mut skills, &mut notes);
    }
    let skills = skills.into_values().collect();
    Ok(Context { instructions, skills, agent, notes: notes.into_vec() })
}

fn choose(
    places: &Places,
    standing: Standing,
    scope: AgentScope,
    name: &str,
    waiting: bool,
    notes: &mut Notes,
) -> Result<Agent, ContextError> {
    let mut agents = agents::read_all(places, standing, scope, notes);
    if let Some(agent) = agents.remove(name) {
        return Ok(agent);
    }
    let name = line(name, limits::NAME_BYTES);
    let closed = standing != Standing::Trusted && waiting;
    match scope {
        AgentScope::Both | AgentScope::Project if closed => {
            Err(ContextError::AgentUntrusted { name, project: places.project().to_owned() })
        }
        _ => Err(ContextError::AgentNotFound { name, there: agents.into_keys().collect() }),
    }
}

/// How many skills and agents wait for trust: counted by name, not one of them opened.
fn waiting(places: &Places) -> (usize, usize) {
    let Some(dir) = places.project_dir() else { return (0, 0) };
    let project = Source { base: places.project().to_owned(), origin: Origin::Project };
    let names = |sub: &str| project.names(&dir.join(sub)).map(|(names, _)| names).unwrap_or_default();
    let skills = names("skills");
    let skill = |name: &&std::ffi::OsString| {
        places.project().join(dir).join("skills").join(name).join("SKILL.md").symlink_metadata().is_ok()
    };
    let agents = names("agents");
    let agent = |name: &&std::ffi::OsString| Path::new(name).extension().is_some_and(|end| end == "md");
    (skills.iter().filter(skill).count(), agents.iter().filter(agent).count())
}

#[cfg(test)]
mod tests;
