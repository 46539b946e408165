//! `rpc discover`: find nodes, without typing their ids.

use std::{collections::BTreeMap, time::Duration};

use clankers_node::{
    mesh::{Browser, Discovery, Finding, MDNS_PORT, Mdns, doctor},
    settings::Settings,
};
use clankers_protocol::{
    NodeId,
    message::Ext,
    refusal::ExitKind,
    request::{
        peers::PeerRecord,
        presence::{MeshNode, PeerProbe, PeerProbed},
        team::MemberState,
    },
    text,
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    mesh,
    peers::{self, stranger},
    team::show::{label, way},
};
use crate::{
    args::DiscoverArgs,
    error::{CliError, Outcome},
    local::{Local, Machine},
    output::{self, ago},
    remote::Peer,
    signals::Interrupts,
};

/// How long a probed peer may take (time).
const PROBE: Duration = Duration::from_secs(3);
/// How long nothing new may come before what was found counts as all (time): answers come within 75 ms or 1.05 s.
const SETTLED: Duration = Duration::from_millis(1_200);
/// Characters of a line about this machine's network.
const LINE_CHARS: usize = 300;
/// How often a watched list is looked at again (time).
const LOOK: Duration = Duration::from_secs(1);

/// One peer that was found.
struct FoundPeer {
    peer: PeerRecord,
    path: Option<String>,
    rtt_us: Option<u64>,
    /// It is not known to have gone.
    there: bool,
    /// It was dialed, and was not reached.
    missed: bool,
}

pub(crate) async fn run(machine: &Machine, args: DiscoverArgs, json: bool) -> Outcome {
    let settings = Settings::load(&machine.home.settings()).map_err(CliError::settings)?;
    let mdns = Mdns {
        port: settings.network.mdns_port.unwrap_or(MDNS_PORT),
        loopback: settings.network.bind.is_some_and(|bind| bind.ip().is_loopback()),
        advertise: false,
        ..Mdns::default()
    };
    if args.doctor {
        // Of a node that runs its note knows; one that would be started goes by the settings.
        let off = match machine.running()? {
            Some(note) => note.mdns == Some(false),
            None => settings.network.mdns == Some(false),
        };
        return diagnose(&mdns, off, json).await;
    }
    let node = match args.mdns {
        true => None,
        false if machine.running()?.is_some() => Some(machine.node().await?),
        false => None,
    };
    let done = match &node {
        Some(local) => from_node(machine, local, &args, json).await,
        None => from_network(machine, mdns, &args, json).await,
    };
    if let Some(local) = node {
        local.close().await;
    }
    done
}

/// Looks for the reason why nobody is found.
async fn diagnose(mdns: &Mdns, off: bool, json: bool) -> Outcome {
    let mut found = doctor(mdns).await;
    if off {
        found.findings.insert(0, Finding::MdnsOff);
    }
    if json {
        let interfaces: Vec<Value> = found
            .interfaces
            .iter()
            .map(|seen| {
                let usable = seen.is_usable();
                json!({"name": seen.name, "ipv4": seen.ipv4, "ipv6": seen.ipv6, "usable": usable, "echo": seen.echo})
            })
            .collect();
        let findings: Vec<Value> = found
            .findings
            .iter()
            .map(|finding| {
                let (code, certain) = (finding.code(), finding.is_certain());
                json!({"code": code, "what": finding.what(), "todo": finding.todo(), "certain": certain})
            })
            .collect();
        return Ok(output::json(&json!({
            "interfaces": interfaces,
            "others": found.others,
            "nodes": found.nodes,
            "findings": findings,
        }))?);
    }
    let mut lines = Vec::new();
    for seen in found.interfaces.iter().filter(|seen| seen.up) {
        let addrs =
            seen.ipv4.iter().map(ToString::to_string).chain(seen.ipv6.iter().map(ToString::to_string));
        lines.push(format!("  {}: {}", seen.name, addrs.collect::<Vec<_>>().join(", ")));
    }
    lines.push(format!(
        "  others that spoke mDNS meanwhile: {}, nodes among them: {}",
        found.others, found.nodes
    ));
    if found.findings.is_empty() {
        lines.push("✓ nothing here stands in the way".to_owned());
    }
    for finding in &found.findings {
        let mark = if finding.is_certain() { "✗" } else { "!" };
        lines.push(format!("{mark} {}", finding.what()));
        lines.push(format!("  {}", finding.todo()));
    }
    let lines: Vec<String> = lines.iter().map(|line| text::line(line, LINE_CHARS)).collect();
    Ok(output::lines(lines.iter().map(String::as_str))?)
}

