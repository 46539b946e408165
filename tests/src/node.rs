//! A running node: started, asked, stopped, killed, started again on the same home.

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use clankers_mesh::{PeerAddress, parse_ticket};
use clankers_protocol::NodeId;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    cli::Cli,
    home::NodeHome,
    limits::{COMMAND, KILLED, READY, STOP},
    process::{self, Exit, Input, Process},
    wait,
};

/// How a node is started. On loopback, without relay and mDNS, in the foreground, unless said otherwise.
#[derive(Debug, Clone)]
#[must_use]
pub struct Start {
    bind: Option<String>,
    relay: Option<String>,
    mdns: Option<String>,
    detach: bool,
    more: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
}

impl Default for Start {
    fn default() -> Self {
        Self::new()
    }
}

impl Start {
    /// The quiet node of most tests.
    pub fn new() -> Self {
        Self {
            bind: Some("127.0.0.1:0".into()),
            relay: Some("off".into()),
            mdns: Some("off".into()),
            detach: false,
            more: Vec::new(),
            environment: Vec::new(),
            directory: None,
        }
    }

    /// The address to listen on; `None` leaves it to the settings.
    pub fn bind(mut self, bind: Option<&str>) -> Self {
        self.bind = bind.map(str::to_owned);
        self
    }

    /// The relay; `None` leaves it to the settings.
    pub fn relay(mut self, relay: Option<&str>) -> Self {
        self.relay = relay.map(str::to_owned);
        self
    }

    /// mDNS, `on` or `off`; `None` leaves it to the settings.
    pub fn mdns(mut self, mdns: Option<&str>) -> Self {
        self.mdns = mdns.map(str::to_owned);
        self
    }

    /// In the background: `daemon start -d`.
    pub fn detached(mut self) -> Self {
        self.detach = true;
        self
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.more.push(argument.into());
        self
    }

    /// One more variable of the environment.
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts in this directory instead of the workspace.
    pub fn dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// The command line, for tests in which the start must fail: `Start::new().command(&home).run().code(8)`.
    pub fn command(&self, home: &NodeHome) -> Cli {
        let mut cli = home.cli(["daemon", "start"]);
        for (flag, value) in [("--bind", &self.bind), ("--relay", &self.relay), ("--mdns", &self.mdns)] {
            if let Some(value) = value {
                cli = cli.args([flag, value]);
            }
        }
        if self.detach {
            cli = cli.args(["-d", "--json"]);
        }
        for (name, value) in &self.environment {
            cli = cli.env(&name.to_string_lossy(), value);
        }
        if let Some(directory) = &self.directory {
            cli = cli.dir(directory);
        }
        cli.args(&self.more)
    }

    /// Starts it on this home and waits until it answers.
    ///
    /// # Panics
    /// When it does not within [`READY`]: with all it printed.
    #[must_use]
    pub fn on(&self, home: &NodeHome) -> Node {
        let began = Instant::now();
        let (process, info) = if self.detach {
            let ran = self.command(home).within(READY).run().ok();
            let info = Info::read(home).unwrap_or_else(|| panic!("no run/node.json: {}", ran.story()));
            process::remember(info.pid);
            let printed = ran.json();
            assert_eq!(printed["pid"], info.pid, "what it says and what it wrote differ: {}", ran.story());
            (None, info)
        } else {
            let running = self.command(home).start();
            let info = wait_for(home, running.process());
            (Some(running), info)
        };
        let address = parse_ticket(&info.ticket).expect("the node's ticket can be read");
        let took = began.elapsed();
        Node { home: home.clone(), start: self.clone(), process, info, address, took }
    }
}

/// Waits until the node of this process has described itself, and answers.
fn wait_for(home: &NodeHome, process: &Process) -> Info {
    let deadline = Instant::now() + READY;
    let alive = || {
        assert!(process.exit().is_none(), "the node ended: {}", process.story());
        assert!(Instant::now() < deadline, "not ready within {READY:?}: {}", process.story());
    };
    let info = wait::try_until(READY, || {
        alive();
        Info::read(home).filter(|info| info.pid == process.pid())
    });
    let info = info.unwrap_or_else(|| panic!("no run/node.json: {}", process.story()));
    wait::until("an answer to `daemon status`", READY, || {
        alive();
        let ran = home.cli(["daemon", "status", "--json"]).run();
        (ran.exit.code == Some(0)).then_some(())
    });
    info
}

/// What a node writes about itself: `run/node.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct Info {
    /// Its id.
    pub id: NodeId,
    /// Its process.
    pub pid: u32,
    /// Its socket addresses, as text.
    pub addrs: Vec<String>,
    /// Its ticket.
    pub ticket: String,
}

