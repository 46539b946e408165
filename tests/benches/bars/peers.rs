//! The processes that are measured: ours, and the baselines'.

use std::{env, fs, path::PathBuf, process::Command, time::Duration};

use clankers_tests::{
    NodeHome,
    baseline::Carrier,
    process::{Input, Process},
};

use crate::limits::{PATIENCE, TRANSFER_PATIENCE};

/// What every figure is measured with.
pub(crate) struct Lab {
    /// Our binary, built for release.
    pub(crate) binary: PathBuf,
    /// Interleaved rounds.
    pub(crate) rounds: usize,
}

impl Lab {
    /// The lab of this build.
    pub(crate) fn new(rounds: usize) -> Self {
        Self { binary: env!("CARGO_BIN_EXE_clankers").into(), rounds }
    }

    /// A machine of one's own.
    pub(crate) fn home(&self) -> NodeHome {
        NodeHome::new(&self.binary)
    }
}

fn again(home: &NodeHome, arguments: &[&str]) -> Command {
    let program = env::current_exe().and_then(fs::canonicalize).expect("this program's path");
    let mut command = Command::new(program);
    home.furnish(&mut command);
    command.args(arguments);
    command
}

/// A baseline's server, in a process of its own.
pub(crate) struct Server {
    home: NodeHome,
    carrier: Carrier,
    at: String,
    _process: Process,
}

impl Server {
    /// Starts it and waits until it says where it is.
    pub(crate) fn start(lab: &Lab, carrier: Carrier) -> Self {
        let home = lab.home();
        let process = Process::spawn(again(&home, &["baseline-serve", carrier.name()]), Input::Open);
        let line = process.stdout().line(0, PATIENCE);
        let (line, _) = line.unwrap_or_else(|| panic!("no address: {}", process.story()));
        Self { home, carrier, at: line.text(), _process: process }
    }

    /// A whole client process: binds, connects, echoes `count` times. How long it took, and its round trips in
    /// microseconds.
    pub(crate) fn ping(&self, count: u32) -> (Duration, Vec<f64>) {
        let words = ["baseline-ping", self.carrier.name(), &self.at, &count.to_string()];
        let process = Process::spawn(again(&self.home, &words), Input::Nothing);
        let exit = process.wait(PATIENCE).filter(|exit| exit.code == Some(0));
        let exit = exit.unwrap_or_else(|| panic!("a baseline failed: {}", process.story()));
        let times = process.stdout().text().lines().map(|line| line.parse().expect("microseconds")).collect();
        (exit.took, times)
    }
}

/// A server that takes bulk over raw iroh, in a process of its own.
pub(crate) struct BulkServer {
    home: NodeHome,
    at: String,
    _process: Process,
}

impl BulkServer {
    /// Starts it and waits until it says where it is.
    pub(crate) fn start(lab: &Lab) -> Self {
        let home = lab.home();
        let process = Process::spawn(again(&home, &["baseline-bulk-serve"]), Input::Open);
        let line = process.stdout().line(0, PATIENCE);
        let (line, _) = line.unwrap_or_else(|| panic!("no address: {}", process.story()));
        Self { home, at: line.text(), _process: process }
    }

    /// A whole client process: binds, connects, sends, hears that all has come.
    pub(crate) fn send(&self, bytes: u64) -> Duration {
        let words = ["baseline-bulk", &self.at, &bytes.to_string()];
        let process = Process::spawn(again(&self.home, &words), Input::Nothing);
        let exit = process.wait(TRANSFER_PATIENCE).filter(|exit| exit.code == Some(0));
        exit.unwrap_or_else(|| panic!("a baseline failed: {}", process.story())).took
    }
}
