//! What no order of requests can get past.

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_bucket_never_gives_more_than_its_rate_and_its_burst(
        asks in prop::collection::vec((0_u64..400, 1_u32..5), 1..300),
        per_s in 1_u32..50,
        burst in 1_u32..50,
    ) {
        let begun = Instant::now();
        let mut bucket = Bucket::new(begun, per_s, burst);
        let (mut now, mut given) = (begun, 0_u64);
        for (pause_ms, units) in asks {
            now += Duration::from_millis(pause_ms);
            if bucket.take(now, units) {
                given += u64::from(units);
            }
            let passed = u64::try_from((now - begun).as_millis()).unwrap();
            prop_assert!(given * 1_000 <= u64::from(burst) * 1_000 + passed * u64::from(per_s));
        }
    }

    /// Rate limiters that are asked often and never refill are a classic.
    #[test]
    fn a_bucket_that_is_asked_all_the_time_still_fills(every_ms in 1_u64..20, per_s in 1_u32..50) {
        let begun = Instant::now();
        let mut bucket = Bucket::new(begun, per_s, 1);
        let mut given = 0_u64;
        let rounds = 10_000 / every_ms;
        for n in 1..=rounds {
            given += u64::from(bucket.take(begun + Duration::from_millis(n * every_ms), 1));
        }
        // Waiting for a full unit rounds up to whole polls.
        let unit_ms = 1_000_u64.div_ceil(u64::from(per_s)).next_multiple_of(every_ms);
        prop_assert!(given >= rounds * every_ms / unit_ms, "{given}");
    }
}

#[test]
fn one_author_cannot_speak_for_all_and_all_are_bounded() {
    let now = Instant::now();
    let mut authors = Authors::default();
    let author = |n: u32| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&n.to_be_bytes());
        NodeId(id)
    };
    let passed = (0..10_000).filter(|_| authors.take(now, author(0))).count();
    assert_eq!(passed, GOSSIP_AUTHOR_MESSAGES_BURST as usize);
    assert!(authors.take(now, author(1)));
    for n in 0..2 * u32::try_from(GOSSIP_AUTHORS).unwrap() {
        authors.take(now, author(n));
    }
    assert!(authors.0.len() <= GOSSIP_AUTHORS);
    // A minute later all have rested, and a new one finds a place.
    assert!(authors.take(now + Duration::from_secs(60), author(u32::MAX)));
    assert!(authors.0.len() <= 2, "{}", authors.0.len());
}

#[test]
fn a_neighbour_that_floods_is_cut_after_the_excess_it_is_allowed() {
    let now = Instant::now();
    let mut rate = PeerRate::new(now);
    let verdicts: Vec<_> = (0..10_000).map(|_| rate.message(now, 100, 1)).collect();
    let count = |of: Conduct| verdicts.iter().filter(|v| **v == of).count();
    assert_eq!(count(Conduct::Fine), GOSSIP_PEER_MESSAGES_BURST as usize);
    assert_eq!(count(Conduct::Excess), GOSSIP_PEER_EXCESS as usize);
    assert_eq!(verdicts.last(), Some(&Conduct::Cut));
    // One announcement that counts as thousands is no way round.
    assert_eq!(PeerRate::new(now).message(now, 100, GOSSIP_PEER_MESSAGES_BURST + 1), Conduct::Excess);
}

#[test]
fn who_forges_is_cut_and_one_mistake_a_minute_is_forgiven() {
    let now = Instant::now();
    let mut rate = PeerRate::new(now);
    let verdicts: Vec<_> = (0..=GOSSIP_PEER_FORGED).map(|_| rate.forged(now)).collect();
    assert_eq!(verdicts, [Conduct::Excess, Conduct::Excess, Conduct::Excess, Conduct::Cut]);
    let mut rate = PeerRate::new(now);
    for minute in 0..100 {
        assert_eq!(rate.forged(now + Duration::from_secs(60 * minute)), Conduct::Excess);
    }
}

#[test]
fn what_was_seen_is_forgotten_in_time_and_in_number() {
    let begun = Instant::now();
    let mut seen = Seen::default();
    seen.insert(begun, [1; 32]);
    assert!(seen.contains(begun, &[1; 32]));
    assert!(!seen.contains(begun + Duration::from_millis(GOSSIP_SEEN_MS), &[1; 32]));
    for n in 0..GOSSIP_SEEN + 10 {
        let mut id = [2; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        seen.insert(begun, id);
    }
    assert_eq!((seen.ids.len(), seen.order.len()), (GOSSIP_SEEN, GOSSIP_SEEN));
}
