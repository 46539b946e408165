//! `auth.log`: authority records once more, so that losing the database loses none of them.
//!
//! JSON lines as in [`crate::line`], appended and synced before the database commits. Each line stands for itself: damage
//! of one costs that one, which is counted and said.
//!
//! ```text
//! {"c":"........","v":1}
//! {"c":"........","at":1764,"token":{"record":{...},"container":"<base64url>"}}
//! ```

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use clankers_protocol::{Timestamp, request::tokens::TokenRecord};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::{DiskError, Home, limits, line, os};

/// The version of the format.
const VERSION: u64 = 1;
/// The seed of all lines: a session's line is not one of these.
const SEED: u32 = 0x6175_7468;

/// A token with its container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenRow {
    pub(crate) record: TokenRecord,
    pub(crate) container: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
struct TokenLine {
    record: TokenRecord,
    container: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<TokenLine>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    v: u64,
}

/// What the log held.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    /// Tokens that are not over, in the order of their lines.
    pub(crate) rows: Vec<TokenRow>,
    /// All whole lines with a token (count).
    pub(crate) lines: u64,
    pub(crate) missing: bool,
    /// Damaged lines (count).
    pub(crate) lost: u64,
}

/// The log, open for appending by whoever has the database.
#[derive(Debug)]
pub(crate) struct AuthLog {
    path: PathBuf,
    file: File,
    /// Where the next line goes (bytes).
    end: u64,
    broken: bool,
}

impl AuthLog {
    pub(crate) fn open(home: &Home, now: Timestamp) -> Result<(Self, Replayed), StoreError> {
        let path = home.auth_log();
        let missing = path.symlink_metadata().is_err();
        if missing {
            let staged = os::stage(home.root(), &header()).map_err(DiskError::at("make", &path))?;
            os::publish(staged, &path).map_err(DiskError::at("make", &path))?;
        }
        let file = os::open_writable(&path).map_err(DiskError::at("open", &path))?;
        let meta = file.metadata().map_err(DiskError::at("look at", &path))?;
        if !meta.is_file() || meta.len() > limits::AUTH_LOG_BYTES {
            return Err(StoreError::Damaged { path, what: "it is not a file of a plausible size".into() });
        }
        let mut replayed = Replayed { missing, ..Replayed::default() };
        let end = replay(&file, &path, now, &mut replayed)?;
        let log = Self { path, file, end, broken: false };
        if end < meta.len() {
            tracing::warn!(path = %log.path.display(), bytes = meta.len().saturating_sub(end), "dropped a torn end");
            log.cut().map_err(DiskError::at("repair the end of", &log.path))?;
        }
        Ok((log, replayed))
    }

    /// Appends a token and syncs; on failure nothing of it is left.
    pub(crate) fn append(&mut self, row: &TokenRow, now: Timestamp) -> Result<(), StoreError> {
        let bytes = seal(row, now)?;
        if self.broken {
            // The end is not known to be whole: make it so before anything is written behind it.
            self.cut().map_err(DiskError::at("repair the end of", &self.path))?;
            self.broken = false;
        }
        let end = self.end.saturating_add(bytes.len() as u64);
        if bytes.len() > limits::AUTH_LINE_BYTES || end > limits::AUTH_LOG_BYTES {
            let hint = "restart the node, which drops expired tokens from auth.log";
            return Err(StoreError::Full { what: "bytes of tokens", limit: limits::AUTH_LOG_BYTES, hint });
        }
        let written = self.file.write_all_at(&bytes, self.end).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.broken = self.cut().is_err();
            return Err(DiskError::new("write", &self.path, error).into());
        }
        self.end = end;
        Ok(())
    }

    fn cut(&self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync_data()
    }

    /// Whether most of a large log is of no use any more.
    pub(crate) fn wants_rewriting(&self, lines: u64, live: u64) -> bool {
        self.end > limits::AUTH_LOG_REWRITE_BYTES && live < lines / 2
    }

    /// Replaces the log by one of just these tokens; with `keep`, the old one stays beside it.
    pub(crate) fn rewrite(
        &mut self,
        rows: &[TokenRow],
        now: Timestamp,
        keep: bool,
    ) -> Result<(), StoreError> {
        let fail = || DiskError::at("rewrite", &self.path);
        let mut bytes = header();
        for row in rows {
            bytes.extend_from_slice(&seal(row, now)?);
        }
        if keep {
            let aside = self.path.with_extension(format!("log.damaged-{}", now.0));
            std::fs::hard_link(&self.path, &aside).map_err(fail())?;
        }
        os::replace(&self.path, &bytes).map_err(fail())?;
        self.file = os::open_writable(&self.path).map_err(fail())?;
        self.end = bytes.len() as u64;
        Ok(())
    }
}

fn header() -> Vec<u8> {
    let mut bytes = Vec::new();
    line::seal(SEED, &format!("{{\"v\":{VERSION}}}"), &mut bytes);
    bytes
}

fn seal(row: &TokenRow, at: Timestamp) -> Result<Vec<u8>, StoreError> {
    let token = TokenLine { record: row.record.clone(), container: BASE64URL_NOPAD.encode(&row.container) };
    let text = serde_json::to_string(&Line { at, token: Some(token) })
        .map_err(|_| StoreError::bad_value("a token cannot be encoded"))?;
    let mut bytes = Vec::new();
    line::seal(SEED, &text, &mut bytes);
    Ok(bytes)
}

/// Reads all lines; gives where the last finished one ends.
fn replay(file: &File, path: &Path, now: Timestamp, out: &mut Replayed) -> Result<u64, StoreError> {
    let mut file = file;
    let fail = || DiskError::at("read", path);
    file.seek(SeekFrom::Start(0)).map_err(fail())?;
    let mut reader = BufReader::with_capacity(limits::READ_BUFFER_BYTES, file);
    let (mut text, mut end, mut first) = (Vec::new(), 0_u64, true);
    loop {
        text.clear();
        let limit = limits::AUTH_LINE_BYTES as u64 + 1;
        reader.by_ref().take(limit).read_until(b'\n', &mut text).map_err(fail())?;
        let Some(whole) = text.strip_suffix(b"\n") else {
            if (text.len() as u64) < limit {
                return Ok(end);
            }
            // A stretch without a newline: damage. What follows it may still be whole.
            out.lost = out.lost.saturating_add(1);
            end = end.saturating_add(text.len() as u64);
            continue;
        };
        if first
            && let Ok(Header { v }) = serde_json::from_slice(whole)
            && v > VERSION
        {
            return Err(StoreError::Newer { path: path.to_owned(), found: v });
        }
        match line::unseal(SEED, whole).map(|unsealed| line::object(unsealed.body)) {
            Some(_) if first => {}
            Some(object) => {
                let row = token(&object, path)?;
                out.lines = out.lines.saturating_add(1);
                if !crate::tokens::is_over(&row.record, now) {
                    out.rows.push(row);
                }
            }
            None => out.lost = out.lost.saturating_add(1),
        }
        first = false;
        end = end.saturating_add(text.len() as u64);
    }
}

/// The token on a line whose checksum is right. One that this version cannot read came from a later one: refused, since
/// authority must not be forgotten silently.
fn token(object: &str, path: &Path) -> Result<TokenRow, StoreError> {
    let newer = || StoreError::Newer { path: path.to_owned(), found: VERSION + 1 };
    let line: Line = serde_json::from_str(object).map_err(|_| newer())?;
    let token = line.token.ok_or_else(newer)?;
    let container = BASE64URL_NOPAD.decode(token.container.as_bytes()).map_err(|_| newer())?;
    Ok(TokenRow { record: token.record, container })
}