impl Info {
    /// What stands in the home now, if it can be read.
    #[must_use]
    pub fn read(home: &NodeHome) -> Option<Self> {
        let text = fs::read(home.path().join("run/node.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

/// A running node. Dropping it kills it.
#[derive(Debug)]
pub struct Node {
    home: NodeHome,
    start: Start,
    /// None: it runs in the background and is nobody's child.
    process: Option<crate::cli::Running>,
    info: Info,
    address: PeerAddress,
    took: Duration,
}

impl Node {
    /// Its home.
    #[must_use]
    pub fn home(&self) -> &NodeHome {
        &self.home
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.info.id
    }

    /// Its ticket.
    #[must_use]
    pub fn ticket(&self) -> &str {
        &self.info.ticket
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.info.pid
    }

    /// Its socket addresses.
    ///
    /// # Panics
    /// When it wrote something else.
    #[must_use]
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.info.addrs.iter().map(|addr| addr.parse().expect("a socket address")).collect()
    }

    /// Where to dial it.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// From before it was spawned until it was seen to answer.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The process, when it runs in the foreground.
    #[must_use]
    pub fn process(&self) -> Option<&Process> {
        self.process.as_ref().map(crate::cli::Running::process)
    }

    /// A command line of this node's owner.
    pub fn cli<A: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Cli {
        self.home.cli(arguments)
    }

    /// `daemon status`.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn status(&self) -> Value {
        self.cli(["daemon", "status", "--json"]).run().ok().json()
    }

    /// Whether its process lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.process().map_or_else(|| process::lives(self.pid()), |process| process.exit().is_none())
    }

    /// A token of this node for `audience`, as text: `token create --for ID ... `.
    ///
    /// # Panics
    /// When it is not made.
    #[must_use]
    pub fn token(&self, audience: NodeId, what: &[&str]) -> String {
        let ran =
            self.cli(["token", "create", "--json", "--for", &audience.to_string()]).args(what).run().ok();
        ran.json()["token"].as_str().unwrap_or_else(|| panic!("no token: {}", ran.story())).to_owned()
    }

    /// Lets `guest`'s owner do this here: makes a token for it and lets it import it.
    ///
    /// # Panics
    /// When either fails.
    pub fn grant(&self, guest: &NodeHome, what: &[&str]) {
        let token = self.token(guest.id(), what);
        guest.cli(["token", "import", "-"]).stdin(token).run().ok();
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        match self.process() {
            Some(process) => process.signal(signal),
            None => process::signal_stranger(self.pid(), signal),
        }
    }

    /// `daemon stop`, and waits for the end of the process. `None`: it was in the background, nobody knows its code.
    ///
    /// # Panics
    /// When it does not end within [`STOP`].
    pub fn stop(&mut self) -> Option<Exit> {
        self.cli(["daemon", "stop"]).within(STOP + COMMAND).run().ok();
        self.gone(STOP)
    }

    /// Sends it SIGTERM and waits for its end.
    ///
    /// # Panics
    /// When it does not end within [`STOP`].
    pub fn terminate(&mut self) -> Option<Exit> {
        self.signal(Signal::TERM);
        self.gone(STOP)
    }

    /// kill -9: nothing is said, nothing is written.
    ///
    /// # Panics
    /// When it survives that.
    pub fn kill9(&mut self) {
        self.signal(Signal::KILL);
        self.gone(KILLED);
    }

    /// Waits for its end by itself.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    pub fn gone(&mut self, limit: Duration) -> Option<Exit> {
        match &self.process {
            Some(running) => {
                let process = running.process();
                let exit = process.wait(limit);
                assert!(exit.is_some(), "not gone within {limit:?}: {}", process.story());
                exit
            }
            None => {
                let pid = self.pid();
                wait::until("the node's end", limit, || (!process::lives(pid)).then_some(()));
                process::forget(pid);
                None
            }
        }
    }

    /// Starts it again on the same home, with the same words. It must have ended before.
    ///
    /// # Panics
    /// When it still lives, or does not get ready.
    pub fn restart(&mut self) {
        assert!(!self.lives(), "stop or kill the node before it is started again");
        // The old one has ended: dropping it touches nobody.
        *self = self.start.clone().on(&self.home.clone());
    }

    /// All that is known about it, for a failed test.
    #[must_use]
    pub fn story(&self) -> String {
        let process = self.process().map(Process::story).unwrap_or_default();
        format!("{process}\n  node.log:\n{}", crate::capture::tail(&self.home.node_log()))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the node {} as the test failed: {}", self.id().short(), self.story());
        }
        if self.process.is_none() && is_ours(&self.home, self.pid()) {
            process::signal_stranger(self.pid(), Signal::KILL);
            let _gone = wait::try_until(KILLED, || (!process::lives(self.info.pid)).then_some(()));
        }
        if self.process.is_none() {
            process::forget(self.pid());
        }
    }
}

/// Whether the process with this id still runs the binary: ids of ended processes are given to others.
fn is_ours(home: &NodeHome, pid: u32) -> bool {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok();
    exe.is_some() && exe == fs::canonicalize(home.binary()).ok()
}

/// A process that prints nothing and is not a node, to be put where one is expected.
#[must_use]
pub fn bystander(home: &NodeHome) -> Process {
    let mut command = std::process::Command::new("sleep");
    home.furnish(&mut command);
    command.arg("1000");
    Process::spawn(command, Input::Nothing)
}
