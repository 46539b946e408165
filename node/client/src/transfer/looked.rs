//! What is to be sent, and its manifest: an entry has the same number in both.

use clankers_files::Source;
use clankers_protocol::transfer::manifest::{Manifest, ManifestLimits};

use super::TransferError;

/// A source and its manifest.
#[derive(Debug)]
pub struct Looked {
    source: Source,
    manifest: Manifest,
}

impl Looked {
    /// Lists a source.
    ///
    /// # Errors
    /// [`TransferError::Manifest`] when it is too large.
    pub fn of(source: Source) -> Result<Self, TransferError> {
        let manifest = source.manifest(ManifestLimits::default())?;
        Ok(Self { source, manifest })
    }

    /// The source.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}
