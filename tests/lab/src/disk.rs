//! Small disks, for what happens when one is full: a tmpfs of so many bytes.

use std::{
    ffi::CString,
    fs, io,
    path::{Path, PathBuf},
};

use rustix::{
    mount::{MountFlags, UnmountFlags, mount, unmount},
    process::geteuid,
};

use crate::{
    lab::skip,
    space::{fresh_name, run_path},
};

/// A mounted disk. Dropping it unmounts it; what is open stays readable to who has it open.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
}

impl Disk {
    /// A disk of this many bytes, rounded up to pages of 4,096; `None`, with the reason printed, where that is not
    /// allowed. Only root can make one.
    #[must_use]
    pub fn small(bytes: u64) -> Option<Self> {
        if !geteuid().is_root() {
            skip(&"only root can mount a small disk");
            return None;
        }
        match Self::try_small(bytes) {
            Ok(disk) => Some(disk),
            Err(error) => {
                skip(&format!("cannot mount a small disk: {error}"));
                None
            }
        }
    }

    fn try_small(bytes: u64) -> io::Result<Self> {
        let path = run_path(&fresh_name())?;
        fs::create_dir(&path)?;
        let options = CString::new(format!("size={},mode=0700", bytes.max(1)))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        if let Err(error) = mount("clankers-lab", &path, "tmpfs", flags, options.as_c_str()) {
            let _empty = fs::remove_dir(&path);
            return Err(error.into());
        }
        Ok(Self { path })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that can still be written.
    ///
    /// # Panics
    /// When the disk does not answer.
    #[must_use]
    pub fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.path)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        stat.f_bavail * stat.f_frsize
    }

    /// Fills it to the last byte, with a file named `ballast`: remove that to make room again.
    ///
    /// # Panics
    /// When it cannot.
    pub fn fill(&self) -> PathBuf {
        let path = self.path.join("ballast");
        let block = [0; 4096];
        let mut file = fs::File::create(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        loop {
            match io::Write::write(&mut file, &block) {
                Ok(1..) => {}
                Ok(0) => return path,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => return path,
                Err(error) => panic!("{}: {error}", path.display()),
            }
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Err(error) = unmount(&self.path, UnmountFlags::DETACH) {
            eprintln!("! a disk is left at {}, `lab sweep` removes it: {error}", self.path.display());
        }
        let _gone = fs::remove_dir(&self.path);
    }
}
