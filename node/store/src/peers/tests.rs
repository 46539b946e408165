use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let home = crate::Home::open(dir.path()).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    (dir, store)
}

fn id(first: &[u8]) -> NodeId {
    let mut id = [0x55; 32];
    id[..first.len()].copy_from_slice(first);
    NodeId(id)
}

fn addrs(list: &[&str]) -> Vec<String> {
    list.iter().map(|a| (*a).to_owned()).collect()
}

#[test]
fn added_named_renamed_removed() {
    let (_dir, store) = store();
    let book = store.peers();
    let (a, b) = (id(&[1]), id(&[2]));
    let added = book.add(a, &addrs(&["192.0.2.1:7"]), Some("https://relay"), Some("Laptop"), NOW).unwrap();
    assert_eq!((added.trusted, added.label.as_deref()), (true, Some("Laptop")));
    assert_eq!(added.via, ["book"]);
    book.add(b, &[], None, None, NOW).unwrap();
    assert_eq!(book.list().unwrap().iter().map(|p| p.id).collect::<Vec<_>>(), [a, b]);
    for name in ["Laptop", "laptop", &a.to_string(), "0155", &a.did()] {
        assert_eq!(book.resolve(name).unwrap().id, a, "{name}");
    }
    let taken = book.set_label(b, Some("LAPTOP")).unwrap_err();
    assert!(matches!(taken, PeerError::LabelTaken { holder, .. } if holder == a));
    assert_eq!(book.get(b).unwrap().unwrap().label, None, "nothing changed");
    assert!(matches!(book.add(id(&[3]), &[], None, Some("laptop"), NOW), Err(PeerError::LabelTaken { .. })));
    assert_eq!(book.get(id(&[3])).unwrap(), None, "nothing was added");
    book.set_label(a, Some("desk")).unwrap();
    book.set_label(b, Some("laptop")).unwrap();
    assert_eq!(book.resolve("laptop").unwrap().id, b);
    book.set_label(b, None).unwrap();
    assert!(matches!(book.resolve("laptop"), Err(PeerError::NotFound(_))));
    assert_eq!(book.remove(a).unwrap().label.as_deref(), Some("desk"));
    book.set_label(b, Some("desk")).unwrap();
    assert!(matches!(book.remove(a), Err(PeerError::NotFound(_))));
    assert!(matches!(book.set_label(a, Some("x")), Err(PeerError::NotFound(_))));
    assert!(matches!(book.set_label(b, Some("beef")), Err(PeerError::BadLabel { .. })));
}

