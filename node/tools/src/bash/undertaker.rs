//! Children die with the node, even when it is killed.
//!
//! The kernel's own way (`PR_SET_PDEATHSIG`) needs code between fork and exec, which is unsafe in a threaded program,
//! and reaches only the shell, not its children. So the node keeps one small process, the undertaker: a shell script
//! that reads from a pipe whose other end only the node holds. However the node ends, the pipe closes, and the
//! undertaker kills every process that carries the node's mark in its environment. Where there is no `/proc` to see that,
//! it kills the process groups it was told of.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Pid;

/// The variable that every command and its children carry: the node's run, `/`, the session's number, `/`, the call's.
pub(super) const MARK: &str = "CLANKERS_TOOL_RUN";

/// `$1` is the node's run. Stops once nothing was found twice in a row (a command may just be starting), or after some 10 s.
const SCRIPT: &str = r#"
trap '' HUP INT TERM QUIT
live=
while read -r what group; do
  case $what in
    +) live="$live $group" ;;
    -) rest=; for other in $live; do [ "$other" = "$group" ] || rest="$rest $other"; done; live=$rest ;;
  esac
done
if ! [ -r /proc/self/environ ]; then
  for group in $live; do kill -KILL -- "-$group" 2>/dev/null; done
  exit 0
fi
quiet=0 rounds=0
while [ $quiet -lt 2 ] && [ $rounds -lt 200 ]; do
  found=$(grep -ls "CLANKERS_TOOL_RUN=$1/" /proc/[0-9]*/environ)
  if [ -z "$found" ]; then quiet=$((quiet + 1)); else quiet=0; fi
  for file in $found; do pid=${file#/proc/}; kill -KILL "${pid%/environ}" 2>/dev/null; done
  rounds=$((rounds + 1))
  sleep 0.05 2>/dev/null || sleep 1
done
"#;

static RUN: LazyLock<String> = LazyLock::new(|| {
    // The hasher's keys come from the system's random source; two nodes must not kill each other's children.
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
});
static CHILD: Mutex<Option<Child>> = Mutex::new(None);

/// A new session's mark: the beginning of the marks of all its calls.
pub(super) fn session_mark() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{}/{}/", *RUN, NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A new call's mark. Makes sure first that there is an undertaker.
///
/// # Errors
/// When none can be started: without it, a command could outlive the node.
pub(super) fn mark(session: &str) -> io::Result<String> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut child = CHILD.lock().unwrap_or_else(PoisonError::into_inner);
    let alive = child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
    if !alive {
        *child = Some(start()?);
    }
    // The end is marked too, so that no call's mark is the beginning of another's.
    Ok(format!("{session}{}/", NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn start() -> io::Result<Child> {
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "clankers-undertaker", &RUN])
        .current_dir("/")
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Not reached by a Ctrl-C that is meant for the node.
        .process_group(0)
        .spawn()?;
    if let Some(pipe) = &child.stdin {
        // A stopped undertaker must not stop the node.
        fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
    }
    Ok(child)
}

/// Tells it that a group is there (`+`) or gone (`-`). What cannot be told is found by the mark.
pub(super) fn tell(what: char, group: Pid) {
    let mut child = CHILD.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pipe) = child.as_mut().and_then(|child| child.stdin.as_mut()) {
        let _ = pipe.write_all(format!("{what} {}\n", group.as_raw_nonzero()).as_bytes());
    }
}
