//! A tree of files that something is read from, and how far its links are followed.

use std::{
    fmt, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::{
    os::{self, Head},
    places::Origin,
};

/// Why a file is not read. Clean text.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is none.
    Missing,
    /// A link leads out of the project, or to something that is not Markdown.
    Link,
    /// Not a regular file, not readable, ...
    Other(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Link => f.write_str(
                "it is a link out of its directory, or to a file that is not Markdown; put the file itself there",
            ),
            Self::Other(error) => write!(f, "{error}"),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ if os::is_link_error(&error) => Self::Link,
            _ => Self::Other(error),
        }
    }
}

/// The user's files or the project's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// Where paths begin; canonical.
    pub(crate) base: PathBuf,
    /// Whose it is: the user's own links may lead anywhere (to the owner's collection of settings, say), a project's
    /// stay within the project.
    pub(crate) origin: Origin,
}

impl Source {
    /// Reads the beginning of the Markdown file at `rel`.
    pub(crate) fn head(&self, rel: &Path, limit: usize) -> Result<Head, Trouble> {
        let fd = match self.origin {
            Origin::User => os::open(&self.base.join(rel))?,
            Origin::Project => self.open_inside(rel, is_markdown)?,
        };
        Ok(os::read_head(fd, limit)?)
    }

    /// The names in the directory at `rel`, sorted; whether there were too many.
    pub(crate) fn names(&self, rel: &Path) -> Result<(Vec<std::ffi::OsString>, bool), Trouble> {
        let fd = match self.origin {
            Origin::User => os::open(&self.base.join(rel))?,
            Origin::Project => self.open_inside(rel, |_| true)?,
        };
        match os::names(&fd) {
            Err(error) if os::is_link_error(&error) => Err(Trouble::Missing),
            names => Ok(names?),
        }
    }

    /// Opens beneath the base. A link is resolved once by name and its target then opened without any link, so that
    /// whatever changes meanwhile, what is opened lies beneath the base.
    fn open_inside(&self, rel: &Path, may_be: fn(&Path) -> bool) -> Result<OwnedFd, Trouble> {
        match os::open_beneath(&self.base, rel) {
            Err(error) if os::is_link_error(&error) => {}
            opened => return Ok(opened?),
        }
        let real = self.base.join(rel).canonicalize()?;
        let inside = real.strip_prefix(&self.base).map_err(|_| Trouble::Link)?;
        if !may_be(inside) {
            return Err(Trouble::Link);
        }
        Ok(os::open_beneath(&self.base, inside)?)
    }
}

/// A committed link could make any file of the working tree part of a prompt, a `.env` for one. Only Markdown may be.
fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|end| end.eq_ignore_ascii_case("md"))
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::symlink,
        sync::mpsc,
        time::{Duration, Instant},
    };

    use super::*;

    fn project() -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap().join("project");
        fs::create_dir_all(base.join("sub")).unwrap();
        fs::write(base.join("A.md"), "a").unwrap();
        fs::write(base.join("sub/B.md"), "b").unwrap();
        fs::write(base.join(".env"), "SECRET").unwrap();
        fs::write(dir.path().join("out.md"), "outside").unwrap();
        (dir, Source { base, origin: Origin::Project })
    }

    fn read(source: &Source, rel: &str) -> Result<String, Trouble> {
        source.head(Path::new(rel), 100).map(|head| String::from_utf8(head.bytes).unwrap())
    }

    #[test]
    fn links_inside_are_followed_and_links_out_are_not() {
        let (_dir, source) = project();
        let link = |to: &str, at: &str| symlink(to, source.base.join(at)).unwrap();
        link("A.md", "same.md");
        link("sub", "dir");
        link("../out.md", "out.md");
        link("/etc/passwd", "passwd.md");
        link(".env", "env.md");
        link("loop.md", "loop.md");
        link("..", "up");
        assert_eq!(read(&source, "same.md").unwrap(), "a");
        assert_eq!(read(&source, "dir/B.md").unwrap(), "b");
        for bad in ["out.md", "passwd.md", "env.md", "up/out.md"] {
            assert!(matches!(read(&source, bad), Err(Trouble::Link)), "{bad}");
        }
        assert!(read(&source, "loop.md").is_err());
        assert!(matches!(source.names(Path::new("up")), Err(Trouble::Link)));
        assert!(read(&source, "../out.md").is_err() && read(&source, "/etc/passwd").is_err());
    }

    #[test]
    fn the_owners_links_lead_anywhere() {
        let (dir, mut source) = project();
        source.origin = Origin::User;
        symlink(dir.path().join("out.md"), source.base.join("mine.md")).unwrap();
        assert_eq!(read(&source, "mine.md").unwrap(), "outside");
    }

    #[test]
    fn pipes_devices_and_directories_are_refused_at_once() {
        let (_dir, source) = project();
        let fifo = source.base.join("pipe.md");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let mine = Source { origin: Origin::User, ..source.clone() };
        symlink("/dev/zero", source.base.join("zero.md")).unwrap();
        let (done, wait) = mpsc::sync_channel(1);
        std::thread::spawn(move || {
            let refused = |s: &Source, rel: &str| matches!(read(s, rel), Err(Trouble::Other(_)));
            let all = refused(&source, "pipe.md") && refused(&mine, "pipe.md");
            done.send(all && refused(&mine, "zero.md") && refused(&source, "sub")).unwrap();
        });
        assert!(wait.recv_timeout(Duration::from_secs(20)).unwrap());
    }

    #[test]
    fn a_sparse_giant_costs_its_limit() {
        let (_dir, source) = project();
        let big = fs::File::create(source.base.join("big.md")).unwrap();
        big.set_len(1 << 30).unwrap();
        let began = Instant::now();
        let head = source.head(Path::new("big.md"), 1000).unwrap();
        assert_eq!((head.bytes.len(), head.total, head.is_whole()), (1000, 1 << 30, false));
        assert!(head.bytes.capacity() < 100_000 && began.elapsed() < Duration::from_secs(20));
    }
}
