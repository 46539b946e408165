//! Keys for model providers: `credentials.toml` in the home, for the owner alone.
//!
//! ```toml
//! [anthropic]
//! key = "..."
//! ```
//!
//! The file is 0600 from its first byte on, is replaced whole, and is refused, not repaired, when others can read it or
//! when it is not what this program wrote. Keys are wiped from memory when they are dropped, and no message holds one.

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::{DiskError, Home, limits, os};

/// A secret word: wiped when dropped, never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// The word itself: for the request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The last four characters of a long key after `…`; of a short one nothing.
    #[must_use]
    pub fn masked(&self) -> String {
        let shown = self.0.len().checked_sub(4).filter(|_| self.0.len() >= limits::MASKED_KEY_BYTES);
        format!("…{}", shown.and_then(|at| self.0.get(at..)).unwrap_or_default())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A provider with a key, as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The provider.
    pub provider: String,
    /// [`SecretText::masked`].
    pub key: String,
}

/// Why the keys cannot be read or changed. No message holds a key.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Others have rights on the file.
    #[error(
        "others can read or write {} (mode {mode:03o}); run `chmod 600 {}`, and replace the keys in it if you are not sure that \
         nobody read them", path.display(), path.display()
    )]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is not one of keys. It was left as it is.
    #[error("{} cannot be used: {why}; it was left as it is", path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// The provider's name is none.
    #[error(
        "a provider's name has 1 to {} lower-case letters, digits and hyphens, `anthropic` for example",
        limits::PROVIDER_BYTES
    )]
    Provider,
    /// The key cannot be one.
    #[error("this is not a key: {0}")]
    Key(&'static str),
    /// There are too many.
    #[error(
        "there are {} keys already; remove one with `clankers auth remove PROVIDER`",
        limits::CREDENTIALS
    )]
    Full,
    /// Another process has it.
    #[error("another process has been changing {} for too long; try again", .0.display())]
    Busy(PathBuf),
    /// Trouble with the disk.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: SecretText,
}

type Entries = BTreeMap<String, Entry>;

/// The home's keys.
#[derive(Debug, Clone)]
pub struct Credentials {
    path: PathBuf,
}

