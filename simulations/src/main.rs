//! `simulations run SCENARIO`: worlds by hand. See docs/simulations.md.

use std::{path::PathBuf, process::ExitCode, time::Instant};

use clankers_simulations::{fleet, limits, plots, scenario::Scenario, world::Setup};
use clap::{Parser, Subcommand};

/// Worlds in which the shipping machines of presence, healing, peering and revocation run over gossip's core.
#[derive(Debug, Parser)]
#[command(name = "simulations")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Play a scenario, or `all`; prints what was measured, and the hash of all that happened.
    Run(Run),
    /// Measure what the pages' plots show, and draw them.
    Plot {
        /// Where to.
        #[arg(default_value = "docs/simulations")]
        directory: PathBuf,
        /// Hosts of the largest world.
        #[arg(long, default_value_t = 1_000)]
        nodes: u32,
        /// Worlds of each kind.
        #[arg(long, default_value_t = 4)]
        seeds: u64,
        /// Threads.
        #[arg(long, default_value_t = 2)]
        threads: usize,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// presence, partition-halves, partition-tenth, partition-alone, churn, revocation, or all.
    scenario: String,
    /// Hosts of each world.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..=i64::from(limits::HOSTS)))]
    nodes: u32,
    /// The first world's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worlds: this seed and those after it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=limits::SEEDS))]
    seeds: u64,
    /// Threads; they change nothing but the time it takes.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Leave the healer out: to see what it is for.
    #[arg(long)]
    no_healer: bool,
    /// Say on standard error how long it took.
    #[arg(long)]
    timing: bool,
}

fn run(run: &Run) -> Result<bool, String> {
    let scenarios = match run.scenario.as_str() {
        "all" => Scenario::ALL.to_vec(),
        "partition" => {
            Scenario::ALL.into_iter().filter(|one| matches!(one, Scenario::Partition(_))).collect()
        }
        name => vec![name.parse::<Scenario>().map_err(|why| why.to_string())?],
    };
    let mut good = true;
    let mut hashes = Vec::new();
    for scenario in scenarios {
        let began = Instant::now();
        let setup = Setup { healer: !run.no_healer, ..Setup::new(run.seed, run.nodes) };
        let report = fleet::play(scenario, &setup, run.seeds, run.threads.clamp(1, limits::THREADS));
        println!("{}", report.text());
        good &= report.is_good();
        hashes.push(report.hash());
        if run.timing {
            eprintln!("{scenario}: {:.1} s", began.elapsed().as_secs_f64());
        }
    }
    let hash = match hashes.as_slice() {
        [one] => one.clone(),
        all => clankers_simulations::digest::all(all),
    };
    println!("hash {hash}");
    Ok(good)
}

fn main() -> ExitCode {
    let done = match &Args::parse().command {
        Command::Run(args) => run(args),
        Command::Plot { directory, nodes, seeds, threads } => {
            plots::draw_all(directory, *nodes, *seeds, *threads).map(|()| true).map_err(|why| why.to_string())
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("✗ {why}");
            ExitCode::from(2)
        }
    }
}
