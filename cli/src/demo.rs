//! The demo: the main job, with the commands that a person would type and what they really print.
//!
//! Two machines are played by two homes in temporary directories, on the loopback interface. Every line after
//! a prompt is a process that was spawned; a step that does not do what it says fails the demo.

mod machine;
mod steps;

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
    if let Some(kept) = kept {
        output::lines([format!("\nThe two homes are kept in {}", kept.display()).as_str()])?;
    }
    let took = begun.elapsed().as_secs_f64();
    Ok(output::lines([
        "",
        format!("✓ The demo ran in {took:.1} s. Nothing is left running or behind.").as_str(),
        "  Yours now: clankers daemon start -d    (then: clankers rpc id, on both machines)",
    ])?)
}
