//! What was taken back, by whom, and what is not known.

use clankers_auth::{
    Args, Command, Denial, GrantSpec, Standing, mint,
    revoke::{self, RevokeError},
};
use clankers_protocol::{NodeId, Timestamp, refusal::RefusalCode};
use ucan::{AnyToken, Cid, Container, ContainerLimits, Invocation, Ipld, Profile};

use crate::forge::{
    DAY, NOW, World, chain, did, digest, granted, held, id, key, later, link, secs, seed, shown,
};

fn three() -> Vec<Vec<u8>> {
    vec![link(1, 2, []), link(2, 3, []), link(3, 4, [])]
}

#[test]
fn a_revoked_root_middle_or_leaf_denies_from_now_on() {
    let links = three();
    let running = held(4, &chain(&links));
    for revoked in &links {
        let world = World { revoked: [digest(revoked)].into(), ..World::default() };
        let refused = Denial::Revoked(digest(revoked));
        assert_eq!(refused.code(), RefusalCode::Revoked);
        assert_eq!(shown(&world.now(), 4, &chain(&links)).unwrap_err(), refused);
        let args = Args::default();
        assert_eq!(running.authorize(&world.now(), Command::NodeInfo, &args).unwrap_err(), refused);
        assert_eq!(running.authorize_running(&world.now(), Command::NodeInfo, &args), Err(refused.clone()));
        assert_eq!(running.check_running(&world.now()), Err(refused));
    }
    let other = World { revoked: [digest(b"another")].into(), ..World::default() };
    assert!(running.check_running(&other.now()).is_ok() && shown(&other.now(), 4, &chain(&links)).is_ok());
}

#[test]
fn revocations_that_cannot_be_read_deny_all_but_the_owner() {
    let world = World { revocations_unreadable: true, ..World::default() };
    let denial = shown(&world.now(), 4, &chain(&three())).unwrap_err();
    assert_eq!(denial.code(), RefusalCode::NodeTrouble);
    let running = held(4, &chain(&three()));
    assert!(running.check_running(&world.now()).is_err());
    assert!(running.authorize(&world.now(), Command::NodeInfo, &Args::default()).is_err());
    // Else nobody could mend it.
    let run = mint::for_run(&seed(1), None, id(1), id(40), NOW, [1; 16]).unwrap().to_bytes().unwrap();
    let owner = shown(&world.now(), 40, &run).unwrap();
    assert!(owner.authorize(&world.now(), Command::AdminConfig, &Args::default()).unwrap().owner);
}

#[test]
fn a_revoked_run_link_ends_requests_and_not_what_runs() {
    let token = granted(&GrantSpec::reviewer());
    let run = mint::for_run(&seed(2), Some(&token), id(1), id(50), NOW, [3; 16]).unwrap().to_bytes().unwrap();
    let held = held(50, &run);
    let world = World { revoked: [held.leaf()].into(), ..World::default() };
    assert!(held.authorize(&world.now(), Command::NodeInfo, &Args::default()).is_err());
    assert!(held.check_running(&world.now()).is_ok());
    assert_eq!(held.ends(), Some(later(DAY)));
}

#[test]
fn the_issuers_above_each_link_are_told() {
    let running = held(4, &chain(&three()));
    for (issuer, right) in [(1, false), (2, false), (3, false), (4, true), (9, true)] {
        let world = World { overflowed: [id(issuer)].into(), ..World::default() };
        assert_eq!(running.check_running(&world.now()).is_ok(), right, "{issuer}");
    }
    // The issuers of links further down say nothing about those above.
    struct Told;
    impl clankers_auth::Revocations for Told {
        fn is_revoked(
            &self,
            cid: &clankers_protocol::CidDigest,
            above: &[NodeId],
        ) -> Result<bool, clankers_auth::Unreadable> {
            let place = three().iter().position(|link| digest(link) == *cid).unwrap();
            assert_eq!(above, &[id(1), id(2), id(3)][..=place]);
            Ok(false)
        }
    }
    let standing = Standing {
        now: NOW,
        epoch: Timestamp(0),
        revocations: &Told,
        counters: &clankers_auth::standing::Nothing,
    };
    assert!(running.check_running(&standing).is_ok());
}

#[test]
fn an_issuer_at_or_above_the_link_revokes_it_and_nobody_else() {
    let links = three();
    for by in [1, 2, 3, 4, 9] {
        for (place, target) in links.iter().enumerate() {
            let made = revoke::make(&seed(by), &chain(&links), &digest(target), NOW, [5; 16]);
            if usize::from(by) <= place + 1 {
                let judged = made.unwrap();
                assert_eq!((judged.cid, judged.subject, judged.revoker), (digest(target), id(1), id(by)));
                assert_eq!(judged.expires, later(DAY));
                assert_eq!(revoke::judge(&judged.bytes, NOW), Ok(judged));
            } else {
                assert!(matches!(made, Err(RevokeError::Revocation(_))), "{by} {place}");
            }
        }
    }
    let elsewhere = revoke::make(&seed(1), &chain(&links), &digest(b"x"), NOW, [5; 16]);
    assert!(matches!(elsewhere, Err(RevokeError::Revocation(_))));
}

