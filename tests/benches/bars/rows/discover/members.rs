//! Teams of real nodes: what a member that is there costs another's memory, and how soon a removal is known to all.

use std::{thread, time::Instant};

use clankers_auth::team::{self, seal};
use clankers_protocol::{
    NodeId, TeamId,
    message::Ext,
    presence::{Gossiped, Load, Record, Say},
    request::{
        invite::Invite,
        presence::{MemberChain, PresenceSync, PresenceSynced, ToldRecord},
        revocation::{RevocationSync, RevocationSynced},
        team::{TeamShow, TeamShown},
    },
};
use clankers_tests::{
    Node, NodeHome, forge,
    hostile::{Guest, Hostile},
    load,
    stats::{Samples, millis},
    wait,
};

use super::run;
use crate::{
    limits::{IDLE, PATIENCE, PRESENT, PRESENT_TOLD, REMOVALS, SPREAD_LOOK, SPREAD_NODES},
    peers::Lab,
    report::{Judge, Row},
};

/// A team whose key is the bench's.
struct Team {
    key: [u8; 32],
    id: TeamId,
}

impl Team {
    fn new() -> Self {
        let key = forge::random();
        Self { key, id: team::id_of(&key) }
    }

    fn membership(&self, id: NodeId) -> Vec<u8> {
        let made = team::found(&self.key, id, false, forge::now(), forge::DAY, forge::random());
        made.expect("a membership").chain
    }

    fn joined(&self, home: &NodeHome) -> Node {
        let node = home.start();
        let invite = Invite { name: "core".into(), chain: self.membership(node.id()), peers: Vec::new() };
        node.cli(["team", "join", "-"]).stdin(invite.to_text()).run().ok();
        node
    }

    /// A beat of somebody with this key.
    fn beat(&self, seed: &[u8; 32], number: usize) -> Gossiped {
        let said = Record {
            team: self.id,
            author: forge::id_of(seed),
            boot_id: 1,
            counter: 1,
            at: forge::now(),
            lease_ms: 3_600_000,
            addrs: vec!["127.0.0.1:9".parse().expect("an address")],
            relay: None,
            label: Some(format!("member-{number}")),
            version: "clankers/0.1.0".into(),
            load: Load::default(),
            leaving: false,
            ext: Ext::default(),
        };
        seal(seed, Say::Presence(said))
    }
}

/// A connection on which a member has shown itself.
async fn shown(who: &Hostile, team: TeamId, chain: &[u8], node: &Node) -> Guest {
    let (guest, _) = who.welcomed(node.address(), Vec::new()).await;
    let show = TeamShow { team, chain: chain.to_vec(), ext: Ext::default() };
    let _shown: TeamShown = guest.ask(&show).await.message();
    guest
}

/// Members that a node hears of from one: their records, memberships, and all that follows from them.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn presence(lab: &Lab) -> Vec<Row> {
    let mut each = Samples::new();
    for _ in 0..lab.rounds {
        let (team, home) = (Team::new(), lab.home());
        let node = team.joined(&home);
        run(async {
            let teller = Hostile::start().await;
            let guest = shown(&teller, team.id, &team.membership(teller.id()), &node).await;
            // What the first of all costs once is not each one's.
            tell(&team, &guest, 0..PRESENT_TOLD).await;
            settle(&node, PRESENT_TOLD);
            let before = resident(&node);
            for from in (PRESENT_TOLD..PRESENT + PRESENT_TOLD).step_by(PRESENT_TOLD) {
                tell(&team, &guest, from..from + PRESENT_TOLD).await;
            }
            settle(&node, PRESENT + PRESENT_TOLD);
            each.push((resident(&node) - before) / PRESENT as f64);
            teller.close().await;
        });
    }
    let name = format!("a member that is there, in another's memory (of {PRESENT})");
    vec![Row::new(&name, "KiB", each, Judge::P50, 64.0, 32.0)]
}

