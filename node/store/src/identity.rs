//! The node's secret key: 32 bytes, from which everything that the node is and signs follows.
//!
//! The file holds 64 lower-case hex digits and a newline, mode 0600. It comes into being whole: written and synced under
//! another name, then given its own unless that is taken, so that of two processes that make one at the same time
//! both end with the same key, and nobody ever reads half of one. A file that is not exactly this is an error and is
//! never replaced.

use std::{
    fmt, io,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::{DiskError, Home, limits, os, store};

/// 32 secret bytes: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret32(Zeroizing<[u8; 32]>);

impl Secret32 {
    /// Keeps these bytes secret.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves: for the one who signs.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret32(..)")
    }
}

/// What is wrong with a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// It is a symbolic link.
    #[error("it is a symbolic link")]
    Link,
    /// It is a directory, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Its owner is another user.
    #[error("it belongs to user {0}")]
    Owner(u32),
    /// Group or others have rights on it.
    #[error(
        "others can read or write it (mode {0:03o}); run `chmod 600` on it if you are sure that nobody did"
    )]
    Permissions(u32),
    /// It is empty.
    #[error("it is empty")]
    Empty,
    /// It is not 65 bytes long.
    #[error("it has {0} bytes, a key file has 65")]
    Length(u64),
    /// It is not 64 lower-case hex digits and a newline.
    #[error("it is not 64 lower-case hex digits and a newline")]
    Malformed,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is a file, but it is not a key that can be trusted. It was not touched.
    #[error(
        "the key file {} cannot be used: {problem}. It was left as it is: restore it from a backup, or move it away \
         to get a new identity (peers will not know that one)", path.display()
    )]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: BadKey,
    },
    /// Trouble with the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Reads the home's key, or makes one when there is none.
///
/// # Errors
/// [`IdentityError::Bad`] for a file that is not exactly a private key file, [`IdentityError::Disk`] otherwise.
pub fn load_or_create(home: &Home) -> Result<Secret32, IdentityError> {
    let path = home.identity();
    for _ in 0..limits::KEY_ROUNDS {
        if let Some(secret) = load(home)? {
            return Ok(secret);
        }
        match create(home) {
            Ok(secret) => return Ok(secret),
            // Another process was first: its key counts.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(DiskError::new("make the key file", &path, error).into()),
        }
    }
    let error = io::Error::other("it keeps appearing and vanishing");
    Err(DiskError::new("make the key file", &path, error).into())
}

/// Reads the home's key; `None` when there is none.
///
/// # Errors
/// As [`load_or_create`].
pub fn load(home: &Home) -> Result<Option<Secret32>, IdentityError> {
    load_key(&home.identity())
}

/// Reads a key file; `None` when there is none.
pub(crate) fn load_key(path: &Path) -> Result<Option<Secret32>, IdentityError> {
    let bad = |problem| Err(IdentityError::Bad { path: path.to_owned(), problem });
    let file = match os::open_plain(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if os::is_link_error(&error) => return bad(BadKey::Link),
        Err(error) => return Err(DiskError::new("open the key file", path, error).into()),
    };
    let meta = file.metadata().map_err(DiskError::at("look at the key file", path))?;
    let mode = meta.mode() & 0o7777;
    if !meta.is_file() {
        return bad(BadKey::NotAFile);
    }
    if meta.uid() != os::user() {
        return bad(BadKey::Owner(meta.uid()));
    }
    if mode & 0o077 != 0 {
        return bad(BadKey::Permissions(mode));
    }
    match meta.len() {
        0 => return bad(BadKey::Empty),
        length if length != limits::KEY_FILE_BYTES as u64 => return bad(BadKey::Length(length)),
        _ => {}
    }
    let mut text = Zeroizing::new(Vec::with_capacity(limits::KEY_FILE_BYTES));
    file.take(limits::KEY_FILE_READ_BYTES)
        .read_to_end(&mut text)
        .map_err(DiskError::at("read the key file", path))?;
    parse(&text).map_or_else(|| bad(BadKey::Malformed), |secret| Ok(Some(secret)))
}

fn parse(text: &[u8]) -> Option<Secret32> {
    let digits = text.strip_suffix(b"\n")?;
    let mut bytes = Zeroizing::new([0; 32]);
    if digits.len() != 64 {
        return None;
    }
    HEXLOWER.decode_mut(digits, bytes.as_mut()).ok()?;
    Some(Secret32(bytes))
}

fn create(home: &Home) -> io::Result<Secret32> {
    let secret = Secret32(Zeroizing::new(os::random::<32>()?));
    // First, so that a key without this log is one whose records were lost.
    store::make_auth_log(home)?;
    publish_key(home.root(), &home.identity(), &secret)?;
    Ok(secret)
}

/// Gives a key a file, unless the name is taken.
pub(crate) fn publish_key(dir: &Path, path: &Path, secret: &Secret32) -> io::Result<()> {
    let mut text = Zeroizing::new(HEXLOWER.encode(secret.0.as_ref()).into_bytes());
    text.push(b'\n');
    let staged = os::stage(dir, &text)?;
    os::publish(staged, path).map(drop)
}

#[cfg(test)]
mod tests;
