//! Whole processes of the command line: from before the spawn to the end.

use std::thread;

use clankers_tests::{
    Cli, NodeHome,
    baseline::Carrier,
    load,
    model::{MockModel, Reply},
    stats::{Samples, millis},
};

use crate::{
    limits::{MEMORY_LOOK, PROCESSES},
    peers::{Lab, Server},
    report::{Judge, Row},
};

/// Bytes of a megabyte.
const MB: f64 = 1e6;

pub(crate) fn ping(lab: &Lab) -> Vec<Row> {
    let node = lab.home().start();
    let id = node.id().to_string();
    let server = Server::start(lab, Carrier::Iroh);
    let (mut ours, mut raw) = (Samples::new(), Samples::new());
    let mut our_turn = || ours.push(millis(node.cli(["rpc", "ping", &id]).run().ok().exit.took));
    let mut raw_turn = || raw.push(millis(server.ping(1).0));
    for round in 0..lab.rounds * PROCESSES {
        if round % 2 == 0 {
            our_turn();
            raw_turn();
        } else {
            raw_turn();
            our_turn();
        }
    }
    let row = Row::new("whole `clankers rpc ping` process", "ms", ours, Judge::Ratio, 1.5, 1.2);
    vec![row.beside("iroh bind+connect+echo process", raw)]
}

pub(crate) fn version(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    let run = |_| millis(home.cli(["--version"]).run().ok().exit.took);
    let times = (0..lab.rounds * PROCESSES).map(run).collect();
    vec![Row::new("`clankers --version`", "ms", times, Judge::P50, 10.0, 5.0)]
}

pub(crate) fn one_shot(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    let model = MockModel::start([Reply::Says(vec!["Hello, ".into(), "world.".into()])]);
    let prompt = || asking(&home, &model);
    let mut times = Samples::new();
    for _ in 0..lab.rounds * PROCESSES {
        let ran = prompt().run().ok();
        assert!(ran.out().contains("Hello, world."), "{}", ran.story());
        times.push(millis(ran.exit.took));
    }
    // Looking at its memory slows it down: other runs than those that are timed.
    let peaks = (0..lab.rounds).map(|_| peak_memory(prompt()) / MB).collect();
    vec![
        Row::new("`clankers -p`, loopback mock model", "ms", times, Judge::P50, 60.0, 30.0),
        Row::new("  its memory at the highest", "MB", peaks, Judge::P50, 35.0, 35.0),
    ]
}

fn asking(home: &NodeHome, model: &MockModel) -> Cli {
    home.cli(["-p", "hi"]).env("OPENAI_BASE_URL", model.base()).env("OPENAI_API_KEY", "not-a-key")
}

/// The highest resident memory of a run (bytes), looked at every [`MEMORY_LOOK`]: a process that has ended tells
/// no more.
#[allow(clippy::cast_precision_loss)]
fn peak_memory(cli: Cli) -> f64 {
    let running = cli.start();
    let mut peak = 0;
    while running.process().exit().is_none() {
        peak = load::memory(running.process().pid(), "VmHWM").map_or(peak, |now| now.max(peak));
        thread::sleep(MEMORY_LOOK);
    }
    running.finish().ok();
    peak as f64
}
