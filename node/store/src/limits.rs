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

/// Teams that this node belongs to (count).
pub const TEAMS: u64 = clankers_protocol::limits::TEAMS as u64;
/// Members of one team that are remembered (count); beyond that who parted, then who was silent longest, makes room.
pub const TEAM_MEMBERS_KEPT: usize = 10_000;
/// Memberships of one member that are remembered (count): each renewal is one more.
pub const MEMBER_CHAINS: usize = 8;
/// Removals from all teams that are remembered (count); beyond that the oldest makes room.
pub const TEAM_REMOVALS: u64 = 4_096;
/// How long a removal is remembered at least, when there are many (milliseconds): no membership lasts longer than 400 days.
pub const TEAM_REMOVAL_KEPT_MS: u64 = 401 * 86_400_000;

/// Tokens that this node issued (count).
pub const TOKENS_ISSUED: u64 = 10_000;
/// Tokens that this node holds (count).
pub const TOKENS_HELD: u64 = 1_000;
/// How long a token is kept after it expired (milliseconds): an hour.
pub const TOKEN_GRACE_MS: u64 = 3_600_000;
/// How long the clock must have gone right before a node forgets by it what is over (milliseconds): an hour.
pub const FORGET_AFTER_MS: u64 = 3_600_000;
/// By how much the clock may be set, from one look to the next, and still count as going right (milliseconds).
pub const CLOCK_STEP_MS: u64 = 60_000;
/// How much longer a token is kept that is to be renewed (milliseconds): 30 days, for an audience that is away.
pub const RENEWAL_KEEP_MS: u64 = 30 * 24 * 3_600_000;
/// Tokens about one subject that peers delivered unasked (count).
pub const TOKENS_DELIVERED_OF_ONE: usize = 16;
/// Tokens that all peers delivered unasked (count).
pub const TOKENS_DELIVERED: u64 = 256;
/// The shortest beginning of a CID that names a token (characters); the first seven are the same for all.
pub const CID_PREFIX_CHARS: usize = 10;
/// CIDs that are told of a beginning that fits several (count).
pub const CID_CANDIDATES: usize = 8;
/// A token's container (bytes).
pub const CONTAINER_BYTES: usize = 16 * 1024;
/// A token's CID as text (bytes).
pub const CID_BYTES: usize = 128;
/// What a token grants, in words (count of lines).
pub const GRANT_LINES: usize = 64;
/// One such line (bytes).
pub const GRANT_BYTES: usize = 512;

/// Revocations by others than the subject, below one that the subject granted to (count); beyond that all below that one
/// counts as revoked. Whose keys signed them does not matter: keys are free to make.
pub const REVOCATIONS_BY_GRANTEE: u64 = 4096;
/// The same (bytes of signed revocations with their witnesses).
pub const REVOCATION_BYTES_BY_GRANTEE: u64 = 8 * 1024 * 1024;
/// So many of one such grantee have room when all the others together have filled theirs (count).
pub const REVOCATIONS_OF_EACH: u64 = 64;
/// Revocations by others than the subject, of all grantees, until only those few of each have room (count).
pub const REVOCATIONS_COMMON: u64 = 50_000;
/// The same (bytes).
pub const REVOCATION_BYTES_COMMON: u64 = 64 * 1024 * 1024;
/// Revocations by others than the subject of what they revoke (count).
pub const REVOCATIONS_BY_OTHERS: u64 = 100_000;
/// The same (bytes): in `auth.log`, where they are a third longer, less than half of what it may hold.
pub const REVOCATION_BYTES_BY_OTHERS: u64 = 128 * 1024 * 1024;
/// Revocations by the subjects themselves (count): with those by others about 40 MB of memory.
pub const REVOCATIONS_OWN: u64 = 100_000;
/// Those that are marked for having too many (count).
pub const REVOKERS_OVER_QUOTA: usize = 10_000;
/// To what such a mark's end is rounded up (milliseconds): a day.
pub const MARK_GRAIN_MS: u64 = 24 * 3_600_000;

