use super::*;

fn peer(n: u8) -> NodeId {
    NodeId([n; 32])
}

fn deliver(store: &Store, cid: &str, hours: u64, from: u8) -> Result<Delivered, StoreError> {
    store.tokens().put_delivered(&token(cid, 3, hours), b"D", peer(from), NOW)
}

fn held(store: &Store) -> Vec<String> {
    let mut cids: Vec<String> =
        store.tokens().list(NOW).unwrap().into_iter().map(|token| token.cid).collect();
    cids.sort();
    cids
}

#[test]
fn kept_and_used_like_one_that_was_imported() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(deliver(&store, "a", 5, 1).unwrap(), Delivered::New);
    assert_eq!(deliver(&store, "a", 5, 1).unwrap(), Delivered::Known);
    assert_eq!(deliver(&store, "a", 5, 2).unwrap(), Delivered::Known, "whoever brings it again");
    let kept = store.tokens().get("a", NOW).unwrap().unwrap();
    assert_eq!(kept.note.delivered_by, Some(peer(1)));
    assert_eq!(store.tokens().held_for_subject(peer(3), NOW, 9).unwrap(), [b"D"]);
    assert!(store.tokens().put_held(&token("a", 3, 5), b"D", NOW).unwrap(), "known");
    assert_eq!(store.tokens().get("a", NOW).unwrap().unwrap().note, TokenNote::default(), "the owner's now");
    assert_eq!(deliver(&store, "a", 5, 1).unwrap(), Delivered::Known);
    assert_eq!(store.tokens().get("a", NOW).unwrap().unwrap().note, TokenNote::default(), "and stays so");
}

fn of_each(store: &Store, subject: u8) -> usize {
    held_about(store, subject).len()
}

fn held_about(store: &Store, subject: u8) -> Vec<String> {
    let all = store.tokens().list(NOW).unwrap().into_iter();
    all.filter(|token| token.subject == peer(subject)).map(|token| token.cid).collect()
}

#[test]
fn fresh_keys_have_no_more_room_about_one_subject() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.tokens().put_held(&token("mine", 3, 1), b"M", NOW).unwrap();
    store.tokens().put_delivered(&token("elsewhere", 4, 1), b"E", peer(2), NOW).unwrap();
    for n in 0..limits::TOKENS_DELIVERED_OF_ONE as u64 + 9 {
        let from = 100 + u8::try_from(n).unwrap();
        assert_eq!(deliver(&store, &format!("t{n:02}"), 10 + n, from).unwrap(), Delivered::New);
    }
    assert_eq!(of_each(&store, 3), limits::TOKENS_DELIVERED_OF_ONE + 1, "and the owner's own");
    assert_eq!(of_each(&store, 4), 1, "another subject's is left alone");
    let expected: Vec<String> = ["elsewhere".to_owned(), "mine".to_owned()]
        .into_iter()
        .chain((9..25).map(|n| format!("t{n:02}")))
        .collect();
    assert_eq!(held(&store), expected, "the soonest to expire made room");
    drop(store);
    fs::remove_file(home.store()).unwrap();
    assert_eq!(held(&Store::open(&home, NOW).unwrap()), expected, "and does not come back from the log");
}

#[test]
fn who_brought_most_makes_room() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    deliver(&store, "honest", 1, 2).unwrap();
    for n in 0..40 {
        deliver(&store, &format!("t{n}"), 100 + n, 1).unwrap();
    }
    assert!(held(&store).contains(&"honest".to_owned()), "though it is the soonest to expire");
}

#[test]
fn what_was_imported_is_shown_before_what_was_delivered() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.tokens().put_held(&token("short", 3, 1), b"short", NOW).unwrap();
    store.tokens().put_held(&token("long", 3, 2), b"long", NOW).unwrap();
    for n in 0..16 {
        deliver(&store, &format!("t{n}"), 9999, 100).unwrap();
    }
    let shown = |limit| store.tokens().held_for_subject(peer(3), NOW, limit).unwrap();
    assert_eq!(shown(2), [b"long".to_vec(), b"short".to_vec()]);
    assert_eq!(shown(99).len(), 18);
}

#[test]
fn a_held_one_is_forgotten_when_the_owner_says_so() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.tokens().put_held(&token("a", 3, 1), b"A", NOW).unwrap();
    store.tokens().put_issued(&token("i", 3, 1), b"I", NOW).unwrap();
    deliver(&store, "d", 1, 2).unwrap();
    for (cid, was) in [("a", true), ("a", false), ("d", true), ("i", false), ("nothing", false)] {
        assert_eq!(store.tokens().forget(cid, NOW).unwrap(), was, "{cid}");
    }
    assert_eq!(held(&store), ["i"]);
    drop(store);
    fs::remove_file(home.store()).unwrap();
    assert_eq!(held(&Store::open(&home, NOW).unwrap()), ["i"]);
}

#[test]
fn all_peers_together_have_so_much_room_and_the_owner_loses_none() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let put = |t: &redb::WriteTransaction| {
        (0..limits::TOKENS_DELIVERED).try_for_each(|n| {
            let subject = u8::try_from(n / 16 + 10).unwrap();
            let note = TokenNote { delivered_by: Some(peer(subject)), ..TokenNote::default() };
            insert(t, &TokenRow { note, ..row(token(&format!("d{n}"), subject, 1), vec![1]) })
        })?;
        (0..limits::TOKENS_HELD - 1).try_for_each(|n| insert(t, &row(token(&format!("h{n}"), 3, 1), vec![1])))
    };
    store.write(Keep::Now, put).unwrap();
    assert!(matches!(
        deliver(&store, "more", 9, 99),
        Err(StoreError::Full { limit: limits::TOKENS_DELIVERED, .. })
    ));
    let full = store.tokens().put_delivered(&token("more", 10, 9), b"D", peer(1), NOW);
    assert_eq!(full.unwrap(), Delivered::New, "in the place of another about it");
    assert!(!store.tokens().put_held(&token("mine", 3, 1), b"M", NOW).unwrap(), "the owner's last place");
    assert!(matches!(
        store.tokens().put_held(&token("d100", 16, 1), b"D", NOW),
        Err(StoreError::Full { limit: limits::TOKENS_HELD, .. })
    ));
    let later = NOW.plus_ms(2 * HOUR + 1);
    let again = store.tokens().put_delivered(&token("new", 3, 9), b"D", peer(99), later);
    assert_eq!(again.unwrap(), Delivered::New, "when they are over there is room");
}

#[test]
fn what_is_too_large_is_refused() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let large = vec![0; limits::CONTAINER_BYTES + 1];
    let refused = store.tokens().put_delivered(&token("a", 3, 1), &large, peer(1), NOW);
    assert!(matches!(refused, Err(StoreError::Full { .. })));
    assert_eq!(held(&store), [""; 0]);
}