#[test]
fn names_that_mean_nobody_or_several() {
    let (_dir, store) = store();
    let book = store.peers();
    for first in [[0xab, 0xcd, 0x11], [0xab, 0xcd, 0x22]] {
        book.add(id(&first), &[], None, None, NOW).unwrap();
    }
    assert!(matches!(book.resolve("abcd"), Err(PeerError::Ambiguous { count: 2, .. })));
    assert_eq!(book.resolve("abcd1").unwrap().id, id(&[0xab, 0xcd, 0x11]));
    assert!(matches!(book.resolve("abc"), Err(PeerError::TooShort(_))));
    for nobody in
        ["", "abce", "ABCD", "nobody", &"ab".repeat(32), "did:key:zz", &"x".repeat(1000), "a\u{1b}[2J"]
    {
        let error = book.resolve(nobody).unwrap_err();
        assert!(matches!(error, PeerError::NotFound(_)), "{nobody}: {error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[test]
fn nobody_claims_their_way_into_a_name() {
    let (_dir, store) = store();
    let book = store.peers();
    let (friend, second, stranger) = (id(&[1]), id(&[2]), id(&[3]));
    let claims = |name| Heard { via: "mdns", claimed: Some(name), ..Heard::default() };
    book.heard(stranger, claims("printer"), NOW).unwrap();
    assert!(matches!(book.resolve("printer"), Err(PeerError::NotFound(_))), "strangers are not resolved");
    book.add(friend, &[], None, None, NOW).unwrap();
    book.heard(friend, claims("printer"), NOW).unwrap();
    assert_eq!(book.resolve("printer").unwrap().id, friend);
    book.add(second, &[], None, None, NOW).unwrap();
    book.heard(second, claims("Printer"), NOW).unwrap();
    assert!(matches!(book.resolve("printer"), Err(PeerError::Ambiguous { count: 2, .. })));
    book.set_label(second, Some("printer")).unwrap();
    assert_eq!(book.resolve("printer").unwrap().id, second, "the owner's label counts");
    book.heard(friend, claims("0202"), NOW).unwrap();
    assert_eq!(book.remove(stranger).unwrap().claimed.as_deref(), Some("printer"));
}

#[test]
fn what_is_heard_is_bounded() {
    let (_dir, store) = store();
    let book = store.peers();
    let peer = id(&[1]);
    book.add(peer, &addrs(&["192.0.2.1:1"]), None, None, NOW).unwrap();
    let many: Vec<String> = (0..100).map(|i| format!("10.0.0.{i}:5")).collect();
    let long = "x".repeat(5000);
    let heard =
        Heard { via: "mdns", addrs: &many, relay: Some(&long), claimed: Some(&long), version: Some(&long) };
    book.heard(peer, heard, NOW).unwrap();
    let record = book.get(peer).unwrap().unwrap();
    assert_eq!(record.addrs.len(), limits::PEER_ADDRESSES);
    assert!(record.addrs.contains(&"192.0.2.1:1".to_owned()), "the owner's address stays");
    assert_eq!((record.relay, record.claimed, record.version), (None, None, None));
    assert_eq!(record.via, ["book", "mdns"]);
    let rubbish = addrs(&["", "localhost:1", "1.2.3.4", "\u{1b}[2J:1", &long]);
    let before = book.get(peer).unwrap();
    assert!(!book.heard(peer, Heard { via: "mdns", addrs: &rubbish, ..Heard::default() }, NOW).unwrap());
    assert_eq!(book.get(peer).unwrap(), before);
    assert!(matches!(book.add(peer, &rubbish, None, None, NOW), Err(PeerError::BadAddress(_))));
    assert!(matches!(book.add(peer, &many, None, None, NOW), Err(PeerError::TooMuch { .. })));
    assert!(matches!(book.add(peer, &[], Some(&long), None, NOW), Err(PeerError::TooMuch { .. })));
}

#[test]
fn addresses_age_and_the_latest_come_first() {
    let (_dir, store) = store();
    let book = store.peers();
    let peer = id(&[1]);
    let hear = |list: &[&str], at| {
        book.heard(peer, Heard { via: "mdns", addrs: &addrs(list), ..Heard::default() }, at).unwrap()
    };
    book.add(peer, &addrs(&["192.0.2.1:1"]), None, None, NOW).unwrap();
    assert!(hear(&["10.0.0.1:1"], NOW));
    assert!(!hear(&["10.0.0.1:1"], NOW.plus_ms(limits::LAST_SEEN_GRAIN_MS - 1)), "no write for nothing");
    assert!(hear(&["10.0.0.1:1"], NOW.plus_ms(limits::LAST_SEEN_GRAIN_MS)));
    let later = NOW.plus_ms(limits::ADDRESS_AGE_MS * 2);
    assert!(hear(&["10.0.0.2:1"], later));
    let record = book.get(peer).unwrap().unwrap();
    assert_eq!(record.addrs, ["10.0.0.2:1", "192.0.2.1:1"]);
    assert_eq!(record.last_seen, Some(later));
}

#[test]
fn a_flood_of_strangers_evicts_strangers_only() {
    let (_dir, store) = store();
    let book = store.peers();
    let (friend, named) = (id(&[1]), id(&[2]));
    book.add(friend, &[], None, None, NOW).unwrap();
    book.heard(named, Heard { via: "mdns", ..Heard::default() }, NOW).unwrap();
    book.set_label(named, Some("named")).unwrap();
    let flood = limits::PEERS_STRANGERS + 100;
    for i in 0..flood {
        let stranger = NodeId(crate::os::random().unwrap());
        book.heard(stranger, Heard { via: "mdns", ..Heard::default() }, NOW.plus_ms(i)).unwrap();
    }
    let peers = book.list().unwrap();
    assert_eq!(peers.len() as u64, limits::PEERS_STRANGERS + 2);
    assert!(peers.iter().any(|p| p.id == friend) && peers.iter().any(|p| p.id == named));
    let oldest = peers.iter().filter(|p| !p.trusted && p.label.is_none()).filter_map(|p| p.last_seen).min();
    assert_eq!(oldest, Some(NOW.plus_ms(100)), "the one silent longest leaves");
    // A labelled one that loses its label is a stranger again and can leave.
    book.set_label(named, None).unwrap();
    book.heard(id(&[9]), Heard { via: "mdns", ..Heard::default() }, NOW.plus_ms(flood)).unwrap();
    assert_eq!(book.get(named).unwrap(), None);
}

#[derive(Debug, Clone)]
enum Op {
    Add(u8, Option<u8>),
    Heard(u8, u64),
    Label(u8, Option<u8>),
    Remove(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let peer = 0_u8..6;
    let label = prop::option::of(0_u8..4);
    prop_oneof![
        (peer.clone(), label.clone()).prop_map(|(p, l)| Op::Add(p, l)),
        (peer.clone(), 0_u64..500_000).prop_map(|(p, t)| Op::Heard(p, t)),
        (peer.clone(), label).prop_map(|(p, l)| Op::Label(p, l)),
        peer.prop_map(Op::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is done, labels name exactly who has them, and exactly the strangers are in the strangers' order.
    #[test]
    fn the_tables_agree(ops in prop::collection::vec(op(), 1..40)) {
        let (_dir, store) = store();
        let book = store.peers();
        for op in ops {
            let name = |label: Option<u8>| label.map(|l| format!("Label{l}"));
            match op {
                Op::Add(p, l) => drop(book.add(id(&[p]), &[], None, name(l).as_deref(), NOW)),
                Op::Heard(p, t) => {
                    drop(book.heard(id(&[p]), Heard { via: "mdns", ..Heard::default() }, NOW.plus_ms(t)));
                }
                Op::Label(p, l) => drop(book.set_label(id(&[p]), name(l).as_deref())),
                Op::Remove(p) => drop(book.remove(id(&[p]))),
            }
            let peers = book.list().unwrap();
            let expected: BTreeMap<String, NodeId> =
                peers.iter().filter_map(|p| Some((label::key(p.label.as_ref()?), p.id))).collect();
            let labelled = peers.iter().filter(|p| p.label.is_some()).count();
            prop_assert_eq!(expected.len(), labelled, "labels are unique");
            let (labels, strangers) = store.read(|transaction| {
                let labels = transaction.open_table(LABELS)?;
                let labels: BTreeMap<String, NodeId> = labels
                    .iter()?
                    .map(|entry| entry.map(|(key, value)| (key.value().to_owned(), NodeId(value.value()))))
                    .collect::<Result<_, _>>()?;
                let strangers = transaction.open_table(STRANGERS)?;
                let strangers: BTreeMap<NodeId, u64> = strangers
                    .iter()?
                    .map(|entry| entry.map(|(key, _)| (NodeId(key.value().1), key.value().0)))
                    .collect::<Result<_, _>>()?;
                Ok((labels, strangers))
            }).unwrap();
            prop_assert_eq!(labels, expected);
            let unkept = peers.iter().filter(|p| !p.trusted && p.label.is_none());
            let expected: BTreeMap<NodeId, u64> =
                unkept.map(|p| (p.id, p.last_seen.map_or(0, |t| t.0))).collect();
            prop_assert_eq!(strangers, expected);
        }
    }
}

/// Members of teams are known besides the book: by id and prefix, and by what they call themselves while that can mean
/// nobody else.
#[test]
fn members_are_named_like_trusted_peers_and_the_owners_words_come_first() {
    let (_dir, store) = store();
    let book = store.peers();
    let (anna, bert, carl) = (NodeId([0xa1; 32]), NodeId([0xb2; 32]), NodeId([0xc3; 32]));
    let say = |id: NodeId, label: &str| (id, Some(label.to_owned()));
    let others = [say(anna, "desk"), say(bert, "Bert"), (carl, None)];
    let found =
        |name: &str, others: &[(NodeId, Option<String>)]| book.resolve_among(name, others).map(|p| p.id);
    for (name, id) in
        [("desk", anna), ("bert", bert), ("c3c3", carl), (&carl.to_string(), carl), (&anna.did(), anna)]
    {
        assert_eq!(found(name, &others).unwrap(), id, "{name}");
    }
    assert!(matches!(found("desk", &[]), Err(PeerError::NotFound(_))));
    // Two claim it: it means neither.
    let both = [say(anna, "desk"), say(bert, "desk")];
    assert!(matches!(found("desk", &both), Err(PeerError::Ambiguous { count: 2, .. })));
    // Whom the owner calls so is meant, whoever claims it; and whoever has a name of the owner's goes by that only.
    book.add(carl, &[], None, Some("desk"), NOW).unwrap();
    assert_eq!(found("desk", &both).unwrap(), carl);
    book.add(bert, &[], None, Some("other"), NOW).unwrap();
    assert!(matches!(found("bert", &others), Err(PeerError::NotFound(_))));
    // A beginning that fits a stranger in the book and a member fits two.
    book.heard(NodeId([0xa1; 32]), Heard { via: "mdns", ..Heard::default() }, NOW).unwrap();
    assert_eq!(found("a1a1", &others).unwrap(), anna);
}

#[test]
fn trust_is_given_and_taken_and_decides_whether_a_claim_names() {
    let (_dir, store) = store();
    let book = store.peers();
    let id = NodeId([0xa1; 32]);
    assert!(matches!(book.set_trusted(id, true), Err(PeerError::NotFound(_))));
    let heard = Heard { via: "mdns", claimed: Some("desk"), ..Heard::default() };
    book.heard(id, heard, NOW).unwrap();
    assert!(matches!(book.resolve("desk"), Err(PeerError::NotFound(_))));
    assert!(book.set_trusted(id, true).unwrap().trusted);
    assert_eq!(book.resolve("desk").unwrap().id, id);
    assert!(!book.set_trusted(id, false).unwrap().trusted);
    assert!(matches!(book.resolve("desk"), Err(PeerError::NotFound(_))));
    // A stranger again: a crowd of others pushes it out.
    for i in 0..limits::PEERS_STRANGERS {
        let mut other = [0; 32];
        other[..8].copy_from_slice(&i.to_be_bytes());
        other[31] = 1;
        book.heard(NodeId(other), Heard { via: "mdns", ..Heard::default() }, NOW.plus_ms(1 + i)).unwrap();
    }
    assert_eq!(book.get(id).unwrap(), None);
}
