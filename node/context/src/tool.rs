//! The `skill` tool: a skill's text when the model wants it. The owner's skills lie in the node's home, which no other
//! tool reaches.

use clankers_protocol::{conversation::ToolSpec, text::line};
use serde::Deserialize;

use crate::{context::Context, limits, skills::SkillError};

/// The tool's name.
pub const SKILL_TOOL: &str = "skill";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    name: String,
    path: Option<String>,
}

impl Context {
    /// The tool to offer; `None` when there are no skills.
    #[must_use]
    pub fn skill_tool(&self) -> Option<ToolSpec> {
        (!self.skills.is_empty()).then(|| ToolSpec {
            name: SKILL_TOOL.to_owned(),
            description: "Reads a skill: how to do a kind of task. Give its name for its instructions, and a path that they \
                          mention for a text file beside them."
                .to_owned(),
            parameters: r#"{"type":"object","properties":{"name":{"type":"string","description":"The skill's name"},"path":{"type":"string","description":"A file of the skill, relative to it; left out: its instructions"}},"required":["name"],"additionalProperties":false}"#
                .to_owned(),
            read_only: true,
        })
    }

    /// Does a call of the tool; `arguments` is the model's JSON.
    ///
    /// # Errors
    /// [`SkillError`], worded for the model.
    pub fn use_skill(&self, arguments: &str) -> Result<String, SkillError> {
        if arguments.len() > limits::ARGUMENTS_BYTES {
            return Err(SkillError::Arguments("the arguments are too long".to_owned()));
        }
        let arguments: Arguments = serde_json::from_str(arguments).map_err(|error| {
            SkillError::Arguments(format!(
                "not this tool's arguments: {}",
                line(&error.to_string(), limits::LABEL_CHARS)
            ))
        })?;
        let Some(skill) = self.skills.iter().find(|skill| skill.name == arguments.name) else {
            return Err(SkillError::NotFound {
                name: line(&arguments.name, limits::NAME_BYTES),
                there: self.skills.iter().map(|skill| skill.name.clone()).collect(),
            });
        };
        match arguments.path.as_deref() {
            None | Some("" | "SKILL.md" | "./SKILL.md") => skill.body(),
            Some(path) => skill.file(path),
        }
    }
}
