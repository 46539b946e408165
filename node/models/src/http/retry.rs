//! Whether to try again, and telling of it.

use super::{
    Fault,
    fault::{self, Again},
};
use crate::{
    error::ModelError,
    settings::Timing,
    sink::{Notice, Sink},
};

/// The tries of one call.
#[derive(Debug)]
pub(crate) struct Retry<'a> {
    timing: &'a Timing,
    tries: u32,
}

impl<'a> Retry<'a> {
    pub(crate) fn new(timing: &'a Timing) -> Self {
        Self { timing, tries: 0 }
    }

    /// After a failed try: returns when it is time for the next one.
    ///
    /// # Errors
    /// The failure itself when there is no next one: it cannot get better, there were enough tries, or something was
    /// said already, which would be said twice.
    pub(crate) async fn next(&mut self, fault: Fault, sink: &Sink) -> Result<(), ModelError> {
        self.tries += 1;
        let mut error = fault.error;
        error.tries = self.tries;
        if fault.again == Again::Never || sink.has_sent() || self.tries >= self.timing.tries {
            return Err(error);
        }
        let mut random = [0; 4];
        // Without randomness the pause is only less well spread.
        let _ = getrandom::fill(&mut random);
        let random = u32::from_le_bytes(random);
        let timing = self.timing;
        let pause = fault::pause(fault.again, self.tries, timing.backoff, timing.retry_after_max, random);
        tracing::info!(%error, tries = self.tries, ?pause, "the model call is tried again");
        sink.tell(&Notice::Retry { error, tries: self.tries, pause });
        sink.pause(pause).await
    }
}
