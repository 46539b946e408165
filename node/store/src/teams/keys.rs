//! The keys of teams that were made here: a file each, like the node's own key.

use std::{io, path::PathBuf};

use clankers_protocol::TeamId;

use crate::{DiskError, Home, IdentityError, Secret32, identity, os};

/// The team keys of a home.
#[derive(Debug, Clone)]
pub struct TeamKeys {
    dir: PathBuf,
}

impl TeamKeys {
    /// Those of this home.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self { dir: home.root().join("teams") }
    }

    /// Where a team's key lies.
    #[must_use]
    pub fn path(&self, team: TeamId) -> PathBuf {
        self.dir.join(format!("{team}.key"))
    }

    /// Keeps a fresh key; one that is there already is never replaced.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn put(&self, team: TeamId, seed: &Secret32) -> Result<(), DiskError> {
        let path = self.path(team);
        let fail = || DiskError::at("keep a team's key", &path);
        match os::make_dir(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(fail()(error)),
            _ => {}
        }
        identity::publish_key(&self.dir, &path, seed).map_err(fail())
    }

    /// A team's key, if it lies here.
    ///
    /// # Errors
    /// [`IdentityError`] for a file that is not exactly a private key file.
    pub fn get(&self, team: TeamId) -> Result<Option<Secret32>, IdentityError> {
        identity::load_key(&self.path(team))
    }

    /// Removes a team's key for good. Gives whether there was one.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn remove(&self, team: TeamId) -> Result<bool, DiskError> {
        let path = self.path(team);
        match std::fs::remove_file(&path) {
            Ok(()) => {
                os::sync_parent(&path).map_err(DiskError::at("remove a team's key", &path))?;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(DiskError::new("remove a team's key", &path, error)),
        }
    }
}
