//! Records that nobody honest would send, and floods of them.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;

use super::*;
use crate::{
    discovery::record::{OwnRecord, RecordError, SERVICE, id_of, instance, read},
    limits::{DISCOVERED_ADDRESSES, TXT_BYTES, TXT_LABEL_BYTES},
};

const OWN: NodeId = NodeId([0xee; 32]);

fn id(n: u32) -> NodeId {
    let mut bytes = [7; 32];
    bytes[28..].copy_from_slice(&n.to_be_bytes());
    NodeId(bytes)
}

fn heard(n: u32) -> Heard {
    Heard {
        id: id(n),
        addrs: vec![SocketAddr::from(([10, 0, 0, 1], 4000))],
        label: None,
        version: "0.1.0".to_owned(),
        leaving: false,
    }
}

fn fullname(id: NodeId) -> String {
    format!("{}.{SERVICE}", instance(id))
}

/// Reads a record as the network would hand it over.
fn read_txt(name: &str, txt: &[(&str, &str)], ips: &[&str]) -> Result<Heard, RecordError> {
    let txt: Vec<_> = txt.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
    read(OWN, name, &txt, ips.iter().map(|ip| ip.parse::<IpAddr>().unwrap()))
}

#[test]
fn what_is_announced_is_what_is_read() {
    let long = "büro\u{202e}\x1b[2J".repeat(10);
    for label in [None, Some("build-box".to_owned()), Some(long), Some("\n".to_owned())] {
        let ports = vec!["0.0.0.0:4000".parse().unwrap(), "[::]:65535".parse().unwrap()];
        let own = OwnRecord { id: id(1), ports, label: label.clone() };
        let txt = own.txt(false);
        let bytes: usize = txt.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
        assert!(bytes <= TXT_BYTES, "{bytes}");
        let txt: Vec<_> = txt.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let got = read_txt(&fullname(id(1)), &txt, &["10.0.0.1", "fd00::1", "fe80::1"]).unwrap();
        assert_eq!(got.id, id(1));
        assert_eq!(got.addrs[0], "10.0.0.1:4000".parse().unwrap());
        assert!(got.addrs.contains(&"[fd00::1]:65535".parse().unwrap()));
        // Of IPv6, an address of one link leads nowhere.
        assert_eq!(got.addrs.len(), 2, "{:?}", got.addrs);
        if let Some(label) = got.label {
            assert!(label.len() <= TXT_LABEL_BYTES * 4 && !label.contains(['\u{202e}', '\x1b']), "{label:?}");
        }
        // Nothing else is said: the keys are these.
        assert!(txt.iter().all(|(k, _)| ["txtvers", "id", "v", "p4", "p6", "f", "n"].contains(k)));
    }
    assert_eq!(instance(id(1)).len(), 52);
    assert_eq!(id_of(&fullname(id(1)).to_ascii_uppercase()), Some(id(1)));
}

#[test]
fn hostile_records_are_dropped() {
    let name = fullname(id(1));
    let z = instance(id(1));
    let good = [("txtvers", "1"), ("id", z.as_str()), ("p4", "4000")];
    let with = |key: &'static str, value: &str| {
        let mut txt: Vec<_> =
            good.iter().filter(|(k, _)| *k != key).map(|(k, v)| (*k, (*v).to_owned())).collect();
        txt.push((key, value.to_owned()));
        let txt: Vec<_> = txt.iter().map(|(k, v)| (*k, v.as_str())).collect();
        read_txt(&name, &txt, &["10.0.0.1"])
    };
    assert!(read_txt(&name, &good, &["10.0.0.1"]).is_ok());
    assert_eq!(with("txtvers", "2"), Err(RecordError::Version));
    let other = instance(id(2));
    // A record may not speak for another id, nor spell its own in a second way.
    let mut twin = z.clone().into_bytes();
    *twin.last_mut().unwrap() = if twin.last() == Some(&b'y') { b'b' } else { b'y' };
    let twin = String::from_utf8(twin).unwrap();
    let (short, foreign) = (z.get(..51).unwrap(), z.replace('y', "!"));
    for bad in ["", "short", short, &format!("{z}y"), &foreign, &other, &twin] {
        assert_eq!(with("id", bad), Err(RecordError::Id), "{bad}");
    }
    assert_eq!(with("n", &"x".repeat(400)), Err(RecordError::TooLarge));
    for port in ["0", "65536", "-1", "", "4e3"] {
        assert_eq!(with("p4", port), Err(RecordError::NoAddress), "{port}");
    }
    for ip in ["0.0.0.0", "224.0.0.251", "255.255.255.255", "::", "ff02::fb", "::ffff:224.0.0.1", "fd00::1"] {
        assert_eq!(read_txt(&name, &good, &[ip]), Err(RecordError::NoAddress), "{ip}");
    }
    let own = [("txtvers", "1"), ("id", &instance(OWN)), ("p4", "1")];
    assert_eq!(read_txt(&fullname(OWN), &own, &["10.0.0.1"]), Err(RecordError::Own));
    // As many addresses as somebody likes to send.
    let many = (0..5000_u32).map(|n| IpAddr::from(n.wrapping_add(0x0a00_0001).to_be_bytes()));
    let txt: Vec<_> = good.iter().map(|(k, v)| (*k, v.as_bytes())).collect();
    assert_eq!(read(OWN, &name, &txt, many).unwrap().addrs.len(), DISCOVERED_ADDRESSES);
    for name in ["", "x", "._clankers._udp.local.", &format!("{z}._http._tcp.local."), &z] {
        assert_eq!(id_of(name), None, "{name}");
    }
}

