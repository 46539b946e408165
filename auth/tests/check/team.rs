//! Teams: who is a member, who may invite, and what members sign.

use clankers_auth::{
    Denial, GrantSpec, Standing, VerifiedTokens, mint, revoke,
    team::{self, Issued, Kind, Member, NotMember, TeamError},
};
use clankers_protocol::{
    NodeId, TeamId, Timestamp,
    presence::{Gossiped, Lost, Notice, Record, Say, Signable, Signed},
    refusal::RefusalCode,
};
use ucan::{Policy, Profile};

use crate::forge::{DAY, NOW, World, chain, digest, draft, id, later, seed, signed};

/// The team's key is that of `id(20)`.
const TEAM: u8 = 20;

fn team_id() -> TeamId {
    TeamId(id(TEAM).0)
}

fn judged_at(world: &World, at: Timestamp, member: u8, chain: &[u8]) -> Result<Member, NotMember> {
    team::judge(&world.at(at), team_id(), id(member), chain, &mut VerifiedTokens::default())
}

fn judged(member: u8, chain: &[u8]) -> Result<Member, NotMember> {
    judged_at(&World::default(), NOW, member, chain)
}

fn founded(member: u8, admin: bool) -> Issued {
    team::found(&seed(TEAM), id(member), admin, NOW, 30 * DAY, [1; 16]).unwrap()
}

fn invited(by: u8, chain: &[u8], member: u8, admin: bool) -> Result<Issued, TeamError> {
    team::invite(&seed(by), chain, id(member), admin, NOW, 30 * DAY, [2; 16])
}

#[test]
fn the_creator_invites_an_admin_who_invites_a_member() {
    let creator = founded(1, true);
    let admin = invited(1, &creator.chain, 2, true).unwrap();
    let member = invited(2, &admin.chain, 3, false).unwrap();
    let by_the_key = founded(4, false);
    for (who, issued, admin, inviter, links) in [
        (1, &creator, true, TEAM, 1),
        (2, &admin, true, 1, 2),
        (3, &member, false, 2, 3),
        (4, &by_the_key, false, TEAM, 1),
    ] {
        let it = judged(who, &issued.chain).unwrap();
        assert_eq!((it.team, it.id, it.admin, it.inviter), (team_id(), id(who), admin, id(inviter)));
        assert_eq!((it.leaf, it.cids.len(), it.expires), (issued.leaf, links, later(30 * DAY)));
        assert_eq!(team::peek(&issued.chain).unwrap(), (team_id(), id(who)));
    }
    assert_eq!(team::id_of(&seed(TEAM)), team_id());
}

#[test]
fn a_membership_renews_itself_only_when_its_last_link_says_so() {
    let kind = Kind { admin: true, renews: true, since: None };
    let key = team::found(&seed(TEAM), id(1), kind, NOW, 30 * DAY, [1; 16]).unwrap();
    let below = invited(1, &key.chain, 2, false).unwrap();
    assert!(judged(1, &key.chain).unwrap().renews);
    assert!(!judged(2, &below.chain).unwrap().renews, "what is above says nothing about it");
    assert!(!judged(1, &founded(1, true).chain).unwrap().renews);
}

#[test]
fn a_member_brings_in_nobody() {
    let creator = founded(1, true);
    let member = invited(1, &creator.chain, 2, false).unwrap();
    assert!(matches!(invited(2, &member.chain, 3, false), Err(TeamError::NotAdmin)));
    // By hand: it has the right to be a member, and passes that on.
    let links = [
        signed(draft(TEAM, 1, "/team", 1), TEAM),
        signed(draft(TEAM, 2, "/team/member", 2), 1),
        signed(draft(TEAM, 3, "/team/member", 3), 2),
    ];
    let refused = judged(3, &chain(&links)).unwrap_err();
    assert_eq!(refused, NotMember::Inviter(id(2)));
    assert_eq!(refused.code(), RefusalCode::Unauthorized);
    assert!(judged(2, &chain(&links[..2])).is_ok());
    // It claims more than it has.
    let widened = [links[0].clone(), links[1].clone(), signed(draft(TEAM, 3, "/team", 4), 2)];
    assert!(judged(3, &chain(&widened)).is_err());
}

