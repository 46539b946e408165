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
/// Records of transfers that are kept, the oldest that are over making room (count).
pub const RECORDS: usize = 200;
/// Tries to take the lock of a record while somebody looks whether it is held (count).
pub const RECORD_LOCK_TRIES: usize = 200;
/// Between two of them (milliseconds).
pub const RECORD_LOCK_RETRY_MS: u64 = 1;
/// A record of a transfer (bytes).
pub const RECORD_BYTES: u64 = 1024 * 1024;
/// Bytes of a data stream that are read ahead, for the frames of small files.
pub const LANE_AHEAD_BYTES: usize = 256 * 1024;
/// The body of a block's frame (bytes): two numbers, a length and a hash.
pub const BLOCK_HEAD_BYTES: usize = 64;
/// Buffers of one block that a sender has at a time (count), those included that the network has not acknowledged; two
/// more for each data stream where there are several.
pub const SEND_BUFFERS: usize = 6;
/// The same of a receiver: what arrives, and what is being written; one more for each data stream where there are
/// several.
pub const RECEIVE_BUFFERS: usize = 6;
/// Frames on the control stream of a transfer that wait on either way (count).
pub const CONTROL_FRAMES: usize = 16;
/// How long the last frames of a transfer may take to leave (time).
pub const LAST_FRAMES: Duration = Duration::from_secs(2);
/// Data streams' place behind all others on a connection (stream priority; others have 0).
pub const LANE_PRIORITY: i32 = -10;
/// Pieces of files that are read and hashed at a time (count).
pub const PIECES_AT_WORK: usize = 4;
/// Small files that are read, hashed and sent in one go (count).
pub const SMALL_FILES: usize = 512;
/// Bytes of small files in one go.
pub const SMALL_BYTES: u64 = 512 * 1024;
/// Loads of blocks that wait for a data stream (count).
pub const LOADS_WAITING: usize = 2;
/// What the tasks of a transfer tell its machine and it has not heard yet (count).
pub const EVENTS_WAITING: usize = 64;
/// A connection is far when its round trip takes this long (time): then one data stream is not enough for it, since
/// each carries 1.25 MB per round trip.
pub const FAR: Duration = Duration::from_millis(5);
/// How far back the rate of a transfer looks (time).
pub const RATE_WINDOW: Duration = Duration::from_secs(5);
/// How often a transfer says how far it is, and looks whether somebody cancelled it (time).
pub const TELL_EVERY: Duration = Duration::from_millis(200);
/// A peer that is silent in a transfer for so long while its node, which has not started since, answers on a fresh
/// connection: the old one leads nowhere (time).
pub const DEAF: Duration = Duration::from_secs(10);
/// How often the record of a transfer that runs is written (time).
pub const RECORD_EVERY: Duration = Duration::from_secs(1);
/// A connection is shared when somebody waited for something on it within this time.
pub const SHARED_FOR: Duration = Duration::from_millis(1_000);
/// How much longer than at its shortest a round trip may take while a connection is shared (time): the queue on the way.
pub const PACE_QUEUE: Duration = Duration::from_millis(10);
/// How often the pace is looked at, at most (time); also not more often than once in a round trip.
pub const PACE_LOOK: Duration = Duration::from_millis(20);
/// How long the shortest round trip is believed to be possible still (time).
pub const PACE_BASE: Duration = Duration::from_secs(10);
/// What late timers lost is made up for, as much as this at a time.
pub const PACE_LATE: Duration = Duration::from_millis(5);
/// Bytes of a block that leave at a time while a connection is shared: what the pace allows in [`PACE_SLICE`],
/// this at the most.
pub const PACE_PIECE_BYTES: usize = 32 * 1024;
/// The same, at the least.
pub const PACE_PIECE_LEAST_BYTES: usize = 4 * 1024;
/// How much of the pace leaves at a time (time).
pub const PACE_SLICE: Duration = Duration::from_millis(2);
/// The pace of a transfer that begins on a shared connection (bytes per second).
pub const PACE_FIRST: f64 = 2_000_000.0;
/// The slowest pace (bytes per second): nobody waits for ever.
pub const PACE_LEAST: f64 = 128_000.0;
/// The fastest (bytes per second).
pub const PACE_MOST: f64 = 10_000_000_000.0;
/// The slowest rate to which a transfer can be limited (bytes per second): a block, which is what its receiver says that it
/// has, then takes half of the time after which a transfer in which nothing moves is given up.
pub const LIMIT_RATE_LEAST: u64 = 32 * 1024;
/// Bytes of a limited transfer that leave at a time, at most.
pub const LIMIT_PIECE_BYTES: usize = 256 * 1024;
/// The same as a part of what leaves in a second (time), and how much of a pause is made up for.
pub const LIMIT_SLICE: Duration = Duration::from_millis(125);
/// A transfer that is limited to less than this (bytes per second) uses one data stream: blocks then come one after the
/// other, and not all of them late.
pub const LIMIT_ONE_LANE: u64 = 4 * 1024 * 1024;
