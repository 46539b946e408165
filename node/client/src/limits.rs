//! Every bound of the client, with its unit.

use std::time::Duration;

/// How long a peer may take to answer Hello (time).
pub const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request that needs no work may take (time).
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long closing may take (time).
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// Event kinds that this version does not know, skipped in one stream before it is given up (count).
pub const UNKNOWN_EVENTS: u32 = 100_000;
/// Chains in one Hello: what a stranger's frame holds, less room for the rest of it (bytes).
pub const HELLO_CHAIN_BYTES: usize = 60 * 1024;
