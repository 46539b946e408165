//! Hosts and links of a running lab, to be used and changed.

use std::{
    ffi::OsStr,
    fs::{self, Permissions},
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::net::{Net, pairs};
use crate::{
    link::{Counts, Setting},
    words::{Links, host_name},
};

/// One host of a lab.
#[derive(Debug, Clone, Copy)]
pub struct Host<'a> {
    pub(super) net: &'a Net,
    pub(super) index: usize,
}

impl Host<'_> {
    /// Its name: a, b, c, ... Programs on the hosts can use it in place of the address.
    #[must_use]
    pub fn name(&self) -> String {
        host_name(self.index)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.net.addresses()[self.index]
    }

    /// The name of its namespace, for `ip netns exec`.
    #[must_use]
    pub fn space(&self) -> &str {
        self.net.spaces[self.index].name()
    }

    /// A program to run on it. The child that is spawned becomes the program: signals reach it, its id is the program's.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.net.spaces[self.index].command(program)
    }

    /// The same command on this host: program, arguments, directory, variables. What was said about its input and
    /// outputs, and a cleared environment, are to be said again: a command does not tell them.
    #[must_use]
    pub fn carry(&self, command: &Command) -> Command {
        let mut carried = self.command(command.get_program());
        carried.args(command.get_args());
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => carried.env(key, value),
                None => carried.env_remove(key),
            };
        }
        if let Some(directory) = command.get_current_dir() {
            carried.current_dir(directory);
        }
        carried
    }

    /// Writes a script that becomes `program` on this host, for who wants the path of a program: `directory/name-host`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn stand_in(&self, program: &Path, directory: &Path) -> PathBuf {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let path = directory.join(format!("{name}-{}", self.name()));
        let quoted = program.display().to_string().replace('\'', "'\\''");
        let text = format!("#!/bin/sh\nexec ip netns exec {} '{quoted}' \"$@\"\n", self.space());
        let written =
            fs::write(&path, text).and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o700)));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Does something on a thread in the host's network: a socket that is bound there stays there.
    ///
    /// # Panics
    /// When the closure does, or the namespace cannot be entered.
    pub fn inside<T: Send>(&self, what: impl FnOnce() -> T + Send) -> T {
        let done = self.net.spaces[self.index].inside(what);
        done.unwrap_or_else(|error| panic!("cannot enter {}: {error}", self.space()))
    }

    /// Gives it another address and takes the old one: what a change of networks does. Sockets bound to the old one
    /// are left behind.
    ///
    /// # Panics
    /// When the system refuses, or another host has it.
    pub fn move_to(&self, address: Ipv4Addr) {
        let done = self.net.move_host(self.index, address);
        done.unwrap_or_else(|error| panic!("cannot move {} to {address}: {error}", self.name()));
    }
}

/// One or more links, which are changed alike.
#[derive(Debug, Clone, Copy)]
pub struct LinkHandle<'a> {
    pub(super) net: &'a Net,
    pub(super) which: Links,
}

impl LinkHandle<'_> {
    /// Sets everything anew.
    pub fn set(&self, setting: &Setting) {
        self.net.each(self.which, |link, now| link.set(now, setting.clone()));
    }

    /// Changes what is set.
    pub fn update(&self, change: impl Fn(&mut Setting)) {
        self.net.each(self.which, |link, now| {
            let mut setting = link.setting().clone();
            change(&mut setting);
            link.set(now, setting);
        });
    }

    /// Nothing passes for so long.
    pub fn blackhole(&self, time: Duration) {
        self.net.each(self.which, |link, now| link.cut(now, Some(time)));
    }

    /// Nothing passes until [`LinkHandle::heal`].
    pub fn cut(&self) {
        self.net.each(self.which, |link, now| link.cut(now, None));
    }

    /// Lets frames pass again.
    pub fn heal(&self) {
        self.net.each(self.which, |link, _| link.heal());
    }

    /// What happened so far, over all of these links.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.net.relay.look(|switch, _| {
            for (from, to) in pairs(switch.hosts()).filter(|(from, to)| self.which.includes(*from, *to)) {
                sum += switch.counts(from, to);
            }
        });
        sum
    }
}
