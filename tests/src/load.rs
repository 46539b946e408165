//! How busy the machine is, and how much memory a process has.

use std::{fs, time::Duration};

/// The load average of the last minute, where the system tells.
#[must_use]
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

/// A field of `/proc/PID/status` in bytes: `VmRSS` now, `VmHWM` at its highest.
#[must_use]
pub fn memory(pid: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Processor time that a process has used, user and system, at the system's grain of 10 ms.
#[must_use]
pub fn cpu_time(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}

/// Open descriptors of a process.
#[must_use]
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Threads of a process.
#[must_use]
pub fn threads(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/task")).ok()?.count())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_some_of_each() {
        let me = std::process::id();
        let (now, most) = (memory(me, "VmRSS").unwrap(), memory(me, "VmHWM").unwrap());
        assert!(now > 100_000 && most > 100_000, "{now} {most}");
        assert!(descriptors(me).unwrap() >= 3 && threads(me).unwrap() >= 1);
        assert!(cpu_time(me).is_some() && load_average().is_some());
        assert_eq!(memory(0, "VmRSS"), None);
    }
}
