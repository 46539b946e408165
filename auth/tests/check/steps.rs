//! What each step alone refuses, so that leaving one out turns a test red (`CLANKERS_MUTATION`, see `step.rs`).

use clankers_auth::{Args, Command, Denial, Standing, step::Step};
use clankers_protocol::{Timestamp, refusal::RefusalCode};
use ucan::{ChainError, Container, ContainerError, ContainerLimits, Policy, Profile};

use crate::forge::{DAY, NOW, calm, chain, draft, held, id, key, later, link, secs, shown, signed};

/// A variable that names no step would leave out nothing, and the run would prove nothing.
#[test]
fn the_step_to_leave_out_exists() {
    if let Ok(name) = std::env::var("CLANKERS_MUTATION") {
        assert!(Step::ALL.iter().any(|step| step.name() == name), "there is no step {name}");
    }
}

#[test]
fn a_build_that_can_leave_out_steps_says_so() {
    assert_eq!(
        Step::ALL.iter().map(|step| step.name()).collect::<std::collections::BTreeSet<_>>().len(),
        Step::ALL.len()
    );
    if !cfg!(clankers_mutation) {
        // The variable has no say in an ordinary build: every other test of this file would notice.
        assert_eq!(Step::ALL.first().map(|step| step.name()), Some("Sizes"));
    }
}

fn denied(links: &[Vec<u8>], remote: u8) -> Denial {
    shown(&calm(), remote, &chain(links)).unwrap_err()
}

#[test]
fn sizes() {
    let huge = draft(1, 2, "/", 1).meta("pad", ucan::Ipld::Bytes(vec![7; 4096]));
    let huge = huge.sign(&key(1), Profile::Spec).unwrap().bytes().to_vec();
    let roomy = ContainerLimits { bytes: 1 << 20, tokens: 64, token_bytes: 1 << 20 };
    let container = Container::new([&huge], &roomy).unwrap().to_bytes().unwrap();
    let denial = shown(&calm(), 2, &container).unwrap_err();
    assert!(matches!(denial, Denial::Malformed(ContainerError::TokenTooLarge { .. })), "{denial:?}");
    let many: Vec<Vec<u8>> = (1..10).map(|n| link(n, n + 1, [])).collect();
    let container = Container::new(&many, &roomy).unwrap().to_bytes().unwrap();
    let denial = shown(&calm(), 10, &container).unwrap_err();
    assert!(matches!(denial, Denial::Malformed(ContainerError::TooManyTokens { .. })), "{denial:?}");
}

#[test]
fn strict_decoding() {
    let open = Policy::build([Policy::negate(Policy::eq(".tool", "bash"))], Profile::Spec).unwrap();
    let fails_open = draft(1, 2, "/", 1).policy(open).sign(&key(1), Profile::Spec).unwrap();
    let denial = denied(&[fails_open.bytes().to_vec()], 2);
    assert!(matches!(denial, Denial::Malformed(ContainerError::Token { .. })), "{denial:?}");
}

#[test]
fn order() {
    // Sorted bytewise in the container, so one of the two orders is not the chain's.
    for nonce in 0..8 {
        let a = signed(draft(1, 2, "/", nonce), 1);
        let b = signed(draft(1, 3, "/", nonce), 2);
        assert!(shown(&calm(), 3, &chain(&[a, b])).is_ok(), "{nonce}");
    }
    let fork = denied(&[link(1, 2, []), link(1, 3, [])], 3);
    assert!(matches!(fork, Denial::Chain(ChainError::Fork { .. })), "{fork:?}");
}

#[test]
fn anchor_and_alignment() {
    let forged = denied(&[signed(draft(1, 2, "/", 1), 9)], 2);
    assert!(matches!(forged, Denial::Chain(ChainError::RootNotBySubject { .. })), "{forged:?}");
    let elsewhere = denied(&[signed(draft(9, 2, "/", 1), 9)], 2);
    assert_eq!(elsewhere.code(), RefusalCode::WrongNode);
    let stolen = denied(&[link(1, 2, [])], 3);
    assert_eq!(stolen.code(), RefusalCode::WrongAudience);
}

#[test]
fn times() {
    let root = [link(1, 2, [])];
    let at = |now, epoch| shown(&Standing { now, epoch, ..calm() }, 2, &chain(&root)).map_err(|d| d.code());
    assert!(at(NOW, NOW).is_ok());
    assert_eq!(at(later(DAY + 1), Timestamp(0)).unwrap_err(), RefusalCode::Expired);
    assert_eq!(at(Timestamp(NOW.0 - 61_000), Timestamp(0)).unwrap_err(), RefusalCode::NotYetValid);
    assert_eq!(at(NOW, later(1)).unwrap_err(), RefusalCode::Revoked);
    let long = signed(draft(1, 2, "/", 1).expires(secs(later(400 * DAY + 1))), 1);
    let long = denied(&[long], 2);
    assert!(matches!(long, Denial::Chain(ChainError::LivesTooLong { .. })), "{long:?}");
    // A clock that is set back brings an old token to life again for this node; the epoch does not.
    let running = held(2, &chain(&root));
    let back = Standing { now: later(5), epoch: later(10), ..calm() };
    assert_eq!(running.check_running(&back).unwrap_err().code(), RefusalCode::Revoked);
}

#[test]
fn command_and_policy() {
    let file = held(2, &chain(&[signed(draft(1, 2, "/clankers/file", 1), 1)]));
    let denial = file.authorize(&calm(), Command::PromptSend, &Args::default()).unwrap_err();
    assert!(matches!(denial, Denial::Chain(ChainError::CommandNotCovered { .. })), "{denial:?}");
    let policy = held(2, &chain(&[link(1, 2, [Policy::eq(".cmd", "/clankers/node/info")])]));
    let denial = policy.authorize(&calm(), Command::PromptSend, &Args::default()).unwrap_err();
    assert!(matches!(denial, Denial::Chain(ChainError::Policy { .. })), "{denial:?}");
}

#[test]
fn signatures() {
    for which in 0..3 {
        let mut links = [link(1, 2, []), link(2, 3, []), link(3, 4, [])];
        links[which][10] ^= 1;
        let denial = denied(&links, 4);
        assert!(matches!(denial, Denial::Signature(_)), "{denial:?}");
    }
    assert_eq!(held(4, &chain(&[link(1, 2, []), link(2, 3, []), link(3, 4, [])])).principal(), id(4));
}
