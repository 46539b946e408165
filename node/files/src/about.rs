//! What a part directory is about: kept as JSON beside its journal, replaced whole.

use std::{
    io::{self, Read, Write},
    time::{SystemTime, UNIX_EPOCH},
};

use clankers_protocol::transfer::SourceIdentity;
use data_encoding::HEXLOWER;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{dir::Dir, hash::short_name_of, limits, os::Ident};

/// The name of the description in a part directory.
pub(crate) const NAME: &str = "about.json";

/// What tells unfinished transfers apart: who sends, to where, under which name, from which source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartId(String);

impl PartId {
    /// Of what `principal` sends to `to` (empty for the place itself) under this name, from this source.
    #[must_use]
    pub fn of(principal: &str, to: &str, root_name: &str, source: &SourceIdentity) -> Self {
        let parts = [principal.as_bytes(), to.as_bytes(), root_name.as_bytes(), &source.0];
        Self(HEXLOWER.encode(&short_name_of("clankers 2026 transfer part directory", &parts)))
    }

    /// The id that was shown as text: 32 hex digits; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| Self(text.to_owned()))
    }

    /// As 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn done_name(&self) -> String {
        format!("{}.done", self.0)
    }
}

impl std::fmt::Display for PartId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an unfinished transfer is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The transfer's id as its sender gave it, 32 hex digits.
    pub transfer_id: String,
    /// Who sends.
    pub principal: String,
    /// The directory beneath the place, empty for the place itself.
    pub to: String,
    /// The name that the sender gave.
    pub root_name: String,
    /// The name that is reserved for it.
    pub name: String,
    /// Whether it is a single file.
    pub single_file: bool,
    /// The bytes of all wanted files.
    pub total_bytes: u64,
    /// The number of wanted files.
    pub files: u64,
    /// When it began (milliseconds since 1970, by this machine's clock).
    pub started_ms: u64,
    /// What the caller wanted to keep with it.
    pub note: serde_json::Value,
    /// It is whole and gets its name now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) landing: Option<Mark>,
}

/// What is about to get its final name: found there after a kill, it has landed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) name: String,
    pub(crate) dev: u64,
    pub(crate) ino: u64,
    /// Hex of what the caller of commit gave.
    pub(crate) note: String,
    /// See [`Done::listing`].
    #[serde(default)]
    pub(crate) listing: String,
}

impl Mark {
    pub(crate) fn new(name: &str, ident: Ident, note: &[u8], listing: &str) -> Self {
        let (name, note, listing) = (name.to_owned(), HEXLOWER.encode(note), listing.to_owned());
        Self { name, dev: ident.dev, ino: ident.ino, note, listing }
    }

    pub(crate) fn ident(&self) -> Ident {
        Ident { dev: self.dev, ino: self.ino }
    }
}

/// What landed, kept for a sender that did not hear of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) transfer_id: String,
    pub(crate) name: String,
    pub(crate) note: String,
    /// Digest of what was listed: a source that changed since is not what landed.
    #[serde(default)]
    pub(crate) listing: String,
    /// Who sent it.
    #[serde(default)]
    pub(crate) principal: String,
}

impl Done {
    /// Whether this is what a sender asks for once more.
    pub(crate) fn answers(&self, transfer_id: &str, listing: &str) -> bool {
        self.transfer_id == transfer_id && self.listing == listing
    }
}

/// Bytes from hex; nothing for what is no hex.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    HEXLOWER.decode(text.as_bytes()).unwrap_or_default()
}

/// Reads a description; `None` when there is none or it cannot be understood.
pub(crate) fn read<T: DeserializeOwned>(dir: &Dir, name: &str) -> Option<T> {
    let file = dir.file(name, OFlags::RDONLY, 0).ok()?;
    let meta = file.metadata().ok()?;
    if !meta.is_file() || meta.len() > limits::ABOUT_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(limits::ABOUT_BYTES).read_to_end(&mut bytes).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// Writes a description, whole or not at all.
pub(crate) fn write<T: Serialize>(dir: &Dir, name: &str, value: &T, durable: bool) -> io::Result<()> {
    let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > limits::ABOUT_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too much is to be kept with a transfer"));
    }
    let staged = format!("{name}.new");
    dir.unlink(&staged)?;
    let mut file = dir.file(&staged, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, limits::FILE_MODE)?;
    let written = file.write_all(&bytes).and_then(|()| if durable { file.sync_data() } else { Ok(()) });
    written.inspect_err(|_| {
        // On a full disk it would be in its own way.
        let _ = dir.unlink(&staged);
    })?;
    rustix::fs::renameat(dir, staged.as_str(), dir, name)?;
    if durable {
        dir.sync()?;
    }
    Ok(())
}

/// Milliseconds since 1970, by this machine's clock.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