async fn tell(team: &Team, guest: &Guest, numbers: std::ops::Range<usize>) {
    let (mut records, mut chains) = (Vec::new(), Vec::new());
    for number in numbers {
        let seed: [u8; 32] = forge::random();
        let member = forge::id_of(&seed);
        let record = postcard::to_stdvec(&team.beat(&seed, number)).expect("a record");
        records.push(ToldRecord { age_ms: 0, record });
        chains.push(MemberChain { member, chain: team.membership(member) });
    }
    let told = PresenceSync {
        team: team.id,
        have: Some(Vec::new()),
        records,
        chains,
        ask: Vec::new(),
        ext: Ext::default(),
    };
    let _synced: PresenceSynced = guest.ask(&told).await.message();
}

/// Waits until so many others are alive for it, and a while for what follows.
fn settle(node: &Node, others: usize) {
    wait::until("all to be alive", PATIENCE, || {
        let members = node.cli(["team", "members", "--json"]).run().ok().json();
        let members = members.as_array().expect("an array");
        let alive = members.iter().filter(|one| one["state"] == "alive" && one["me"] != true).count();
        (alive >= others).then_some(())
    });
    thread::sleep(IDLE);
}

/// Resident memory (KiB).
#[allow(clippy::cast_precision_loss)]
fn resident(node: &Node) -> f64 {
    load::memory(node.pid(), "VmRSS").expect("a living node") as f64 / 1024.0
}

/// From the start of the owner's `team remove` until each other node has the revocation.
pub(crate) fn removal(lab: &Lab) -> Vec<Row> {
    let nodes: Vec<Node> = (0..SPREAD_NODES).map(|_| lab.home().start()).collect();
    let (first, others) = nodes.split_first().expect("some");
    first.cli(["team", "create", "core"]).run().ok();
    let invite = |id: NodeId| {
        let made = first.cli(["team", "invite", &id.to_string(), "--json"]).run().ok().json();
        made["invite"].as_str().expect("an invite").to_owned()
    };
    for other in others {
        other.cli(["team", "join", "-"]).stdin(invite(other.id())).run().ok();
    }
    nodes.iter().for_each(|node| settle(node, SPREAD_NODES - 1));
    let took = run(async {
        let watcher = Hostile::start().await;
        let chain = Invite::parse(&invite(watcher.id())).expect("an invite").chain;
        let (team, _) = team::peek(&chain).expect("a membership");
        let mut guests = Vec::new();
        for other in others {
            guests.push(shown(&watcher, team, &chain, other).await);
        }
        let mut took = Samples::new();
        for round in 1..=lab.rounds.min(REMOVALS) {
            // Somebody who was invited and never came.
            let gone = forge::id_of(&forge::random());
            let _unused = invite(gone);
            let (begun, gone) = (Instant::now(), gone.to_string());
            thread::scope(|scope| {
                scope.spawn(|| first.cli(["team", "remove", &gone]).run().ok());
            });
            let mut left: Vec<&Guest> = guests.iter().collect();
            while !left.is_empty() {
                assert!(begun.elapsed() < PATIENCE, "{} of {} do not know", left.len(), guests.len());
                let mut ignorant = Vec::new();
                for guest in left {
                    if known(guest, team).await < round {
                        ignorant.push(guest);
                    } else {
                        took.push(millis(begun.elapsed()));
                    }
                }
                left = ignorant;
                tokio::time::sleep(SPREAD_LOOK).await;
            }
        }
        watcher.close().await;
        took
    });
    let name = format!("`team remove` -> known at another node of {SPREAD_NODES}");
    vec![
        Row::new(&name, "ms", took.clone(), Judge::P50, 1_000.0, 300.0),
        Row::new("  the slowest of all", "ms", took, Judge::P99, 2_000.0, 1_000.0),
    ]
}

/// How much a node knows to be taken back in the team (count).
async fn known(guest: &Guest, team: TeamId) -> usize {
    let question = RevocationSync {
        subject: team.node(),
        count: u64::MAX,
        hash: [0; 32],
        have: Vec::new(),
        ext: Ext::default(),
    };
    guest.ask(&question).await.message::<RevocationSynced>().missing.len()
}
