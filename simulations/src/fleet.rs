//! Several worlds at once: each alone in its thread, so that their number changes nothing.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    report::Report,
    scenario::{Outcome, Scenario},
    world::Setup,
};

/// Play a scenario in `seeds` worlds, `setup`'s seed being the first, on so many threads.
#[must_use]
pub fn play(scenario: Scenario, setup: &Setup, seeds: u64, threads: usize) -> Report {
    let next = AtomicU64::new(0);
    let outcomes: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= seeds {
                        return;
                    }
                    let setup = Setup { seed: setup.seed.wrapping_add(number), ..setup.clone() };
                    let outcome = scenario.play(&setup);
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Report::new(scenario, setup, outcomes)
}
