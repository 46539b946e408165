//! Properties of random delegations and chains.

use proptest::prelude::*;
use ucan::{
    Chain, Container, ContainerLimits, Delegation, Draft, Ipld, Link, Policy, Profile, Unverified, Verified,
};

use crate::forge::{DAY, NOW, at, cmd, did, draft, key, map, text};

/// What a link grants.
#[derive(Debug, Clone)]
struct Grant {
    command: &'static str,
    policy: Vec<Draft>,
    from: u64,
    to: u64,
}

fn statement() -> impl Strategy<Value = Draft> {
    let leaf = prop_oneof![
        prop::sample::select(vec!["read", "grep", "shell"]).prop_map(|tool| Policy::eq(".tool", tool)),
        (0..100_u64).prop_map(|size| Policy::le(".size", size)),
        (0..100_u64).prop_map(|size| Policy::gt(".size", size)),
        prop::sample::select(vec!["src/*", "*", "*.rs", "doc"]).prop_map(|glob| Policy::like(".path", glob)),
        Just(Policy::eq(".absent", 1_u64)),
        Just(Policy::any(".list", Policy::eq(".", 2_u64))),
        Just(Policy::all(".list", Policy::le(".", 3_u64))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Policy::and),
            prop::collection::vec(inner, 1..3).prop_map(Policy::or),
        ]
    })
}

fn grant() -> impl Strategy<Value = Grant> {
    (
        prop::sample::select(vec!["/", "/file", "/file/read", "/file/write", "/shell"]),
        prop::collection::vec(statement(), 0..3),
        0..3_u64,
        0..3_u64,
    )
        .prop_map(|(command, policy, from, to)| Grant {
            command,
            policy,
            from: NOW + from,
            to: NOW + 3 + to,
        })
}

fn args() -> impl Strategy<Value = Ipld> {
    (
        prop::sample::select(vec!["read", "grep", "shell"]),
        0..100_i128,
        prop::sample::select(vec!["src/a.rs", "doc", "src2/x", ""]),
        prop::collection::vec(0..4_i128, 0..3),
    )
        .prop_map(|(tool, size, path, list)| {
            let list = Ipld::List(list.into_iter().map(Ipld::Integer).collect());
            map(&[("tool", text(tool)), ("size", Ipld::Integer(size)), ("path", text(path)), ("list", list)])
        })
}

fn chain(grants: &[Grant]) -> Vec<Verified<Delegation>> {
    (1..)
        .zip(grants)
        .map(|(issuer, grant)| {
            draft(1, issuer + 1, grant.command)
                .policy(Policy::build(grant.policy.clone(), Profile::Strict).unwrap())
                .not_before(at(grant.from))
                .expires(at(grant.to))
                .sign(&key(issuer), Profile::Strict)
                .unwrap()
        })
        .collect()
}

fn allows(links: &[Verified<Delegation>], command: &str, args: &Ipld, now: u64) -> bool {
    let Ok(chain) = Chain::order(links.iter().collect()) else { return false };
    let audience = *chain.leaf().delegation().audience();
    chain.check_subject(&did(1), Profile::Strict).is_ok()
        && chain.check_alignment(&audience).is_ok()
        && chain.check_time(at(now), 0).is_ok()
        && chain.check_command(&cmd(command)).is_ok()
        && chain.check_policy(args, Profile::Strict).is_ok()
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn delegations_round_trip(
        seeds in (1..=255_u8, any::<[u8; 32]>()),
        grant in grant(),
        nonce in prop::collection::vec(any::<u8>(), 12..=64),
        meta in prop::option::of("[a-z]{1,8}"),
    ) {
        let mut build = Delegation::build(did(seeds.0), ucan::Did::from_bytes(seeds.1), cmd(grant.command), &nonce)
            .policy(Policy::build(grant.policy, Profile::Strict).unwrap())
            .not_before(at(grant.from))
            .expires(at(grant.to));
        if let Some(meta) = &meta {
            build = build.meta(meta, Ipld::Bool(true));
        }
        let made = build.sign(&key(seeds.0), Profile::Strict).unwrap();
        let read = Unverified::<Delegation>::decode(made.bytes(), Profile::Strict).unwrap();
        prop_assert_eq!(read.cid(), made.cid());
        prop_assert_eq!(read.claims(), made.payload());
        prop_assert_eq!(read.claims().nonce(), nonce.as_slice());
        let verified = read.verify().unwrap();
        prop_assert_eq!(verified.bytes(), made.bytes());
    }

    #[test]
    fn no_flip_verifies(grant in grant(), flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8_u32), 1..4)) {
        let token = chain(&[grant]).remove(0);
        let mut bytes = token.bytes().to_vec();
        for (position, bit) in flips {
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
        }
        prop_assume!(bytes != token.bytes());
        let decoded = Unverified::<Delegation>::decode(&bytes, Profile::Spec);
        prop_assert!(!decoded.is_ok_and(|token| token.verify().is_ok()));
    }

    #[test]
    fn a_longer_chain_never_allows_more_and_every_prefix_is_valid(
        grants in prop::collection::vec(grant(), 1..5),
        command in prop::sample::select(vec!["/", "/file", "/file/read", "/shell"]),
        args in args(),
        now in NOW..NOW + 7,
    ) {
        let links = chain(&grants);
        let verdicts: Vec<bool> = (1..=links.len()).map(|n| allows(&links[..n], command, &args, now)).collect();
        for pair in verdicts.windows(2) {
            prop_assert!(pair[0] || !pair[1], "a link turned deny into allow: {:?}", verdicts);
        }
    }

    #[test]
    fn order_does_not_depend_on_arrival(count in 1..=8_u8, swaps in prop::collection::vec((0..8_usize, 0..8_usize), 0..12)) {
        let grant = Grant { command: "/", policy: vec![], from: NOW, to: NOW + DAY };
        let links = chain(&vec![grant; count.into()]);
        let mut shuffled = links.clone();
        for (a, b) in swaps {
            shuffled.swap(a % links.len(), b % links.len());
        }
        prop_assert_eq!(Chain::order(shuffled).unwrap().into_links(), links.clone());
        let container = Container::new(links.iter().map(Verified::bytes), &ContainerLimits::CHAIN).unwrap();
        let read = Container::decode(container.to_text().unwrap().as_bytes(), &ContainerLimits::CHAIN, Profile::Strict);
        prop_assert_eq!(read.unwrap(), container);
    }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn no_bytes_make_the_decoders_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for profile in [Profile::Spec, Profile::Strict] {
            let _ = Unverified::<Delegation>::decode(&bytes, profile);
            let _ = Container::decode(&bytes, &ContainerLimits::CHAIN, profile);
        }
    }

    #[test]
    fn the_strict_profile_accepts_only_what_the_spec_profile_accepts(policy in prop::collection::vec(statement(), 0..4), args in args()) {
        let strict = Policy::build(policy.clone(), Profile::Strict).unwrap();
        let spec = Policy::build(policy, Profile::Spec).unwrap();
        if strict.evaluate(&args, Profile::Strict).is_ok() {
            prop_assert!(spec.evaluate(&args, Profile::Spec).is_ok());
        }
    }
}
