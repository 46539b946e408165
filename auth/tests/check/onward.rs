//! Passing a token on without a network, and issuing one again.

use clankers_auth::{
    Args, Command, Denial, GrantSpec, Standing,
    mint::{self, MintError, delegate, renew},
    words::describe,
};
use clankers_protocol::Timestamp;
use ucan::{Container, ContainerLimits, Did, Policy, Profile};

use crate::forge::{
    DAY, NOW, WORKSPACE, World, calm, chain, draft, granted, held, id, later, link, seed, shown, signed, tool,
};

fn pass(from: u8, token: &[u8], to: u8, narrowing: &GrantSpec) -> Result<Vec<u8>, MintError> {
    let passed = delegate(&seed(from), token, id(to), narrowing, NOW, 3600, [from; 16])?;
    Ok(passed.container.to_bytes().unwrap())
}

#[test]
fn a_teammate_passes_on_a_part() {
    let token = granted(&GrantSpec {
        paths: vec!["src".into()],
        workspace: Some(WORKSPACE.into()),
        ..GrantSpec::reviewer()
    });
    let read_only = pass(2, &token, 3, &GrantSpec::read_only()).unwrap();
    let third = held(3, &read_only);
    assert_eq!((third.principal(), third.grantee()), (id(3), id(2)));
    let may = |command, args: &Args| third.authorize(&calm(), command, args).is_ok();
    assert!(may(Command::Observe, &Args { session: Some("s".into()), ..Args::default() }));
    assert!(!may(Command::PromptSend, &Args::default()) && !may(Command::ToolUse, &tool("read", "src")));
    let read = |path: &str| Args { tool: None, ..tool("", path) };
    assert!(may(Command::FileRead, &read("src/a")) && !may(Command::FileRead, &read("docs/a")));
    assert!(!may(Command::FileWrite, &read("src/a")), "no link can add what is not above it");
}

#[test]
fn a_narrowing_may_say_nothing_or_only_where() {
    let token = granted(&GrantSpec::root());
    let same = held(3, &pass(2, &token, 3, &GrantSpec::default()).unwrap());
    assert!(Command::ALL.iter().all(|c| same.authorize(&calm(), *c, &crate::forge::full(*c)).is_ok()));
    let there = GrantSpec { paths: vec!["src/".into()], ..GrantSpec::default() };
    let there = held(3, &pass(2, &token, 3, &there).unwrap());
    assert!(there.authorize(&calm(), Command::ToolUse, &tool("edit", "src/x")).is_ok());
    assert!(there.authorize(&calm(), Command::ToolUse, &tool("edit", "x")).is_err());
    let shell = there.authorize(&calm(), Command::ShellExec, &crate::forge::full(Command::ShellExec));
    assert_eq!(shell.unwrap_err(), Denial::ShellUnderPathScope);
}

#[test]
fn a_path_is_bound_to_the_workspace_that_is_named_above() {
    let above = GrantSpec { workspace: Some(WORKSPACE.into()), ..GrantSpec::reviewer() };
    let there = GrantSpec { paths: vec!["src".into()], ..GrantSpec::default() };
    let token = pass(2, &granted(&above), 3, &there).unwrap();
    let words = describe(&token).unwrap();
    assert!(words.sentence.contains("on src/"), "{}", words.sentence);
    let container = Container::decode(&token, &ContainerLimits::CHAIN, Profile::Strict).unwrap();
    let named = container.delegations(Profile::Strict).unwrap();
    assert!(named.iter().all(|link| format!("{:?}", link.claims().policy()).contains(WORKSPACE)));
}

#[test]
fn only_its_audience_passes_a_token_on_and_not_in_a_circle() {
    let token = granted(&GrantSpec::reviewer());
    assert!(
        matches!(pass(9, &token, 3, &GrantSpec::default()), Err(MintError::NotMine(did)) if did == Did::from(id(2).0))
    );
    for to in [1, 2] {
        assert!(matches!(pass(2, &token, to, &GrantSpec::default()), Err(MintError::Circle(_))), "{to}");
    }
    let onward = pass(2, &token, 3, &GrantSpec::default()).unwrap();
    assert!(matches!(pass(3, &onward, 2, &GrantSpec::default()), Err(MintError::Circle(_))));
}

#[test]
fn what_may_not_be_passed_on_is_told_before_the_peer_does() {
    let token = granted(&GrantSpec { max_depth: Some(0), ..GrantSpec::reviewer() });
    assert!(matches!(pass(2, &token, 3, &GrantSpec::default()), Err(MintError::Depth { below: 0, .. })));
    let token = granted(&GrantSpec { max_depth: Some(1), ..GrantSpec::reviewer() });
    let once = pass(2, &token, 3, &GrantSpec::default()).unwrap();
    assert!(shown(&calm(), 3, &once).is_ok());
    let twice = pass(3, &once, 4, &GrantSpec::default()).unwrap_err();
    assert_eq!(
        twice.to_string(),
        "the token may not be passed on any further: whoever made it has set a limit (--max-depth)"
    );
    let below = GrantSpec { max_depth: Some(0), ..GrantSpec::default() };
    let last = pass(2, &granted(&GrantSpec::root()), 3, &below).unwrap();
    assert!(matches!(pass(3, &last, 4, &GrantSpec::default()), Err(MintError::Depth { .. })));
}