#[test]
fn an_intercepted_invite_is_of_no_use_to_others() {
    let invite = founded(3, false);
    assert_eq!(judged(4, &invite.chain).unwrap_err().code(), RefusalCode::WrongAudience);
    assert!(matches!(invited(4, &invite.chain, 5, false), Err(TeamError::NotMine(_))));
}

#[test]
fn other_keys_other_teams_and_other_rights_make_no_member() {
    let of = |issuer: u8, subject: u8, command: &str| chain(&[signed(draft(subject, 3, command, 1), issuer)]);
    assert_eq!(judged(3, &of(21, 21, "/team")).unwrap_err().code(), RefusalCode::WrongNode);
    assert!(judged(3, &of(9, TEAM, "/team")).is_err(), "somebody else's signature");
    for command in ["/team/invite", "/clankers", "/teams", "/team/members"] {
        assert_eq!(
            judged(3, &of(TEAM, TEAM, command)).unwrap_err().code(),
            RefusalCode::Unauthorized,
            "{command}"
        );
    }
    for command in ["/", "/team", "/team/member"] {
        assert!(judged(3, &of(TEAM, TEAM, command)).is_ok(), "{command}");
    }
    for bytes in [&b""[..], b"@", &[0xff; 400], &vec![b'C'; 20_000]] {
        assert!(judged(3, bytes).is_err());
    }
    // A membership says nothing about nodes, and a node's grant nothing about teams.
    assert!(crate::forge::shown(&World::default().now(), 3, &founded(3, true).chain).is_err());
    let grant = mint::grant(&seed(1), id(3), &GrantSpec::reviewer(), NOW, DAY, [1; 16]).unwrap();
    assert!(judged(3, &grant.to_bytes().unwrap()).is_err());
}

#[test]
fn a_membership_with_conditions_is_none() {
    let only = Policy::build([Policy::eq(".session", "s1")], Profile::Strict).unwrap();
    let link = signed(draft(TEAM, 3, "/team/member", 1).policy(only), TEAM);
    assert!(judged(3, &chain(&[link])).is_err());
}

#[test]
fn a_run_of_a_command_line_is_no_member() {
    let admin = founded(1, true);
    let run = mint::for_run(&seed(1), Some(&admin.chain), team_id().node(), id(50), NOW, [3; 16]).unwrap();
    assert_eq!(judged(50, &run.to_bytes().unwrap()), Err(NotMember::Run));
    // Nor one that the team's key itself signed.
    let run = mint::for_run(&seed(TEAM), None, team_id().node(), id(50), NOW, [3; 16]).unwrap();
    assert_eq!(judged(50, &run.to_bytes().unwrap()), Err(NotMember::Run));
}

#[test]
fn memberships_end_and_none_outlives_its_inviters() {
    let creator = founded(1, true);
    assert!(judged_at(&World::default(), later(30 * DAY), 1, &creator.chain).is_ok());
    let over = judged_at(&World::default(), later(30 * DAY + 1), 1, &creator.chain).unwrap_err();
    assert_eq!(over.code(), RefusalCode::Expired);
    let late = later(20 * DAY);
    let member = team::invite(&seed(1), &creator.chain, id(2), false, late, 30 * DAY, [2; 16]).unwrap();
    assert!(member.shortened && member.expires == later(30 * DAY));
    let ended = team::invite(&seed(1), &creator.chain, id(2), false, later(31 * DAY), DAY, [2; 16]);
    assert!(matches!(ended, Err(TeamError::Own(_))));
    for lifetime in [0, 401 * DAY] {
        let made = team::found(&seed(TEAM), id(1), true, NOW, lifetime, [1; 16]);
        assert!(matches!(made, Err(TeamError::Lifetime)));
    }
    // The node's own epoch withdraws what the node has issued: that is not this.
    let standing = Standing { epoch: later(DAY), ..Standing::offline(later(2 * DAY), Timestamp(0)) };
    let verified = &mut VerifiedTokens::default();
    assert!(team::judge(&standing, team_id(), id(1), &creator.chain, verified).is_ok());
}

