//! Network namespaces, one a host, and what is left of those of a lab that was killed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Instant,
};

use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::limits::{KILLED, POLL};

/// Where `ip netns` keeps namespaces.
const SPACES: &str = "/run/netns";
/// Where `ip netns exec` finds files that take the place of those in `/etc`.
const ETC: &str = "/etc/netns";
/// Control sockets and small disks.
pub(crate) const RUN: &str = "/run/clankers-lab";
/// Beginning of every name here: `lab-PID-STARTED-COUNT`.
const PREFIX: &str = "lab-";

/// A name that no other lab has, and that tells whose it is: even when the process is gone and its id is another's.
pub(crate) fn fresh_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let pid = std::process::id();
    let started = started(pid).unwrap_or(0);
    format!("{PREFIX}{pid}-{started}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// When a living process began, clock ticks since the boot (proc_pid_stat(5), field 22).
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is a name in brackets, and may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    (!matches!(fields.next(), Some("Z" | "X"))).then(|| fields.nth(18)?.parse().ok())?
}

/// Whether the process that made something of this name still lives; `None` when the name is none of a lab's.
fn owner_lives(name: &str) -> Option<bool> {
    let mut parts = name.strip_prefix(PREFIX)?.split('-');
    let (pid, start): (u32, u64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some(started(pid) == Some(start))
}

fn names(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The labs that run now, and their hosts.
#[must_use]
pub fn living() -> BTreeSet<(String, String)> {
    let names = names(SPACES).into_iter().filter(|name| owner_lives(name) == Some(true));
    names
        .filter_map(|name| {
            let (lab, host) = name.rsplit_once('-')?;
            Some((lab.to_owned(), host.to_owned()))
        })
        .collect()
}

/// Removes what labs that were killed have left: namespaces with the processes in them, small disks, sockets. Tells
/// what.
#[must_use]
pub fn sweep() -> Vec<String> {
    let left = |directory| names(directory).into_iter().filter(|name| owner_lives(name) == Some(false));
    let mut swept = Vec::new();
    for name in left(SPACES) {
        swept.push(format!("namespace {name}"));
        drop(Space { name });
    }
    for name in left(ETC) {
        let _gone = fs::remove_dir_all(Path::new(ETC).join(name));
    }
    for name in left(RUN) {
        let path = Path::new(RUN).join(&name);
        // A disk is a directory; a namespace's end has killed who used it.
        let _no_disk = rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH);
        let _no_disk = fs::remove_dir(&path);
        let _no_socket = fs::remove_file(&path);
        swept.push(format!("{RUN}/{name}"));
    }
    swept
}

/// A network namespace. Dropping it kills what runs in it, and removes it.
#[derive(Debug)]
pub(crate) struct Space {
    name: String,
}

fn failed(what: &str, why: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{what}: {why}"))
}

fn ip(arguments: &[&str], input: &str) -> io::Result<String> {
    let mut command = Command::new("ip");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed("`ip` (package iproute2)", error))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed(&format!("`ip {}`", arguments.join(" ")), words.trim()))
}

impl Space {
    /// Makes one.
    pub(crate) fn add(name: String) -> io::Result<Self> {
        ip(&["netns", "add", &name], "")?;
        Ok(Self { name })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs lines of `ip` in it.
    pub(crate) fn ip(&self, lines: &str) -> io::Result<()> {
        ip(&["-n", &self.name, "-batch", "-"], lines).map(drop)
    }

    /// A program to run in it. The child is the program itself, not a wrapper: signals reach it.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        command(&self.name, program)
    }

    /// Does something on a thread that lives in it: sockets and devices made there stay there.
    pub(crate) fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> io::Result<T> {
        let file = File::open(Path::new(SPACES).join(&self.name))?;
        let enter = move || {
            move_into_link_name_space(std::os::fd::AsFd::as_fd(&file), Some(LinkNameSpaceType::Network))?;
            Ok(what())
        };
        thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Tells the programs in it the names of all hosts, by a file of its own in the place of `/etc/hosts`.
    pub(crate) fn names(&self, hosts: &[(String, Ipv4Addr)]) -> io::Result<()> {
        let directory = Path::new(ETC).join(&self.name);
        fs::create_dir_all(&directory)?;
        let mut text = String::from("127.0.0.1 localhost\n::1 localhost\n");
        for (name, address) in hosts {
            text.push_str(&format!("{address} {name}\n"));
        }
        // In place, not by renaming: it is mounted where programs run already.
        fs::write(directory.join("hosts"), text)
    }

    fn processes(&self) -> Vec<Pid> {
        let pids = ip(&["netns", "pids", &self.name], "").unwrap_or_default();
        pids.lines().filter_map(|line| line.trim().parse().ok().and_then(Pid::from_raw)).collect()
    }

    /// Kills everything that runs in it.
    fn kill(&self) {
        let own = Pid::from_raw(i32::try_from(std::process::id()).unwrap_or(0));
        let deadline = Instant::now() + KILLED;
        loop {
            let left: Vec<Pid> = self.processes().into_iter().filter(|pid| Some(*pid) != own).collect();
            if left.is_empty() || Instant::now() > deadline {
                return;
            }
            for pid in left {
                let _gone = kill_process(pid, Signal::KILL);
            }
            thread::sleep(POLL);
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.kill();
        let _gone = fs::remove_dir_all(Path::new(ETC).join(&self.name));
        if let Err(error) = ip(&["netns", "del", &self.name], "") {
            eprintln!("! a namespace is left, `lab sweep` removes it: {error}");
        }
    }
}

/// A program to run on a host of a lab, both by name. The process becomes the program.
pub fn on(lab: &str, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    command(&format!("{lab}-{host}"), program)
}

/// A program to run in the namespace of this name.
fn command(space: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space]).arg(program);
    command
}

/// The path of something of a lab beneath [`RUN`], whose directory exists then.
pub(crate) fn run_path(name: &str) -> io::Result<PathBuf> {
    fs::create_dir_all(RUN)?;
    Ok(Path::new(RUN).join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whether_their_owner_lives() {
        let name = fresh_name();
        assert_ne!(name, fresh_name());
        assert_eq!(owner_lives(&name), Some(true));
        assert_eq!(owner_lives(&format!("{name}-a")), Some(true));
        // The same id, another process.
        let pid = std::process::id();
        assert_eq!(owner_lives(&format!("lab-{pid}-1-0-a")), Some(false));
        for foreign in ["lab-", "lab-x-1-0", "lab-12", "cni-1-2-3", "laboratory"] {
            assert_eq!(owner_lives(foreign), None, "{foreign}");
        }
    }
}
