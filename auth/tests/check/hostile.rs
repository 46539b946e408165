//! What a review found as the attacker: revocations that only take room, words that cost too much, clocks that jump.

use clankers_auth::{
    Args, Command, Counters, Denial, GrantSpec, Revocations, Sessions, Standing, Unreadable, Usage, mint,
    revoke, words,
};
use clankers_protocol::{CidDigest, NodeId, Timestamp, refusal::RefusalCode};
use ucan::{Cid, Container, ContainerLimits, Invocation, Ipld, Profile};

use crate::forge::{
    DAY, NOW, WORKSPACE, World, calm, chain, did, digest, draft, granted, held, id, key, later, link, secs,
    seed, shown, signed,
};

/// From node 1 to 2 for an hour, from there to 3 for three hundred days.
fn short_above_long() -> Vec<Vec<u8>> {
    let short = signed(draft(1, 2, "/", 1).expires(secs(later(3600))), 1);
    let long = signed(draft(1, 3, "/", 2).expires(secs(later(300 * DAY))), 2);
    vec![short, long]
}

#[test]
fn a_revocation_takes_room_no_longer_than_the_shortest_link_above() {
    let links = short_above_long();
    let made = |now| revoke::make(&seed(2), &chain(&links), &digest(&links[1]), now, [5; 16]).unwrap();
    assert_eq!((made(NOW).expires, made(NOW).grantee), (later(3600), id(2)));
    assert!(revoke::judge(&made(NOW).bytes, later(7200)).is_ok(), "within an hour");
    let late = revoke::judge(&made(NOW).bytes, later(7201)).unwrap_err();
    assert_eq!(late.code(), RefusalCode::Expired, "though the revoked link itself lives on");
    // The owner may always say it: a line that is renewed ends by it.
    assert_eq!(made(later(9000)).cid, digest(&links[1]));
}

#[test]
fn who_was_revoked_revokes_no_more() {
    let links = [link(1, 2, []), link(2, 3, []), link(3, 4, [])];
    let by = |who, target: &Vec<u8>| {
        revoke::make(&seed(who), &chain(&links), &digest(target), NOW, [5; 16]).unwrap().bytes
    };
    let leaf = by(3, &links[2]);
    assert!(revoke::judge_with(&World::default().now(), &leaf).is_ok());
    for gone in &links[..2] {
        let world = World { revoked: [digest(gone)].into(), ..World::default() };
        assert_eq!(revoke::judge_with(&world.now(), &leaf), Err(Denial::Revoked(digest(gone))));
        assert!(revoke::judge_with(&world.now(), &by(1, &links[2])).is_ok(), "the node's own word");
    }
    let known = World { revoked: [digest(&links[2])].into(), ..World::default() };
    assert!(revoke::judge_with(&known.now(), &leaf).is_ok(), "told twice: the store says so");
    let full = World { overflowed: [id(2)].into(), ..World::default() };
    assert!(matches!(revoke::judge_with(&full.now(), &leaf), Err(Denial::Revoked(_))));
    let old = Standing { epoch: later(1), ..calm() };
    assert_eq!(revoke::judge_with(&old, &leaf).unwrap_err().code(), RefusalCode::Revoked);
    let blind = World { revocations_unreadable: true, ..World::default() };
    assert_eq!(revoke::judge_with(&blind.now(), &leaf).unwrap_err().code(), RefusalCode::NodeTrouble);
}

#[test]
fn a_witness_longer_than_any_chain_is_refused() {
    let links: Vec<Vec<u8>> = (1..10).map(|n| link(n, n + 1, [])).collect();
    let made = |count: usize| {
        let links = &links[..count];
        let token = Invocation::build(did(1), ucan::Command::parse("/ucan/revoke").unwrap(), &[3; 16])
            .arg("ucan", Ipld::Link(Cid::of(links.last().unwrap()).to_link()))
            .proofs(links.iter().take(8).map(|link| Cid::of(link)))
            .sign(&key(1), Profile::Strict)
            .unwrap();
        let tokens = links.iter().map(Vec::as_slice).chain([token.bytes()]);
        let wide = ContainerLimits { tokens: 99, ..ContainerLimits::CHAIN };
        Container::new(tokens, &wide).unwrap().to_bytes().unwrap()
    };
    assert!(revoke::judge(&made(8), NOW).is_ok());
    assert!(revoke::judge(&made(9), NOW).is_err());
}