#[test]
fn nobody_invites_those_above_or_too_far_away() {
    let creator = founded(1, true);
    assert!(matches!(invited(1, &creator.chain, 1, true), Err(TeamError::Circle(_))));
    let second = invited(1, &creator.chain, 2, true).unwrap();
    assert!(matches!(invited(2, &second.chain, 1, true), Err(TeamError::Circle(_))));
    let mut last = creator.chain;
    for n in 1..=7 {
        last = invited(n, &last, n + 1, true).unwrap().chain;
        assert!(judged(n + 1, &last).is_ok());
    }
    assert!(matches!(invited(8, &last, 9, true), Err(TeamError::Depth(8))));
}

#[test]
fn who_is_removed_is_no_member_and_those_it_invited_are_none() {
    let creator = founded(1, true);
    let admin = invited(1, &creator.chain, 2, true).unwrap();
    let member = invited(2, &admin.chain, 3, false).unwrap();
    let other = founded(4, false);
    for (by, removes) in [(TEAM, true), (1, true), (2, false), (3, false), (9, false)] {
        assert_eq!(team::may_remove(&admin.chain, id(by)), removes, "{by}");
        let made = revoke::make(&seed(by), &admin.chain, &admin.leaf, NOW, [5; 16]);
        assert_eq!(made.is_ok(), removes, "{by}");
        let Ok(made) = made else { continue };
        assert_eq!((made.cid, made.subject), (admin.leaf, team_id().node()));
        assert_eq!(revoke::judge(&made.bytes, NOW), Ok(made));
    }
    let world = World { revoked: [admin.leaf].into(), ..World::default() };
    for (who, chain) in [(2, &admin.chain), (3, &member.chain)] {
        assert_eq!(judged_at(&world, NOW, who, chain).unwrap_err().code(), RefusalCode::Revoked);
    }
    assert!(judged_at(&world, NOW, 1, &creator.chain).is_ok());
    assert!(judged_at(&world, NOW, 4, &other.chain).is_ok());
    let unreadable = World { revocations_unreadable: true, ..World::default() };
    assert_eq!(judged_at(&unreadable, NOW, 1, &creator.chain).unwrap_err().code(), RefusalCode::NodeTrouble);
}

#[test]
fn only_the_key_and_admins_take_memberships_back() {
    let creator = founded(1, true);
    let admin = invited(1, &creator.chain, 2, true).unwrap();
    let member = invited(2, &admin.chain, 3, false).unwrap();
    let revoked =
        |by: u8, chain: &Issued| revoke::make(&seed(by), &chain.chain, &chain.leaf, NOW, [5; 16]).unwrap();
    let judge = |world: &World, bytes: &[u8]| {
        revoke::judge_team(&Standing { epoch: later(DAY), ..world.now() }, bytes).map(|judged| judged.cid)
    };
    let world = World::default();
    for (by, chain) in [(TEAM, &creator), (1, &admin), (TEAM, &member), (1, &member), (2, &member)] {
        assert_eq!(judge(&world, &revoked(by, chain).bytes), Ok(chain.leaf), "{by}");
    }
    // A member signs for keys of its own and takes that back, as often as it likes.
    let own = [
        signed(draft(TEAM, 1, "/team", 1), TEAM),
        signed(draft(TEAM, 2, "/team/member", 2), 1),
        signed(draft(TEAM, 3, "/team", 3), 2),
        signed(draft(TEAM, 4, "/team/member", 4), 3),
    ];
    for (by, links) in [(2, &own[..3]), (2, &own[..]), (3, &own[..])] {
        let made =
            revoke::make(&seed(by), &chain(links), &digest(&links[links.len() - 1]), NOW, [5; 16]).unwrap();
        assert!(revoke::judge(&made.bytes, NOW).is_ok());
        assert!(matches!(judge(&world, &made.bytes), Err(Denial::NotAdmin(_))), "{by}");
    }
    // Who was removed has no word any more.
    let gone = World { revoked: [admin.leaf].into(), ..World::default() };
    assert!(judge(&gone, &revoked(2, &member).bytes).is_err());
    assert!(judge(&gone, &revoked(1, &member).bytes).is_err(), "it is over with the admin's already");
    assert!(judge(&gone, &revoked(TEAM, &member).bytes).is_ok());
}