#[test]
fn a_flood_pushes_out_neither_the_established_nor_the_wanted() {
    let mut table = Table::new(OWN);
    for n in 0..100 {
        table.heard(Timestamp(u64::from(n)), heard(n));
    }
    table.want(id(1_000_000));
    for n in 1000..11_000 {
        table.heard(Timestamp(u64::from(n)), heard(n));
        assert!(table.entries.len() <= DISCOVERED_PEERS);
    }
    // Established nodes stand, and who is waited for still gets in and stays.
    assert!((0..100).all(|n| table.get(id(n)).is_some()));
    assert!(table.heard(Timestamp(60_000), heard(1_000_000)));
    for n in 100_000..103_000 {
        table.heard(Timestamp(u64::from(n)), heard(n));
    }
    assert!(table.get(id(1_000_000)).is_some());
    // A newcomer that nobody waits for is seen too, if only until the next.
    assert!(table.heard(Timestamp(200_000), heard(7_777_777)));
    assert!(table.get(id(7_777_777)).is_some());
    table.unwant(id(1_000_000));
    assert!(table.wanted.is_empty());
}

#[test]
fn doubt_runs_out_unless_the_node_is_heard_again() {
    let mut table = Table::new(OWN);
    table.heard(Timestamp(0), heard(1));
    table.heard(Timestamp(0), heard(2));
    assert!(!table.sweep(Timestamp(u64::MAX)), "a watched record does not run out here");
    table.doubt(Timestamp(1000));
    table.doubt(Timestamp(100_000));
    assert!(!table.heard(Timestamp(2000), heard(2)), "the same again is no news");
    assert!(table.sweep(Timestamp(1000 + DISCOVERED_TTL_MS)));
    assert_eq!(table.list().map(|d| d.id).collect::<Vec<_>>(), [id(2)]);
    assert!(table.gone(id(2)) && !table.gone(id(2)));
}

#[test]
fn a_prefix_names_one_or_says_why_not() {
    let mut table = Table::new(OWN);
    table.heard(Timestamp(0), heard(1));
    table.heard(Timestamp(0), heard(2));
    let whole = id(1).to_string();
    assert_eq!(table.resolve(&whole).unwrap().id, id(1));
    assert_eq!(table.resolve(&format!(" {} ", whole.to_uppercase())).unwrap().id, id(1));
    assert_eq!(table.resolve("0707"), Err(ResolveError::Ambiguous(vec![id(1), id(2)])));
    assert_eq!(table.resolve("abcd"), Err(ResolveError::NotFound));
    for bad in ["", "070", "build-box", &format!("{whole}0"), "07zz"] {
        assert_eq!(table.resolve(bad), Err(ResolveError::NotAPrefix), "{bad}");
    }
}

proptest! {
    #[test]
    fn no_record_makes_it_panic(
        name in "[a-z0-9.]{0,80}|[ybndrfg8ejkmcpqxot1uwisza345h769]{52}\\._clankers\\._udp\\.local\\.",
        txt in prop::collection::vec(("(id|p4|p6|n|v|txtvers|[a-z]{1,3})", prop::collection::vec(any::<u8>(), 0..60)), 0..8),
        ips in prop::collection::vec(any::<[u8; 16]>(), 0..4),
    ) {
        let txt: Vec<_> = txt.iter().map(|(k, v)| (k.as_str(), v.as_slice())).collect();
        drop(read(OWN, &name, &txt, ips.into_iter().map(IpAddr::from)));
    }

    #[test]
    fn the_table_stays_within_its_cap(steps in prop::collection::vec((0_u8..5, 0_u32..3000), 0..4000)) {
        let mut table = Table::new(OWN);
        for (at, (what, n)) in steps.into_iter().enumerate() {
            let now = Timestamp(at as u64);
            match what {
                0 => { table.gone(id(n)); }
                1 => { table.sweep(now.plus_ms(u64::from(n))); }
                2 if n < 50 => { table.doubt(now); }
                _ => { table.heard(now, heard(n)); }
            }
            prop_assert!(table.entries.len() <= DISCOVERED_PEERS);
        }
    }
}

#[test]
fn who_leaves_is_forgotten_at_once_and_may_come_back() {
    let own = OwnRecord { id: id(1), ports: vec!["10.0.0.1:4000".parse().unwrap()], label: None };
    let read = |leaving| {
        let txt = own.txt(leaving);
        let txt: Vec<_> = txt.iter().map(|(k, v)| (*k, v.as_str())).collect();
        read_txt(&fullname(id(1)), &txt, &["10.0.0.1"]).unwrap()
    };
    let (mut table, now) = (Table::new(OWN), Timestamp(1));
    assert!(table.heard(now, read(false)));
    assert!(table.heard(now, read(true)), "it is news");
    assert!(table.get(id(1)).is_none());
    assert!(!table.heard(now, read(true)), "once");
    assert!(table.heard(now, read(false)));
    assert!(table.get(id(1)).is_some());
}
