//! The demo: the main job, with the commands that a person would type and what they really print.
//!
//! Three machines are played by three homes in temporary directories, on the loopback interface. Every line after
//! a prompt is a process that was spawned; a step that does not do what it says fails the demo.

mod files;
mod machine;
mod steps;
mod team;

use std::time::Instant;

use clankers_protocol::refusal::ExitKind;

use self::machine::Stage;
use crate::{
    args::DemoArgs,
    error::{CliError, Outcome},
    output, signals,
};

/// Runs the demo; whatever happens, no node is left running, and no directory unless it is asked for.
pub(crate) async fn run(args: DemoArgs) -> Outcome {
    let begun = Instant::now();
    let mut signals = signals::StopSignals::new()?;
    let mut stage = Stage::set()?;
    let done = tokio::select! {
        done = steps::play(&mut stage) => done,
        signal = signals.next() => {
            Err(CliError::new(ExitKind::Interrupted, format!("the demo was ended by {signal}")))
        }
    };
    let kept = stage.strike(args.keep).await;
    done?;
    let took = begun.elapsed().as_secs_f64();
    let left = match kept {
        Some(kept) => format!("The three homes are kept in {}.", kept.display()),
        None => "Nothing is left running or behind.".to_owned(),
    };
    Ok(output::lines(["", format!("✓ The demo ran in {took:.1} s. {left}").as_str()])?)
}
