use std::time::Duration;

use clankers_auth::{revoke, team};
use clankers_protocol::Timestamp;
use clankers_store::{Home, audit::AuditSettings};

use super::*;

const DAY: u64 = 86_400;
const KEY: [u8; 32] = [20; 32];
const ADMIN: [u8; 32] = [1; 32];

struct Fixture {
    _dir: tempfile::TempDir,
    team: TeamId,
    member: NodeId,
    began: Timestamp,
    authority: Arc<Authority>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let me = NodeId([9; 32]);
        let authority = Authority::new(me, Timestamp(0), home, AuditSettings::default());
        Self {
            _dir: dir,
            team: team::id_of(&KEY),
            member: clankers_auth::mint::id_of(&[3; 32]),
            began: clock::now(),
            authority: Arc::new(authority),
        }
    }

    fn roll(&self, ours: Vec<NodeId>) -> Roll {
        Roll::new(self.team, Arc::clone(&self.authority), ours, Removals::default())
    }

    /// A membership by the team's key, so many seconds after an hour ago.
    fn invite(&self, after: u64, days: u64) -> team::Issued {
        let at = Timestamp(self.began.0 - 3_600_000).plus_ms(after * 1_000);
        team::found(&KEY, self.member, false, at, days * DAY, [7; 16]).unwrap()
    }
}

/// The case of the review: the remover has seen one of two memberships, and the other turns up after the removal.
#[tokio::test]
async fn a_removed_member_does_not_come_back_by_a_membership_that_the_remover_never_saw() {
    let world = Fixture::new();
    let (seen, unseen) = (world.invite(0, 400), world.invite(60, 7));
    let (keeper, other) = (world.roll(vec![world.team.node()]), world.roll(Vec::new()));
    for roll in [&keeper, &other] {
        assert!(roll.enter(world.member, &seen.chain).unwrap().1);
    }
    let made = revoke::make(&KEY, &seen.chain, &seen.leaf, world.began, [5; 16]).unwrap();
    let removal = Removal::of(&made, clock::now());
    for roll in [&keeper, &other] {
        roll.note(removal);
        world.authority.changed();
        assert_eq!(roll.recheck(), [(world.member, NotMember::Removed(removal))]);
        assert_eq!(roll.enter(world.member, &unseen.chain), Err(NotMember::Removed(removal)));
        assert_eq!(roll.enter(world.member, &seen.chain), Err(NotMember::Removed(removal)));
        assert!(!roll.is_member(world.member));
    }
    // Who removed takes that back as well; all others leave it to that one.
    let back = tokio::time::timeout(Duration::from_secs(60), keeper.returned()).await.unwrap();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].1, removal.at, "not once more, from now on");
    assert!(other.returned.lock().unwrap().is_empty());
    // Let in again.
    let written = world.invite(3_600 + 30, 7);
    for roll in [&keeper, &other] {
        assert!(roll.enter(world.member, &written.chain).is_ok());
        assert!(roll.is_member(world.member));
    }
}

/// Let in again meanwhile: what is taken back then is no newer removal than the first.
#[tokio::test]
async fn what_turns_up_is_taken_back_as_of_its_removal() {
    let world = Fixture::new();
    let (seen, unseen) = (world.invite(0, 400), world.invite(60, 7));
    let keeper = world.roll(vec![world.team.node()]);
    let at = Timestamp(world.began.0 - 1_800_000);
    let made = revoke::make(&KEY, &seen.chain, &seen.leaf, at, [5; 16]).unwrap();
    keeper.note(Removal::of(&made, clock::now()));
    let back = world.invite(3_500, 7);
    keeper.enter(world.member, &back.chain).unwrap();
    assert!(keeper.enter(world.member, &unseen.chain).is_err());
    let returned = tokio::time::timeout(Duration::from_secs(60), keeper.returned()).await.unwrap();
    for (chain, at) in returned {
        let made = revoke::make(&KEY, &chain, &unseen.leaf, at, [6; 16]).unwrap();
        keeper.note(Removal::of(&made, clock::now()));
    }
    world.authority.changed();
    assert_eq!(keeper.recheck(), []);
    assert!(keeper.is_member(world.member));
}

#[test]
fn a_removal_by_an_admin_leaves_what_the_key_has_written() {
    let world = Fixture::new();
    let id = clankers_auth::mint::id_of(&ADMIN);
    let admin = team::found(&KEY, id, true, Timestamp(world.began.0 - 1_000), DAY, [1; 16]).unwrap();
    let by_admin =
        team::invite(&ADMIN, &admin.chain, world.member, false, world.began, 1_000, [2; 16]).unwrap();
    let roll = world.roll(Vec::new());
    roll.enter(world.member, &by_admin.chain).unwrap();
    let made = revoke::make(&ADMIN, &by_admin.chain, &by_admin.leaf, world.began, [5; 16]).unwrap();
    roll.note(Removal::of(&made, clock::now()));
    world.authority.changed();
    assert_eq!(roll.recheck().len(), 1);
    assert!(roll.enter(world.member, &world.invite(0, 7).chain).is_ok());
}

/// What is known and was shown again is looked at again when something was revoked since: not only when all are.
#[test]
fn the_very_same_membership_is_judged_anew_after_a_removal() {
    let world = Fixture::new();
    let roll = world.roll(Vec::new());
    let seen = world.invite(0, 7);
    roll.enter(world.member, &seen.chain).unwrap();
    let made = revoke::make(&KEY, &seen.chain, &seen.leaf, world.began, [5; 16]).unwrap();
    roll.note(Removal::of(&made, clock::now()));
    world.authority.changed();
    assert!(roll.enter(world.member, &seen.chain).is_err());
}

#[tokio::test]
async fn what_a_member_shows_itself_stands_and_else_what_was_written_last() {
    let world = Fixture::new();
    let roll = world.roll(Vec::new());
    let (long, later, last) = (world.invite(0, 400), world.invite(60, 7), world.invite(120, 9));
    let stands = |roll: &Roll| roll.chain(world.member).map(|chain| chain.to_vec());
    assert!(roll.enter(world.member, &later.chain).unwrap().1);
    // Older, though it lasts longer: somebody repeats it.
    assert!(!roll.enter(world.member, &long.chain).unwrap().1);
    assert_eq!(stands(&roll), Some(later.chain.clone()));
    assert!(roll.enter(world.member, &last.chain).unwrap().1);
    assert_eq!(stands(&roll), Some(last.chain));
    assert!(roll.shown(world.member, &later.chain).unwrap().1);
    assert_eq!(stands(&roll), Some(later.chain));
}
