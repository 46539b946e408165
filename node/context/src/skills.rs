//! Skills: `<name>/SKILL.md` in the format of agentskills.io. Their names and descriptions are told, a body when it is used.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use clankers_protocol::text::line;

use crate::{
    front, limits,
    name::{RULE, is_name},
    note::{Kind, Note, Notes, label},
    places::Origin,
    source::{Source, Trouble},
    text,
};

/// A skill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skill {
    /// Its name: [`crate::is_name`].
    pub name: String,
    /// What it does and when to use it: clean, one line, at most [`limits::DESCRIPTION_CHARS`].
    pub description: String,
    /// Whose it is.
    pub origin: Origin,
    /// How its file is called towards people: clean.
    pub label: String,
    source: Source,
    dir: PathBuf,
}

/// Why a skill cannot be read. For the model: it says what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum SkillError {
    /// No skill has that name.
    #[error("there is no skill {name:?}; there are: {}", there.join(", "))]
    NotFound {
        /// The name, clean.
        name: String,
        /// The names that there are.
        there: Vec<String>,
    },
    /// The arguments are not what the tool takes.
    #[error(
        "{0}; call it as {{\"name\": \"a-skill\"}} or {{\"name\": \"a-skill\", \"path\": \"references/x.md\"}}"
    )]
    Arguments(String),
    /// The file is not there or not to be read.
    #[error("{file} of the skill {name} cannot be read: {why}")]
    Unreadable {
        /// The skill.
        name: String,
        /// The file, clean.
        file: String,
        /// Why.
        why: String,
    },
}

impl Skill {
    /// What SKILL.md says after its front matter, at most [`limits::SKILL_BYTES`]; what is cut is said at the end.
    ///
    /// # Errors
    /// [`SkillError::Unreadable`]: the file is gone or changed into something else.
    pub fn body(&self) -> Result<String, SkillError> {
        self.read(Path::new("SKILL.md"), |text| match front::split(text) {
            Ok((Some(_), body)) => body.trim_start_matches('\n').to_owned(),
            _ => text.to_owned(),
        })
    }

    /// A text file beside SKILL.md (`references/…`), at most [`limits::SKILL_BYTES`].
    ///
    /// # Errors
    /// [`SkillError`]: the path leads out of the skill's directory, or there is no such text file.
    pub fn file(&self, path: &str) -> Result<String, SkillError> {
        let rel = Path::new(path.strip_prefix("./").unwrap_or(path));
        let plain = rel.components().all(|part| matches!(part, Component::Normal(_)));
        if path.is_empty() || path.len() > limits::SKILL_PATH_BYTES || !plain {
            return Err(self
                .unreadable(path, "the path must be relative, within the skill's directory, without `..`"));
        }
        self.read(rel, str::to_owned)
    }

    fn read(&self, rel: &Path, part: impl Fn(&str) -> String) -> Result<String, SkillError> {
        let shown = rel.to_string_lossy();
        let (source, path) = match self.origin {
            Origin::User if rel != Path::new("SKILL.md") => {
                // The owner's own links may lead anywhere, but here the model chooses the path: it stays in the skill.
                let dir = self.source.base.join(&self.dir);
                let base = dir.canonicalize().map_err(|error| self.unreadable(&shown, &error.to_string()))?;
                (Source { base, origin: Origin::Project }, rel.to_owned())
            }
            _ => (self.source.clone(), self.dir.join(rel)),
        };
        let limit = limits::SKILL_BYTES + limits::FRONT_MATTER_BYTES;
        let head =
            source.head(&path, limit).map_err(|trouble| self.unreadable(&shown, &trouble.to_string()))?;
        let bytes = if head.is_whole() { &head.bytes } else { text::whole_chars(&head.bytes) };
        let clean = text::clean(bytes).ok_or_else(|| self.unreadable(&shown, "it is not text"))?;
        let all = part(&clean);
        // What was read of a longer file may end within a line.
        let room = if head.is_whole() {
            limits::SKILL_BYTES
        } else {
            limits::SKILL_BYTES.min(all.len().saturating_sub(1))
        };
        let fitting = text::fit(&all, room);
        if head.is_whole() && fitting.len() == all.len() {
            return Ok(all);
        }
        Ok(format!("{fitting}\n[cut: {} of the file's {} bytes are shown]", fitting.len(), head.total))
    }

