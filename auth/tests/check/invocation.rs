//! Signed requests: for whom, until when, once.

use std::collections::BTreeMap;

use clankers_auth::{
    Args, Command, Denial, GrantSpec, Standing, Unreadable,
    invocation::{self, Invoked},
};
use clankers_protocol::{CidDigest, Timestamp, refusal::RefusalCode};
use ucan::{Cid, Container, ContainerLimits, Invocation, Ipld, Profile};

use crate::forge::{DAY, NOW, World, chain, did, digest, granted, id, key, later, link, secs, seed, tool};

/// CIDs that were seen, until when.
#[derive(Default)]
struct Seen(BTreeMap<CidDigest, Timestamp>);

impl Seen {
    fn judge(&mut self, standing: &Standing<'_>, me: u8, bytes: &[u8]) -> Result<Invoked, Denial> {
        let mut replay = |cid, until| Ok(self.0.insert(cid, until).is_none());
        invocation::admit(standing, id(me), bytes, &mut replay)
    }
}

fn asked(by: u8, executor: u8, token: &[u8], secs: u64) -> Vec<u8> {
    let request = (Command::ToolUse, &tool("read", "src"));
    invocation::make(&seed(by), id(executor), token, request, NOW, secs, [6; 16]).unwrap()
}

fn code(result: Result<Invoked, Denial>) -> RefusalCode {
    result.unwrap_err().code()
}

#[test]
fn a_signed_request_is_carried_out_once() {
    let token = granted(&GrantSpec::reviewer());
    let bytes = asked(2, 1, &token, 300);
    let mut seen = Seen::default();
    let world = World::default();
    let invoked = seen.judge(&world.now(), 1, &bytes).unwrap();
    assert_eq!((invoked.command, invoked.args), (Command::ToolUse, tool("read", "src")));
    assert_eq!((invoked.grant.principal, invoked.grant.owner), (id(2), false));
    assert_eq!(seen.0, [(invoked.cid, later(300))].into(), "kept until its end");
    assert_eq!(seen.judge(&world.now(), 1, &bytes).unwrap_err(), Denial::Replayed);
    assert_eq!(seen.judge(&world.at(later(300)), 1, &bytes).unwrap_err(), Denial::Replayed);
    assert_eq!(code(seen.judge(&world.at(later(301)), 1, &bytes)), RefusalCode::Expired);
}

#[test]
fn it_works_at_no_other_node_and_not_for_long() {
    let token = granted(&GrantSpec::reviewer());
    let world = World::default();
    let mut seen = Seen::default();
    assert_eq!(code(seen.judge(&world.now(), 5, &asked(2, 1, &token, 60))), RefusalCode::WrongNode);
    // About node 1, to be carried out by node 5: neither of them does.
    let elsewhere = asked(2, 5, &token, 60);
    assert_eq!(code(seen.judge(&world.now(), 1, &elsewhere)), RefusalCode::WrongNode);
    assert_eq!(code(seen.judge(&world.now(), 5, &elsewhere)), RefusalCode::WrongNode);
    let too_late = Timestamp(NOW.0 - 1000);
    let far = seen.judge(&world.at(too_late), 1, &asked(2, 1, &token, 300)).unwrap_err();
    assert!(matches!(far, Denial::InvocationForm(_)), "{far:?}");
    assert!(seen.0.is_empty(), "what is refused uses nothing up");
    let request = (Command::NodeInfo, &Args::default());
    for secs in [0, 301] {
        assert!(invocation::make(&seed(2), id(1), &token, request, NOW, secs, [6; 16]).is_err());
    }
    assert!(invocation::make(&seed(3), id(1), &token, request, NOW, 60, [6; 16]).is_err(), "not its token");
}

#[test]
fn the_chain_is_judged_as_on_a_connection() {
    let token = granted(&GrantSpec::reviewer());
    let mut seen = Seen::default();
    let mut judge = |world: &World, request: (Command, &Args)| {
        let bytes = invocation::make(&seed(2), id(1), &token, request, NOW, 60, [6; 16]).unwrap();
        seen.judge(&world.now(), 1, &bytes)
    };
    let calm = World::default();
    assert_eq!(code(judge(&calm, (Command::ToolUse, &tool("write", "src")))), RefusalCode::Unauthorized);
    assert_eq!(code(judge(&calm, (Command::AdminStop, &Args::default()))), RefusalCode::Unauthorized);
    let cid = clankers_auth::words::describe(&token).unwrap().cid;
    let revoked = World { revoked: [cid].into(), ..World::default() };
    assert_eq!(code(judge(&revoked, (Command::NodeInfo, &Args::default()))), RefusalCode::Revoked);
    let broken = World { revocations_unreadable: true, ..World::default() };
    assert_eq!(code(judge(&broken, (Command::NodeInfo, &Args::default()))), RefusalCode::NodeTrouble);
    let standing = Standing { now: later(DAY), ..calm.now() };
    let stale = asked(2, 1, &token, 60);
    assert_eq!(code(seen.judge(&standing, 1, &stale)), RefusalCode::Expired);
}

