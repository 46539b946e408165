//! Teams: nodes that belong together find each other, tell each other how they are, and let go of whom they removed.
//!
//! - [`lives`]: joining, presence, a node that is killed, frozen, stopped, started again
//! - [`belonging`]: who is a member, who may invite, who is removed
//! - [`lasting`]: memberships that renew themselves, and that do not come back
//! - [`template`]: what members are given, and [`claims`], what those get who ask in ways that the product does not
//! - [`removals`]: how the news of a removal travels
//! - [`names`]: labels that members claim
//! - [`soak`]: a minute, or an hour, of coming and going
//! - [`curious`]: what others learn
//! - [`again`]: answers of others that are not quite in order
//! - [`forgotten`]: a node whose clock was ahead for long
//! - [`hostile`]: members and strangers that do not keep to the rules
//! - [`wording`]: what a newcomer reads
//! - [`seen`]: what `mesh`, `rpc discover` and `rpc peers` show; [`discover`]: that command on a network

#[path = "teams/again.rs"]
mod again;
#[path = "teams/belonging.rs"]
mod belonging;
#[path = "teams/claims.rs"]
mod claims;
#[path = "teams/curious.rs"]
mod curious;
#[path = "teams/discover.rs"]
mod discover;
#[path = "teams/forgotten.rs"]
mod forgotten;
#[path = "teams/hostile.rs"]
mod hostile;
#[path = "teams/lasting.rs"]
mod lasting;
#[path = "teams/lives.rs"]
mod lives;
#[path = "teams/names.rs"]
mod names;
#[path = "teams/removals.rs"]
mod removals;
#[path = "teams/seen.rs"]
mod seen;
#[path = "teams/soak.rs"]
mod soak;
#[path = "teams/template.rs"]
mod template;
#[path = "teams/wording.rs"]
mod wording;

use std::time::Duration;

use clankers_tests::{Node, NodeHome, wait};
use serde_json::Value;

use crate::BIN;

/// How long members may take to hear of each other (time): several beats, on a machine that does much else.
const HEARD: Duration = Duration::from_secs(60);
/// How long one may take that is dialed again only after the longest pause of two minutes (time).
const HEALED: Duration = Duration::from_secs(240);

/// A node that calls itself so, with a file of that name in its workspace.
fn node(label: &str) -> Node {
    furnished(label).start()
}

/// Its home.
fn furnished(label: &str) -> NodeHome {
    let home = NodeHome::new(BIN);
    // The home is made by the first command, so that its mode is the product's.
    let _key = home.id();
    home.settings(&format!("label = \"{label}\"\n"));
    home.file("whose.txt", format!("TODO of {label}\n"));
    home
}

/// A team of these: the first made it.
fn team(name: &str, nodes: &[&Node]) {
    let (first, others) = nodes.split_first().expect("somebody");
    first.cli(["team", "create", name]).run().ok();
    for other in others {
        join(first, other, &[]);
    }
    for node in nodes {
        all_alive(node, nodes.len());
    }
}

/// Lets one node bring another in.
fn join(inviter: &Node, guest: &Node, flags: &[&str]) {
    let invite = invite(inviter, guest, flags);
    guest.cli(["team", "join", "-"]).stdin(invite).run().ok();
}

/// An invite's text.
fn invite(inviter: &Node, guest: &Node, flags: &[&str]) -> String {
    let made = inviter.cli(["team", "invite", &guest.id().to_string(), "--json"]).args(flags).run().ok();
    made.json()["invite"].as_str().expect("an invite").to_owned()
}

/// All members as a node sees them.
fn members(node: &Node) -> Vec<Value> {
    let ran = node.cli(["team", "members", "--json"]).run().ok();
    ran.json().as_array().expect("an array").clone()
}

/// How a node sees another.
fn state_of(node: &Node, other: &Node) -> String {
    let id = other.id().to_string();
    let seen = members(node).into_iter().find(|member| member["id"] == id.as_str());
    seen.map_or_else(|| "nobody".to_owned(), |member| member["state"].as_str().expect("a word").to_owned())
}

/// Waits until a node sees another so.
fn sees(node: &Node, other: &Node, state: &str, limit: Duration) {
    wait::until(&format!("{state} for {}", node.id().short()), limit, || {
        (state_of(node, other) == state).then_some(())
    });
}

/// Waits until a node sees so many members alive, itself included.
fn all_alive(node: &Node, count: usize) {
    wait::until(&format!("{count} alive for {}", node.id().short()), HEARD, || {
        let alive = members(node).iter().filter(|member| member["state"] == "alive").count();
        (alive == count).then_some(())
    });
}

/// Lets `guest` prompt `node` by a tool, and gives the exit code and what was printed.
fn greps(guest: &Node, node: &str) -> (Option<i32>, String) {
    let ran = guest.cli(["rpc", "prompt", node, "/grep TODO"]).run();
    (
        ran.exit.code,
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr)),
    )
}
