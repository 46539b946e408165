use clankers_protocol::CidDigest;

use super::*;

const PEER: NodeId = NodeId([2; 32]);
const DAY: u64 = 24 * HOUR;

fn line(store: &Store, cid: &str) -> Vec<String> {
    let mut cids: Vec<String> =
        store.tokens().lineage(cid, NOW).unwrap().into_iter().map(|kept| kept.record.cid).collect();
    cids.sort();
    cids
}

/// A home where a was renewed by b and b by c, and x stands alone.
fn renewed() -> (tempfile::TempDir, Home, Store) {
    let (dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let tokens = store.tokens();
    tokens.put_issued(&token("a", 1, 1), b"A", NOW).unwrap();
    tokens.put_issued(&token("x", 1, 1), b"X", NOW).unwrap();
    assert!(tokens.set_renew("a", Some(20 * 3600), NOW).unwrap());
    // Issued for twenty hours: an hour or two is less than half of what is left.
    assert!(tokens.put_renewed("a", &token("b", 1, 2), b"B", NOW).unwrap());
    assert!(tokens.put_renewed("b", &token("c", 1, 3), b"C", NOW).unwrap());
    (dir, home, store)
}

#[test]
fn the_mark_moves_to_the_newest_of_the_line() {
    let (_dir, home, mut store) = renewed();
    for round in 0..3 {
        let tokens = store.tokens();
        let renewable = ["a", "b", "c", "x", "nothing"].map(|cid| tokens.renewable(cid, NOW).unwrap());
        assert_eq!(renewable, [None, None, Some(20 * 3600), None, None], "{round}");
        for cid in ["a", "b", "c"] {
            assert_eq!(line(&store, cid), ["a", "b", "c"]);
        }
        assert_eq!(line(&store, "x"), ["x"]);
        assert_eq!(line(&store, "nothing"), [""; 0]);
        let due: Vec<KeptToken> = tokens.renewals(PEER, NOW).unwrap();
        assert_eq!(due.iter().map(|kept| kept.record.cid.as_str()).collect::<Vec<_>>(), ["c"]);
        assert_eq!(tokens.renewals(NodeId([9; 32]), NOW).unwrap(), []);
        drop(store);
        let lost = if round == 0 { home.store() } else { home.auth_log() };
        fs::remove_file(lost).unwrap();
        store = Store::open(&home, NOW).unwrap();
    }
}

#[test]
fn who_renews_while_it_is_stopped_gets_a_no() {
    let (_dir, home, store) = renewed();
    let tokens = store.tokens();
    assert!(tokens.stop_renewal("a", NOW).unwrap(), "by any of the line");
    assert!(!tokens.put_renewed("c", &token("d", 1, 4), b"D", NOW).unwrap());
    assert!(!tokens.put_renewed("a", &token("d", 1, 4), b"D", NOW).unwrap(), "nor an older one");
    assert!(!tokens.put_renewed("x", &token("d", 1, 4), b"D", NOW).unwrap(), "nor one that never was");
    assert_eq!(tokens.get("d", NOW).unwrap(), None, "nothing was kept");
    assert_eq!(tokens.renewals(PEER, NOW).unwrap(), []);
    assert_eq!(line(&store, "b"), ["a", "b", "c"], "all can still be revoked together");
    assert!(!tokens.stop_renewal("nothing", NOW).unwrap());
    drop(store);
    fs::remove_file(home.store()).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.tokens().renewals(PEER, NOW).unwrap(), [], "for good");
}

/// A renewal and its end at once: either nothing new is kept, or the new one is in the line that is then revoked.
#[test]
fn a_renewal_never_slips_past_its_end() {
    for _ in 0..8 {
        let (_dir, _home, store) = renewed();
        let (renewed, stopped) = std::thread::scope(|scope| {
            let renews =
                scope.spawn(|| store.tokens().put_renewed("c", &token("d", 1, 4), b"D", NOW).unwrap());
            let stops = scope.spawn(|| {
                store.tokens().stop_renewal("a", NOW).unwrap();
                line(&store, "a")
            });
            (renews.join().unwrap(), stops.join().unwrap())
        });
        assert_eq!(renewed, stopped.contains(&"d".to_owned()));
        assert_eq!(store.tokens().renewals(PEER, NOW).unwrap(), []);
    }
}

#[test]
fn one_to_be_renewed_waits_for_an_audience_that_is_away() {
    let (_dir, home, store) = renewed();
    let away = NOW.plus_ms(20 * DAY);
    store.tokens().put_issued(&token("later", 1, 30 * 24), b"L", away).unwrap();
    assert_eq!(line(&store, "c"), ["a", "b", "c"].map(str::to_owned)[2..], "the others have gone");
    assert_eq!(store.tokens().renewals(PEER, away).unwrap().len(), 1);
    let shown = store.tokens().list(away).unwrap();
    assert_eq!(cids(&shown), [("later", true), ("c", true)], "and is shown: it can be revoked");
    assert_eq!(shown[1].expires, token("c", 1, 3).expires);
    let kept = store.tokens().get("c", away).unwrap().unwrap();
    assert_eq!(store.tokens().find("c", away).unwrap(), FoundToken::One(Box::new(kept)));
    assert_eq!(store.tokens().get("b", away).unwrap(), None, "an older one of its line is not");
    drop(store);
    fs::remove_file(home.store()).unwrap();
    let store = Store::open(&home, away).unwrap();
    assert!(store.tokens().put_renewed("c", &token("d", 1, 21 * 24), b"D", away).unwrap());
    assert_eq!(store.tokens().renewals(PEER, away).unwrap()[0].record.cid, "d");
    let gone = away.plus_ms(32 * DAY);
    assert_eq!(store.tokens().renewals(PEER, gone).unwrap(), []);
    store.tokens().put_held(&token("new", 3, 99 * 24), b"N", gone).unwrap();
    assert_eq!(rows(&store).len(), 1);
}