    fn unreadable(&self, file: &str, why: &str) -> SkillError {
        SkillError::Unreadable {
            name: self.name.clone(),
            file: line(file, limits::LABEL_CHARS),
            why: line(why, limits::LABEL_CHARS),
        }
    }
}

/// Adds the skills beneath `dir` of a source. A name that is there already keeps its skill.
pub(crate) fn read(source: &Source, dir: &Path, skills: &mut BTreeMap<String, Skill>, notes: &mut Notes) {
    let mut count = 0_usize;
    for name in directories(source, dir, notes) {
        let rel = dir.join(&name);
        let label = label(source.origin, &rel.join("SKILL.md"));
        let head = match source.head(&rel.join("SKILL.md"), limits::FRONT_MATTER_BYTES + 16) {
            Ok(head) => head,
            Err(Trouble::Missing) => continue,
            // A file beside the skills, a README for one.
            Err(_) if source.names(&rel).is_err() => continue,
            Err(trouble) => {
                notes.skip(Kind::Skill, &label, &trouble.to_string());
                continue;
            }
        };
        if count == limits::SKILLS {
            notes.skip(
                Kind::Skill,
                &label,
                &format!("there are more than {} skills in {}", limits::SKILLS, dir.display()),
            );
            return;
        }
        count += 1;
        let described = describe(text::whole_chars(&head.bytes), &name);
        match described {
            Err(why) => notes.skip(Kind::Skill, &label, &why),
            Ok((name, description)) => {
                if let Some(used) = skills.get(&name) {
                    let used = used.label.clone();
                    notes.add(Note::Shadowed { kind: Kind::Skill, name, used, unused: label });
                    continue;
                }
                let source = source.clone();
                let origin = source.origin;
                skills.insert(name.clone(), Skill { name, description, origin, label, source, dir: rel });
            }
        }
    }
}

/// Names of what lies in a directory of skills; none when there is no such directory.
fn directories(source: &Source, dir: &Path, notes: &mut Notes) -> Vec<std::ffi::OsString> {
    match source.names(dir) {
        Ok((names, false)) => names,
        Ok((names, true)) => {
            let why = format!("it has more than {} entries; the rest was not looked at", limits::DIR_ENTRIES);
            notes.skip(Kind::Skill, &label(source.origin, dir), &why);
            names
        }
        Err(Trouble::Missing) => Vec::new(),
        Err(trouble) => {
            notes.skip(Kind::Skill, &label(source.origin, dir), &trouble.to_string());
            Vec::new()
        }
    }
}

fn describe(bytes: &[u8], dir: &std::ffi::OsStr) -> Result<(String, String), String> {
    let text = text::clean(bytes).ok_or("it is not text: it holds NUL bytes")?;
    let front = match front::split(&text)? {
        (Some(yaml), _) => front::parse(yaml)?,
        (None, _) => {
            return Err("it has no front matter: begin it with `---`, name, description, `---`".to_owned());
        }
    };
    let name = front.name.ok_or("its front matter has no name")?;
    if !is_name(&name) {
        return Err(format!("its name is {name:?}; {RULE}"));
    }
    if dir != name.as_str() {
        return Err(format!(
            "its name is {name} but its directory {:?}; they must be equal",
            dir.to_string_lossy()
        ));
    }
    let description = front.description.unwrap_or_default();
    let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    if description.is_empty() {
        return Err("its front matter has no description".to_owned());
    }
    if description.chars().count() > limits::DESCRIPTION_CHARS {
        return Err(format!("its description is longer than {} characters", limits::DESCRIPTION_CHARS));
    }
    // YAML escapes can say what the file's bytes did not.
    Ok((name, line(&description, limits::DESCRIPTION_CHARS)))
}

#[cfg(test)]
mod tests;
