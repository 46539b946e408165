//! The bars: ours beside raw iroh, raw quinn and TCP, in one run, in interleaved rounds.
//!
//! ```text
//! cargo bench -p clankers --bench bars                       # all figures, a table
//! cargo bench -p clankers --bench bars -- --json FILE        # and as JSON
//! cargo bench -p clankers --bench bars -- --rounds 15 ping authorize
//! cargo bench -p clankers --bench bars -- --list             # names of the figures
//! ```
//!
//! The figures of transfers use shared memory where there is some. `CLANKERS_BENCH_SENDME` is the path of a `sendme` to measure
//! beside, `CLANKERS_BENCH_TRANSFER_MIB` the size of the one file (1024), `CLANKERS_BENCH_MEMORY_MIB` that of the file whose
//! sender's and receiver's memory is watched (2048; the bar speaks of 10240).
//!
//! Both ends of everything are processes of their own: ours of the real binary in release, the baselines' of this
//! program, started again as `baseline-serve` and `baseline-ping`. It waits until the machine is quiet (load average
//! at most 1) and refuses to measure when it does not get quiet; `--force` measures anyway. A missed bar is
//! reported as it is: the exit code is 0 unless something could not be measured.

// A bench is test code: what goes wrong must end it at once, with its reason.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod limits;
mod options;
mod peers;
mod report;
mod rows;

use std::{process::ExitCode, thread, time::Instant};

use clankers_tests::{baseline, home, load, process, stats::micros};

use crate::{
    limits::{LOAD_MAX, QUIET_LOOK, QUIET_WAIT},
    options::{Mode, Options},
    report::Report,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match Mode::parse(&arguments) {
        Err(message) => {
            eprintln!("✗ {message}");
            ExitCode::from(2)
        }
        Ok(Mode::Serve(carrier)) => {
            baseline::serve(carrier);
            ExitCode::SUCCESS
        }
        Ok(Mode::ServeBulk) => {
            baseline::serve_bulk();
            ExitCode::SUCCESS
        }
        Ok(Mode::Bulk { at, bytes }) => {
            println!("{:.1}", micros(baseline::send_bulk(&at, bytes)));
            ExitCode::SUCCESS
        }
        Ok(Mode::Ping { carrier, at, count }) => {
            for time in baseline::ping(carrier, &at, count) {
                println!("{:.1}", micros(time));
            }
            ExitCode::SUCCESS
        }
        // `cargo test --benches` runs this too; measuring is not testing.
        Ok(Mode::NotABench) => ExitCode::SUCCESS,
        Ok(Mode::List) => {
            rows::ALL.iter().for_each(|row| println!("{:<14} {}", row.name, row.about));
            ExitCode::SUCCESS
        }
        Ok(Mode::Measure(options)) => measure(&options),
    }
}

fn measure(options: &Options) -> ExitCode {
    kill_children_when_interrupted();
    if !quiet(options.force) {
        return ExitCode::FAILURE;
    }
    let lab = peers::Lab::new(options.rounds);
    let mut report = Report::new(options.rounds);
    for row in rows::ALL.iter().filter(|row| options.wants(row.name)) {
        let began = Instant::now();
        eprintln!("… {}", row.about);
        report.extend((row.measure)(&lab));
        eprintln!("  {:.1} s", began.elapsed().as_secs_f64());
    }
    println!("{}", report.table());
    if let Some(path) = &options.json {
        let text = format!("{:#}\n", report.json());
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("✗ cannot write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Waits until the machine is quiet. Whether to measure.
fn quiet(force: bool) -> bool {
    let began = Instant::now();
    let mut told = false;
    loop {
        let Some(load) = load::load_average().filter(|load| *load > LOAD_MAX) else { return true };
        if force {
            eprintln!("! the load average is {load:.2}: the figures are of a busy machine (--force)");
            return true;
        }
        if began.elapsed() > QUIET_WAIT {
            eprintln!(
                "✗ the load average is still {load:.2} after {QUIET_WAIT:?}, over {LOAD_MAX}: not measuring"
            );
            eprintln!("  stop what else runs here, or measure anyway with --force");
            return false;
        }
        if !told {
            eprintln!(
                "… the load average is {load:.2}: waiting for {LOAD_MAX} (a build has just ended?); --force does not wait"
            );
            told = true;
        }
        thread::sleep(QUIET_LOOK);
    }
}

fn kill_children_when_interrupted() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            let mut terminated = tokio::signal::unix::signal(kind).expect("signals");
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        });
        process::kill_all();
        home::remove_all();
        rows::transfer::remove_all();
        std::process::exit(130);
    });
}
