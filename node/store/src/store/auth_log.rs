//! `auth.log`: authority records once more, so that losing the database loses none of them.
//!
//! JSON lines as in [`crate::line`], appended and synced before the database commits. Each line stands for itself: damage
//! of one costs that one, which is counted and said. Of several lines about one thing the last counts. The file comes into
//! being with the node's key, is appended to, and is replaced as a whole when most of it is of no use any more.
//!
//! ```text
//! {"c":"........","v":1}
//! {"c":"........","at":1764,"token":{"record":{...},"container":"<base64url>"}}
//! {"c":"........","at":1764,"counters":[{"cid":"...","group":"...","expires":1765,"spent":12,"tokens":7,"starts":[[352,1]]}]}
//! ```

mod codec;
mod replay;

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use clankers_protocol::Timestamp;
pub(super) use replay::Replayed;

use super::{
    Keep, StoreError,
    rows::{Record, Records},
};
use crate::{DiskError, Home, limits, line, os};

/// The version of the format.
const VERSION: u64 = 1;
/// The seed of all lines: a session's line is not one of these.
const SEED: u32 = 0x6175_7468;

/// The log, open for appending by whoever has the database.
#[derive(Debug)]
pub(crate) struct AuthLog {
    path: PathBuf,
    /// `None`: there is no such file; [`AuthLog::rewrite`] makes it.
    file: Option<File>,
    /// Where the next line goes (bytes).
    end: u64,
    /// How long it was when it was last known to be worth its size (bytes).
    base: u64,
    broken: bool,
}

/// Makes an empty log, unless there is one: what a new node does before it has a key.
pub(crate) fn make_if_missing(home: &Home) -> io::Result<()> {
    let path = home.auth_log();
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    match os::publish(os::stage(home.root(), &header())?, &path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map(drop),
    }
}

