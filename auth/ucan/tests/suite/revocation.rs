//! Revocations: who may, and what passes for one.

use ucan::{Chain, Delegation, Invocation, Ipld, Profile, Revocation, RevocationError, Unverified, Verified};

use crate::forge::{NOW, at, cmd, did, key, link, links};

fn chain(principals: &[u8]) -> Chain<Verified<Delegation>> {
    Chain::order(links(principals)).unwrap().verify_signatures(|_| false).unwrap()
}

fn witness(chain: &Chain<Verified<Delegation>>, count: usize) -> Chain<Verified<Delegation>> {
    Chain::from_root_first(chain.links().take(count).cloned().collect()).unwrap()
}

fn revoke(
    revoker: u8,
    chain: &Chain<Verified<Delegation>>,
    link: usize,
) -> Result<Revocation, RevocationError> {
    let target = *chain.cids().nth(link).unwrap();
    Revocation::sign(&key(revoker), &target, chain, &[3; 16], at(NOW), Profile::Strict)
}

/// As it arrives somewhere else.
fn received(revocation: &Revocation) -> Result<Revocation, RevocationError> {
    let token = Unverified::<Invocation>::decode(revocation.token().bytes(), Profile::Strict).unwrap();
    Revocation::from_invocation(token.verify().unwrap())
}

#[test]
fn an_issuer_at_or_above_the_link_revokes_it() {
    let chain = chain(&[1, 2, 3, 4]);
    for (revoker, link) in [(1, 0), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2)] {
        let revocation = revoke(revoker, &chain, link).unwrap();
        let there = received(&revocation).unwrap();
        assert_eq!(there, revocation);
        assert_eq!((there.revoker(), there.subject()), (&did(revoker), &did(1)));
        assert_eq!(there.target(), chain.cids().nth(link).unwrap());
        assert_eq!(there.check_witness(&witness(&chain, link + 1), Profile::Strict), Ok(()));
    }
}

#[test]
fn the_audience_those_below_and_strangers_do_not() {
    let chain = chain(&[1, 2, 3, 4]);
    for (revoker, link) in [(2, 0), (3, 0), (4, 0), (3, 1), (4, 2), (9, 0), (9, 2)] {
        let refused = RevocationError::NotAnIssuer { revoker: did(revoker) };
        assert_eq!(revoke(revoker, &chain, link), Err(refused), "{revoker} {link}");
    }
    let elsewhere = *link(7, 7, 8).cid();
    let refused = Revocation::sign(&key(1), &elsewhere, &chain, &[3; 16], at(NOW), Profile::Strict);
    assert_eq!(refused, Err(RevocationError::TargetNotInWitness { target: elsewhere }));
}

/// A revocation as an attacker writes it, without the checks of [`Revocation::sign`].
fn forged(revoker: u8, target: &Chain<Verified<Delegation>>, args: &[(&str, Ipld)]) -> Verified<Invocation> {
    args.iter()
        .fold(Invocation::build(did(1), cmd("/ucan/revoke"), &[3; 16]), |draft, (k, v)| {
            draft.arg(k, v.clone())
        })
        .proofs(target.cids().copied())
        .sign(&key(revoker), Profile::Strict)
        .unwrap()
}

#[test]
fn a_forged_revocation_does_not_pass_the_witness() {
    let chain = chain(&[1, 2, 3]);
    let target = Ipld::Link(chain.leaf().cid().to_link());
    let stranger = Revocation::from_invocation(forged(9, &chain, &[("ucan", target.clone())])).unwrap();
    let refused = RevocationError::NotAnIssuer { revoker: did(9) };
    assert_eq!(stranger.check_witness(&chain, Profile::Strict), Err(refused));

    let honest = revoke(2, &chain, 1).unwrap();
    assert_eq!(
        honest.check_witness(&witness(&chain, 1), Profile::Strict),
        Err(RevocationError::OtherWitness)
    );

    // The witness lists a longer path than to the target, and one of another subject.
    let beyond = Ipld::Link(chain.root().cid().to_link());
    let beyond = Revocation::from_invocation(forged(1, &chain, &[("ucan", beyond)])).unwrap();
    assert!(matches!(
        beyond.check_witness(&chain, Profile::Strict),
        Err(RevocationError::TargetNotInWitness { .. })
    ));
    // A link of one's own, pushed in between to appear as an issuer above the target.
    let mut pushed: Vec<_> = chain.links().cloned().collect();
    pushed.insert(1, link(1, 9, 8).verify().unwrap());
    let pushed = Chain::from_root_first(pushed).unwrap();
    let stranger = Revocation::from_invocation(forged(9, &pushed, &[("ucan", target)])).unwrap();
    assert!(matches!(stranger.check_witness(&pushed, Profile::Strict), Err(RevocationError::Witness(_))));
    let own = Chain::order(vec![link(5, 5, 6).verify().unwrap()]).unwrap();
    let own_target = Ipld::Link(own.root().cid().to_link());
    let foreign = Revocation::from_invocation(forged(5, &own, &[("ucan", own_target)])).unwrap();
    assert!(matches!(foreign.check_witness(&own, Profile::Strict), Err(RevocationError::Witness(_))));
}

#[test]
fn other_invocations_are_not_revocations() {
    let chain = chain(&[1, 2, 3]);
    let target = Ipld::Link(chain.leaf().cid().to_link());
    let with = |args: &[(&str, Ipld)]| Revocation::from_invocation(forged(1, &chain, args));
    assert_eq!(with(&[]), Err(RevocationError::Arguments));
    assert_eq!(with(&[("revoke", target.clone())]), Err(RevocationError::Arguments));
    assert_eq!(with(&[("ucan", Ipld::Null)]), Err(RevocationError::Arguments));
    assert_eq!(with(&[("ucan", target.clone()), ("x", Ipld::Null)]), Err(RevocationError::Arguments));

    let build = |command: &str| Invocation::build(did(1), cmd(command), &[3; 16]).arg("ucan", target.clone());
    let ending = build("/ucan/revoke").expires(at(NOW)).sign(&key(1), Profile::Strict).unwrap();
    assert_eq!(Revocation::from_invocation(ending), Err(RevocationError::Expires));
    let below = build("/ucan/revoke/all").expires(at(NOW)).sign(&key(1), Profile::Strict).unwrap();
    assert_eq!(Revocation::from_invocation(below), Err(RevocationError::Command));
    assert!(
        build("/ucan/revoke/all").sign(&key(1), Profile::Strict).is_err(),
        "only a revocation has no end"
    );
}

#[test]
fn a_revocation_outlives_what_it_revokes() {
    // Expired links still prove who issued them.
    let old =
        crate::forge::draft(1, 2, "/file").not_before(at(1)).expires(at(2)).sign(&key(1), Profile::Strict);
    let chain = Chain::order(vec![old.unwrap()]).unwrap();
    let revocation = revoke(1, &chain, 0).unwrap();
    assert_eq!(revocation.check_witness(&chain, Profile::Strict), Ok(()));
}
