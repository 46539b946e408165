//! Networks that misbehave as told, disks that fail as told: for tests with real processes, and by hand (docs/lab.md).
//!
//! - [`link`]: one direction between two hosts, as a machine: delay, jitter, loss, rate, reordering, duplication,
//!   corruption, cuts; seeded
//! - [`switch`]: all links of a lab, as a machine: who gets which frame when
//! - [`words`]: the commands by which a running lab is changed
//! - [`lab`]: hosts in network namespaces, and a thread that does what the switch says
//! - [`space`]: those namespaces; what a killed lab has left
//! - [`inject`]: a program whose Nth system call fails or kills it (strace)
//! - [`disk`]: small disks that are soon full (tmpfs)
//!
//! ```no_run
//! # use std::time::Duration;
//! # use clankers_lab::Lab;
//! // None, and why, where there is no root, no /dev/net/tun, no `ip`.
//! let Some(lab) = Lab::builder().hosts(2).delay(Duration::from_millis(50)).seed(7).start() else { return };
//! let server = lab.host(1).command("iperf3").arg("-s").spawn();
//! lab.between(0, 1).blackhole(Duration::from_secs(5));
//! lab.host(0).move_to([10, 0, 0, 9].into());
//! ```
//!
//! Programs run unmodified: each host's network is the kernel's own, with an `eth0`. Linux only; elsewhere the pure
//! parts are built, and tests skip.

// A lab is test code: what goes wrong in it must fail the test at once, with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

pub mod limits;
pub mod link;
pub mod switch;
pub mod words;

#[cfg(target_os = "linux")]
pub mod control;
#[cfg(target_os = "linux")]
pub mod disk;
#[cfg(target_os = "linux")]
pub mod inject;
#[cfg(target_os = "linux")]
pub mod lab;
#[cfg(target_os = "linux")]
mod relay;
#[cfg(target_os = "linux")]
pub mod space;

#[cfg(target_os = "linux")]
pub use disk::Disk;
#[cfg(target_os = "linux")]
pub use inject::Inject;
#[cfg(target_os = "linux")]
pub use lab::{Lab, LabError};
pub use link::Setting;
