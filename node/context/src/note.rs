//! What was found and not used, or not whole: for the person, not for the model.

use std::{fmt, path::PathBuf};

use clankers_protocol::text;

use crate::{limits, places::Origin};

/// What a file was to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// AGENTS.md or CLAUDE.md.
    Instructions,
    /// A skill.
    Skill,
    /// A named agent.
    Agent,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Instructions => "instructions",
            Self::Skill => "skill",
            Self::Agent => "agent",
        })
    }
}

/// One thing worth telling the person once. Its text is clean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The project has skills or agents that are not used.
    Untrusted {
        /// The project's directory.
        project: PathBuf,
        /// Skills in it (count).
        skills: usize,
        /// Agents in it (count).
        agents: usize,
        /// Another directory stood here when it was trusted.
        replaced: bool,
    },
    /// A file was not used.
    Skipped {
        /// What it was to be.
        kind: Kind,
        /// The file.
        file: String,
        /// Why, and what to do.
        why: String,
    },
    /// Only the beginning of a file is told to the model.
    Cut {
        /// The file.
        file: String,
        /// What is told (bytes).
        shown: usize,
        /// The file's size (bytes).
        total: u64,
    },
    /// Two have the same name.
    Shadowed {
        /// What they are.
        kind: Kind,
        /// Their name.
        name: String,
        /// The file that is used.
        used: String,
        /// The file that is not.
        unused: String,
    },
    /// A repository around the session's directory belongs to somebody else.
    Foreign {
        /// Its root.
        root: PathBuf,
    },
    /// There were more notes than are kept.
    More(usize),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted { project, skills, agents, replaced } => {
                let why = if *replaced {
                    "another directory stood there when it was trusted"
                } else {
                    "this project is not trusted yet"
                };
                write!(
                    f,
                    "{}: {} and {} of the project are there and not used: {why}; look at .clankers/ in it, then run \
                     `clankers trust`",
                    shown(project),
                    counted(*skills, "skill"),
                    counted(*agents, "agent"),
                )
            }
            Self::Skipped { kind, file, why } => write!(f, "{kind} {file} is not used: {why}"),
            Self::Cut { file, shown, total } => {
                write!(
                    f,
                    "{file} is too long: the model is told the first {shown} of its {total} bytes; shorten it"
                )
            }
            Self::Shadowed { kind, name, used, unused } => {
                write!(f, "two {kind}s are named {name}: {used} is used, {unused} is not; rename one")
            }
            Self::Foreign { root } => write!(
                f,
                "the repository {} belongs to another user: nothing of it is read but what is in this directory",
                shown(root)
            ),
            Self::More(count) => write!(f, "and {count} more of such notes"),
        }
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

fn shown(path: &std::path::Path) -> String {
    text::line(&path.to_string_lossy(), limits::LABEL_CHARS)
}

/// Notes up to a limit.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    kept: Vec<Note>,
    more: usize,
}

impl Notes {
    pub(crate) fn add(&mut self, note: Note) {
        if self.kept.len() < limits::NOTES {
            self.kept.push(note);
        } else {
            self.more += 1;
        }
    }

    /// A file is not used. `why` may hold anything.
    pub(crate) fn skip(&mut self, kind: Kind, file: &str, why: &str) {
        let why = text::line(why, limits::LABEL_CHARS);
        self.add(Note::Skipped { kind, file: file.to_owned(), why });
    }

    pub(crate) fn into_vec(mut self) -> Vec<Note> {
        if self.more > 0 {
            self.kept.push(Note::More(self.more));
        }
        self.kept
    }
}

/// How a file is called in notes and towards the model: short, one line, without marks that mean something.
pub(crate) fn label(origin: Origin, rel: &std::path::Path) -> String {
    let rel = rel.to_string_lossy().replace(['"', '<', '>', '`'], "\u{fffd}");
    let rel = match origin {
        Origin::Project => rel,
        Origin::User => format!("~/.clankers/agent/{rel}"),
    };
    text::line(&rel, limits::LABEL_CHARS)
}
