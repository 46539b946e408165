//! Imports run downwards only; heavy dependencies stay in their rooms.

use std::collections::{BTreeMap, HashMap};

use cargo_metadata::{CargoOpt, DependencyKind, MetadataCommand, PackageId};

use super::{
    plan::{Arrow, FLOORS, Graph, Use, faults},
    root,
};

/// The workspace as cargo resolves it for this machine.
fn workspace() -> Graph {
    let metadata = MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // Crates of other systems need not be there.
        .other_options(["--filter-platform".to_owned(), "host-tuple".to_owned()])
        .exec()
        .unwrap();
    let names: HashMap<&PackageId, String> =
        metadata.packages.iter().map(|p| (&p.id, p.name.to_string())).collect();
    let members = metadata.workspace_members.iter().map(|id| names[id].clone()).collect();
    let mut arrows: BTreeMap<String, Vec<Arrow>> = BTreeMap::new();
    for node in &metadata.resolve.as_ref().unwrap().nodes {
        let from = arrows.entry(names[&node.id].clone()).or_default();
        for dep in &node.deps {
            let ships = dep.dep_kinds.iter().any(|k| k.kind == DependencyKind::Normal);
            let tests = dep.dep_kinds.iter().any(|k| k.kind == DependencyKind::Development);
            let to = names[&dep.pkg].clone();
            if ships {
                from.push(Arrow { to, used: Use::Ships });
            } else if tests {
                from.push(Arrow { to, used: Use::Tests });
            }
        }
    }
    Graph { members, arrows }
}

#[test]
fn every_arrow_points_down() {
    let graph = workspace();
    let found = faults(&graph);
    assert!(found.is_empty(), "the house's floors (docs/architecture.md):\n{}", found.join("\n"));
    // The judge has seen something: the ground floor is used, and the hall uses the mesh.
    assert!(graph.arrows["clankers-node"].iter().any(|a| a.to == "clankers-mesh"));
    assert!(graph.arrows["clankers-protocol"].iter().any(|a| a.to == "serde"));
    assert!(graph.arrows["clankers-mesh"].iter().any(|a| a.to == "iroh"));
}

/// A workspace that keeps to the plan, with these arrows more.
fn with(more: &[(&str, &str, Use)]) -> Vec<String> {
    let mut graph = Graph::default();
    for (room, _) in FLOORS {
        graph.members.insert((*room).to_owned());
    }
    let good = [
        ("clankers-auth", "ucan", Use::Ships),
        ("clankers-node", "clankers-client", Use::Ships),
        ("clankers-mesh", "iroh", Use::Ships),
        ("clankers", "clankers-tests", Use::Tests),
        ("ucan", "serde", Use::Ships),
        ("clankers-protocol", "proptest", Use::Tests),
        ("proptest", "tokio", Use::Ships),
    ];
    for (from, to, used) in good.iter().chain(more) {
        graph.arrows.entry((*from).to_owned()).or_default().push(Arrow { to: (*to).to_owned(), used: *used });
    }
    faults(&graph)
}

#[test]
fn a_house_that_keeps_to_the_plan_passes() {
    assert_eq!(with(&[]), Vec::<String>::new());
    assert_eq!(with(&[("clankers", "clankers-node", Use::Ships)]), Vec::<String>::new());
}

#[test]
fn arrows_up_and_sideways_are_found() {
    for (from, to, way) in [
        ("clankers-protocol", "clankers-auth", "up"),
        ("clankers-mesh", "clankers-node", "up"),
        ("clankers-store", "clankers-models", "sideways"),
        ("clankers-auth", "clankers-agent", "sideways"),
        ("clankers-client", "clankers-node", "sideways"),
    ] {
        for used in [Use::Ships, Use::Tests] {
            let found = with(&[(from, to, used)]);
            assert!(
                found.len() == 1 && found[0].contains(&format!("points {way}")),
                "{from} -> {to}: {found:?}"
            );
        }
    }
    // What only tests may do beside each other does not ship.
    assert_eq!(with(&[("clankers", "clankers-tests", Use::Ships)]).len(), 1);
    assert!(with(&[("ucan", "clankers-protocol", Use::Ships)])[0].contains("know nothing"));
    // The simulations run the machines, not the shells around them.
    assert_eq!(with(&[("clankers-simulations", "clankers-protocol", Use::Ships)]), Vec::<String>::new());
    for room in ["clankers-mesh", "clankers-node", "clankers-store"] {
        assert!(with(&[("clankers-simulations", room, Use::Tests)])[0].contains("is to use"), "{room}");
    }
}

#[test]
fn walls_are_kept() {
    for (from, to) in [
        ("clankers-node", "iroh"),
        ("clankers-node", "iroh-gossip"),
        ("clankers-client", "mdns-sd"),
        ("clankers-node", "redb"),
        ("clankers", "reqwest"),
        ("clankers-tools", "hyper-util"),
        ("clankers-node", "clap"),
        ("clankers-mesh", "quinn"),
    ] {
        assert_eq!(with(&[(from, to, Use::Ships)]).len(), 1, "{from} -> {to}");
    }
    // A name that merely begins alike is another crate.
    assert_eq!(with(&[("clankers-node", "irohsomething", Use::Ships)]), Vec::<String>::new());
}

#[test]
fn purity_is_judged_all_the_way_down() {
    for room in super::plan::PURE {
        let found = with(&[(room, "tokio", Use::Ships)]);
        assert!(found.iter().any(|fault| fault.starts_with(&format!("{room} -> tokio:"))), "{found:?}");
    }
    let found = with(&[("clankers-agent", "harmless", Use::Ships), ("harmless", "tokio", Use::Ships)]);
    assert_eq!(found, ["clankers-agent -> harmless -> tokio: a pure room does no input or output"]);
    // Their tests may use what they like.
    assert_eq!(with(&[("clankers-agent", "tokio", Use::Tests)]), Vec::<String>::new());
}

#[test]
fn a_room_without_a_floor_and_a_floor_without_a_room_are_found() {
    let mut graph = Graph::default();
    graph.members.insert("clankers-attic".to_owned());
    let found = faults(&graph);
    assert!(found[0].contains("clankers-attic: has no floor"));
    assert_eq!(found.len(), 1 + FLOORS.len());
}
