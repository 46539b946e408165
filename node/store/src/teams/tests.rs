use std::os::unix::fs::PermissionsExt;

use clankers_protocol::{NodeId, request::tokens::Rights};

use super::*;
use crate::{Home, Secret32, store::tables::TEAM_REMOVALS};

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const TEAM: TeamId = TeamId([7; 32]);

fn open() -> (tempfile::TempDir, Home, Store) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    (dir, home, store)
}

fn team(id: TeamId) -> KeptTeam {
    let template = Template {
        rights: Rights::default(),
        drop: true,
        offer: false,
        expire_secs: 60,
        grants: vec!["prompt".into()],
        max_total: Some(9),
    };
    KeptTeam { id, name: "core".into(), chain: vec![1, 2], joined: NOW, template: Some(template) }
}

#[test]
fn a_team_is_kept_with_its_members_and_gone_with_them() {
    let (_dir, home, store) = open();
    store.teams().put(&team(TEAM)).unwrap();
    let member = NodeId([3; 32]);
    assert!(store.teams().remember(TEAM, member, |m| m.take_chain(&[9])).unwrap());
    assert!(!store.teams().remember(TEAM, member, |m| m.last_seen = 5).unwrap(), "hardly news");
    assert!(store.teams().remember(TEAM, member, |m| m.parting = Some(Parting::Left)).unwrap());
    assert!(!store.teams().remember(TEAM, member, |m| m.label = Some("x".repeat(65))).unwrap(), "too long");
    store.teams().put_claim(TEAM, member, "bafyx", NOW.plus_ms(1_000), NOW).unwrap();
    drop(store);
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.teams().list().unwrap(), [team(TEAM)]);
    let members = store.teams().members(TEAM).unwrap();
    let kept = KeptMember { chains: vec![vec![9]], parting: Some(Parting::Left), ..KeptMember::default() };
    assert_eq!(members, [(member, kept)]);
    assert_eq!(store.teams().claims(TEAM, Some(member), NOW).unwrap().len(), 1);
    assert_eq!(store.teams().claims(TEAM, None, NOW.plus_ms(1_000)).unwrap(), []);
    assert!(store.teams().remove(TEAM).unwrap());
    assert!(!store.teams().remove(TEAM).unwrap());
    assert_eq!(store.teams().members(TEAM).unwrap(), []);
    assert_eq!(store.teams().claims(TEAM, None, NOW).unwrap(), []);
}

#[test]
fn one_team_does_not_touch_another() {
    let (_dir, _home, store) = open();
    let other = TeamId([8; 32]);
    let member = NodeId([0xff; 32]);
    for id in [TEAM, other] {
        store.teams().put(&team(id)).unwrap();
        store.teams().remember(id, member, |m| m.take_chain(&[1])).unwrap();
        store.teams().put_claim(id, member, "bafyx", NOW.plus_ms(1_000), NOW).unwrap();
    }
    store.teams().remove(TEAM).unwrap();
    assert_eq!(store.teams().list().unwrap(), [team(other)]);
    assert_eq!(store.teams().members(other).unwrap().len(), 1);
    assert_eq!(store.teams().claims(other, None, NOW).unwrap().len(), 1);
    store.teams().drop_claim(other, member, "bafyx").unwrap();
    assert_eq!(store.teams().claims(other, None, NOW).unwrap(), []);
}

#[test]
fn there_are_only_so_many_teams() {
    let (_dir, _home, store) = open();
    for i in 0..u8::try_from(limits::TEAMS).unwrap() {
        store.teams().put(&team(TeamId([i; 32]))).unwrap();
    }
    let more = store.teams().put(&team(TeamId([0xee; 32])));
    assert!(matches!(more, Err(StoreError::Full { .. })));
    // What is known can still change.
    store.teams().put(&team(TeamId([0; 32]))).unwrap();
}

#[test]
fn starts_are_numbered_upwards_whatever_the_clock_does() {
    let (_dir, home, store) = open();
    let first = store.teams().next_boot(NOW).unwrap();
    drop(store);
    let store = Store::open(&home, NOW).unwrap();
    let second = store.teams().next_boot(Timestamp(5)).unwrap();
    assert!(first == NOW.0 && second == first + 1);
}

