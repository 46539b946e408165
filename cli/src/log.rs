//! The node's log: one file in the home, bounded by turning it over once.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

/// Bytes of the log before it is turned over; one older file is kept.
const LOG_BYTES: u64 = 16 * 1024 * 1024;

/// What is logged when `CLANKERS_LOG` says nothing. Without internet the publisher of addresses would warn for ever, and
/// a connection warns of each path that went with it: neither is news, and nobody can do anything about them.
const DEFAULT_FILTER: &str = "warn,clankers=info,clankers_node=info,clankers_mesh=info,\
    iroh::address_lookup::pkarr=error,noq_proto::connection=error";

struct Open {
    file: File,
    bytes: u64,
}

/// The log as a writer; a write that fails is lost, the node goes on.
pub(crate) struct LogFile {
    path: PathBuf,
    open: Mutex<Open>,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        let open = append(path)?;
        Ok(Self { path: path.to_owned(), open: Mutex::new(open) })
    }
}

fn append(path: &Path) -> io::Result<Open> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let bytes = file.metadata()?.len();
    Ok(Open { file, bytes })
}

/// One line on its way.
pub(crate) struct Line<'a>(&'a LogFile);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut open = self.0.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes > LOG_BYTES {
            std::fs::rename(&self.0.path, self.0.path.with_extension("log.1"))?;
            *open = append(&self.0.path)?;
        }
        open.file.write_all(bytes)?;
        open.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogFile {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// Sends this process's traces to the log from now on.
pub(crate) fn start(path: &Path) -> io::Result<()> {
    let filter = std::env::var("CLANKERS_LOG").ok().filter(|f| !f.is_empty());
    let filter = EnvFilter::try_new(filter.as_deref().unwrap_or(DEFAULT_FILTER))
        .unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let log = LogFile::open(path)?;
    // A second call in one process would be a mistake of ours; the first log goes on then.
    let _second =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(log).try_init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_news_is_not_logged_and_other_warnings_are() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.log");
        let log = LogFile::open(&path).unwrap();
        let filter = EnvFilter::try_new(DEFAULT_FILTER).unwrap();
        let subscriber =
            tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(log).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "iroh::address_lookup::pkarr", "Failed to publish to pkarr");
            tracing::warn!(target: "noq_proto::connection", "failed closing path");
            tracing::error!(target: "noq_proto::connection", "this is grave");
            tracing::warn!(target: "iroh::socket", "this is told");
            tracing::info!(target: "clankers_node::teams", "so is this");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("pkarr") && !text.contains("closing path"), "{text}");
        for told in ["this is grave", "this is told", "so is this"] {
            assert!(text.contains(told), "{told}: {text}");
        }
    }
}