#[test]
fn a_replay_store_that_cannot_be_read_denies() {
    let bytes = asked(2, 1, &granted(&GrantSpec::reviewer()), 60);
    let mut broken = |_, _| Err(Unreadable("the disk is gone".into()));
    let denial = invocation::admit(&World::default().now(), id(1), &bytes, &mut broken).unwrap_err();
    assert_eq!(denial.code(), RefusalCode::NodeTrouble);
}

struct Draft {
    by: u8,
    subject: u8,
    command: &'static str,
    arg: (&'static str, Ipld),
    proofs: Vec<Vec<u8>>,
    bring: Vec<Vec<u8>>,
}

fn forged(draft: &Draft) -> Vec<u8> {
    let token = Invocation::build(did(draft.subject), ucan::Command::parse(draft.command).unwrap(), &[6; 16])
        .audience(did(1))
        .arg(draft.arg.0, draft.arg.1.clone())
        .proofs(draft.proofs.iter().map(|link| Cid::of(link)))
        .expires(secs(later(60)))
        .sign(&key(draft.by), Profile::Strict)
        .unwrap();
    let tokens = draft.bring.iter().map(Vec::as_slice).chain([token.bytes()]);
    Container::new(tokens, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap()
}

#[test]
fn forged_requests_are_refused() {
    let root = link(1, 2, []);
    let good = || Draft {
        by: 2,
        subject: 1,
        command: Command::NodeInfo.path(),
        arg: ("path", Ipld::String("src".into())),
        proofs: vec![root.clone()],
        bring: vec![root.clone()],
    };
    let mut seen = Seen::default();
    let world = World::default();
    assert!(seen.judge(&world.now(), 1, &forged(&good())).is_ok());
    let onward = link(2, 3, []);
    let number = Ipld::Integer(0);
    let bad = [
        ("a thief", Draft { by: 9, ..good() }),
        ("no proof", Draft { proofs: vec![], bring: vec![], ..good() }),
        ("the node itself, without a proof", Draft { by: 1, proofs: vec![], bring: vec![], ..good() }),
        ("proofs that are not brought", Draft { bring: vec![], ..good() }),
        ("proofs that are not named", Draft { proofs: vec![], ..good() }),
        ("a link too many", Draft { bring: vec![root.clone(), onward], ..good() }),
        ("about itself", Draft { subject: 2, ..good() }),
        ("a command that is not known", Draft { command: "/clankers/node", ..good() }),
        ("its own command argument", Draft { arg: ("cmd", Ipld::String("/".into())), ..good() }),
        ("its own context", Draft { arg: ("ctx", Ipld::Map(BTreeMap::new())), ..good() }),
        ("an unknown argument", Draft { arg: ("paths", Ipld::String("src".into())), ..good() }),
        ("an argument of another kind", Draft { arg: ("path", number), ..good() }),
        ("a negative size", Draft { arg: ("size", Ipld::Integer(-1)), ..good() }),
    ];
    for (what, draft) in bad {
        assert!(seen.judge(&world.now(), 1, &forged(&draft)).is_err(), "{what}");
    }
    assert_eq!(seen.0.len(), 1);
    assert!(
        seen.judge(&world.now(), 1, &chain(std::slice::from_ref(&root))).is_err(),
        "no invocation at all"
    );
    assert!(digest(&root) != CidDigest([0; 32]));
}

#[test]
fn a_flipped_bit_in_a_request_is_found() {
    let token = granted(&GrantSpec::reviewer());
    let bytes = asked(2, 1, &token, 60);
    let container = Container::decode(&bytes, &ContainerLimits::WITH_INVOCATION, Profile::Strict).unwrap();
    let tokens: Vec<Vec<u8>> = container.tokens().map(<[u8]>::to_vec).collect();
    let world = World::default();
    for which in 0..tokens.len() {
        for at in (0..tokens[which].len()).step_by(5) {
            let mut tokens = tokens.clone();
            tokens[which][at] ^= 1;
            let bent =
                Container::new(&tokens, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap();
            assert!(Seen::default().judge(&world.now(), 1, &bent).is_err(), "token {which}, byte {at}");
        }
    }
}

#[test]
fn two_requests_in_one_container_are_none() {
    let token = granted(&GrantSpec::reviewer());
    let one = asked(2, 1, &token, 60);
    let other = asked(2, 1, &token, 61);
    let both: std::collections::BTreeSet<Vec<u8>> = [one, other]
        .iter()
        .flat_map(|bytes| {
            let limits = &ContainerLimits::WITH_INVOCATION;
            let container = Container::decode(bytes, limits, Profile::Strict).unwrap();
            container.tokens().map(<[u8]>::to_vec).collect::<Vec<_>>()
        })
        .collect();
    let both = Container::new(both, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap();
    assert!(matches!(
        Seen::default().judge(&World::default().now(), 1, &both),
        Err(Denial::InvocationForm(_))
    ));
}
