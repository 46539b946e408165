//! Every bound of authority, with its unit.

/// How much two clocks may differ (seconds).
pub const CLOCK_LEEWAY_SECS: u64 = 60;
/// The longest life of a delegation (seconds): 400 days.
pub const LIFETIME_MAX_SECS: u64 = 400 * 24 * 3600;
/// The longest life of a run link (seconds).
pub const RUN_LINK_SECS: u64 = 600;
/// CIDs whose signature was verified, remembered at a time (count).
pub const VERIFIED_CIDS: usize = 4096;
/// Bytes of a nonce that this crate makes.
pub const NONCE_BYTES: usize = 16;