/// An epoch that lies further ahead of the clock than this was set by a wrong one (milliseconds).
pub const EPOCH_AHEAD_MS: u64 = 60_000;

/// Links of one chain that are counted (count).
pub const LEDGER_CHAIN: usize = 16;
/// Counters of links that were made under one first link (count).
pub const LEDGER_LINKS_OF_ONE: u64 = 4096;
/// All counters of links (count).
pub const LEDGER_LINKS: u64 = 200_000;
/// What a rate is counted over (milliseconds): a minute.
pub const RATE_WINDOW_MS: u64 = 60_000;
/// How finely (milliseconds).
pub const RATE_BUCKET_MS: u64 = 5_000;

/// Signed requests that are remembered so that they count once (count).
pub const REPLAYS: u64 = 100_000;

/// `auth.log` (bytes).
pub const AUTH_LOG_BYTES: u64 = 512 * 1024 * 1024;
/// `auth.log` takes no more revocations by others from this size on (bytes): the rest is for what the node itself writes.
pub const AUTH_LOG_OTHERS_BYTES: u64 = AUTH_LOG_BYTES / 2;
/// From this size on `auth.log` is rewritten, at start when most of it is over, later when it has doubled (bytes).
pub const AUTH_LOG_REWRITE_BYTES: u64 = 4 * 1024 * 1024;
/// Records that `auth.log` lacks at start are appended up to this many (count); beyond, it is rewritten.
pub const AUTH_LOG_CATCH_UP: usize = 64;
/// One line of `auth.log` (bytes).
pub const AUTH_LINE_BYTES: usize = 256 * 1024;

/// `credentials.toml` (bytes).
pub const CREDENTIALS_FILE_BYTES: u64 = 512 * 1024;
/// Providers that have a key (count).
pub const CREDENTIALS: usize = 32;
/// A key for a provider (bytes).
pub const KEY_BYTES: usize = 4096;
/// A provider's name (bytes).
pub const PROVIDER_BYTES: usize = 64;
/// The end of a key is shown only of keys at least this long (bytes).
pub const MASKED_KEY_BYTES: usize = 20;
/// Tries to take the lock of `credentials.toml` (count).
pub const CREDENTIALS_LOCK_TRIES: usize = 500;
/// Wait between two such tries (milliseconds).
pub const CREDENTIALS_LOCK_RETRY_MS: u64 = 4;

/// How long audit rows are kept unless the settings say otherwise (days).
pub const AUDIT_KEEP_DAYS: u32 = 90;
/// One file of the audit log unless the settings say otherwise (bytes).
pub const AUDIT_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Files of the audit log unless the settings say otherwise (count).
pub const AUDIT_FILES: usize = 64;
/// Audit rows that wait to be written (count); beyond that they are dropped and counted.
pub const AUDIT_QUEUE: usize = 4096;
/// Audit rows that wait, when requests that were allowed are dropped (count); the rest is for refusals, tool calls, tokens.
pub const AUDIT_QUEUE_COMMON: usize = AUDIT_QUEUE * 3 / 4;
/// Audit rows about one peer that wait (count), allowed requests and the rest apart.
pub const AUDIT_QUEUE_OF_ONE: usize = AUDIT_QUEUE / 8;
/// Audit rows that are taken from the queue at once (count).
pub const AUDIT_BATCH: usize = 256;
/// Links of a chain in an audit row (count).
pub const AUDIT_CHAIN: usize = 16;
/// Arguments in an audit row (count).
pub const AUDIT_ARGS: usize = 16;
/// One text in an audit row (bytes).
pub const AUDIT_TEXT_BYTES: usize = 1024;
/// One line of the audit log (bytes): all texts at their longest, every byte of them written as six.
pub const AUDIT_LINE_BYTES: usize = 160 * 1024;
/// What the audit log is read with (bytes at a time).
pub const AUDIT_READ_BYTES: usize = 64 * 1024;
/// How often a reader that follows the audit log looks (milliseconds).
pub const AUDIT_POLL_MS: u64 = 100;
