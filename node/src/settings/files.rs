//! `[files]`: where files from peers go, how much of them, and what peers may get.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

/// `[files]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Directory that files from peers go to, one directory beneath it for each peer; `inbox` in the home when not set.
    pub inbox: Option<PathBuf>,
    /// Directories that peers may get files from, by the name that they are asked for.
    pub exports: BTreeMap<String, PathBuf>,
    /// Bytes that one peer may have in the inbox.
    pub max_bytes_per_peer: u64,
    /// Bytes that the inbox may hold in all.
    pub max_bytes: u64,
    /// Files and directories in one transfer.
    pub max_files: u64,
    /// Directories within each other in one transfer.
    pub max_depth: u32,
    /// Bytes of the file system that are kept free.
    pub keep_free_bytes: u64,
    /// Seconds that an offer waits for the owner.
    pub offer_wait_secs: u64,
    /// Seconds that the parts of a transfer that broke off are kept, so that it can go on.
    pub keep_parts_secs: u64,
}

const GIB: u64 = 1 << 30;

impl Default for Files {
    fn default() -> Self {
        Self {
            inbox: None,
            exports: BTreeMap::new(),
            max_bytes_per_peer: 256 * GIB,
            max_bytes: 1024 * GIB,
            max_files: 1_000_000,
            max_depth: 64,
            keep_free_bytes: GIB,
            offer_wait_secs: 24 * 3600,
            keep_parts_secs: 7 * 24 * 3600,
        }
    }
}

/// Characters of an export's name at the most.
const EXPORT_CHARS: usize = 64;

impl Files {
    /// Where files from peers go, given the inbox of the home.
    #[must_use]
    pub fn inbox(&self, of_home: PathBuf) -> PathBuf {
        self.inbox.clone().unwrap_or(of_home)
    }

    /// How long an offer waits for the owner.
    #[must_use]
    pub fn offer_wait(&self) -> Duration {
        Duration::from_secs(self.offer_wait_secs)
    }

    /// How long the parts of a transfer that broke off are kept.
    #[must_use]
    pub fn keep_parts(&self) -> Duration {
        Duration::from_secs(self.keep_parts_secs)
    }

    /// The export that a remote path means, and what is left of the path.
    #[must_use]
    pub fn export<'p>(&self, path: &'p str) -> Option<(&Path, &'p str)> {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        self.exports.get(name).map(|root| (root.as_path(), rest))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.inbox.as_ref().is_some_and(|inbox| !inbox.is_absolute()) {
            return Err("files.inbox: write an absolute path".into());
        }
        for (name, path) in &self.exports {
            let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
            let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
            if !begins || name.len() > EXPORT_CHARS || !name.chars().all(plain) {
                let shown = clankers_protocol::text::line(name, EXPORT_CHARS);
                return Err(format!(
                    "files.exports: '{shown}' cannot be a name: letters, digits, '.', '_', '-', a letter or digit first"
                ));
            }
            if !path.is_absolute() {
                return Err(format!("files.exports.{name}: write an absolute path"));
            }
        }
        for (name, value) in [
            ("files.max_bytes_per_peer", self.max_bytes_per_peer),
            ("files.max_bytes", self.max_bytes),
            ("files.max_files", self.max_files),
            ("files.max_depth", u64::from(self.max_depth)),
            ("files.offer_wait_secs", self.offer_wait_secs),
            ("files.keep_parts_secs", self.keep_parts_secs),
        ] {
            if value == 0 {
                return Err(format!("{name}: 0 would refuse everything; leave it out for the default"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Files, String> {
        let files: Files = toml::from_str(text).map_err(|error| error.to_string())?;
        files.check().map(|()| files)
    }

    #[test]
    fn exports_are_found_by_their_first_name() {
        let files = read("[exports]\ndocs = \"/srv/docs\"\nd = \"/srv/d\"").unwrap();
        assert_eq!(files.export("docs/a/b"), Some((Path::new("/srv/docs"), "a/b")));
        assert_eq!(files.export("docs"), Some((Path::new("/srv/docs"), "")));
        for other in ["", "/docs", "../docs", "doc", "docs2/a", "Docs/a"] {
            assert_eq!(files.export(other), None, "{other}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "inbox = \"in\"",
            "max_depth = 0",
            "[exports]\ndocs = \"docs\"",
            "[exports]\n\"a/b\" = \"/srv\"",
            "[exports]\n\"..\" = \"/srv\"",
            "[exports]\n\"\" = \"/srv\"",
            "[exports]\n\"a\\u001bb\" = \"/srv\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("").unwrap(), Files::default());
    }
}