#[test]
fn a_teams_key_is_private_and_never_replaced() {
    let (_dir, home, _store) = open();
    let keys = TeamKeys::of(&home);
    assert!(keys.get(TEAM).unwrap().is_none());
    keys.put(TEAM, &Secret32::new([5; 32])).unwrap();
    assert!(keys.put(TEAM, &Secret32::new([6; 32])).is_err());
    assert_eq!(keys.get(TEAM).unwrap().unwrap().expose(), &[5; 32]);
    assert_eq!(std::fs::metadata(keys.path(TEAM)).unwrap().permissions().mode() & 0o7777, 0o600);
    std::fs::set_permissions(keys.path(TEAM), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(keys.get(TEAM).is_err(), "others could have read it");
    assert!(keys.remove(TEAM).unwrap() && !keys.remove(TEAM).unwrap());
}

#[test]
fn the_latest_removal_of_somebody_by_somebody_is_kept_also_when_the_team_is_left() {
    let (_dir, home, store) = open();
    let removal = |member: u8, by: u8, at: u64| KeptRemoval {
        member: NodeId([member; 32]),
        by: NodeId([by; 32]),
        at: NOW.plus_ms(at),
        cid: clankers_protocol::CidDigest([member; 32]),
    };
    let other = TeamId([8; 32]);
    for (id, one) in [
        (TEAM, removal(3, 1, 5)),
        (TEAM, removal(3, 1, 9)),
        (TEAM, removal(3, 1, 7)),
        (TEAM, removal(3, 2, 1)),
        (other, removal(4, 1, 1)),
    ] {
        store.teams().put_removal(id, &one, NOW).unwrap();
    }
    drop(store);
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.teams().removals(TEAM).unwrap(), [removal(3, 1, 9), removal(3, 2, 1)]);
    // It may be joined again, and a revocation that is known is told to nobody twice.
    store.teams().put(&team(TEAM)).unwrap();
    assert!(store.teams().remove(TEAM).unwrap());
    assert_eq!(store.teams().removals(TEAM).unwrap(), [removal(3, 1, 9), removal(3, 2, 1)]);
    assert_eq!(store.teams().removals(other).unwrap(), [removal(4, 1, 1)]);
}

#[test]
fn removals_of_a_team_that_was_left_make_room_first() {
    let (_dir, _home, store) = open();
    let removal = |member: u64, at: u64| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&member.to_be_bytes());
        let cid = clankers_protocol::CidDigest(id);
        KeptRemoval { member: NodeId(id), by: NodeId([1; 32]), at: NOW.plus_ms(at), cid }
    };
    let left = TeamId([8; 32]);
    for id in [TEAM, left] {
        store.teams().put(&team(id)).unwrap();
    }
    store.teams().put_removal(TEAM, &removal(0, 0), NOW).unwrap();
    store
        .write(Keep::Now, |transaction| {
            let mut table = transaction.open_table(TEAM_REMOVALS)?;
            for member in 1..limits::TEAM_REMOVALS {
                let one = removal(member, member);
                table.insert((left.0, one.member.0, one.by.0), (one.at.0, one.cid.0))?;
            }
            Ok(())
        })
        .unwrap();
    store.teams().remove(left).unwrap();
    store.teams().put_removal(TEAM, &removal(5_000, 1), NOW).unwrap();
    assert_eq!(store.teams().removals(TEAM).unwrap(), [removal(0, 0), removal(5_000, 1)]);
    let of_left = store.teams().removals(left).unwrap();
    assert_eq!((of_left.len() as u64, of_left[0]), (limits::TEAM_REMOVALS - 2, removal(2, 2)));
}

/// A database as version 2 left it, with everything in it, is brought up to date and loses nothing.
#[test]
fn a_store_of_version_2_is_brought_up_to_date() {
    let (_dir, home, store) = open();
    store.peers().add(NodeId([1; 32]), &[], None, Some("friend"), NOW).unwrap();
    let peers = store.peers().list().unwrap();
    store
        .write(Keep::Now, |transaction| {
            transaction.delete_table(TEAMS)?;
            transaction.delete_table(TEAM_MEMBERS)?;
            transaction.delete_table(TEAM_CLAIMS)?;
            transaction.delete_table(TEAM_REMOVALS)?;
            transaction.open_table(META)?.insert(crate::store::tables::SCHEMA, 2)?;
            Ok(())
        })
        .unwrap();
    drop(store);
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.peers().list().unwrap(), peers);
    assert_eq!(store.teams().list().unwrap(), []);
    store.teams().put(&team(TEAM)).unwrap();
    let version = store.read(|t| Ok(t.open_table(META)?.get(crate::store::tables::SCHEMA)?.unwrap().value()));
    assert_eq!(version.unwrap(), crate::store::tables::SCHEMA_VERSION);
}
