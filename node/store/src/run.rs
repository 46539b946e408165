//! What a running node leaves for the command line to find it, and the port it would like again.

use clankers_protocol::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{DiskError, Home, limits, os};

/// How to reach the running node: the content of `run/node.json`.
///
/// It may outlive a node that was killed: [`crate::holder`] knows whether one runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The node's id.
    pub id: NodeId,
    /// Its process.
    pub pid: u32,
    /// Its socket addresses, as text.
    pub addrs: Vec<String>,
    /// Its ticket.
    pub ticket: String,
    /// The relay that it uses.
    pub relay: Option<String>,
    /// Whether it announces itself by mDNS; none from a version that did not note it.
    #[serde(default)]
    pub mdns: Option<bool>,
    /// When it started.
    pub started: Timestamp,
}

impl RunInfo {
    /// Writes it, whole, for the owner alone.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn write(&self, home: &Home) -> Result<(), DiskError> {
        let path = home.run_info();
        let mut text = serde_json::to_vec(self)
            .map_err(|error| DiskError::new("write", &path, std::io::Error::other(error)))?;
        text.push(b'\n');
        os::replace(&path, &text).map_err(DiskError::at("write", &path))
    }

    /// Reads it; `None` when there is none or it is not readable as one (a node that starts writes it anew).
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn read(home: &Home) -> Result<Option<Self>, DiskError> {
        let path = home.run_info();
        let text = os::read_small(&path, limits::RUN_INFO_BYTES).map_err(DiskError::at("read", &path))?;
        Ok(text.and_then(|text| {
            serde_json::from_slice(&text)
                .inspect_err(
                    |error| tracing::warn!(%error, path = %path.display(), "not a node's description"),
                )
                .ok()
        }))
    }

    /// Removes it, if it is there.
    ///
    /// # Errors
    /// [`DiskError`].
    pub fn remove(home: &Home) -> Result<(), DiskError> {
        let path = home.run_info();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(DiskError::new("remove", &path, error))
            }
            _ => Ok(()),
        }
    }
}

/// The UDP port that the node had last, when it is remembered. A wish: anything unreadable is none.
#[must_use]
pub fn remembered_port(home: &Home) -> Option<u16> {
    let text = os::read_small(&home.port(), limits::PORT_FILE_BYTES).ok().flatten()?;
    let text = str::from_utf8(&text).ok()?;
    text.strip_suffix('\n')?.parse().ok().filter(|port| *port != 0)
}

/// Remembers the port for the next start.
///
/// # Errors
/// [`DiskError`].
pub fn remember_port(home: &Home, port: u16) -> Result<(), DiskError> {
    if remembered_port(home) == Some(port) {
        return Ok(());
    }
    let path = home.port();
    os::replace(&path, format!("{port}\n").as_bytes()).map_err(DiskError::at("write", &path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn written_read_removed() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        assert_eq!(RunInfo::read(&home).unwrap(), None);
        let info = RunInfo {
            id: NodeId([7; 32]),
            pid: 42,
            addrs: vec!["127.0.0.1:4433".into()],
            ticket: "endpointabc".into(),
            relay: None,
            mdns: Some(true),
            started: Timestamp(5),
        };
        info.write(&home).unwrap();
        assert_eq!(RunInfo::read(&home).unwrap(), Some(info));
        let mode = std::fs::metadata(home.run_info()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        RunInfo::remove(&home).unwrap();
        RunInfo::remove(&home).unwrap();
        assert_eq!(RunInfo::read(&home).unwrap(), None);
    }

    #[test]
    fn rubbish_is_no_description_and_no_port() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        for rubbish in ["", "{", "[]", "{\"id\":1}", "0\n", "65536\n", "80", "99999999999999\n"] {
            std::fs::write(home.run_info(), rubbish).unwrap();
            std::fs::write(home.port(), rubbish).unwrap();
            assert_eq!(RunInfo::read(&home).unwrap(), None, "{rubbish}");
            assert_eq!(remembered_port(&home), None, "{rubbish}");
        }
        remember_port(&home, 4433).unwrap();
        assert_eq!(remembered_port(&home), Some(4433));
    }
}
