//! Attacks on chains: order, anchor, alignment, time, command and policy.

use ucan::{Chain, ChainError, Delegation, Ipld, Policy, PolicyDenial, Profile, Unverified};

use crate::forge::{DAY, NOW, at, cmd, decode, did, draft, key, link, links, map, text};

type Links = Vec<Unverified<Delegation>>;

fn order(links: Links) -> Result<Chain<Unverified<Delegation>>, ChainError> {
    Chain::order(links)
}

fn with_policy(issuer: u8, audience: u8, policy: Policy) -> Unverified<Delegation> {
    decode(&draft(1, audience, "/file").policy(policy).sign(&key(issuer), Profile::Strict).unwrap())
}

#[test]
fn any_order_of_arrival_gives_the_one_order() {
    let chain = links(&[1, 2, 3, 4]);
    let cids: Vec<_> = chain.iter().map(|token| *token.cid()).collect();
    for permutation in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let ordered = order(permutation.iter().map(|i| chain[*i].clone()).collect()).unwrap();
        assert!(ordered.cids().eq(&cids));
        assert_eq!((ordered.root().cid(), ordered.leaf().cid()), (&cids[0], &cids[2]));
    }
}

#[test]
fn missing_surplus_duplicate_and_looping_links() {
    assert_eq!(order(vec![]), Err(ChainError::Empty));
    let chain = links(&[1, 2, 3, 4]);
    let pick = |positions: &[usize]| positions.iter().map(|i| chain[*i].clone()).collect::<Links>();
    // The middle is missing.
    assert!(matches!(order(pick(&[0, 2])), Err(ChainError::Disconnected { .. })));
    assert_eq!(order(pick(&[0, 1, 0])), Err(ChainError::Duplicate { cid: *chain[0].cid() }));
    // A token that has nothing to do with it, and two ways to one place.
    assert!(matches!(
        order([pick(&[0, 1]), vec![link(7, 7, 8)]].concat()),
        Err(ChainError::Disconnected { .. })
    ));
    assert_eq!(order(vec![link(1, 1, 2), link(1, 1, 3)]), Err(ChainError::Fork { principal: did(1) }));
    assert_eq!(order(vec![link(1, 1, 3), link(2, 2, 3)]), Err(ChainError::Fork { principal: did(3) }));
    // Circles: alone, onto itself, beside a good chain, and back to the root.
    assert!(matches!(order(vec![link(1, 1, 2), link(1, 2, 1)]), Err(ChainError::Loop { .. })));
    assert_eq!(order(vec![link(1, 1, 1)]), Err(ChainError::Loop { principal: did(1) }));
    let beside = [pick(&[0, 1]), vec![link(7, 7, 8), link(7, 8, 7)]].concat();
    assert!(matches!(order(beside), Err(ChainError::Loop { .. })));
    assert!(matches!(order([pick(&[0, 1]), vec![link(1, 3, 1)]].concat()), Err(ChainError::Loop { .. })));
    // Nine links.
    let long = links(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(order(long), Err(ChainError::TooLong { found: 9, limit: 8 }));
    assert!(order(links(&[1, 2, 3, 4, 5, 6, 7, 8, 9])).is_ok());
}

#[test]
fn the_root_is_the_subjects_own() {
    let chain = order(links(&[1, 2, 3])).unwrap();
    assert_eq!(chain.check_subject(&did(1), Profile::Strict), Ok(()));
    // The chain of another subject, shown to node 9.
    let foreign = chain.check_subject(&did(9), Profile::Strict);
    assert_eq!(foreign, Err(ChainError::WrongSubject { link: 0, expected: did(9), found: did(1) }));
    // Somebody delegates the authority of 1 without having it.
    let forged = order(vec![link(1, 2, 3)]).unwrap();
    assert_eq!(
        forged.check_subject(&did(1), Profile::Strict),
        Err(ChainError::RootNotBySubject { issuer: did(2), subject: did(1) })
    );
}

#[test]
fn the_subject_is_never_switched() {
    let chain = order(vec![link(1, 1, 2), link(2, 2, 3)]).unwrap();
    for subject in [1, 2] {
        assert!(matches!(
            chain.check_subject(&did(subject), Profile::Strict),
            Err(ChainError::WrongSubject { .. })
        ));
    }
}

#[test]
fn a_null_subject_is_for_the_spec_profile_and_never_at_the_root() {
    let open = draft(1, 3, "/file").any_subject().sign(&key(2), Profile::Spec).unwrap();
    let open = Unverified::<Delegation>::decode(open.bytes(), Profile::Spec).unwrap();
    let chain = order(vec![open.clone(), link(1, 1, 2)]).unwrap();
    assert_eq!(chain.check_subject(&did(1), Profile::Spec), Ok(()));
    assert_eq!(chain.check_subject(&did(1), Profile::Strict), Err(ChainError::NullSubject { link: 1 }));
    let root = order(vec![open]).unwrap();
    assert_eq!(root.check_subject(&did(2), Profile::Spec), Err(ChainError::RootWithoutSubject));
}

#[test]
fn a_token_that_one_has_merely_seen_cannot_be_extended() {
    // 1 -> 2 was seen by 5, who appends 5 -> 6.
    let forged = vec![link(1, 1, 2), link(1, 5, 6)];
    assert!(matches!(order(forged.clone()), Err(ChainError::Disconnected { .. })));
    let forged = Chain::from_root_first(forged).unwrap();
    assert_eq!(
        forged.check_alignment(&did(6)),
        Err(ChainError::Misaligned { link: 1, expected: did(2), found: did(5) })
    );
}

#[test]
fn a_stolen_chain_is_not_for_the_thief() {
    let chain = order(links(&[1, 2, 3])).unwrap();
    assert_eq!(chain.check_alignment(&did(3)), Ok(()));
    for thief in [1, 2, 9] {
        let refused = Err(ChainError::WrongAudience { expected: did(thief), found: did(3) });
        assert_eq!(chain.check_alignment(&did(thief)), refused);
    }
}

#[test]
fn disordered_proofs_do_not_align() {
    let mut disordered = links(&[1, 2, 3]);
    disordered.reverse();
    let chain = Chain::from_root_first(disordered).unwrap();
    assert!(matches!(chain.check_alignment(&did(2)), Err(ChainError::Misaligned { link: 1, .. })));
}

fn timed(issuer: u8, audience: u8, from: u64, to: u64) -> Unverified<Delegation> {
    decode(
        &draft(1, audience, "/file")
            .not_before(at(from))
            .expires(at(to))
            .sign(&key(issuer), Profile::Strict)
            .unwrap(),
    )
}

#[test]
fn every_link_is_asked_for_the_time() {
    // An expired root under a fresh leaf, and a leaf that is not valid yet.
    let chain = order(vec![timed(1, 2, NOW, NOW + 10), timed(2, 3, NOW + 5, NOW + DAY)]).unwrap();
    let not_yet = Err(ChainError::NotYetValid { link: 1, not_before: at(NOW + 5) });
    assert_eq!(chain.check_time(at(NOW + 4), 0), not_yet);
    assert_eq!(chain.check_time(at(NOW + 5), 0), Ok(()));
    assert_eq!(chain.check_time(at(NOW + 10), 0), Ok(()), "the last second counts");
    let expired = Err(ChainError::Expired { link: 0, expired: at(NOW + 10) });
    assert_eq!(chain.check_time(at(NOW + 11), 0), expired);
    // Leeway forgives a clock that is behind, never an expiry.
    assert_eq!(chain.check_time(at(NOW + 4), 1), Ok(()));
    assert_eq!(chain.check_time(at(NOW - 56), 60), not_yet);
    assert_eq!(chain.check_time(at(NOW + 11), u64::MAX), expired);
    assert_eq!((chain.expires(), chain.not_before()), (Some(at(NOW + 10)), Some(at(NOW + 5))));
}

#[test]
fn lifetime_and_epoch() {
    let chain = order(vec![timed(1, 2, NOW, NOW + DAY), timed(2, 3, NOW + 9, NOW + DAY)]).unwrap();
    assert_eq!(chain.check_lifetime(DAY), Ok(()));
    assert_eq!(
        chain.check_lifetime(DAY - 1),
        Err(ChainError::LivesTooLong { link: 0, limit_seconds: DAY - 1 })
    );
    assert_eq!(chain.check_epoch(at(NOW)), Ok(()));
    assert_eq!(chain.check_epoch(at(NOW + 9)), Err(ChainError::BeforeEpoch { link: 0, epoch: at(NOW + 9) }));
    let endless = draft(1, 2, "/file").sign(&key(1), Profile::Spec).unwrap();
    let bare = Delegation::build(did(1), did(2), cmd("/"), &[]).sign(&key(1), Profile::Spec).unwrap();
    assert!(Chain::order(vec![&endless]).unwrap().check_lifetime(2 * DAY).is_ok());
    let bare = Chain::order(vec![&bare]).unwrap();
    assert!(bare.check_lifetime(u64::MAX).is_err() && bare.check_epoch(at(0)).is_err());
}

#[test]
fn every_links_command_must_cover() {
    let grant = |issuer, audience, command| {
        decode(&draft(1, audience, command).sign(&key(issuer), Profile::Strict).unwrap())
    };
    // The child widens: it gains nothing.
    let widened = order(vec![grant(1, 2, "/file/read"), grant(2, 3, "/")]).unwrap();
    assert_eq!(widened.check_command(&cmd("/file/read")), Ok(()));
    assert!(matches!(
        widened.check_command(&cmd("/file/write")),
        Err(ChainError::CommandNotCovered { link: 0, .. })
    ));
    let narrowed = order(vec![grant(1, 2, "/file"), grant(2, 3, "/file/read")]).unwrap();
    assert!(matches!(
        narrowed.check_command(&cmd("/file/write")),
        Err(ChainError::CommandNotCovered { link: 1, .. })
    ));
    assert!(narrowed.check_command(&cmd("/filesystem")).is_err());
    assert!(narrowed.check_command(&cmd("/")).is_err());
}

#[test]
fn every_links_policy_must_accept() {
    let read = Policy::build([Policy::eq(".tool", "read")], Profile::Strict).unwrap();
    let args = |tool: &str| map(&[("tool", text(tool))]);
    // The child drops the policy.
    let dropped =
        order(vec![with_policy(1, 2, read.clone()), with_policy(2, 3, Policy::any_args())]).unwrap();
    assert_eq!(dropped.check_policy(&args("read"), Profile::Strict), Ok(()));
    let denial = PolicyDenial::NotSatisfied { statement: 0 };
    assert_eq!(
        dropped.check_policy(&args("shell"), Profile::Strict),
        Err(ChainError::Policy { link: 0, denial })
    );
    let narrowed = order(vec![with_policy(1, 2, Policy::any_args()), with_policy(2, 3, read)]).unwrap();
    let denial = PolicyDenial::Unresolved { statement: 0, selector: ".tool".into() };
    assert_eq!(
        narrowed.check_policy(&map(&[]), Profile::Strict),
        Err(ChainError::Policy { link: 1, denial })
    );
    assert!(narrowed.check_policy(&Ipld::Null, Profile::Strict).is_err());
}

#[test]
fn who_may_revoke() {
    let chain = order(links(&[1, 2, 3, 4])).unwrap();
    let middle = *chain.cids().nth(1).unwrap();
    assert!(chain.may_revoke(&middle, &did(1)) && chain.may_revoke(&middle, &did(2)));
    // Its audience, one below, a stranger.
    assert!(!chain.may_revoke(&middle, &did(3)) && !chain.may_revoke(&middle, &did(9)));
    assert!(!chain.may_revoke(link(7, 7, 8).cid(), &did(1)));
    assert_eq!(chain.up_to(&middle).unwrap().link_count(), 2);
}