/// What the running node knows; it is asked again for a while as long as it knows nobody.
async fn from_node(machine: &Machine, local: &Local, args: &DiscoverArgs, json: bool) -> Outcome {
    let until = Instant::now() + args.timeout;
    let mut interrupts = Interrupts::new().map_err(CliError::machine)?;
    let mut shown = None;
    loop {
        let nodes = mesh::view(&local.client, Duration::ZERO).await?;
        let mut found: Vec<FoundPeer> = nodes.into_iter().filter(|node| !node.me).map(of_node).collect();
        if args.watch {
            found.retain(|one| one.there);
            news(&mut shown, &found, json)?;
        } else if !found.is_empty() || Instant::now() >= until {
            if args.probe {
                probe_all(machine, Some(local), &mut found).await;
            }
            return ended(&found, json);
        }
        tokio::select! {
            () = tokio::time::sleep(if args.watch { LOOK } else { LOOK / 10 }) => {}
            () = output::reader_gone(), if args.watch => return Err(CliError::unread()),
            () = interrupts.next() => return Err(CliError::said(ExitKind::Interrupted)),
        }
    }
}

/// Looks on the local network itself.
async fn from_network(machine: &Machine, mdns: Mdns, args: &DiscoverArgs, json: bool) -> Outcome {
    let browser = Browser::start(&mdns, Some(machine.run.node())).map_err(CliError::machine)?;
    let done = browse(machine, browser.discovery(), args, json).await;
    browser.stop().await;
    done
}

async fn browse(machine: &Machine, discovery: &Discovery, args: &DiscoverArgs, json: bool) -> Outcome {
    let own = machine.run.node();
    let mut changes = discovery.subscribe();
    let mut interrupts = Interrupts::new().map_err(CliError::machine)?;
    let until = Instant::now() + args.timeout;
    let mut settled = until;
    let mut shown = None;
    loop {
        let mut found: Vec<FoundPeer> = listed(discovery, own);
        if args.watch {
            news(&mut shown, &found, json)?;
        } else if shown.as_ref() != Some(&gist(&found)) {
            if !found.is_empty() {
                settled = until.min(Instant::now() + SETTLED);
            }
            shown = Some(gist(&found));
        }
        let wait = async {
            match args.watch {
                true => changes.next().await.is_some(),
                false => timeout_at(settled, changes.next()).await.is_ok(),
            }
        };
        let more = tokio::select! {
            more = wait => more,
            () = output::reader_gone(), if args.watch => return Err(CliError::unread()),
            () = interrupts.next() => return Err(CliError::said(ExitKind::Interrupted)),
        };
        if !more && !args.watch {
            if args.probe {
                probe_all(machine, None, &mut found).await;
            }
            ended(&found, json)?;
            if !found.is_empty() && !json && matches!(machine.running(), Ok(None)) {
                anstream::eprintln!(
                    "! no node runs here, so only whole ids (--json) reach them; for short ids and names: 'clankers daemon start -d'"
                );
            }
            return Ok(());
        }
    }
}

fn listed(discovery: &Discovery, own: NodeId) -> Vec<FoundPeer> {
    let heard = discovery.list().into_iter().filter(|found| found.id != own);
    heard
        .map(|found| {
            let peer = PeerRecord {
                claimed: found.label,
                addrs: found.addrs.iter().map(ToString::to_string).collect(),
                via: vec!["mdns".to_owned()],
                version: Some(software(&found.version)),
                last_seen: Some(found.last_seen),
                ..stranger(found.id)
            };
            FoundPeer { peer, path: None, rtt_us: None, there: true, missed: false }
        })
        .collect()
}

/// What announces itself as clankers says its number only.
fn software(version: &str) -> String {
    if version.contains('/') { version.to_owned() } else { format!("clankers/{version}") }
}

fn of_node(node: MeshNode) -> FoundPeer {
    let gone = |state| matches!(state, MemberState::Lost | MemberState::Left | MemberState::Removed);
    // Who is only remembered was not heard since this machine's node began.
    let remembered = node.peer.via == ["team"];
    let there = !remembered && !node.state.is_some_and(gone);
    FoundPeer { peer: node.peer, path: node.path, rtt_us: node.rtt_us, there, missed: false }
}

/// A peer's name, path and addresses.
type Gist = (String, Option<String>, Vec<String>);

type Gists = BTreeMap<NodeId, Gist>;

/// What is worth showing again when it changes.
fn gist(found: &[FoundPeer]) -> Gists {
    let one = |found: &FoundPeer| {
        let peer = &found.peer;
        let label = label(peer.label.as_deref(), peer.claimed.as_deref());
        (peer.id, (label, found.path.clone(), peer.addrs.clone()))
    };
    found.iter().map(one).collect()
}

/// What a watcher is told: programs all that are there, people who they are at first, and then who came and went.
fn news(shown: &mut Option<Gists>, found: &[FoundPeer], json: bool) -> Outcome {
    let now = gist(found);
    match shown.replace(now.clone()) {
        Some(before) if before == now => {}
        Some(before) if !json => {
            let lines: Vec<String> =
                changes(&before, &now).iter().map(|line| text::line(line, LINE_CHARS)).collect();
            output::lines(lines.iter().map(String::as_str))?;
        }
        _ => show(found, json)?,
    }
    Ok(())
}

