//! The plan of the house as data, and the judge of a dependency graph against it. Pure: no cargo, no files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// When a dependency is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// In the crate itself.
    Ships,
    /// In its tests and benches only.
    Tests,
}

/// One arrow of the graph.
#[derive(Debug, Clone)]
pub(crate) struct Arrow {
    /// Name of the crate that is used.
    pub(crate) to: String,
    /// When.
    pub(crate) used: Use,
}

/// Crates by name, workspace members and what they reach, with their arrows.
#[derive(Debug, Default, Clone)]
pub(crate) struct Graph {
    /// The workspace's own crates.
    pub(crate) members: BTreeSet<String>,
    /// Who uses whom. Two versions of a crate count as one.
    pub(crate) arrows: BTreeMap<String, Vec<Arrow>>,
}

/// Every crate of the workspace and its floor: 0 is the deepest. An arrow runs to a lower floor.
pub(crate) const FLOORS: &[(&str, u8)] = &[
    ("clankers-protocol", 0),
    ("ucan", 1),
    ("clankers-auth", 1),
    ("clankers-agent", 1),
    ("clankers-mesh", 2),
    ("clankers-models", 2),
    ("clankers-tools", 2),
    ("clankers-store", 2),
    ("clankers-context", 2),
    ("clankers-files", 2),
    ("clankers-client", 3),
    ("clankers-node", 3),
    ("clankers-tests", 4),
    ("clankers-lab", 4),
    ("clankers-simulations", 4),
    ("clankers", 4),
];

/// Arrows within a floor that the plan allows: from, to, when.
pub(crate) const BESIDE: &[(&str, &str, Use)] = &[
    ("clankers-auth", "ucan", Use::Ships),
    ("clankers-node", "clankers-client", Use::Ships),
    ("clankers", "clankers-tests", Use::Tests),
    ("clankers", "clankers-lab", Use::Tests),
];

/// Rooms that use few of the others, however far up they are: room, which it may use.
pub(crate) const NARROW: &[(&str, &[&str])] =
    &[("clankers-simulations", &["clankers-protocol", "clankers-auth"])];

/// Crates that know nothing of clankers, whatever their floor.
pub(crate) const STRANGERS: &[&str] = &["ucan"];

/// Dependencies that live in some rooms only: prefix of the name (a whole name ends in `$`), rooms.
pub(crate) const WALLED: &[(&str, &[&str])] = &[
    // Its sans-IO core only: without its default features it brings no transport.
    ("iroh-gossip$", &["clankers-mesh", "clankers-simulations", "clankers-tests"]),
    ("iroh", &["clankers-mesh", "clankers-tests"]),
    ("mdns-sd$", &["clankers-mesh", "clankers-tests"]),
    ("quinn", &["clankers-tests"]),
    ("redb$", &["clankers-store"]),
    ("reqwest$", &["clankers-models"]),
    ("hyper", &["clankers-models"]),
    ("clap", &["clankers", "clankers-lab", "clankers-simulations"]),
];

/// Rooms without a clock, a socket or a task: nothing of this may be in what they ship, however far down.
pub(crate) const PURE: &[&str] = &["clankers-protocol", "ucan", "clankers-auth", "clankers-agent"];
/// What a pure room may not reach.
pub(crate) const IMPURE: &[&str] =
    &["tokio", "iroh", "mdns-sd$", "redb$", "reqwest$", "hyper", "mio$", "socket2$"];

fn named(name: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('$') {
        Some(whole) => name == whole,
        None => name == pattern || name.strip_prefix(pattern).is_some_and(|rest| rest.starts_with('-')),
    }
}

fn floor(name: &str) -> Option<u8> {
    FLOORS.iter().find(|(room, _)| *room == name).map(|(_, floor)| *floor)
}

/// Everything in the graph that breaks the plan, each in one line.
pub(crate) fn faults(graph: &Graph) -> Vec<String> {
    let mut faults = Vec::new();
    for member in &graph.members {
        let Some(from) = floor(member) else {
            faults.push(format!("{member}: has no floor in tests/house/plan.rs"));
            continue;
        };
        for arrow in graph.arrows.get(member).into_iter().flatten() {
            faults.extend(direction(graph, member, from, arrow));
            faults.extend(wall(member, arrow));
        }
        if PURE.contains(&member.as_str()) {
            faults.extend(impurity(graph, member));
        }
    }
    for (room, _) in FLOORS {
        if !graph.members.contains(*room) {
            faults.push(format!("{room}: stands in the plan and not in the workspace"));
        }
    }
    faults
}

fn direction(graph: &Graph, from: &str, floor_from: u8, arrow: &Arrow) -> Option<String> {
    if !graph.members.contains(&arrow.to) {
        return None;
    }
    if STRANGERS.contains(&from) {
        return Some(format!("{from} -> {}: {from} is to know nothing of clankers", arrow.to));
    }
    let narrow = NARROW.iter().find(|(room, _)| *room == from);
    if let Some((_, rooms)) = narrow.filter(|(_, rooms)| !rooms.contains(&arrow.to.as_str())) {
        return Some(format!("{from} -> {}: {from} is to use {} only", arrow.to, rooms.join(", ")));
    }
    let beside = BESIDE
        .iter()
        .any(|(f, t, used)| *f == from && *t == arrow.to && (*used == Use::Ships || *used == arrow.used));
    let floor_to = floor(&arrow.to)?;
    let way = match floor_to.cmp(&floor_from) {
        std::cmp::Ordering::Less => return None,
        std::cmp::Ordering::Equal if beside => return None,
        std::cmp::Ordering::Equal => "sideways",
        std::cmp::Ordering::Greater => "up",
    };
    Some(format!("{from} -> {}: points {way} (floor {floor_from} to {floor_to})", arrow.to))
}

fn wall(from: &str, arrow: &Arrow) -> Option<String> {
    let (pattern, rooms) = WALLED.iter().find(|(pattern, _)| named(&arrow.to, pattern))?;
    let inside = rooms.contains(&from);
    (!inside).then(|| {
        format!("{from} -> {}: {} stays in {}", arrow.to, pattern.trim_end_matches('$'), rooms.join(", "))
    })
}

/// The first impure crate that ships with `room`, and the way to it.
fn impurity(graph: &Graph, room: &str) -> Option<String> {
    let mut ways = BTreeMap::from([(room.to_owned(), room.to_owned())]);
    let mut queue = VecDeque::from([room.to_owned()]);
    while let Some(at) = queue.pop_front() {
        let way = ways[&at].clone();
        for arrow in graph.arrows.get(&at).into_iter().flatten().filter(|a| a.used == Use::Ships) {
            if ways.contains_key(&arrow.to) {
                continue;
            }
            let longer = format!("{way} -> {}", arrow.to);
            if IMPURE.iter().any(|pattern| named(&arrow.to, pattern)) {
                return Some(format!("{longer}: a pure room does no input or output"));
            }
            ways.insert(arrow.to.clone(), longer);
            queue.push_back(arrow.to.clone());
        }
    }
    None
}
