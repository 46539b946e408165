//! A command's process tree, and its end.
//!
//! The process group holds most of it; a child that made a group or session of its own is found by its parents, or by
//! the mark that every child inherits in its environment. (A process that both left the tree and cleared its
//! environment is not found; so little is promised.)

use rustix::process::{Pid, Signal, kill_process_group};

use super::undertaker;

/// The processes that one shell call started.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    group: Option<Pid>,
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    mark: String,
}

impl Tree {
    /// The tree of a shell that leads its own group.
    pub(super) fn new(pid: Option<u32>, mark: String) -> Self {
        Self { group: pid.and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw), mark }
    }

    /// Whatever the commands of a session left running.
    pub(super) fn leftovers(session_mark: String) -> Self {
        Self { group: None, mark: session_mark }
    }

    /// Tells the undertaker about it.
    pub(super) fn announce(&self) {
        if let Some(group) = self.group {
            undertaker::tell('+', group);
        }
    }

    /// Tells the undertaker that it is gone.
    pub(super) fn forget(&self) {
        if let Some(group) = self.group {
            undertaker::tell('-', group);
        }
    }

    /// One blow, without waiting.
    pub(super) fn kill_once(&self) -> usize {
        // Looked up first: once the shell is dead, its children have another parent.
        #[cfg(target_os = "linux")]
        let mut found = linux::descendants(self.group);
        if let Some(group) = self.group {
            // ESRCH means that nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
        #[cfg(target_os = "linux")]
        {
            found.extend(linux::marked(&self.mark));
            found.iter().filter(|process| process.kill()).count()
        }
        #[cfg(not(target_os = "linux"))]
        0
    }

    /// Blow after blow until nothing of it is found: a storm of forks can outrun a single one. Blocks for some
    /// milliseconds to a few seconds.
    pub(super) fn kill(&self) {
        for _ in 0..crate::limits::KILL_ROUNDS_MAX {
            if self.kill_once() == 0 {
                return;
            }
            std::thread::sleep(crate::limits::KILL_PAUSE);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{HashMap, HashSet};
    use std::fs;
    use std::os::fd::OwnedFd;

    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

    use super::undertaker;

    /// A process held by a handle, so that its number cannot be another's when it is killed.
    #[derive(Debug)]
    pub(super) struct Process(OwnedFd);

    impl Process {
        fn open(pid: i32, still: impl Fn() -> bool) -> Option<Self> {
            let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            still().then_some(Self(handle))
        }

        /// Whether it was there to be killed.
        pub(super) fn kill(&self) -> bool {
            pidfd_send_signal(&self.0, Signal::KILL).is_ok()
        }
    }

    fn pids() -> Vec<i32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
    }

    /// The parent and the start time (clock ticks since boot) of a process that is not a zombie; proc(5).
    fn parent(pid: i32) -> Option<(i32, u64)> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold anything, parentheses included.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        if fields.next()? == "Z" {
            return None;
        }
        let parent = fields.next()?.parse().ok()?;
        Some((parent, fields.nth(17)?.parse().ok()?))
    }

    /// The children of `root`, theirs, and so on; without `root`.
    pub(super) fn descendants(root: Option<Pid>) -> Vec<Process> {
        let Some(root) = root else { return Vec::new() };
        let all: HashMap<i32, (i32, u64)> =
            pids().into_iter().filter_map(|pid| parent(pid).map(|parent| (pid, parent))).collect();
        let mut tree = HashSet::from([root.as_raw_nonzero().get()]);
        loop {
            let before = tree.len();
            let more: Vec<i32> =
                all.iter().filter(|(_, (parent, _))| tree.contains(parent)).map(|(pid, _)| *pid).collect();
            tree.extend(more);
            if tree.len() == before {
                break;
            }
        }
        tree.remove(&root.as_raw_nonzero().get());
        let same = |pid: i32| all.get(&pid).map(|p| p.1) == parent(pid).map(|p| p.1);
        tree.into_iter().filter_map(|pid| Process::open(pid, || same(pid))).collect()
    }

    /// The processes whose mark begins so.
    pub(super) fn marked(mark: &str) -> Vec<Process> {
        let want = format!("{}={mark}", undertaker::MARK);
        let carries = |pid: i32| {
            fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                environ.split(|byte| *byte == 0).any(|var| var.starts_with(want.as_bytes()))
            })
        };
        pids()
            .into_iter()
            .filter(|pid| carries(*pid))
            .filter_map(|pid| Process::open(pid, || carries(pid)))
            .collect()
    }
}