/// A line for each that came, changed or went.
fn changes(before: &Gists, now: &Gists) -> Vec<String> {
    let line = |mark: &str, id: &NodeId, (label, path, addrs): &Gist, what: &str| {
        let named = if label.is_empty() { String::new() } else { format!("{label} ") };
        let way = path.as_deref().map_or_else(|| addrs.join(", "), str::to_owned);
        format!("{mark} {named}{} {what}{way}", id.short())
    };
    let gone = before
        .iter()
        .filter(|(id, _)| !now.contains_key(id))
        .map(|(id, (label, ..))| line("✗", id, &(label.clone(), None, Vec::new()), "is gone"));
    let rest = now.iter().filter_map(|(id, gist)| match before.get(id) {
        None => Some(line("✓", id, gist, "is there: ")),
        Some(old) if old != gist => Some(line("!", id, gist, "is otherwise now: ")),
        Some(_) => None,
    });
    gone.chain(rest).collect()
}

/// Dials each, one after the other: somebody asked for it.
async fn probe_all(machine: &Machine, local: Option<&Local>, found: &mut [FoundPeer]) {
    for one in found {
        let probed = match local {
            Some(local) => probe_from_node(local, one.peer.id).await,
            None => probe_from_here(machine, one.peer.id).await,
        };
        match probed {
            Ok((path, rtt_us)) => {
                (one.path, one.rtt_us) = (Some(path), Some(rtt_us));
            }
            Err(error) => {
                tracing::debug!(peer = %one.peer.id, error = error.message, "a probe failed");
                (one.path, one.rtt_us, one.missed) = (None, None, true);
            }
        }
    }
}

async fn probe_from_node(local: &Local, peer: NodeId) -> Result<(String, u64), CliError> {
    let limit_ms = u64::try_from(PROBE.as_millis()).unwrap_or(u64::MAX);
    let request = PeerProbe { leaf: None, peer: peer.to_string(), limit_ms, ext: Ext::default() };
    let probed: PeerProbed = local.client.ask(&request).await?;
    Ok((probed.path, probed.rtt_us))
}

async fn probe_from_here(machine: &Machine, peer: NodeId) -> Result<(String, u64), CliError> {
    let reached = Peer::reach(machine, &peer.to_string(), PROBE).await?;
    let pinged = reached.client.ping(1, PROBE).await;
    let path = reached.client.connection().path().word().to_owned();
    reached.close().await;
    Ok((path, u64::try_from(pinged?.as_micros()).unwrap_or(u64::MAX)))
}

fn ended(found: &[FoundPeer], json: bool) -> Outcome {
    show(found, json)?;
    if found.is_empty() && !json {
        anstream::eprintln!("nobody was found; 'clankers rpc discover --doctor' looks for the reason");
    }
    Ok(())
}

fn show(found: &[FoundPeer], json: bool) -> Outcome {
    if json {
        return Ok(output::json(&Value::Array(found.iter().map(value).collect()))?);
    }
    if found.is_empty() {
        return Ok(());
    }
    let now = clankers_node::clock::now();
    let rows: Vec<[String; 7]> = found
        .iter()
        .map(|one| {
            let peer = &one.peer;
            [
                label(peer.label.as_deref(), peer.claimed.as_deref()),
                peer.id.short(),
                peer.via.join(","),
                if one.missed { "not reached".to_owned() } else { way(one.path.as_deref(), one.rtt_us) },
                peer.version.clone().unwrap_or_default(),
                if peer.trusted { "trusted" } else { "" }.to_owned(),
                peer.last_seen.map(|at| ago(at, now)).unwrap_or_default(),
            ]
        })
        .collect();
    Ok(output::table(["LABEL", "ID", "FOUND BY", "PATH", "VERSION", "TRUST", "SEEN"], &rows)?)
}

fn value(found: &FoundPeer) -> Value {
    peers::on_way(peers::value(&found.peer), found.path.as_deref(), found.rtt_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watcher_hears_who_came_changed_and_went() {
        let id = |byte| NodeId([byte; 32]);
        let at = |label: &str, addr: &str| (label.to_owned(), None, vec![addr.to_owned()]);
        let before = Gists::from([(id(1), at("desk", "10.0.0.1:7")), (id(2), at("", "10.0.0.2:7"))]);
        let now = Gists::from([(id(1), at("desk", "10.0.0.9:7")), (id(3), at("(attic?)", "10.0.0.3:7"))]);
        let (one, two, three) = (id(1).short(), id(2).short(), id(3).short());
        assert_eq!(
            changes(&before, &now),
            [
                format!("✗ {two} is gone"),
                format!("! desk {one} is otherwise now: 10.0.0.9:7"),
                format!("✓ (attic?) {three} is there: 10.0.0.3:7"),
            ]
        );
        assert_eq!(changes(&now, &now), Vec::<String>::new());
    }
}
