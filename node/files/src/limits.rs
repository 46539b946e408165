//! Every bound of the files' room, with its unit.

/// One block (bytes): what is hashed, sent, written and journalled as one. A whole BLAKE3 subtree.
pub const BLOCK: u64 = 1024 * 1024;
/// The same as a length in memory (bytes).
pub const BLOCK_LEN: usize = 1024 * 1024;

/// Entries of one source: files and directories (count).
pub const ENTRIES: usize = 1_000_000;
/// All names of one source (bytes).
pub const NAMES_BYTES: usize = 64 * 1024 * 1024;
/// What was left out of a source and is told one by one (count), what is missed before the rest; beyond that only counted.
pub const SKIPPED: usize = 1_000;
/// How deep a source is read (directories); each holds one descriptor while it is read.
pub const SOURCE_DEPTH: usize = 128;
/// Globs that leave out (count).
pub const EXCLUDES: usize = 1_000;
/// A file that was written to this recently is waited for before it is read, so that a later write shows in its time
/// (milliseconds): the grain of a file system's clock is up to 10 ms.
pub const RACY_MS: u64 = 20;

/// Directories that a transfer keeps open (count).
pub const OPEN_DIRS: usize = 32;
/// Part files that a transfer keeps open (count).
pub const OPEN_PARTS: usize = 32;
/// The name of the directory for what is not whole yet, in every place.
pub const PARTS_DIR: &str = ".clankers-part";
/// Peers whose places are looked at (count).
pub const PLACES: usize = 10_000;
/// Tries to lock the directory for what is not whole yet, while others remove it for being empty (count).
pub const READY_TRIES: usize = 1_000;
/// Unfinished transfers in one place (count).
pub const PARTS: usize = 256;
/// Receipts kept in one place for senders that ask again (count); the oldest make room.
pub const DONES: usize = 1_024;
/// What describes a part directory (bytes).
pub const ABOUT_BYTES: u64 = 256 * 1024;
/// What the caller may keep with a transfer, each (bytes): a note at its begin and one at its end.
pub const NOTE_BYTES: usize = 64 * 1024;
/// A journal that is read at all (bytes): a million files and a pebibyte of blocks would be more.
pub const JOURNAL_BYTES: u64 = 1024 * 1024 * 1024;
/// Numbered names that are tried when a name is taken (count).
pub const RENAMES: u32 = 10_000;
/// A name in a directory (bytes), on every common file system.
pub const NAME_BYTES: usize = 255;

/// Bytes written and not yet on the disk before a sync is due (bytes).
pub const SYNC_BYTES: u64 = 64 * 1024 * 1024;
/// Age of the oldest byte that is not yet on the disk before a sync is due (milliseconds).
pub const SYNC_MS: u64 = 1_000;
/// More unsynced files than this are synced with the whole file system at once (count).
pub const SYNC_FILES: usize = 256;
/// Threads that read a partial transfer again (count).
pub const SCAN_THREADS: usize = 4;
/// How old an unfinished transfer must be to count as abandoned (seconds): 7 days.
pub const PART_AGE_SECS: u64 = 7 * 24 * 3600;
/// How long what landed is remembered for a sender that asks again (seconds): 7 days.
pub const DONE_AGE_SECS: u64 = 7 * 24 * 3600;
/// Files that are counted to measure an inbox (count); beyond that the measure is a lower bound.
pub const USAGE_ENTRIES: u64 = 2_000_000;

/// Permission bits of directories that this room makes for itself (Unix mode).
pub const DIR_MODE: u32 = 0o700;
/// Permission bits of files that this room makes for itself, and of files that are not whole yet (Unix mode).
pub const FILE_MODE: u32 = 0o600;
/// The permission bits that a sender may set (Unix mode): no setuid, setgid or sticky bit.
pub const MODE_MASK: u32 = 0o777;

/// The permission bit that every received file has (Unix mode): what its owner cannot read can neither go on nor be looked
/// at. Received directories have [`DIR_MODE`] for the same reason: what lies in them is counted.
pub const READ_MODE: u32 = 0o400;

/// Tries to take a lock that only a short look at it is in the way of (count).
pub const LOCK_TRIES: usize = 200;
/// Wait between two such tries (milliseconds).
pub const LOCK_RETRY_MS: u64 = 1;
