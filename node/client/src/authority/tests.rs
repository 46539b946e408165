use clankers_auth::{GrantSpec, mint};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: u64 = 3_600;

fn after(secs: u64) -> Timestamp {
    NOW.plus_ms(secs * 1000)
}

fn granted(spec: &GrantSpec) -> Vec<u8> {
    let audience = mint::id_of(&[2; 32]);
    mint::grant(&[1; 32], audience, spec, NOW, HOUR, [7; 16]).unwrap().to_bytes().unwrap()
}

#[test]
fn a_grant_is_renewed_in_the_second_half_of_its_life_and_after_it() {
    let chain = granted(&GrantSpec { renew: true, ..GrantSpec::reviewer() });
    assert_eq!(renewal(&chain, after(HOUR / 2 - 60)), None);
    assert_eq!(renewal(&chain, after(HOUR / 2 + 60)), Some(Renewal { chain: chain.clone(), late: false }));
    assert_eq!(renewal(&chain, after(HOUR + 60)), Some(Renewal { chain: chain.clone(), late: true }));
    // Unmarked, or no token at all.
    assert_eq!(renewal(&granted(&GrantSpec::reviewer()), after(HOUR)), None);
    assert_eq!(renewal(b"nonsense", after(HOUR)), None);
    // Passed on: it is its holder's issuer who renews, not the node.
    let onward =
        mint::delegate(&[2; 32], &chain, mint::id_of(&[3; 32]), &GrantSpec::default(), NOW, HOUR, [8; 16]);
    let onward = onward.unwrap().container.to_bytes().unwrap();
    assert_eq!(renewal(&onward, after(HOUR)), None);
}

#[test]
fn a_fingerprint_does_not_depend_on_the_order() {
    let (a, b) = (CidDigest([1; 32]), CidDigest([2; 32]));
    assert_eq!(fingerprint([&a, &b]), fingerprint([&b, &a]));
    assert_ne!(fingerprint([&a]), fingerprint([&a, &b]));
    // SHA-256 of nothing (FIPS 180-4).
    assert_eq!(fingerprint([])[..4], [0xe3, 0xb0, 0xc4, 0x42]);
}

proptest! {
    #[test]
    fn batches_fit_and_lose_nothing(sizes in proptest::collection::vec(0..=limits::CHAIN_BYTES, 0..80)) {
        let all: Vec<Vec<u8>> = sizes.iter().map(|size| vec![0; *size]).collect();
        let batches = batches(all.clone());
        for batch in &batches {
            prop_assert!(batch.len() <= limits::REVOCATIONS);
            prop_assert!(batch.iter().map(Vec::len).sum::<usize>() <= OFFER_BYTES);
        }
        prop_assert_eq!(batches.concat(), all);
    }
}
