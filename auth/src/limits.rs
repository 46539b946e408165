//! Every bound of authority, with its unit.

/// How much two clocks may differ (seconds).
pub const CLOCK_LEEWAY_SECS: u64 = 60;
/// The longest life of a delegation (seconds): 400 days.
pub const LIFETIME_MAX_SECS: u64 = 400 * 24 * 3600;
/// The longest life of a run link (seconds).
pub const RUN_LINK_SECS: u64 = 600;
/// Tokens that were verified, remembered at a time (count); each is at most 4 KiB encoded.
pub const VERIFIED_TOKENS: usize = 1024;
/// Bytes of a nonce that this crate makes.
pub const NONCE_BYTES: usize = 16;
/// The longest life of an invocation (seconds): so long its CID must be remembered.
pub const INVOCATION_SECS: u64 = 300;
/// The longest path scope (bytes).
pub const SCOPE_PATH_BYTES: usize = 1024;
/// The longest name in a grant: of a tool, a model, a session, a workspace (bytes).
pub const SCOPE_NAME_BYTES: usize = 256;
/// Values of one argument that are tried when words are looked for what a chain allows (count).
pub const PROBES: usize = 16;
/// How often a token is asked what it allows, to put it into words (count); one that needs more is shown as it is.
pub const PROBES_OF_ONE: usize = 512;
/// How long after the end of a link its revocation is kept (seconds).
pub const REVOCATION_KEPT_SECS: u64 = 3600;
/// How much later than a removal a membership may say that it was written, and be taken for older (seconds): clocks differ.
/// Half of the leeway, so that a new one, which says that it was written after that, holds at once where clocks agree.
pub const REMOVAL_SKEW_SECS: u64 = 30;
/// Removals of one member that are kept in mind (count): one by each who could.
pub const REMOVALS_OF_ONE: usize = 8;
/// Removals of one team that are kept in mind (count).
pub const REMOVALS: usize = 4_096;