impl AuthLog {
    pub(super) fn open(home: &Home) -> Result<(Self, Replayed), StoreError> {
        let path = home.auth_log();
        if path.symlink_metadata().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let log = Self { path, file: None, end: 0, base: 0, broken: false };
            return Ok((log, Replayed { missing: true, ..Replayed::default() }));
        }
        let file = os::open_writable(&path).map_err(DiskError::at("open", &path))?;
        let meta = file.metadata().map_err(DiskError::at("look at", &path))?;
        if !meta.is_file() || meta.len() > limits::AUTH_LOG_BYTES {
            return Err(StoreError::Damaged { path, what: "it is not a file of a plausible size".into() });
        }
        let (replayed, end) = replay::replay(&file, &path)?;
        let mut log = Self { path, file: Some(file), end, base: end, broken: false };
        if end < meta.len() {
            tracing::warn!(path = %log.path.display(), bytes = meta.len().saturating_sub(end), "dropped a torn end");
            log.cut().map_err(DiskError::at("repair the end of", &log.path))?;
        }
        log.is_fine();
        Ok((log, replayed))
    }

    /// Appends records, and syncs them unless a crash may take them back; on failure nothing of them is left.
    pub(crate) fn append(
        &mut self,
        records: &[Record],
        now: Timestamp,
        keep: Keep,
    ) -> Result<(), StoreError> {
        self.append_within(records, now, keep, limits::AUTH_LOG_BYTES)
    }

    /// The same for what others bring: it may not fill the log for the node's own records.
    pub(crate) fn append_of_others(&mut self, records: &[Record], now: Timestamp) -> Result<(), StoreError> {
        self.append_within(records, now, Keep::Now, limits::AUTH_LOG_OTHERS_BYTES)
    }

    fn append_within(
        &mut self,
        records: &[Record],
        now: Timestamp,
        keep: Keep,
        limit: u64,
    ) -> Result<(), StoreError> {
        let mut bytes = Vec::new();
        for record in records {
            codec::seal(record, now, &mut bytes)?;
        }
        if self.broken {
            // The end is not known to be whole: make it so before anything is written behind it.
            self.cut().map_err(DiskError::at("repair the end of", &self.path))?;
            self.broken = false;
        }
        let end = self.end.saturating_add(bytes.len() as u64);
        if end > limit {
            let hint = "restart the node, which drops what is over from auth.log";
            return Err(StoreError::Full { what: "bytes of auth.log", limit, hint });
        }
        let written = self.file().and_then(|file| {
            file.write_all_at(&bytes, self.end)?;
            if keep == Keep::Now { file.sync_data() } else { Ok(()) }
        });
        if let Err(error) = written {
            self.broken = self.cut().is_err();
            return Err(DiskError::new("write", &self.path, error).into());
        }
        self.end = end;
        Ok(())
    }

    fn file(&self) -> io::Result<&File> {
        self.file.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Makes every append fail, as a disk would.
    #[cfg(test)]
    pub(crate) fn fail_for_tests(&mut self) {
        self.file = File::open(&self.path).ok();
    }

    /// Makes it this long without writing so much.
    #[cfg(test)]
    pub(crate) fn grow_for_tests(&mut self, end: u64) {
        self.end = end;
        self.base = end;
    }

    /// Ends that.
    #[cfg(test)]
    pub(crate) fn heal_for_tests(&mut self, home: &Home) {
        self.file = os::open_writable(&home.auth_log()).ok();
    }

    fn cut(&self) -> io::Result<()> {
        let file = self.file()?;
        file.set_len(self.end)?;
        file.sync_data()
    }

    /// Whether it has grown so much that a new one is worth its while.
    pub(super) fn wants_rewriting(&self) -> bool {
        // Near the end of its room already when a fifth of it may be of no use.
        let crowded =
            self.end > limits::AUTH_LOG_OTHERS_BYTES && self.end > self.base.saturating_add(self.base / 4);
        crowded || self.end > self.base.saturating_mul(2)
    }

    /// Whether most of a large log is of no use any more.
    pub(super) fn is_mostly_over(&self, lines: u64, live: u64) -> bool {
        self.end > limits::AUTH_LOG_REWRITE_BYTES && live < lines / 2
    }

    /// It is worth its size: asked again when it is twice as long.
    pub(super) fn is_fine(&mut self) {
        self.base = self.end.max(limits::AUTH_LOG_REWRITE_BYTES / 2);
    }

    /// Replaces the log by one of just these records; with `keep`, the old one stays beside it.
    pub(super) fn rewrite(
        &mut self,
        records: &Records,
        now: Timestamp,
        keep: bool,
    ) -> Result<(), StoreError> {
        if keep {
            keep_aside(&self.path, now)?;
        }
        let fail = || DiskError::at("rewrite", &self.path);
        let dir = self.path.parent().unwrap_or(Path::new("."));
        let staged = os::stage(dir, &header()).map_err(fail())?;
        let mut out = BufWriter::with_capacity(limits::READ_BUFFER_BYTES, staged.as_file());
        let mut bytes = Vec::new();
        let mut end = header().len() as u64;
        // Everything is what an empty place lacks.
        for record in records.lacking_in(&Records::default()) {
            bytes.clear();
            codec::seal(&record, now, &mut bytes)?;
            out.write_all(&bytes).map_err(fail())?;
            end = end.saturating_add(bytes.len() as u64);
        }
        out.flush().map_err(fail())?;
        drop(out);
        staged.as_file().sync_all().map_err(fail())?;
        os::replace_with(staged, &self.path).map_err(fail())?;
        self.file = Some(os::open_writable(&self.path).map_err(fail())?);
        self.end = end;
        self.broken = false;
        self.is_fine();
        Ok(())
    }
}

/// Gives a damaged log a second name, so that nobody has to take our word for what was in it.
fn keep_aside(path: &Path, now: Timestamp) -> Result<(), DiskError> {
    let aside = path.with_extension(format!("log.damaged-{}", now.0));
    match std::fs::hard_link(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(DiskError::at("keep a copy of", path)),
    }
}

fn header() -> Vec<u8> {
    let mut bytes = Vec::new();
    line::seal(SEED, &format!("{{\"v\":{VERSION}}}"), &mut bytes);
    bytes
}
