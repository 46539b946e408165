//! Where an answer goes: to standard output, or into a file that appears when the answer is whole.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::CliError;

/// Where an answer goes.
pub(crate) enum Out {
    /// Standard output, at once.
    Standard,
    /// A file beside the one that is meant, until all is well.
    File { writing: NamedTempFile, path: PathBuf },
}

impl Out {
    /// To `path`, when there is one. The file there stays as it is until [`Out::keep`].
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, CliError> {
        let Some(path) = path else { return Ok(Self::Standard) };
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let fail = |why: &dyn std::fmt::Display| {
            CliError::machine(format!("cannot write {}: {why}", path.display()))
                .hint("give a file in a directory that exists and that you may write to")
        };
        if path.is_dir() || path.file_name().is_none() {
            return Err(fail(&"it is a directory"));
        }
        let writing = tempfile::Builder::new()
            .prefix(".clankers-")
            .permissions(permissions(path))
            .tempfile_in(dir)
            .map_err(|error| fail(&error))?;
        Ok(Self::File { writing, path: path.to_owned() })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File { writing, .. } => writing.write_all(bytes),
        }
    }

    /// One JSON object.
    pub(crate) fn line(&mut self, value: &serde_json::Value) -> io::Result<()> {
        self.write(format!("{value}\n").as_bytes())
    }

    /// Puts the file in its place, whole.
    pub(crate) fn keep(self) -> io::Result<()> {
        let Self::File { writing, path } = self else { return Ok(()) };
        writing.as_file().sync_all()?;
        writing.persist(&path).map_err(|failed| failed.error)?;
        Ok(())
    }
}

/// Those of the file that is replaced, or of any new file.
fn permissions(path: &Path) -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    let old = path.metadata().ok().filter(std::fs::Metadata::is_file).map(|meta| meta.permissions());
    // What a new file gets is cut by the umask, as always.
    old.unwrap_or_else(|| std::fs::Permissions::from_mode(0o666))
}
