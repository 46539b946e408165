//! Every bound of what a node keeps, with its unit.

/// Permission bits of a file that the node makes (Unix mode).
pub const FILE_MODE: u32 = 0o600;
/// Permission bits of a directory that the node makes (Unix mode).
pub const DIR_MODE: u32 = 0o700;

/// How old an unfinished file must be to count as left behind (seconds).
pub const STAGED_AGE_SECS: u64 = 3600;

/// The text of a key file: 64 hex digits and a newline (bytes).
pub const KEY_FILE_BYTES: usize = 65;
/// A key file that is read at all (bytes); what is longer is refused before it is read.
pub const KEY_FILE_READ_BYTES: u64 = 4096;
/// Rounds of making and reading a key before another process's interference is an error (count).
pub const KEY_ROUNDS: usize = 4;
/// What is read of `node.lock` (bytes): a process id fits ten times over.
pub const LOCK_FILE_READ_BYTES: u64 = 64;
/// Tries to take a lock that only a short look at it is in the way of (count).
pub const LOCK_TRIES: usize = 200;
/// Wait between two such tries (milliseconds).
pub const LOCK_RETRY_MS: u64 = 1;
/// `run/node.json` (bytes).
pub const RUN_INFO_BYTES: u64 = 256 * 1024;
/// `run/port` (bytes).
pub const PORT_FILE_BYTES: u64 = 16;

/// One line of a session log, newline included (bytes). A prompt of 512 KiB whose every byte JSON writes as six fits.
pub const LINE_BYTES: usize = 4 * 1024 * 1024;
/// One session log (bytes); a longer one takes no more events. Below 4 GiB, so that an offset fits 32 bits.
pub const LOG_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Events of one append (count).
pub const BATCH_EVENTS: usize = 4096;
/// Lines of one append (bytes).
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;
/// What a log is read with (bytes at a time).
pub const READ_BUFFER_BYTES: usize = 256 * 1024;
/// A session's title (characters).
pub const TITLE_CHARS: usize = 80;
/// A session's working directory (bytes).
pub const CWD_BYTES: usize = 4096;
/// A model's name (bytes).
pub const MODEL_BYTES: usize = 256;
/// The first line of a session log (bytes).
pub const HEADER_BYTES: usize = 64 * 1024;
/// Session logs in one directory that are listed (count); what is beyond is left out and said in the trace.
pub const SESSIONS: usize = 100_000;
/// Prompts remembered for "runs once" (count).
pub const PROMPTS: u64 = 1_000_000;
/// The shortest beginning of an id that names something (hex digits).
pub const PREFIX_DIGITS: usize = 4;

/// redb's page cache (bytes).
pub const STORE_CACHE_BYTES: usize = 4 * 1024 * 1024;
/// Wait between two tries to open a store that another process has (milliseconds).
pub const STORE_RETRY_MS: u64 = 5;

/// Peers that the owner added (count).
pub const PEERS_TRUSTED: u64 = 4096;
/// Peers that were merely heard of (count); the one silent longest makes room.
pub const PEERS_STRANGERS: u64 = 512;
/// Addresses kept of one peer (count).
pub const PEER_ADDRESSES: usize = 16;
/// One address as text (bytes).
pub const ADDRESS_BYTES: usize = 128;
/// A relay's URL (bytes).
pub const RELAY_BYTES: usize = 1024;
/// A label, given or claimed (bytes).
pub const LABEL_BYTES: usize = 64;
/// A peer's software and where an address comes from (bytes).
pub const WORD_BYTES: usize = 64;
/// How long an address is kept that was not heard again and the owner did not give (milliseconds): 30 days.
pub const ADDRESS_AGE_MS: u64 = 30 * 24 * 3_600_000;
/// Being heard again changes `last_seen` only after this (milliseconds): a chatty network must not wear the disk.
pub const LAST_SEEN_GRAIN_MS: u64 = 60_000;

/// Tokens that this node issued (count).
pub const TOKENS_ISSUED: u64 = 10_000;
/// Tokens that this node holds (count).
pub const TOKENS_HELD: u64 = 1_000;
/// How long a token is kept after it expired (milliseconds): an hour.
pub const TOKEN_GRACE_MS: u64 = 3_600_000;
/// A token's container (bytes).
pub const CONTAINER_BYTES: usize = 16 * 1024;
/// A token's CID as text (bytes).
pub const CID_BYTES: usize = 128;
/// What a token grants, in words (count of lines).
pub const GRANT_LINES: usize = 64;
/// One such line (bytes).
pub const GRANT_BYTES: usize = 512;

/// `auth.log` (bytes).
pub const AUTH_LOG_BYTES: u64 = 512 * 1024 * 1024;
/// From this size on `auth.log` is rewritten at start when most of its tokens are over (bytes).
pub const AUTH_LOG_REWRITE_BYTES: u64 = 4 * 1024 * 1024;
/// One line of `auth.log` (bytes).
pub const AUTH_LINE_BYTES: usize = 256 * 1024;
