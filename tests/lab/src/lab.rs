//! A lab from Rust: hosts, links between them, programs on them.

mod builder;
mod handle;
mod net;

use std::{
    io,
    sync::{Arc, Weak},
    thread::{self, JoinHandle},
    time::Instant,
};

use thiserror::Error;

pub(crate) use self::builder::skip;
use self::net::Net;
pub use self::{
    builder::Builder,
    handle::{Host, LinkHandle},
};
use crate::{
    limits::{HOSTS, KILLED, POLL},
    link::Setting,
    words::{BadWords, Command as Word, Links, change, command},
};

/// The environment variable that turns "skipped" into a failure: for machines where the lab is known to work.
pub const REQUIRED: &str = "LAB_REQUIRED";

/// Why there is no lab.
#[derive(Debug, Error)]
pub enum LabError {
    /// Something that the lab needs is not here.
    #[error("{what} is missing; {hint}")]
    Missing {
        /// What.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// More hosts than there may be.
    #[error("{0} hosts; between 1 and {HOSTS} are possible")]
    Hosts(usize),
    /// The system refused.
    #[error("cannot set up the lab: {0}; `lab sweep` removes what is left")]
    System(#[from] io::Error),
    /// A command was not understood.
    #[error(transparent)]
    Words(#[from] BadWords),
}

/// Hosts in namespaces of their own, and links between them. Dropping it kills what runs on the hosts.
#[derive(Debug)]
pub struct Lab {
    net: Arc<Net>,
    thread: Option<JoinHandle<()>>,
}

impl Lab {
    /// Two hosts and perfect links, unless more is said.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn running(net: Arc<Net>, thread: JoinHandle<()>) -> Self {
        Self { net, thread: Some(thread) }
    }

    /// Its name: `lab-PID-STARTED-COUNT`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.net.name
    }

    /// How many hosts.
    #[must_use]
    pub fn hosts(&self) -> usize {
        self.net.spaces.len()
    }

    /// A host by its number.
    ///
    /// # Panics
    /// When there is none of this number.
    #[must_use]
    pub fn host(&self, index: usize) -> Host<'_> {
        assert!(index < self.hosts(), "host {index} of {}", self.hosts());
        Host { net: &self.net, index }
    }

    /// The link from one host to another.
    #[must_use]
    pub fn link(&self, from: usize, to: usize) -> LinkHandle<'_> {
        LinkHandle { net: &self.net, which: Links { from: Some(from), to: Some(to), both: false } }
    }

    /// Both links between two hosts.
    #[must_use]
    pub fn between(&self, one: usize, other: usize) -> LinkHandle<'_> {
        LinkHandle { net: &self.net, which: Links { from: Some(one), to: Some(other), both: true } }
    }

    /// Every link.
    #[must_use]
    pub fn links(&self) -> LinkHandle<'_> {
        LinkHandle { net: &self.net, which: Links::ALL }
    }

    /// What can steer the lab from other threads.
    #[must_use]
    pub fn control(&self) -> Control {
        Control { net: Arc::downgrade(&self.net), hosts: self.hosts() }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.net.relay.end();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
        // A command that is being carried out holds the lab: it is to end here, not on a thread that dies with us.
        let deadline = Instant::now() + KILLED;
        while Arc::strong_count(&self.net) > 1 && Instant::now() < deadline {
            thread::sleep(POLL);
        }
    }
}

/// Steers a lab by [words](crate::words) as long as there is one.
#[derive(Debug, Clone)]
pub struct Control {
    net: Weak<Net>,
    hosts: usize,
}

impl Control {
    /// Carries out one line, and answers what it has to say. `quit` does nothing here; `sleep` sleeps.
    ///
    /// # Errors
    /// When it is not understood, the system refuses, or the lab is no more.
    pub fn run(&self, line: &str) -> Result<String, LabError> {
        let word = command(line, self.hosts)?;
        if let Some(Word::Sleep(time)) = word {
            thread::sleep(time);
            return Ok(String::new());
        }
        let net = self.net.upgrade().ok_or_else(|| io::Error::other("the lab has ended"))?;
        match word {
            None | Some(Word::Quit | Word::Sleep(_)) => {}
            Some(Word::Show) => return Ok(net.show()),
            Some(Word::Move(host, to)) => net.move_host(host, to)?,
            Some(Word::Clear(which)) => net.each(which, |link, now| link.set(now, Setting::default())),
            Some(Word::Cut(which, time)) => net.each(which, |link, now| link.cut(now, time)),
            Some(Word::Heal(which)) => net.each(which, |link, _| link.heal()),
            Some(Word::Set(which, pairs)) => net.each(which, |link, now| {
                let mut setting = link.setting().clone();
                for (key, value) in &pairs {
                    // Tried when it was parsed.
                    let _known = change(&mut setting, key, value);
                }
                link.set(now, setting);
            }),
        }
        Ok(String::new())
    }
}
