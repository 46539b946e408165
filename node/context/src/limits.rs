//! Every bound of what is read for a session, with its unit.

/// AGENTS.md and CLAUDE.md together, as the model is told them (bytes).
pub const INSTRUCTIONS_BYTES: usize = 64 * 1024;
/// Directories from the repository's root down to the session's (count); a repository further up is not looked for.
pub const DEPTH: usize = 64;
/// The front matter of a skill or agent (bytes).
pub const FRONT_MATTER_BYTES: usize = 16 * 1024;
/// A skill's body, or a file beside it, as the model is told it (bytes).
pub const SKILL_BYTES: usize = 64 * 1024;
/// An agent's file (bytes); half a system prompt may say the opposite, so a longer one is not used.
pub const AGENT_BYTES: usize = 64 * 1024;
/// Skills of one origin (count).
pub const SKILLS: usize = 128;
/// Agents of one origin (count).
pub const AGENTS: usize = 128;
/// Entries read of one directory (count).
pub const DIR_ENTRIES: usize = 4096;
/// A name of a skill or an agent (bytes).
pub const NAME_BYTES: usize = 64;
/// A skill's or agent's description (characters).
pub const DESCRIPTION_CHARS: usize = 1024;
/// All skills' descriptions in the prompt (bytes); further skills are told by name only.
pub const DESCRIPTIONS_BYTES: usize = 32 * 1024;
/// An agent's model (bytes).
pub const MODEL_BYTES: usize = 256;
/// Tools that an agent lists (count).
pub const AGENT_TOOLS: usize = 64;
/// Notes kept of one gathering (count).
pub const NOTES: usize = 32;
/// A path or a reason in a note or a label (characters).
pub const LABEL_CHARS: usize = 200;
/// A path beside a skill that the model asks for (bytes).
pub const SKILL_PATH_BYTES: usize = 512;
/// Arguments of the `skill` tool (bytes).
pub const ARGUMENTS_BYTES: usize = 4096;

/// YAML nesting (levels).
pub const YAML_DEPTH: usize = 16;
/// YAML parser events of one front matter (count).
pub const YAML_EVENTS: usize = 2048;
/// Parser events that YAML aliases may repeat (count).
pub const YAML_REPLAYED: usize = 256;

/// `trusted.json` (bytes).
pub const TRUST_FILE_BYTES: usize = 1024 * 1024;
/// Trusted directories (count).
pub const TRUSTED: usize = 1000;
/// A directory's path in `trusted.json` (bytes).
pub const TRUSTED_PATH_BYTES: usize = 4096;
/// Permission bits of `trusted.json` (Unix mode).
pub const FILE_MODE: u32 = 0o600;
/// Tries to take the lock of `trusted.json` (count).
pub const LOCK_TRIES: usize = 500;
/// Wait between two such tries (milliseconds).
pub const LOCK_RETRY_MS: u64 = 4;