#[test]
fn a_bit_flipped_in_any_link_is_found() {
    let creator = founded(1, true);
    let member = invited(1, &creator.chain, 2, false).unwrap();
    for at in (0..member.chain.len()).step_by(3) {
        let mut bent = member.chain.clone();
        bent[at] ^= 1;
        assert!(judged(2, &bent).is_err(), "byte {at}");
    }
}

fn record(author: u8) -> Record {
    Record {
        team: team_id(),
        author: id(author),
        boot_id: 1,
        counter: 2,
        at: NOW,
        lease_ms: 15_000,
        addrs: vec!["10.0.0.1:7".parse().unwrap()],
        relay: None,
        label: Some("desk".into()),
        version: "clankers/0.1.0".into(),
        load: clankers_protocol::presence::Load::default(),
        leaving: false,
        ext: clankers_protocol::Ext::default(),
    }
}

#[test]
fn what_a_member_signs_is_its_own_and_for_that_alone() {
    let good = team::sign(&seed(1), record(1));
    assert!(team::verify(&good));
    assert!(!team::verify(&team::sign(&seed(2), record(1))), "in another's name");
    let bend = |change: fn(&mut Signed<Record>)| {
        let mut bent = good.clone();
        change(&mut bent);
        bent
    };
    for bent in [
        bend(|it| it.signature.0[3] ^= 1),
        bend(|it| it.body.counter += 1),
        bend(|it| it.body.team.0[0] ^= 1),
        bend(|it| it.body.leaving = true),
        bend(|it| it.body.addrs.clear()),
        bend(|it| it.body.author = NodeId([0; 32])),
        bend(|it| it.body.label = None),
    ] {
        assert!(!team::verify(&bent), "{bent:?}");
    }
    // A signature over one kind of payload is none over another, nor over the same bytes without a context.
    let lost = Lost { team: team_id(), author: id(1), counter: 1, member: id(2), boot_id: 1, heard: 1 };
    let notice = Notice { team: team_id(), author: id(1), counter: 1, revoked: Vec::new() };
    let signature = team::sign(&seed(1), lost.clone()).signature;
    assert!(team::verify(&Signed { body: lost.clone(), signature }));
    assert!(!team::verify(&Signed { body: notice, signature }));
    assert!(lost.signing_bytes().starts_with(b"clankers-lost-v1\0"));
    // As it travels.
    let Gossiped::Presence(sealed) = team::seal(&seed(1), Say::Presence(record(1))) else { panic!("a beat") };
    let bytes = Gossiped::Presence(sealed).encode().unwrap();
    let Ok(Gossiped::Presence(read)) = Gossiped::decode(&bytes) else { panic!("a beat") };
    assert!(team::verify(&read) && read == good);
}

#[test]
fn a_small_order_key_signs_nothing() {
    // The point of order 1, for which a signature of zeros passes a lax check of every message.
    let mut weak = record(1);
    weak.author = NodeId([0; 32]);
    weak.author.0[0] = 1;
    let mut zeros = [0; 64];
    zeros[0] = 1;
    assert!(!team::verify(&Signed { body: weak, signature: clankers_protocol::presence::Signature(zeros) }));
}
