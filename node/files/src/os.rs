//! What differs between operating systems, and the few system calls that need care. Linux first, macOS compiles.

use std::{fs::File, io, os::fd::AsFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};

/// The identity of a file or directory: device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ident {
    /// The device.
    pub(crate) dev: u64,
    /// The inode on it.
    pub(crate) ino: u64,
}

/// What tells whether a file is still the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Which file.
    pub(crate) ident: Ident,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When its content was changed (nanoseconds since 1970).
    pub(crate) mtime_ns: i64,
    /// When anything of it was changed (nanoseconds since 1970): this one cannot be set back.
    pub(crate) ctime_ns: i64,
}

// The types of these fields differ between systems (i32, u64, ...); `try_from` holds them all.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
impl Ident {
    /// The identity in a `stat`.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { dev: u64::try_from(stat.st_dev).unwrap_or(u64::MAX), ino: stat.st_ino.into() }
    }
}

#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
impl Stamp {
    /// The stamp in a `stat`.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            ident: Ident::of(stat),
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanos(stat.st_mtime.into(), stat.st_mtime_nsec.try_into().unwrap_or(0)),
            ctime_ns: nanos(stat.st_ctime.into(), stat.st_ctime_nsec.try_into().unwrap_or(0)),
        }
    }
}

fn nanos(seconds: i64, nanos: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

/// The kind of file in a `stat`.
#[allow(clippy::useless_conversion)]
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode.into())
}

/// The permission bits in a `stat`, without setuid, setgid and sticky.
#[allow(clippy::useless_conversion)]
pub(crate) fn mode_of(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & crate::limits::MODE_MASK
}

/// How many names lead to the file.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub(crate) fn names_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_nlink).unwrap_or(u64::MAX)
}

/// What the file takes on the disk (bytes).
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub(crate) fn bytes_on_disk(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512)
}

/// A mode of permission bits.
#[allow(clippy::useless_conversion)]
pub(crate) fn mode(bits: u32) -> Mode {
    // Nine bits fit every system's type.
    Mode::from_raw_mode((bits & crate::limits::MODE_MASK).try_into().unwrap_or(0))
}

/// The flags with which everything is opened: never through a link, never waiting for a pipe's far end.
pub(crate) const PLAIN: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// The times for `futimens`: the access time stays, the modification time is given (nanoseconds since 1970).
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
pub(crate) fn mtime(ns: i64) -> Timestamps {
    let second = 1_000_000_000;
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT.try_into().unwrap_or_default() },
        last_modification: Timespec {
            tv_sec: ns.div_euclid(second).try_into().unwrap_or_default(),
            tv_nsec: ns.rem_euclid(second).try_into().unwrap_or_default(),
        },
    }
}

/// Renames without replacing: `AlreadyExists` when the new name is taken, whatever has it.
pub(crate) fn rename_new(from: impl AsFd, old: &str, to: impl AsFd, new: &str) -> io::Result<()> {
    use rustix::{fs::RenameFlags, io::Errno};
    match rustix::fs::renameat_with(&from, old, &to, new, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        // A file system that does not know the flag: the same with two calls that do not replace either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => rename_new_slowly(from, old, to, new),
        Err(error) => Err(error.into()),
    }
}

/// A file gets a second name (which fails when it is taken) and loses the first; a directory replaces an empty one that
/// was just made (which fails when it is taken).
fn rename_new_slowly(from: impl AsFd, old: &str, to: impl AsFd, new: &str) -> io::Result<()> {
    use rustix::fs::{linkat, mkdirat, renameat, statat, unlinkat};
    let stat = statat(&from, old, AtFlags::SYMLINK_NOFOLLOW)?;
    if file_type(&stat) == FileType::Directory {
        mkdirat(&to, new, mode(crate::limits::DIR_MODE))?;
        renameat(&from, old, &to, new)?;
    } else {
        linkat(&from, old, &to, new, AtFlags::empty())?;
        unlinkat(&from, old, AtFlags::empty())?;
    }
    Ok(())
}

/// Makes a file's content and length durable.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    file.sync_data()
}

/// Makes everything on the file system of `dir` durable; `false` where the system has no such call.
#[cfg(target_os = "linux")]
pub(crate) fn sync_all_of(dir: impl AsFd) -> io::Result<bool> {
    rustix::fs::syncfs(dir)?;
    Ok(true)
}

/// Makes everything on the file system of `dir` durable; `false` where the system has no such call.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_all_of(_dir: impl AsFd) -> io::Result<bool> {
    Ok(false)
}

/// Whether the file system lives in memory: nothing can be made durable there, and reserving space costs as much as
/// writing does.
#[cfg(target_os = "linux")]
pub(crate) fn is_in_memory(dir: impl AsFd) -> bool {
    const TMPFS_MAGIC: i128 = 0x0102_1994;
    const RAMFS_MAGIC: i128 = 0x8584_58f6;
    rustix::fs::fstatfs(dir).is_ok_and(|fs| [TMPFS_MAGIC, RAMFS_MAGIC].contains(&i128::from(fs.f_type)))
}

/// Whether the file system lives in memory.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_in_memory(_dir: impl AsFd) -> bool {
    false
}

/// Reserves space for a file, so that a full disk shows before the bytes are sent; a system or file system that cannot
/// is none the worse.
#[cfg(target_os = "linux")]
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    use rustix::{fs::FallocateFlags, io::Errno};
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
        Ok(()) | Err(_) => file.set_len(size),
    }
}

/// Gives the file its length.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reserve(file: &File, size: u64) -> io::Result<()> {
    file.set_len(size)
}

/// Whether an open failed because a link or something else stands where a directory or file was expected.
pub(crate) fn is_in_the_way(error: &io::Error) -> bool {
    use rustix::io::Errno;
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::ISDIR))
}