#[test]
fn only_issued_ones_are_renewed() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.tokens().put_held(&token("h", 1, 1), b"H", NOW).unwrap();
    assert!(!store.tokens().set_renew("h", Some(1), NOW).unwrap());
    assert!(!store.tokens().set_renew("nothing", Some(1), NOW).unwrap());
    store.tokens().put_issued(&token("i", 1, 1), b"I", NOW).unwrap();
    assert!(store.tokens().set_renew("i", Some(60), NOW).unwrap());
    assert!(!store.tokens().put_renewed("i", &token("i", 1, 1), b"I", NOW).unwrap(), "by itself");
    assert!(store.tokens().put_issued(&token("i", 1, 1), b"I", NOW).unwrap());
    assert_eq!(store.tokens().renewable("i", NOW).unwrap(), Some(60), "putting it again forgets nothing");
    assert!(store.tokens().set_renew("i", None, NOW).unwrap());
    assert_eq!(store.tokens().renewable("i", NOW).unwrap(), None);
}

#[test]
fn once_in_half_a_life_and_no_more() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let tokens = store.tokens();
    tokens.put_issued(&token("a", 1, 10), b"A", NOW).unwrap();
    tokens.set_renew("a", Some(10 * 3600), NOW).unwrap();
    let half = NOW.plus_ms(5 * HOUR);
    let early = Timestamp(half.0 - 1);
    assert!(!tokens.put_renewed("a", &token("b", 1, 15), b"B", early).unwrap(), "a new budget each time");
    assert_eq!(tokens.get("b", early).unwrap(), None);
    assert!(tokens.put_renewed("a", &token("b", 1, 15), b"B", half).unwrap());
    assert!(!tokens.put_renewed("b", &token("c", 1, 15), b"C", half).unwrap());
    assert!(!tokens.put_renewed("a", &token("c", 1, 15), b"C", half).unwrap());
}

/// Revoked by its CID in somebody's chain, not by the line's name; then its revocation is over before the line is.
#[test]
fn one_revoked_link_ends_the_line_for_good() {
    let (_dir, home) = home();
    let mut store = Store::open(&home, NOW).unwrap();
    let names: Vec<String> = (1..4).map(|n| cid::text_of(&CidDigest([n; 32]))).collect();
    let put = |n: usize, hours| (names[n].clone(), token(&names[n], 1, hours));
    let tokens = store.tokens();
    let (a, first) = put(0, 1);
    let (b, second) = put(1, 20);
    tokens.put_issued(&first, b"A", NOW).unwrap();
    tokens.set_renew(&a, Some(20 * 3600), NOW).unwrap();
    assert!(tokens.put_renewed(&a, &second, b"B", NOW).unwrap());
    assert_eq!(tokens.renewable(&b, NOW).unwrap(), Some(20 * 3600));
    let me = NodeId([1; 32]);
    let revoked = crate::RevocationRow {
        cid: CidDigest([1; 32]),
        subject: me,
        revoker: me,
        grantee: PEER,
        expires: first.expires,
        container: vec![1],
    };
    store.revocations().put(&revoked, NOW).unwrap();
    let after = NOW.plus_ms(12 * HOUR);
    for _ in 0..2 {
        let tokens = store.tokens();
        assert_eq!(tokens.renewable(&b, after).unwrap(), None);
        assert!(!tokens.set_renew(&b, Some(20 * 3600), after).unwrap(), "nor is it begun again");
        assert!(!tokens.put_renewed(&b, &put(2, 40).1, b"C", after).unwrap());
        assert_eq!(tokens.renewals(PEER, after).unwrap(), []);
        drop(store);
        fs::remove_file(home.store()).unwrap();
        store = Store::open(&home, after).unwrap();
    }
    // Also when what is revoked was over long ago.
    let (c, third) = put(2, 1);
    store.tokens().put_issued(&third, b"C", NOW).unwrap();
    store.tokens().set_renew(&c, Some(3600), NOW).unwrap();
    let away = NOW.plus_ms(20 * DAY);
    assert_eq!(store.tokens().renewable(&c, away).unwrap(), Some(3600));
    let late = crate::RevocationRow { cid: CidDigest([3; 32]), ..revoked };
    assert_eq!(store.revocations().put(&late, away).unwrap(), crate::Put::Known);
    assert_eq!(store.tokens().renewable(&c, away).unwrap(), None);
}
