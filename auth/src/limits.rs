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
