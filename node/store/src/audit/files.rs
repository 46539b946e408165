//! The files of the log: names, order, age.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clankers_protocol::Timestamp;

use super::AuditSettings;
use crate::{DiskError, Home};

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const DAY_MS: u64 = 24 * 3_600_000;

/// The day of a moment (days since 1970).
pub(super) fn day(at: Timestamp) -> u64 {
    at.0 / DAY_MS
}

/// The name of a file that was finished then.
fn finished(home: &Home, stamp: u64) -> PathBuf {
    // Enough digits for the names to sort until the year 2286, and far beyond.
    home.audit_dir().join(format!("{PREFIX}{stamp:016}{SUFFIX}"))
}

/// When a file was finished, by its name (milliseconds since 1970).
fn stamp(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The finished files, the oldest first, each with when it was finished.
pub(super) fn list(home: &Home) -> Result<Vec<(u64, PathBuf)>, DiskError> {
    let dir = home.audit_dir();
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DiskError::new("list", &dir, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(DiskError::at("list", &dir))?.path();
        files.extend(stamp(&path).map(|stamp| (stamp, path)));
    }
    files.sort_unstable();
    Ok(files)
}

/// Gives the file being written the name of a finished one.
pub(super) fn finish(home: &Home, now: Timestamp) -> Result<(), DiskError> {
    let path = home.audit_log();
    let last = list(home)?.last().map_or(0, |(stamp, _)| *stamp);
    // After all others, whatever the clock does.
    let to = finished(home, now.0.max(last.saturating_add(1)));
    fs::rename(&path, &to).map_err(DiskError::at("rename", &path))
}

/// Removes finished files that are too old or too many.
pub(super) fn remove_old(home: &Home, settings: AuditSettings, now: Timestamp) -> Result<(), DiskError> {
    let files = list(home)?;
    let oldest = now.0.saturating_sub(u64::from(settings.keep_days).saturating_mul(DAY_MS));
    // One is the file being written.
    let too_many = files.len().saturating_sub(settings.max_files.saturating_sub(1));
    for (n, (stamp, path)) in files.iter().enumerate() {
        if n < too_many || *stamp < oldest {
            fs::remove_file(path).map_err(DiskError::at("remove", path))?;
        }
    }
    Ok(())
}
