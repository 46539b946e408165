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
/// Revocations in one message: what a stranger's frame holds, less room for the rest of it (bytes).
pub const OFFER_BYTES: usize = 60 * 1024;
/// Questions for the revocations that one's own node knows about one peer (count), each for as many as fit.
pub const EXCHANGE_ROUNDS: usize = 16;
/// Frames of attach streams that wait to be shown (count); beyond that the node waits.
pub const ATTACH_FRAMES: usize = 64;
/// Words of a viewer that wait to be sent on one stream (count): all that may be unanswered, and a goodbye.
pub const VIEWER_WORDS: usize = clankers_protocol::limits::INPUTS_WAITING + 2;
/// A run's link is shown anew on a long connection (time): it lives for ten minutes.
pub const RENEW_EVERY: Duration = Duration::from_secs(300);
