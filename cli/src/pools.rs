//! One memory pool for all threads of a node.
//!
//! glibc gives each thread a pool of its own, and each grows to what that thread once needed at most. Over days a node would
//! hold several times what it uses; with one pool it is reached within minutes ([decision 13](../../docs/decisions/0013-gossip-shell.md)
//! has figures). The number of pools is set by a variable that is read before a program begins.

/// How many pools there may be, in glibc's words.
pub(crate) const POOLS: &str = "MALLOC_ARENA_MAX";
/// What a node sets it to.
pub(crate) const ONE: &str = "1";

/// Becomes this very program again with one pool, unless somebody has said how many there are to be. Before any thread is
/// made. When that cannot be, it goes on as it is.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn share_one() {
    use std::os::unix::process::CommandExt as _;
    if std::env::var_os(POOLS).is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut words = std::env::args_os();
    let mut again = std::process::Command::new(program);
    if let Some(name) = words.next() {
        again.arg0(name);
    }
    // Returns only when it did not work.
    let _failed = again.args(words).env(POOLS, ONE).exec();
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn share_one() {}