impl Credentials {
    /// The keys of this home; the file comes into being with the first.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self { path: home.root().join("credentials.toml") }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The provider's key; `None` when there is none.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn get(&self, provider: &str) -> Result<Option<SecretText>, CredentialsError> {
        check_provider(provider)?;
        Ok(self.read()?.remove(provider).map(|entry| entry.key))
    }

    /// All providers that have a key, sorted, keys masked.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn list(&self) -> Result<Vec<Masked>, CredentialsError> {
        let entries = self.read()?;
        Ok(entries
            .into_iter()
            .map(|(provider, entry)| Masked { provider, key: entry.key.masked() })
            .collect())
    }

    /// Keeps a key, in place of one that was there. White space around it is taken off.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn set(&self, provider: &str, key: &str) -> Result<(), CredentialsError> {
        check_provider(provider)?;
        let key = key.trim();
        check_key(key)?;
        self.change(|entries| {
            entries.insert(provider.to_owned(), Entry { key: SecretText(key.to_owned()) });
            entries.len() <= limits::CREDENTIALS
        })
    }

    /// Forgets the provider's key; `false` when there was none.
    ///
    /// # Errors
    /// [`CredentialsError`].
    pub fn remove(&self, provider: &str) -> Result<bool, CredentialsError> {
        check_provider(provider)?;
        if !self.read()?.contains_key(provider) {
            return Ok(false);
        }
        let mut removed = false;
        self.change(|entries| {
            removed = entries.remove(provider).is_some();
            true
        })?;
        Ok(removed)
    }

    fn read(&self) -> Result<Entries, CredentialsError> {
        let path = &self.path;
        let bad = |why: &str| CredentialsError::Bad { path: path.clone(), why: why.to_owned() };
        let file = match os::open_plain(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Entries::new()),
            Err(error) if os::is_link_error(&error) => {
                return Err(bad("it is a link; put the file itself there"));
            }
            Err(error) => return Err(DiskError::new("open", path, error).into()),
        };
        let meta = file.metadata().map_err(DiskError::at("look at", path))?;
        let mode = meta.mode() & 0o7777;
        if !meta.is_file() {
            return Err(bad("it is not a regular file"));
        }
        if meta.uid() != os::user() {
            return Err(bad("it belongs to another user"));
        }
        if mode & 0o077 != 0 {
            return Err(CredentialsError::Permissions { path: path.clone(), mode });
        }
        if meta.len() > limits::CREDENTIALS_FILE_BYTES {
            return Err(bad("it is too long to be a file of keys"));
        }
        // Its final size from the start: a buffer that grows would leave copies of keys behind.
        let size = usize::try_from(limits::CREDENTIALS_FILE_BYTES).unwrap_or_default();
        let mut text = Zeroizing::new(Vec::with_capacity(size));
        let limited = file.take(limits::CREDENTIALS_FILE_BYTES).read_to_end(&mut text);
        limited.map_err(DiskError::at("read", path))?;
        let text = str::from_utf8(&text).map_err(|_| bad("it is not UTF-8"))?;
        parse(text).map_err(|why| bad(&why))
    }

    fn change(&self, edit: impl FnOnce(&mut Entries) -> bool) -> Result<(), CredentialsError> {
        let _lock = self.lock()?;
        let mut entries = self.read()?;
        if !edit(&mut entries) {
            return Err(CredentialsError::Full);
        }
        let text = toml::to_string(&entries).map_err(io::Error::other);
        let text = Zeroizing::new(text.map_err(DiskError::at("write", &self.path))?);
        // Made anew (O_EXCL, 0600) beside it, synced, then given the name.
        os::replace(&self.path, text.as_bytes()).map_err(DiskError::at("write", &self.path))?;
        Ok(())
    }

    /// One change at a time, between processes too.
    fn lock(&self) -> Result<fs::File, CredentialsError> {
        let path = self.path.with_extension("lock");
        let file = os::open_or_make(&path).map_err(DiskError::at("lock", &path))?;
        for _ in 0..limits::CREDENTIALS_LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(fs::TryLockError::Error(error)) => {
                    return Err(DiskError::new("lock", &path, error).into());
                }
                Err(fs::TryLockError::WouldBlock) => {
                    thread::sleep(Duration::from_millis(limits::CREDENTIALS_LOCK_RETRY_MS));
                }
            }
        }
        Err(CredentialsError::Busy(self.path.clone()))
    }
}

/// What is in the file; an error says the line, never what stands there (toml's own message quotes it).
fn parse(text: &str) -> Result<Entries, String> {
    let entries: Entries = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!(
            "line {line} is not understood; a key stands under its provider: [anthropic], then key = \"...\""
        )
    })?;
    if entries.len() > limits::CREDENTIALS {
        return Err("it has too many keys".to_owned());
    }
    for (provider, entry) in &entries {
        check_provider(provider).map_err(|error| error.to_string())?;
        check_key(entry.key.expose()).map_err(|error| format!("{provider}: {error}"))?;
    }
    Ok(entries)
}

fn check_provider(provider: &str) -> Result<(), CredentialsError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let good = (1..=limits::PROVIDER_BYTES).contains(&provider.len())
        && provider.bytes().all(allowed)
        && !provider.starts_with('-');
    if good { Ok(()) } else { Err(CredentialsError::Provider) }
}

/// A key goes into an HTTP header: visible ASCII without spaces.
fn check_key(key: &str) -> Result<(), CredentialsError> {
    if key.is_empty() {
        return Err(CredentialsError::Key("it is empty; give it on standard input"));
    }
    if key.len() > limits::KEY_BYTES {
        return Err(CredentialsError::Key("it is too long"));
    }
    match key.bytes().all(|b| b.is_ascii_graphic()) {
        true => Ok(()),
        false => Err(CredentialsError::Key("it has a space, a control character or a letter outside ASCII")),
    }
}

#[cfg(test)]
mod tests;
