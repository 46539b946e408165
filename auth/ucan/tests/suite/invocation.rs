//! Attacks on invocations: each check of the validation has one that only it refuses.

use ucan::{ChainError, Cid, Delegation, Invocation, InvocationError, Ipld, Policy, Profile, Verified};

use crate::forge::{DAY, NOW, at, cmd, did, draft, key, link, map, text};

fn grants() -> Vec<Verified<Delegation>> {
    let read = Policy::build([Policy::eq(".tool", "read")], Profile::Strict).unwrap();
    let narrow = draft(1, 3, "/file/read").policy(read).sign(&key(2), Profile::Strict).unwrap();
    vec![draft(1, 2, "/file").sign(&key(1), Profile::Strict).unwrap(), narrow]
}

struct Ask {
    issuer: u8,
    subject: u8,
    command: &'static str,
    tool: &'static str,
    expires: u64,
}

const GOOD: Ask = Ask { issuer: 3, subject: 1, command: "/file/read", tool: "read", expires: NOW + 300 };

fn invoke(ask: &Ask, proofs: &[Verified<Delegation>]) -> Verified<Invocation> {
    Invocation::build(did(ask.subject), cmd(ask.command), &[5; 12])
        .arg("tool", text(ask.tool))
        .proofs(proofs.iter().map(|proof| *proof.cid()))
        .issued_at(at(NOW))
        .expires(at(ask.expires))
        .sign(&key(ask.issuer), Profile::Strict)
        .unwrap()
}

fn verdict(ask: &Ask, proofs: &[Verified<Delegation>], now: u64) -> Result<usize, InvocationError> {
    let find = |cid: &Cid| proofs.iter().find(|proof| proof.cid() == cid).cloned();
    let chain = invoke(ask, proofs).validate(find, at(now), 0, Profile::Strict)?;
    Ok(chain.map_or(0, |chain| chain.link_count()))
}

#[test]
fn a_good_invocation_passes() {
    assert_eq!(verdict(&GOOD, &grants(), NOW), Ok(2));
    // The subject itself needs no proof.
    assert_eq!(verdict(&Ask { issuer: 1, ..GOOD }, &[], NOW), Ok(0));
}

#[test]
fn its_own_time() {
    assert_eq!(verdict(&GOOD, &grants(), NOW + 300), Ok(2));
    let expired = InvocationError::Expired { expired: at(NOW + 300) };
    assert_eq!(verdict(&GOOD, &grants(), NOW + 301), Err(expired));
}

#[test]
fn proofs_that_are_absent_or_swapped() {
    assert_eq!(verdict(&GOOD, &[], NOW), Err(InvocationError::NoProof { issuer: did(3) }));
    let proofs = grants();
    let invocation = invoke(&GOOD, &proofs);
    let missing = InvocationError::UnavailableProof { cid: *proofs[0].cid() };
    assert_eq!(invocation.validate(|_| None, at(NOW), 0, Profile::Strict), Err(missing.clone()));
    // A resolver that answers with a wider token than the one asked for.
    let wide = draft(1, 3, "/").sign(&key(1), Profile::Strict).unwrap();
    assert_eq!(invocation.validate(|_| Some(wide.clone()), at(NOW), 0, Profile::Strict), Err(missing));
}

#[test]
fn another_invoker_and_another_order() {
    let thief = verdict(&Ask { issuer: 9, ..GOOD }, &grants(), NOW);
    assert_eq!(
        thief,
        Err(InvocationError::Chain(ChainError::WrongAudience { expected: did(9), found: did(3) }))
    );
    let mut disordered = grants();
    disordered.reverse();
    let refused = verdict(&Ask { issuer: 2, ..GOOD }, &disordered, NOW);
    assert!(matches!(refused, Err(InvocationError::Chain(ChainError::Misaligned { link: 1, .. }))));
}

#[test]
fn another_subject() {
    let refused = verdict(&Ask { subject: 7, ..GOOD }, &grants(), NOW);
    assert!(matches!(refused, Err(InvocationError::Chain(ChainError::WrongSubject { link: 0, .. }))));
    let forged = vec![link(1, 2, 3).verify().unwrap()];
    let refused = verdict(&GOOD, &forged, NOW);
    assert!(matches!(refused, Err(InvocationError::Chain(ChainError::RootNotBySubject { .. }))));
}

#[test]
fn the_proofs_time_command_and_policy() {
    let late = verdict(&Ask { expires: NOW + 9 * DAY, ..GOOD }, &grants(), NOW + 2 * DAY);
    assert!(matches!(late, Err(InvocationError::Chain(ChainError::Expired { link: 0, .. }))));
    let early = verdict(&GOOD, &grants(), NOW - 61);
    assert!(matches!(early, Err(InvocationError::Chain(ChainError::NotYetValid { link: 0, .. }))));
    let wide = verdict(&Ask { command: "/file/write", ..GOOD }, &grants(), NOW);
    assert!(matches!(wide, Err(InvocationError::Chain(ChainError::CommandNotCovered { link: 1, .. }))));
    let tool = verdict(&Ask { tool: "shell", ..GOOD }, &grants(), NOW);
    assert!(matches!(tool, Err(InvocationError::Chain(ChainError::Policy { link: 1, .. }))));
}

#[test]
fn it_is_carried_out_by_whom_it_names() {
    let invocation = invoke(&GOOD, &grants());
    assert_eq!(invocation.check_executor(&did(1)), Ok(()), "the subject, when no audience is named");
    assert_eq!(invocation.check_executor(&did(2)), Err(InvocationError::NotForMe { executor: did(1) }));
    let build = Invocation::build(did(1), cmd("/file"), &[5; 12]).expires(at(NOW)).meta("note", Ipld::Null);
    let named = build.audience(did(4)).cause(Cid::of(b"receipt")).sign(&key(1), Profile::Strict).unwrap();
    assert_eq!(named.check_executor(&did(4)), Ok(()));
    assert!(named.check_executor(&did(1)).is_err());
    assert_eq!((named.cause(), named.args()), (Some(&Cid::of(b"receipt")), &map(&[])));
    assert_eq!(named.check_executor(&did(1)).unwrap_err().name(), "InvalidAudience");
}
