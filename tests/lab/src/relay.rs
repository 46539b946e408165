//! The thread that moves frames between the hosts' devices: it waits, asks the switch, and does what the switch says.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use tun_rs::SyncDevice;

use crate::{
    limits::{FRAME_BYTES, READS},
    switch::Switch,
};

/// What the relay's thread and those who steer it share.
#[derive(Debug)]
pub(crate) struct Relay {
    start: Instant,
    switch: Mutex<Switch>,
    /// Written to when the switch was changed from outside, or the end has come.
    wake: OwnedFd,
    ended: AtomicBool,
    /// Frames that a host's device refused: it is down, or its queue is full.
    refused: AtomicU64,
}

impl Relay {
    pub(crate) fn new(switch: Switch) -> io::Result<Self> {
        Ok(Self {
            start: Instant::now(),
            switch: Mutex::new(switch),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            ended: AtomicBool::new(false),
            refused: AtomicU64::new(0),
        })
    }

    /// Time of the links: since the lab began.
    pub(crate) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the switch.
    pub(crate) fn look<T>(&self, what: impl FnOnce(&Switch, Duration) -> T) -> T {
        what(&self.lock(), self.now())
    }

    /// Changes the switch; the thread is told.
    pub(crate) fn with<T>(&self, what: impl FnOnce(&mut Switch, Duration) -> T) -> T {
        let mut switch = self.lock();
        let done = what(&mut switch, self.now());
        drop(switch);
        self.wake();
        done
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        // A counter that is full wakes as well.
        let _full = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }

    /// Moves frames until [`Relay::end`]. Device i belongs to host i.
    pub(crate) fn run(&self, devices: &[SyncDevice]) {
        let mut alive = vec![true; devices.len()];
        let mut buffer = vec![0; FRAME_BYTES];
        let mut out = Vec::new();
        while !self.ended.load(Ordering::Acquire) {
            let next = self.lock().next();
            let patience = next.map(|next| next.saturating_sub(self.now()));
            let ready = wait(self.wake.as_fd(), devices, &alive, patience);
            let mut drained = [0; 8];
            let _nothing = rustix::io::read(&self.wake, &mut drained);
            for (host, flags) in ready {
                if flags.contains(PollFlags::IN) {
                    alive[host] = self.read(host, &devices[host], &mut buffer, &mut out);
                } else {
                    // Somebody deleted the device.
                    alive[host] = false;
                }
            }
            self.lock().due(self.now(), &mut out);
            for (host, frame) in out.drain(..) {
                if !matches!(rustix::io::write(&devices[host], &frame), Ok(sent) if sent == frame.len()) {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Takes what a host has sent; false when its device is gone.
    fn read(
        &self,
        host: usize,
        device: &SyncDevice,
        buffer: &mut [u8],
        out: &mut Vec<(usize, Bytes)>,
    ) -> bool {
        for _ in 0..READS {
            match rustix::io::read(device, &mut *buffer) {
                Ok(0) | Err(Errno::AGAIN | Errno::INTR | Errno::IO) => return true,
                Ok(size) => {
                    let frame = Bytes::copy_from_slice(&buffer[..size]);
                    self.lock().arrive(self.now(), host, frame, out);
                }
                Err(_) => return false,
            }
        }
        true
    }
}

/// Waits until a device has a frame, somebody wakes us, or the time has come.
fn wait(
    wake: BorrowedFd<'_>,
    devices: &[SyncDevice],
    alive: &[bool],
    patience: Option<Duration>,
) -> Vec<(usize, PollFlags)> {
    let hosts: Vec<usize> = (0..devices.len()).filter(|host| alive[*host]).collect();
    let mut fds = vec![PollFd::from_borrowed_fd(wake, PollFlags::IN)];
    fds.extend(hosts.iter().map(|host| PollFd::new(&devices[*host], PollFlags::IN)));
    let patience =
        patience.map(|time| Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
    match poll(&mut fds, patience.as_ref()) {
        Ok(_) => {}
        // A signal: look at everything that is due, then wait again.
        Err(Errno::INTR) => return Vec::new(),
        Err(error) => panic!("cannot wait for the lab's devices: {error}"),
    }
    let ready = hosts.iter().zip(&fds[1..]).map(|(host, fd)| (*host, fd.revents()));
    ready.filter(|(_, flags)| !flags.is_empty()).collect()
}
