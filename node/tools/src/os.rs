//! What differs between operating systems: Linux first, macOS compiles.

use rustix::fs::{FileType, OFlags, Stat};

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
    ident: Ident,
    size: i128,
    modified: (i128, i128),
    changed: (i128, i128),
}

// The types of these fields differ between systems (i32, u64, ...); `i128` and `try_from` hold them all.
#[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
impl Ident {
    /// The identity in a `stat`.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self { dev: u64::try_from(stat.st_dev).unwrap_or(u64::MAX), ino: stat.st_ino.into() }
    }
}

#[allow(clippy::useless_conversion)]
impl Stamp {
    /// The stamp in a `stat`.
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            ident: Ident::of(stat),
            size: stat.st_size.into(),
            modified: (stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed: (stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }
}

/// The size in a `stat`, in bytes.
#[allow(clippy::unnecessary_fallible_conversions)]
pub(crate) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

/// Whether more than one name leads to the file.
#[allow(clippy::useless_conversion)]
pub(crate) fn has_other_names(stat: &Stat) -> bool {
    u64::from(stat.st_nlink) > 1
}

/// The kind of file in a `stat`.
#[allow(clippy::useless_conversion)]
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode.into())
}

/// A kind of file, in words.
pub(crate) fn kind_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "regular file",
        FileType::Directory => "directory",
        FileType::Symlink => "symbolic link",
        FileType::Fifo => "named pipe (FIFO)",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "file of an unknown kind",
    }
}

/// Flags to open a directory only to go through it: without the right to list it, where the system can.
#[cfg(target_os = "linux")]
pub(crate) const PASS: OFlags = OFlags::PATH;
/// Flags to open a directory only to go through it.
#[cfg(not(target_os = "linux"))]
pub(crate) const PASS: OFlags = OFlags::RDONLY;

/// Whether the directory lies on a file system of the kernel's own (`/proc`, `/sys`): its "files" are the memory and
/// the environment of processes, this node's included, and are never workspace content.
#[cfg(target_os = "linux")]
pub(crate) fn is_kernels_own(dir: impl rustix::fd::AsFd) -> bool {
    // linux/magic.h
    const SYSFS_MAGIC: i128 = 0x6265_6572;
    const DEBUGFS_MAGIC: i128 = 0x6462_6720;
    const SECURITYFS_MAGIC: i128 = 0x7363_6673;
    let Ok(fs) = rustix::fs::fstatfs(dir) else { return true };
    let magic = i128::from(fs.f_type);
    magic == i128::from(rustix::fs::PROC_SUPER_MAGIC)
        || [SYSFS_MAGIC, DEBUGFS_MAGIC, SECURITYFS_MAGIC].contains(&magic)
}

/// Whether the directory lies on a file system of the kernel's own: this system has none.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_kernels_own(_dir: impl rustix::fd::AsFd) -> bool {
    false
}
