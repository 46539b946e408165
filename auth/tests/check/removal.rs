//! Who was removed does not come back by a membership that was written before.

use clankers_auth::{
    limits::{REMOVAL_SKEW_SECS, REMOVALS, REMOVALS_OF_ONE},
    revoke,
    team::{self, Issued, Kind, Member, Removal, Removals},
};
use clankers_protocol::{CidDigest, NodeId, TeamId, Timestamp};
use ucan::Ipld;

use crate::forge::{self, DAY, World, id, later, seed};

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

/// An inviter that has not heard of the removal goes on renewing: no renewal is newer than the first of its line.
#[test]
fn a_renewal_is_as_old_as_what_it_renews() {
    let admin = founded(1, true, later(0), 1);
    let kind = Kind { renews: true, ..Kind::default() };
    let mut held = team::invite(&seed(1), &admin.chain, id(3), kind, later(60), 20 * DAY, [2; 16]).unwrap();
    let mut known = Removals::default();
    known.note(removed(TEAM, &held));
    for times in 0..3 {
        let again = judged(3, &held).again();
        assert_eq!((again.since, again.renews, again.admin), (Some(later(60)), true, false));
        let at = later(DAY + 3_600 + times);
        held = team::invite(&seed(1), &admin.chain, id(3), again, at, 20 * DAY, [3; 16]).unwrap();
        let renewed = judged(3, &held);
        let leaf = renewed.links.last().unwrap();
        assert_eq!(
            (leaf.issued, leaf.since),
            (at, later(60)),
            "what is left of its life counts from the renewal"
        );
        assert_eq!(known.ending(&renewed).unwrap().by, id(TEAM));
    }
    // Written by a person, later: it holds, and so do its renewals.
    let mut back =
        team::invite(&seed(1), &admin.chain, id(3), kind, later(DAY + 60), 20 * DAY, [4; 16]).unwrap();
    for _ in 0..2 {
        let member = judged(3, &back);
        assert_eq!(known.ending(&member), None);
        back =
            team::invite(&seed(1), &admin.chain, id(3), member.again(), later(DAY + 90), 20 * DAY, [5; 16])
                .unwrap();
    }
    // Of an older build, which says nothing: since it was written.
    let of_before = founded(3, false, later(DAY + 60), 6);
    assert_eq!(judged(3, &of_before).links[0].since, later(DAY + 60));
}

/// The field is signed with the link: whoever takes it out or changes it has no membership. One that says what nobody
/// understands, or a time after the link itself, wins nothing by it.
#[test]
fn since_when_a_membership_stands_is_its_inviters_word() {
    let (world, team) = (World::default(), TeamId(id(TEAM).0));
    let judged_of =
        |chain: &[u8]| team::judge(&world.at(later(2 * DAY)), team, id(3), chain, &mut Default::default());
    let link = |since: Option<Ipld>, by: u8| {
        let draft = forge::draft(TEAM, 3, team::MEMBER, 1)
            .not_before(forge::secs(later(DAY + 3_600)))
            .expires(forge::secs(later(20 * DAY)));
        let draft = match since {
            Some(since) => draft.meta(team::SINCE_META, since),
            None => draft,
        };
        forge::chain(&[forge::signed(draft, by)])
    };
    let secs = |at: Timestamp| Some(Ipld::Integer(at.as_secs().into()));
    let mut known = Removals::default();
    known.note(removed(TEAM, &founded(3, false, later(0), 1)));
    for (since, stands, ends) in [
        (None, later(DAY + 3_600), false),
        (secs(later(DAY + 60)), later(DAY + 60), false),
        (secs(later(5)), later(5), true),
        (secs(later(9 * DAY)), later(DAY + 3_600), false),
        (Some(Ipld::Integer((-1).into())), Timestamp(0), true),
        (Some(Ipld::Bool(true)), Timestamp(0), true),
    ] {
        let member = judged_of(&link(since.clone(), TEAM)).unwrap();
        assert_eq!(member.links[0].since, stands, "{since:?}");
        assert_eq!(known.ending(&member).is_some(), ends, "{since:?}");
        // Written by the member itself.
        assert!(judged_of(&link(since, 3)).is_err());
    }
}

/// Who joins after the link that was taken back has ended is told of the removal still, and believes it.
#[test]
fn a_removal_is_proven_for_as_long_as_a_membership_of_before_may_last() {
    let admin = founded(1, true, later(0), 1);
    for (by, issued) in [(TEAM, founded(3, false, later(0), 2)), (1, invited(1, &admin.chain, 3, later(0)))] {
        let made = revoke::make(&seed(by), &issued.chain, &issued.leaf, later(DAY), [9; 16]).unwrap();
        let until = later(401 * DAY);
        assert_eq!(made.told_until(), until);
        let world = World::default();
        for at in [later(2 * DAY), later(100 * DAY), until] {
            assert_eq!(revoke::judge_team(&world.at(at), &made.bytes).as_ref(), Ok(&made));
        }
        assert!(revoke::judge_team(&world.at(later(401 * DAY + 1)), &made.bytes).is_err());
        // Elsewhere it takes room no longer than it is needed.
        assert!(revoke::judge(&made.bytes, later(100 * DAY)).is_err());
        assert_eq!(revoke::read(&made.bytes).as_ref(), Ok(&made));
    }
    // A remover whose clock is far ahead is told of no longer than others.
    let old = founded(3, false, later(0), 1);
    let made = revoke::make(&seed(TEAM), &old.chain, &old.leaf, later(9_000 * DAY), [9; 16]).unwrap();
    assert_eq!(made.told_until(), later(430 * DAY));
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
