//! Named agents: `<name>.md` with front matter; the body is added to the system prompt.

use std::{collections::BTreeMap, path::Path};

use clankers_protocol::text::line;

use crate::{
    front, limits,
    name::{RULE, is_name},
    note::{Kind, Note, Notes, label},
    places::{Origin, Places},
    source::{Source, Trouble},
    text,
    trust::Standing,
};

/// A named agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// Its name: [`crate::is_name`].
    pub name: String,
    /// What it is for: clean, one line, at most [`limits::DESCRIPTION_CHARS`].
    pub description: Option<String>,
    /// The model that it wants, as `--model` takes it.
    pub model: Option<String>,
    /// The only tools that it may have, lower-case; `None`: all. It can take tools away, never grant one.
    pub tools: Option<Vec<String>>,
    /// What is added to the system prompt: clean.
    pub prompt: String,
    /// Whose it is.
    pub origin: Origin,
    /// How its file is called: clean.
    pub label: String,
}

/// Where named agents may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentScope {
    /// Only the owner's.
    User,
    /// Only the project's.
    Project,
    /// Both; where both have the name, the owner's own: a repository cannot put another in its place.
    #[default]
    Both,
}

impl std::str::FromStr for AgentScope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "user" => Ok(Self::User),
            "project" => Ok(Self::Project),
            "both" => Ok(Self::Both),
            _ => Err("an agent's scope is user, project or both".to_owned()),
        }
    }
}

/// All agents that a session may be started as, by name; and what was not used. The project's only when it is trusted.
#[must_use]
pub fn agents(places: &Places, standing: Standing, scope: AgentScope) -> (Vec<Agent>, Vec<Note>) {
    let mut notes = Notes::default();
    let found = read_all(places, standing, scope, &mut notes);
    (found.into_values().collect(), notes.into_vec())
}

pub(crate) fn read_all(
    places: &Places,
    standing: Standing,
    scope: AgentScope,
    notes: &mut Notes,
) -> BTreeMap<String, Agent> {
    let mut agents = BTreeMap::new();
    if scope != AgentScope::Project {
        let user = Source { base: places.user_dir(), origin: Origin::User };
        read(&user, Path::new("agents"), &mut agents, notes);
    }
    if scope != AgentScope::User && standing == Standing::Trusted {
        let project = Source { base: places.project().to_owned(), origin: Origin::Project };
        if let Some(dir) = places.project_dir() {
            read(&project, &dir.join("agents"), &mut agents, notes);
        }
    }
    agents
}

fn read(source: &Source, dir: &Path, agents: &mut BTreeMap<String, Agent>, notes: &mut Notes) {
    let skip = |notes: &mut Notes, rel: &Path, why: &str| {
        notes.skip(Kind::Agent, &label(source.origin, rel), why);
    };
    let names = match source.names(dir) {
        Ok((names, more)) => {
            if more {
                skip(notes, dir, &format!("it has more than {} entries", limits::DIR_ENTRIES));
            }
            names
        }
        Err(Trouble::Missing) => return,
        Err(trouble) => return skip(notes, dir, &trouble.to_string()),
    };
    let files = names.iter().filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
    for (count, name) in files.enumerate() {
        let rel = dir.join(name);
        if count == limits::AGENTS {
            return skip(notes, &rel, &format!("there are more than {} agents", limits::AGENTS));
        }
        match one(source, &rel) {
            Err(why) => skip(notes, &rel, &why),
            Ok(agent) => match agents.get(&agent.name) {
                Some(used) => notes.add(Note::Shadowed {
                    kind: Kind::Agent,
                    name: agent.name,
                    used: used.label.clone(),
                    unused: agent.label,
                }),
                None => {
                    agents.insert(agent.name.clone(), agent);
                }
            },
        }
    }
}

fn one(source: &Source, rel: &Path) -> Result<Agent, String> {
    let head = source.head(rel, limits::AGENT_BYTES).map_err(|trouble| trouble.to_string())?;
    if !head.is_whole() {
        return Err(format!("it has {} bytes; an agent has at most {}", head.total, limits::AGENT_BYTES));
    }
    let text = text::clean(&head.bytes).ok_or("it is not text: it holds NUL bytes")?;
    let (yaml, body) = front::split(&text)?;
    let front = front::parse(yaml.unwrap_or_default())?;
    let stem = rel.file_stem().unwrap_or_default().to_string_lossy();
    let name = front.name.unwrap_or_else(|| stem.into_owned());
    if !is_name(&name) {
        return Err(format!("its name is {name:?}; {RULE}"));
    }
    let description = front.description.unwrap_or_default();
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let description = (!description.is_empty()).then(|| line(&description, limits::DESCRIPTION_CHARS));
    Ok(Agent {
        name,
        description,
        model: front.model.map(model).transpose()?,
        tools: front.tools.map(|words| tools(words.into_list())).transpose()?.flatten(),
        prompt: body.trim().to_owned(),
        origin: source.origin,
        label: label(source.origin, rel),
    })
}

fn model(model: String) -> Result<String, String> {
    let plain = model.len() <= limits::MODEL_BYTES && model.bytes().all(|b| b.is_ascii_graphic());
    match plain && !model.is_empty() && !model.starts_with('-') {
        true => Ok(model),
        false => Err(format!("its model is {model:?}; name one as --model takes it, provider/name")),
    }
}

fn tools(words: Vec<String>) -> Result<Option<Vec<String>>, String> {
    if words == ["*"] {
        return Ok(None);
    }
    if words.len() > limits::AGENT_TOOLS {
        return Err(format!("it lists more than {} tools", limits::AGENT_TOOLS));
    }
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    match words.iter().find(|word| word.len() > limits::NAME_BYTES || !word.bytes().all(allowed)) {
        Some(bad) => {
            Err(format!("it lists the tool {bad:?}; a tool's name has letters, digits, `-` and `_`"))
        }
        None => Ok(Some(words.iter().map(|word| word.to_ascii_lowercase()).collect())),
    }
}

#[cfg(test)]
mod tests;
