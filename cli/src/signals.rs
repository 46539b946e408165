//! Ctrl-C and SIGTERM as events.

use std::io;

/// Interrupts from the terminal; and, for a command whose work ends with it, whatever asks it to end.
pub(crate) struct Interrupts(tokio::signal::unix::Signal, Option<StopSignals>);

impl Interrupts {
    /// From now on Ctrl-C is an event, not the end.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, None))
    }

    /// The same with SIGTERM and SIGHUP, for what runs in this process and would be lost with it.
    pub(crate) fn and_ends() -> io::Result<Self> {
        Ok(Self(Self::new()?.0, Some(StopSignals::new()?)))
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        let ends = async {
            match &mut self.1 {
                Some(signals) => signals.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            interrupt = self.0.recv() => match interrupt {
                Some(()) => {}
                None => std::future::pending().await,
            },
            () = ends => {}
        }
    }
}

/// What asks a process to end: Ctrl-C, SIGTERM, SIGHUP.
pub(crate) struct StopSignals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl StopSignals {
    /// From now on they are events, not the end.
    pub(crate) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one but Ctrl-C. Cancel-safe.
    async fn ended(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }

    /// The next one, by name. Cancel-safe.
    pub(crate) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.hangup.recv() => "SIGHUP",
        }
    }
}