#[test]
fn reading_a_strangers_token_asks_it_nothing_and_describing_it_only_so_much() {
    let names = |what: &str| (0..15).map(|n| format!("{what}{n}")).collect::<Vec<_>>();
    let spec = GrantSpec {
        paths: names("p"),
        sessions: Sessions::These(names("s")),
        models: names("m"),
        workspace: Some(WORKSPACE.into()),
        ..GrantSpec::read_only()
    };
    let token = granted(&spec);
    let said = words::describe(&token).unwrap();
    assert_eq!(said.grants.len(), 1);
    assert!(said.grants[0].starts_with("(too complicated to put into words: "), "{:?}", said.grants);
    assert!(said.grants[0].len() <= 512, "so that it can be kept");
    let plain = words::read(&token).unwrap();
    assert_eq!((plain.cid, plain.subject, plain.audience), (said.cid, id(1), id(2)));
    assert_eq!((plain.expires, plain.renew, &plain.container), (said.expires, false, &said.container));
    assert!(words::read(&chain(&[link(2, 3, [])])).is_err(), "not about its issuer");
    // What people really write is put into words.
    let spec = GrantSpec { paths: names("p")[..4].to_vec(), ..spec };
    let spec = GrantSpec { sessions: Sessions::All, models: names("m")[..2].to_vec(), ..spec };
    assert!(words::describe(&granted(&spec)).unwrap().grants.len() > 1);
}

#[test]
fn an_epoch_in_the_future_does_not_lock_the_owner_out() {
    let ahead = Standing { epoch: later(900 * DAY), ..calm() };
    let run = mint::for_run(&seed(1), None, id(1), id(40), NOW, [1; 16]).unwrap().to_bytes().unwrap();
    let owner = shown(&ahead, 40, &run).unwrap();
    assert!(owner.authorize(&ahead, Command::AdminRevoke, &Args::default()).unwrap().owner);
    assert!(owner.check_running(&ahead).is_ok());
    // Nobody else: not a grant, not under a run link of its holder, not a grant that calls itself nothing.
    let token = granted(&GrantSpec::root());
    let theirs = mint::for_run(&seed(2), Some(&token), id(1), id(50), NOW, [3; 16]).unwrap();
    for (remote, token) in [(2, token), (50, theirs.to_bytes().unwrap()), (2, chain(&[link(1, 2, [])]))] {
        assert_eq!(shown(&ahead, remote, &token).unwrap_err().code(), RefusalCode::Revoked);
    }
}

/// Revocations of what ended by then were forgotten.
struct Forgot(Timestamp);

impl Revocations for Forgot {
    fn is_revoked(&self, _: &CidDigest, _: &[NodeId]) -> Result<bool, Unreadable> {
        Ok(false)
    }

    fn is_forgotten(&self, expires: Timestamp) -> Result<bool, Unreadable> {
        Ok(expires <= self.0)
    }
}

impl Counters for Forgot {
    fn usage(&self, _: &CidDigest) -> Result<Usage, Unreadable> {
        Ok(Usage::default())
    }
}

#[test]
fn a_clock_that_jumped_ahead_and_back_revives_nothing() {
    let links = [link(1, 2, []), signed(draft(1, 3, "/", 2).expires(secs(later(60))), 2)];
    let running = held(3, &chain(&links));
    for (until, good) in [(later(59), true), (later(60), false), (later(DAY), false)] {
        let forgot = Forgot(until);
        let standing = Standing { revocations: &forgot, counters: &forgot, ..calm() };
        let said = shown(&standing, 3, &chain(&links)).map(|_| ()).map_err(|denial| denial.code());
        assert_eq!(said, if good { Ok(()) } else { Err(RefusalCode::Expired) });
        assert_eq!(running.check_running(&standing).is_ok(), good);
        assert_eq!(running.authorize(&standing, Command::NodeInfo, &Args::default()).is_ok(), good);
    }
}
