//! Every limit of the tools, with its unit.

use std::time::Duration;

/// Lines of output that one call returns, at most.
pub const OUTPUT_LINES_MAX: usize = 2_000;
/// Bytes of output that one call returns, at most (notes in brackets are on top).
pub const OUTPUT_BYTES_MAX: usize = 50 * 1024;

/// Bytes of the JSON arguments of one call.
pub const ARGUMENTS_BYTES_MAX: usize = 12 * 1024 * 1024;
/// Bytes of a path as asked for.
pub const PATH_BYTES_MAX: usize = 4_096;
/// Components of a path, links resolved.
pub const PATH_DEPTH_MAX: usize = 128;
/// Directories above a workspace that are compared with the forbidden ones.
pub const ANCESTORS_MAX: usize = 256;
/// Names still to be resolved at once, links' targets included.
pub const PENDING_NAMES_MAX: usize = 512;
/// Characters of a refused path, name or pattern that an error repeats.
pub const QUOTED_CHARS_MAX: usize = 200;
/// Symbolic links followed while one path is resolved (Linux's own limit).
pub const LINKS_MAX: usize = 40;
/// Times that one step of resolving is tried again when somebody swaps the entry under it.
pub const SWAPS_MAX: usize = 16;
/// Bytes of a link's target.
pub const LINK_BYTES_MAX: usize = 4_096;

/// Entries of the guarded directories looked at to recognise a hard link to one of their files.
pub const GUARD_ENTRIES_MAX: usize = 50_000;
/// Depth to which the guarded directories are looked at.
pub const GUARD_DEPTH_MAX: usize = 32;

/// Bytes at a file's start that decide whether it is text.
pub const SNIFF_BYTES: usize = 8 * 1024;
/// Bytes read on after the last line shown, to say how many lines the file has.
pub const COUNT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes read from a file at once.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
/// Bytes of an image that `read` attaches.
pub const IMAGE_BYTES_MAX: u64 = 3_750_000;

/// Bytes that one `write` may write.
pub const WRITE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a file that `edit` takes.
pub const EDIT_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Edits in one call.
pub const EDITS_MAX: usize = 200;
/// Bytes of a line up to which a fuzzy edit keeps the untouched part of that line byte for byte.
pub const FUZZY_LINE_BYTES_MAX: usize = 4 * 1024;
/// Matches counted before an ambiguous edit is refused as "at least so many".
pub const EDIT_MATCHES_COUNTED: usize = 10;
/// Time spent on a diff before a coarser one is good enough.
pub const DIFF_TIME_MAX: Duration = Duration::from_millis(500);
/// Lines around a change in a diff.
pub const DIFF_CONTEXT_LINES: usize = 3;
/// Write queues: files are spread over so many locks by identity.
pub const WRITE_QUEUES: usize = 64;
/// Files whose state at the last read is remembered per session.
pub const SEEN_FILES_MAX: usize = 4_096;
/// Names tried for a temporary file before giving up.
pub const TEMP_NAMES_MAX: usize = 64;

/// Bytes of a shell command.
pub const COMMAND_BYTES_MAX: usize = 128 * 1024 - 1;
/// Time a command may take when the call does not say.
pub const BASH_TIME_DEFAULT: Duration = Duration::from_secs(300);
/// Time a command may ask for.
pub const BASH_TIME_MAX: Duration = Duration::from_secs(3_600);
/// After the shell ended, silence on its output that counts as the end when something still holds it open.
pub const BASH_QUIET: Duration = Duration::from_millis(100);
/// After the shell ended, time for its output to end when background children keep writing.
pub const BASH_LINGER_MAX: Duration = Duration::from_secs(1);
/// Time for a killed process tree to be gone.
pub const KILL_TIME_MAX: Duration = Duration::from_secs(3);
/// Pause between two rounds over the process table.
pub const KILL_PAUSE: Duration = Duration::from_millis(10);
/// Rounds over the process table while a tree is killed.
pub const KILL_ROUNDS_MAX: usize = 50;
/// Bytes read from a command at once, and the largest live chunk.
pub const CHUNK_BYTES: usize = 16 * 1024;
/// Bytes of the end of a command's text that are held in memory, at least; at most twice as many.
pub const OUTPUT_HELD_BYTES: usize = OUTPUT_BYTES_MAX * 2;
/// Bytes of a command's output that are kept in its file.
pub const SPILL_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Commands whose background children's output is drained at once, per session.
pub const LEFTOVERS_MAX: usize = 16;

/// Hits of one `grep`.
pub const GREP_HITS_MAX: usize = 100;
/// Lines of context that `grep` shows on each side, at most.
pub const GREP_CONTEXT_MAX: usize = 20;
/// Characters of a line that `grep` shows.
pub const LINE_CHARS_MAX: usize = 500;
/// Paths of one `find`.
pub const FIND_PATHS_MAX: usize = 1_000;
/// Entries of one `ls`.
pub const LS_ENTRIES_MAX: usize = 500;
/// Bytes of a pattern.
pub const PATTERN_BYTES_MAX: usize = 4 * 1024;
/// Bytes of a compiled pattern.
pub const PATTERN_COMPILED_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Bytes that the search of one file may hold in memory: the longest line that is searched.
pub const SEARCH_HEAP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Time of one `read`, `grep` or `find`.
pub const SEARCH_TIME_MAX: Duration = Duration::from_secs(60);
/// Files that a thread of a search takes at once.
pub const SEARCH_BATCH: usize = 32;
/// Threads of one search.
pub const SEARCH_THREADS_MAX: usize = 4;
/// Entries of one directory that are read and sorted.
pub const DIR_ENTRIES_MAX: usize = 200_000;
/// Entries that one walk lists.
pub const WALK_ENTRIES_MAX: usize = 2_000_000;
/// Bytes of one ignore file that count.
pub const IGNORE_FILE_BYTES_MAX: u64 = 128 * 1024;
/// Lines of one ignore file that count.
pub const IGNORE_LINES_MAX: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages and descriptions name these numbers in words of their own.
    #[test]
    fn numbers_in_messages_are_the_limits() {
        assert_eq!((OUTPUT_LINES_MAX, OUTPUT_BYTES_MAX), (2_000, 50 << 10));
        assert_eq!((LINKS_MAX, PATH_BYTES_MAX, PATH_DEPTH_MAX), (40, 4_096, 128));
        assert_eq!((BASH_TIME_DEFAULT.as_secs(), BASH_TIME_MAX.as_secs()), (300, 3_600));
        assert_eq!((GREP_HITS_MAX, LINE_CHARS_MAX, FIND_PATHS_MAX, LS_ENTRIES_MAX), (100, 500, 1_000, 500));
        assert_eq!(SEARCH_TIME_MAX.as_secs(), 60);
    }
}
