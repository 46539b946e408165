//! A node: how soon it is ready, and how much memory it has when nobody talks to it.

use std::thread;

use clankers_tests::{
    Start, load,
    stats::{Samples, millis},
};

use crate::{
    limits::IDLE,
    peers::Lab,
    report::{Judge, Row},
};

/// Bytes of a megabyte.
const MB: f64 = 1e6;

#[allow(clippy::cast_precision_loss)]
pub(crate) fn start_and_idle(lab: &Lab) -> Vec<Row> {
    let (mut detached, mut answering) = (Samples::new(), Samples::new());
    let (mut memory, mut threads) = (Samples::new(), Samples::new());
    for _ in 0..lab.rounds {
        // As a user meets it: the home exists, a node ran there before.
        let home = lab.home();
        home.start().stop();
        let mut node = Start::new().detached().on(&home);
        detached.push(millis(node.took()));
        node.stop();
        let node = home.start();
        answering.push(millis(node.took()));
        // Doing nothing for a while is what is measured.
        thread::sleep(IDLE);
        memory.push(load::memory(node.pid(), "VmRSS").expect("a living node") as f64 / MB);
        threads.push(load::threads(node.pid()).expect("a living node") as f64);
    }
    vec![
        Row::new("`daemon start -d` until it returns, ready", "ms", detached, Judge::P50, 300.0, 100.0),
        Row::new(
            "  foreground start until a `daemon status` has its answer",
            "ms",
            answering,
            Judge::P50,
            300.0,
            100.0,
        ),
        Row::new("node, idle for 1 s, resident memory", "MB", memory, Judge::P50, 30.0, 20.0),
        Row::shown("  its threads", "", threads),
    ]
}