/// A revocation as an attacker writes it.
fn forged(by: u8, links: &[Vec<u8>], target: &[u8], command: &str) -> Vec<u8> {
    let token = Invocation::build(did(1), ucan::Command::parse(command).unwrap(), &[3; 16])
        .arg("ucan", Ipld::Link(Cid::of(target).to_link()))
        .proofs(links.iter().map(|link| Cid::of(link)));
    let token = if command == "/ucan/revoke" { token } else { token.expires(secs(later(60))) };
    let token = token.sign(&key(by), Profile::Strict).unwrap();
    let tokens = links.iter().map(Vec::as_slice).chain([token.bytes()]);
    Container::new(tokens, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap()
}

#[test]
fn forged_revocations_are_not_believed() {
    let links = three();
    let target = &links[1];
    let witness = &links[..2];
    assert!(revoke::judge(&forged(2, witness, target, "/ucan/revoke"), NOW).is_ok());
    let bad = [
        ("the audience of the link", forged(3, witness, target, "/ucan/revoke")),
        ("somebody below", forged(4, witness, target, "/ucan/revoke")),
        ("a stranger", forged(9, witness, target, "/ucan/revoke")),
        ("a longer witness", forged(2, &links, target, "/ucan/revoke")),
        ("another target", forged(2, witness, b"another", "/ucan/revoke")),
        ("another command", forged(2, witness, target, "/ucan/revoked")),
        ("no witness", forged(1, &[], target, "/ucan/revoke")),
        ("a chain alone", chain(&links)),
        ("nothing", Vec::new()),
        ("a witness of another subject", forged(5, &[link(5, 6, [])], &link(5, 6, []), "/ucan/revoke")),
    ];
    for (what, bytes) in bad {
        assert!(revoke::judge(&bytes, NOW).is_err(), "{what}");
    }
}

#[test]
fn a_flipped_bit_in_a_revocation_or_its_witness_is_found() {
    let links = three();
    let honest = revoke::make(&seed(2), &chain(&links), &digest(&links[1]), NOW, [5; 16]).unwrap().bytes;
    let container = Container::decode(&honest, &ContainerLimits::WITH_INVOCATION, Profile::Strict).unwrap();
    let tokens: Vec<Vec<u8>> = container.tokens().map(<[u8]>::to_vec).collect();
    for which in 0..tokens.len() {
        for at in (0..tokens[which].len()).step_by(5) {
            let mut tokens = tokens.clone();
            tokens[which][at] ^= 1;
            let bytes =
                Container::new(&tokens, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap();
            assert!(revoke::judge(&bytes, NOW).is_err(), "token {which}, byte {at}");
        }
    }
}

/// The signature alone is wrong: everything else is as an honest revoker would write it.
#[test]
fn a_revocation_in_anothers_name_is_not_believed() {
    let links = three();
    let honest = revoke::make(&seed(2), &chain(&links), &digest(&links[1]), NOW, [5; 16]).unwrap().bytes;
    let container = Container::decode(&honest, &ContainerLimits::WITH_INVOCATION, Profile::Strict).unwrap();
    for (mine, others) in [(true, false), (false, true)] {
        let tokens = container.any_tokens(Profile::Strict).unwrap().into_iter().map(|token| {
            let (bytes, bend) = match token {
                AnyToken::Invocation(token) => (token.bytes().to_vec(), mine),
                AnyToken::Delegation(token) => (token.bytes().to_vec(), others),
            };
            let mut bytes = bytes;
            bytes[5] ^= u8::from(bend);
            bytes
        });
        let bent = Container::new(tokens, &ContainerLimits::WITH_INVOCATION).unwrap().to_bytes().unwrap();
        // The witness is named by its hashes, so bending it breaks the list of proofs as well.
        let denial = revoke::judge(&bent, NOW).unwrap_err();
        assert!(matches!(denial, Denial::Signature(_)), "{denial:?}");
    }
}

#[test]
fn revocations_end_an_hour_after_what_they_revoke() {
    let links = three();
    let judged = revoke::make(&seed(1), &chain(&links), &digest(&links[0]), NOW, [5; 16]).unwrap();
    assert!(revoke::judge(&judged.bytes, later(DAY + 3600)).is_ok(), "an expired link may still be revoked");
    let late = revoke::judge(&judged.bytes, later(DAY + 3601)).unwrap_err();
    assert_eq!(late.code(), RefusalCode::Expired);
}

#[test]
fn a_link_for_ever_cannot_fill_the_store_for_ever() {
    let endless = crate::forge::draft(1, 2, "/", 7).expires(secs(later(401 * DAY)));
    let links = [crate::forge::signed(endless, 1)];
    assert!(revoke::judge(&forged(1, &links, &links[0], "/ucan/revoke"), NOW).is_err());
}
