//! Who was removed does not come back by a membership that was written before.

use clankers_auth::{
    limits::{REMOVAL_SKEW_SECS, REMOVALS, REMOVALS_OF_ONE},
    revoke,
    team::{self, Issued, Member, Removal, Removals},
};
use clankers_protocol::{CidDigest, NodeId, TeamId, Timestamp};

use crate::forge::{DAY, World, id, later, seed};

const TEAM: u8 = 20;

fn founded(member: u8, admin: bool, at: Timestamp, nonce: u8) -> Issued {
    team::found(&seed(TEAM), id(member), admin, at, 30 * DAY, [nonce; 16]).unwrap()
}

fn invited(by: u8, chain: &[u8], member: u8, at: Timestamp) -> Issued {
    team::invite(&seed(by), chain, id(member), false, at, 20 * DAY, [by; 16]).unwrap()
}

fn judged(member: u8, issued: &Issued) -> Member {
    let world = World::default();
    let team = TeamId(id(TEAM).0);
    team::judge(&world.at(later(2 * DAY)), team, id(member), &issued.chain, &mut Default::default()).unwrap()
}

/// Removed by who has this seed, a day after the beginning.
fn removed(by: u8, issued: &Issued) -> Removal {
    let at = later(DAY);
    let judged = revoke::make(&seed(by), &issued.chain, &issued.leaf, at, [9; 16]).unwrap();
    assert_eq!((judged.at, judged.revoker), (at, id(by)));
    Removal::of(&judged, at)
}

#[test]
fn whatever_the_remover_could_have_taken_back_as_well_is_over() {
    let admin = founded(1, true, later(0), 1);
    let (long, short) = (founded(3, false, later(0), 2), founded(3, true, later(60), 3));
    let by_admin = invited(1, &admin.chain, 3, later(60));
    // The key removes: all that was written before.
    let mut known = Removals::default();
    known.note(removed(TEAM, &long));
    for issued in [&long, &short, &by_admin] {
        assert_eq!(known.ending(&judged(3, issued)).unwrap().by, id(TEAM));
    }
    assert_eq!(known.ending(&judged(1, &admin)), None);
    // An admin removes: what it has written, and not what the key has.
    let mut known = Removals::default();
    known.note(removed(1, &by_admin));
    assert!(known.ending(&judged(3, &by_admin)).is_some());
    assert_eq!(known.ending(&judged(3, &long)), None);
}

#[test]
fn an_admin_who_is_removed_takes_along_whom_it_brought_in_by_whatever_membership() {
    let (one, other) = (founded(1, true, later(0), 1), founded(1, true, later(60), 2));
    let guest = invited(1, &other.chain, 3, later(90));
    let mut known = Removals::default();
    known.note(removed(TEAM, &one));
    let ended = known.ending(&judged(3, &guest)).unwrap();
    assert_eq!((ended.member, ended.by, ended.cid), (id(1), id(TEAM), one.leaf));
}

#[test]
fn a_new_invite_lets_it_in_again_and_a_clock_that_is_a_little_ahead_does_not() {
    let old = founded(3, false, later(0), 1);
    let removal = removed(TEAM, &old);
    let mut known = Removals::default();
    known.note(removal);
    let ahead = founded(3, false, later(DAY + REMOVAL_SKEW_SECS - 1), 2);
    assert!(known.ending(&judged(3, &ahead)).is_some());
    // Who knows of the removal writes so that it counts, and it holds at once.
    let written = known.written(id(3), later(DAY));
    assert_eq!(written, later(DAY + REMOVAL_SKEW_SECS));
    let new = founded(3, false, written, 3);
    assert_eq!(known.ending(&judged(3, &new)), None);
    let (world, team) = (World::default(), TeamId(id(TEAM).0));
    assert!(team::judge(&world.at(later(DAY)), team, id(3), &new.chain, &mut Default::default()).is_ok());
    assert_eq!(known.written(id(4), later(DAY)), later(DAY), "nobody else is concerned");
}

#[test]
fn a_remover_whose_clock_is_ahead_removes_nobody_in_the_future() {
    let old = founded(3, false, later(0), 1);
    let made = revoke::make(&seed(TEAM), &old.chain, &old.leaf, later(20 * DAY), [9; 16]).unwrap();
    let removal = Removal::of(&made, later(DAY));
    assert_eq!(removal.at, later(DAY));
}

#[test]
fn the_latest_of_each_remover_counts_and_there_are_only_so_many() {
    let removal = |member: u32, by: u8, at: u64| {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&member.to_le_bytes());
        Removal { member: NodeId(bytes), by: id(by), at: Timestamp(at), cid: CidDigest([0; 32]) }
    };
    let mut known = Removals::default();
    let over = |known: &Removals, it: Removal| known.written(it.member, Timestamp(0));
    known.note(removal(1, 1, 5_000));
    known.note(removal(1, 1, 4_000));
    assert_eq!((known.len(), over(&known, removal(1, 1, 0))), (1, Timestamp(35_000)));
    for by in 0..20 {
        known.note(removal(1, by, 6_000 + u64::from(by)));
    }
    assert_eq!(known.len(), REMOVALS_OF_ONE);
    for member in 0..6_000 {
        known.note(removal(member, 1, 10_000 + u64::from(member)));
        assert!(known.len() <= REMOVALS);
    }
    assert_eq!(over(&known, removal(1, 1, 0)), Timestamp(0), "longest ago");
    assert!(over(&known, removal(5_999, 1, 0)) > Timestamp(0));
}
