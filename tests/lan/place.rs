//! Real nodes on the hosts of a lab, and the teams that they form.

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use clankers_lab::Lab;
use clankers_tests::{Node, NodeHome, node::Start, wait};
use serde_json::Value;

use super::BIN;

/// How long members may take to hear of each other (time): several beats, on a machine that does much else.
pub(crate) const HEARD: Duration = Duration::from_secs(60);
/// How long a member that is silent may be called alive (time): a lease is three beats of 5 s, a connection is missed
/// after 30 s.
pub(crate) const LOST: Duration = Duration::from_secs(150);
/// How long a member may take that is dialed again only after the longest pause of two minutes (time).
pub(crate) const HEALED: Duration = Duration::from_secs(240);
/// Between two looks at a node (time): each look is a process.
const LOOK: Duration = Duration::from_millis(500);

/// A lab, and where its programs lie. Nodes are to be dropped before it.
pub(crate) struct Place {
    pub(crate) lab: Lab,
    scripts: tempfile::TempDir,
}

impl Place {
    /// `None`, with the reason printed, where the machine allows no lab.
    pub(crate) fn new(hosts: usize, seed: u64) -> Option<Self> {
        Lab::builder().hosts(hosts).seed(seed).start().map(Self::of)
    }

    /// That of a lab that was made otherwise.
    pub(crate) fn of(lab: Lab) -> Self {
        Self { lab, scripts: tempfile::tempdir().unwrap() }
    }

    /// Where scripts of the test lie.
    pub(crate) fn scripts(&self) -> &Path {
        self.scripts.path()
    }

    /// The product, on a host.
    fn binary(&self, host: usize) -> PathBuf {
        self.lab.host(host).stand_in(BIN.as_ref(), self.scripts())
    }

    /// A home on a host, whose owner calls it so, with a file of that name in its workspace.
    pub(crate) fn home(&self, host: usize, label: &str) -> NodeHome {
        furnished(NodeHome::new(self.binary(host)), label)
    }

    /// A running node on a host.
    pub(crate) fn node(&self, host: usize, label: &str, mdns: &str) -> Node {
        on_lan(mdns).on(&self.home(host, label))
    }
}

/// How nodes are started here.
pub(crate) fn on_lan(mdns: &str) -> Start {
    Start::new().bind(Some("0.0.0.0:0")).mdns(Some(mdns))
}

/// Gives a fresh home its key, its label and a file to look for.
pub(crate) fn furnished(home: NodeHome, label: &str) -> NodeHome {
    // The home is made by the first command, so that its mode is the product's.
    let _key = home.id();
    home.settings(&format!("label = \"{label}\"\n"));
    home.file("whose.txt", format!("TODO of {label}\n"));
    home
}

/// A team of these: the first made it, and gives members what a reviewer has.
pub(crate) fn team(name: &str, nodes: &[&Node]) {
    let (first, others) = nodes.split_first().unwrap();
    first.cli(["team", "create", name]).run().ok();
    first.cli(["team", "grant", "--reviewer"]).run().ok();
    for other in others {
        other.cli(["team", "join", "-"]).stdin(invite(first, other)).run().ok();
    }
    for node in nodes {
        all_alive(node, nodes);
    }
}

/// An invite's text.
pub(crate) fn invite(inviter: &Node, guest: &Node) -> String {
    let made = inviter.cli(["team", "invite", &guest.id().to_string(), "--json"]).run().ok();
    made.json()["invite"].as_str().unwrap().to_owned()
}

/// How a node sees others, in their order: `alive`, `lost`, `left`, `removed`, `unknown`, or `nobody`.
pub(crate) fn states(node: &Node, others: &[&Node]) -> Vec<String> {
    let members = node.cli(["team", "members", "--json"]).run().ok().json();
    let of = |id: String| members.as_array().unwrap().iter().find(|member| member["id"] == id.as_str());
    let state = |member: &Value| member["state"].as_str().unwrap().to_owned();
    others.iter().map(|other| of(other.id().to_string()).map_or_else(|| "nobody".to_owned(), state)).collect()
}

/// Waits until a node sees all these so, and says how long that took.
pub(crate) fn see(node: &Node, others: &[&Node], wanted: &str, limit: Duration) -> Duration {
    let begun = Instant::now();
    let mut seen = Vec::new();
    let what = format!("{wanted} for {}", node.id().short());
    let waited = wait::try_until(limit, || {
        seen = states(node, others);
        if seen.iter().all(|state| state == wanted) {
            return Some(());
        }
        thread::sleep(LOOK);
        None
    });
    assert!(waited.is_some(), "{what}: not within {limit:?}: {seen:?}");
    begun.elapsed()
}

/// Waits until a node sees all these alive.
pub(crate) fn all_alive(node: &Node, all: &[&Node]) {
    see(node, all, "alive", HEARD);
}

/// Lets `guest` prompt `node` by a tool, and gives the exit code and what was printed.
pub(crate) fn greps(guest: &Node, node: &str) -> (Option<i32>, String) {
    let ran = guest.cli(["rpc", "prompt", node, "/grep TODO"]).run();
    let said = [&ran.stdout[..], &ran.stderr[..]].concat();
    (ran.exit.code, String::from_utf8_lossy(&said).into_owned())
}

/// Waits until that works, and says how long it took.
pub(crate) fn greps_soon(guest: &Node, node: &str, limit: Duration) -> Duration {
    let begun = Instant::now();
    let mut last = String::new();
    let waited = wait::try_until(limit, || {
        let (code, said) = greps(guest, node);
        let works = code == Some(0) && said.contains(&format!("TODO of {node}"));
        last = format!("{code:?}: {said}");
        works.then_some(())
    });
    assert!(waited.is_some(), "a prompt to {node}: not within {limit:?}: {last}");
    begun.elapsed()
}