#[test]
fn room_is_left_for_a_run_link() {
    let mut token = granted(&GrantSpec::root());
    let mut holder = 2;
    while let Ok(longer) = pass(holder, &token, holder + 1, &GrantSpec::default()) {
        (token, holder) = (longer, holder + 1);
    }
    assert!(matches!(pass(holder, &token, 50, &GrantSpec::default()), Err(MintError::Depth { .. })));
    let run = mint::for_run(&seed(holder), Some(&token), id(1), id(60), NOW, [1; 16]).unwrap();
    assert_eq!(held(60, &run.to_bytes().unwrap()).cids().len(), 8, "the last one can still be used");
}

#[test]
fn it_ends_with_what_is_above_and_says_so() {
    let token = granted(&GrantSpec::reviewer());
    let asked = |secs| delegate(&seed(2), &token, id(3), &GrantSpec::default(), NOW, secs, [4; 16]).unwrap();
    let short = asked(60);
    assert_eq!((short.expires, short.shortened), (later(60), false));
    let long = asked(9 * DAY);
    assert_eq!((long.expires, long.shortened), (later(DAY), true));
    assert_eq!(describe(&long.container.to_bytes().unwrap()).unwrap().expires, later(DAY));
    for secs in [0, 401 * DAY] {
        assert!(delegate(&seed(2), &token, id(3), &GrantSpec::default(), NOW, secs, [4; 16]).is_err());
    }
    let late = delegate(&seed(2), &token, id(3), &GrantSpec::default(), later(DAY + 1), 60, [4; 16]);
    assert!(matches!(late, Err(MintError::Parent(Denial::Chain(_)))));
    let last_second = delegate(&seed(2), &token, id(3), &GrantSpec::default(), later(DAY), 60, [4; 16]);
    assert!(last_second.is_ok());
}

#[test]
fn a_forged_chain_is_not_passed_on() {
    let forged = chain(&[signed(draft(1, 2, "/", 1), 9)]);
    assert!(matches!(pass(2, &forged, 3, &GrantSpec::default()), Err(MintError::Parent(_))));
    let mut bent = link(1, 2, []);
    bent[5] ^= 1;
    assert!(matches!(pass(2, &chain(&[bent]), 3, &GrantSpec::default()), Err(MintError::Parent(_))));
}

#[test]
fn a_grant_that_is_no_grant_is_not_made() {
    let make = |spec: &GrantSpec| mint::grant(&seed(1), id(2), spec, NOW, DAY, [1; 16]);
    assert!(matches!(make(&GrantSpec::default()), Err(MintError::Nothing)));
    let adrift = GrantSpec { paths: vec!["src".into()], ..GrantSpec::reviewer() };
    assert!(matches!(make(&adrift), Err(MintError::NoWorkspace)));
}

#[test]
fn a_renewable_grant_is_issued_again_alike() {
    let spec = GrantSpec { renew: true, max_depth: Some(1), ..GrantSpec::reviewer() };
    let old = granted(&spec);
    assert!(
        describe(&old).unwrap().renew && mint::is_renewable(id(1), &old) && !mint::is_renewable(id(2), &old)
    );
    // Also after its end: that is what it is for.
    let now = Timestamp(NOW.0 + 2 * DAY * 1000);
    let new = renew(&World::default().at(now), &seed(1), &old, DAY, [8; 16]).unwrap().to_bytes().unwrap();
    let (before, after) = (describe(&old).unwrap(), describe(&new).unwrap());
    assert_eq!((before.audience, &before.sentence, true), (after.audience, &after.sentence, after.renew));
    assert_eq!((after.not_before, after.expires), (now, now.plus_ms(DAY * 1000)));
    assert_ne!(before.cid, after.cid);
}

#[test]
fn nothing_else_is_renewed() {
    let plain = granted(&GrantSpec::reviewer());
    let marked = granted(&GrantSpec { renew: true, ..GrantSpec::reviewer() });
    let onward = pass(2, &marked, 3, &GrantSpec::default()).unwrap();
    for (by, token) in [(1, &plain), (2, &marked), (1, &onward), (2, &onward)] {
        let refused = renew(&calm(), &seed(by), token, DAY, [8; 16]);
        assert!(matches!(refused, Err(MintError::NotRenewable(_))), "{by}");
    }
    // A mark below the root is somebody else's wish.
    let wish = draft(1, 3, "/", 5).meta("renew", ucan::Ipld::Bool(true));
    let wished = chain(&[link(1, 2, [Policy::eq(".cmd", "x")]), signed(wish, 2)]);
    assert!(!mint::is_renewable(id(2), &wished) && !describe(&wished).unwrap().renew);
    assert!(renew(&calm(), &seed(1), &marked, 0, [8; 16]).is_err());
}

#[test]
fn what_was_taken_back_is_not_issued_again() {
    let token = granted(&GrantSpec { renew: true, ..GrantSpec::reviewer() });
    let again = |standing: &Standing<'_>| renew(standing, &seed(1), &token, DAY, [8; 16]).map(|_| ());
    let cid = describe(&token).unwrap().cid;
    let world = World { revoked: [cid].into(), ..World::default() };
    assert!(matches!(again(&world.now()), Err(MintError::Parent(Denial::Revoked(_)))));
    let unreadable = World { revocations_unreadable: true, ..World::default() };
    assert!(matches!(again(&unreadable.now()), Err(MintError::Parent(Denial::Unreadable(_)))));
    let withdrawn = Standing { epoch: later(1), ..calm() };
    assert!(matches!(again(&withdrawn), Err(MintError::Parent(Denial::Chain(_)))));
    assert!(again(&calm()).is_ok());
}
