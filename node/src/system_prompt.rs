//! What the model is told before anybody speaks.

use std::path::Path;

use clankers_context::Context as Surroundings;
use clankers_protocol::conversation::ToolSpec;

/// The system prompt for a session in this directory with these tools, and what was found there.
pub(crate) fn build(directory: &Path, tools: &[ToolSpec], surroundings: &Surroundings) -> String {
    let mut text = format!(
        "You are a coding agent. You work in the directory {} on the machine where it is. Paths are relative to \
         it; nothing outside it can be reached.",
        directory.display()
    );
    if tools.is_empty() {
        text.push_str(" You have no tools here: answer from what you are told.");
    } else {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
        text.push_str(&format!(
            " Your tools: {}. Look before you change; a tool that is denied stays denied, so say what you would \
             have needed. Answer briefly, and say what you did and did not do.",
            names.join(", ")
        ));
    }
    let found = surroundings.system_text();
    if !found.is_empty() {
        text.push_str("\n\n");
        text.push_str(&found);
    }
    text
}
