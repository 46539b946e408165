//! What a session finds beside its prompt: instructions, skills, named agents, and which projects are trusted.
//!
//! Everything blocks on the file system: the hall calls it from threads where that is allowed. In the order of use:
//!
//! - [`Places`]: where to look: the node's home, the session's directory, the repository around it
//! - [`TrustBook`]: which projects the owner trusts; a project's skills and agents are used only then
//! - [`gather`]: reads it all into a [`Context`]: what the model is told, the `skill` tool, what was not used and why
//! - [`limits`]: every bound, with its unit
//!
//! The files may be hostile: a repository is cloned from anywhere. So they are opened without waiting (a pipe is refused,
//! not read), at most so many bytes of them are read whatever their size, links are followed inside the project only
//! and only to other `.md` files, YAML has a budget, and all text is cleaned of what a person would not see. What a
//! project says reaches the model labelled as the project's, behind a mark that the text itself cannot contain.

mod agents;
mod context;
mod front;
mod instructions;
pub mod limits;
mod name;
mod note;
mod os;
mod places;
mod render;
mod skills;
mod source;
mod text;
mod tool;
mod trust;

pub use agents::{Agent, AgentScope, agents};
pub use context::{Context, ContextError, gather};
pub use instructions::Instruction;
pub use name::is_name;
pub use note::{Kind, Note};
pub use places::{Origin, Places};
pub use skills::{Skill, SkillError};
pub use tool::SKILL_TOOL;
pub use trust::{Standing, TrustBook, TrustError, Trusted};
