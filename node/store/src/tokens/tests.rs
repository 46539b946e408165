use std::fs;

use super::*;
use crate::Home;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const HOUR: u64 = 3_600_000;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn token(cid: &str, subject: u8, hours: u64) -> TokenRecord {
    TokenRecord {
        cid: cid.into(),
        subject: NodeId([subject; 32]),
        issuer: NodeId([1; 32]),
        audience: NodeId([2; 32]),
        not_before: NOW,
        expires: NOW.plus_ms(hours * HOUR),
        grants: vec!["prompt with read, grep".into()],
        issued: false,
    }
}

fn row(record: TokenRecord, container: Vec<u8>) -> TokenRow {
    TokenRow { record, container, note: TokenNote::default() }
}

/// All keys in the database.
fn rows(store: &Store) -> Vec<String> {
    let keys = |t: &redb::ReadTransaction| -> Result<Vec<String>, StoreError> {
        let table = t.open_table(crate::store::tables::TOKENS)?;
        table.range::<&str>(..)?.map(|entry| Ok(entry?.0.value().to_owned())).collect()
    };
    store.read(keys).unwrap()
}

fn cids(records: &[TokenRecord]) -> Vec<(&str, bool)> {
    records.iter().map(|r| (r.cid.as_str(), r.issued)).collect()
}

#[test]
fn kept_listed_found_and_dropped() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let tokens = store.tokens();
    assert!(!tokens.put_issued(&token("a", 1, 1), b"A", NOW).unwrap());
    assert!(!tokens.put_held(&token("b", 3, 1), b"B", NOW).unwrap());
    assert!(!tokens.put_held(&token("c", 3, 9), b"C", NOW).unwrap());
    assert!(!tokens.put_held(&token("d", 4, 9), b"D", NOW).unwrap());
    assert!(tokens.put_held(&token("b", 3, 1), b"B", NOW).unwrap(), "known");
    assert!(tokens.put_held(&token("b", 3, 1), b"B2", NOW).unwrap(), "known, with other proofs");
    let listed = tokens.list(NOW).unwrap();
    assert_eq!(cids(&listed), [("a", true), ("c", false), ("d", false), ("b", false)]);
    let held = |now, limit| tokens.held_for_subject(NodeId([3; 32]), now, limit).unwrap();
    assert_eq!(held(NOW, 8), [b"C".to_vec(), b"B2".to_vec()]);
    assert_eq!(held(NOW, 1), [b"C".to_vec()]);
    assert_eq!(held(NOW.plus_ms(HOUR), 8), [b"C".to_vec()], "not the expired one");
    assert_eq!(tokens.get("b", NOW).unwrap().unwrap().container, b"B2");
    assert_eq!(tokens.get("x", NOW).unwrap(), None);
    let within = NOW.plus_ms(2 * HOUR);
    assert_eq!(tokens.list(within).unwrap().len(), 4, "shown for an hour after");
    let after = NOW.plus_ms(2 * HOUR + 1);
    assert_eq!(cids(&tokens.list(after).unwrap()), [("c", false), ("d", false)]);
    assert_eq!(rows(&store).len(), 4);
    tokens.put_held(&token("e", 4, 9), b"E", after).unwrap();
    assert_eq!(rows(&store).len(), 3, "dropped");
}

#[test]
fn what_is_too_large_is_refused_everywhere() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let before = fs::read(home.auth_log()).unwrap();
    let many = TokenRecord { grants: vec![String::new(); 65], ..token("a", 1, 1) };
    let long = TokenRecord { grants: vec!["x".repeat(513)], ..token("a", 1, 1) };
    let cid = token(&"c".repeat(129), 1, 1);
    for (record, container) in [(&many, 1), (&long, 1), (&cid, 1), (&token("a", 1, 1), 16 * 1024 + 1)] {
        let refused = store.tokens().put_held(record, &vec![0; container], NOW);
        assert!(matches!(refused, Err(StoreError::Full { .. })));
    }
    assert_eq!(store.tokens().list(NOW).unwrap(), []);
    assert_eq!(fs::read(home.auth_log()).unwrap(), before);
}

#[test]
fn the_holder_of_too_many_gets_no_more_until_some_are_over() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    // Straight into the table: a thousand syncs would be slow.
    store
        .write(Keep::Now, |transaction| {
            for i in 0..limits::TOKENS_HELD {
                let row = row(token(&format!("t{i}"), 3, 1), vec![1]);
                insert(transaction, &row)?;
            }
            Ok(())
        })
        .unwrap();
    let refused = store.tokens().put_held(&token("more", 3, 1), b"M", NOW);
    assert!(matches!(refused, Err(StoreError::Full { limit: limits::TOKENS_HELD, .. })));
    assert!(store.tokens().put_held(&token("t5", 3, 1), &[1], NOW).unwrap(), "known ones are fine");
    store.tokens().put_issued(&token("mine", 3, 1), b"I", NOW).unwrap();
    store.tokens().put_held(&token("later", 3, 9), b"L", NOW.plus_ms(2 * HOUR + 1)).unwrap();
    assert_eq!(rows(&store).len(), 1);
}

/// A home with tokens a (issued), b and c (held), the database closed.
fn filled() -> (tempfile::TempDir, Home, Vec<TokenRecord>) {
    let (dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    store.tokens().put_issued(&token("a", 1, 5), b"A", NOW).unwrap();
    store.tokens().put_held(&token("b", 3, 5), b"B", NOW).unwrap();
    store.tokens().put_held(&token("c", 3, 6), b"C", NOW).unwrap();
    let listed = store.tokens().list(NOW).unwrap();
    (dir, home, listed)
}

#[test]
fn losing_the_database_loses_no_token() {
    let (_dir, home, listed) = filled();
    fs::remove_file(home.store()).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.opened().tokens_recovered, 3);
    assert!(store.opened().database_was_missing && !store.opened().auth_log_was_missing);
    assert_eq!(store.tokens().list(NOW).unwrap(), listed);
    assert_eq!(store.tokens().get("b", NOW).unwrap().unwrap().container, b"B");
    drop(store);
    let again = Store::open(&home, NOW).unwrap();
    assert_eq!(again.opened(), crate::Opened::default());
}

#[test]
fn losing_the_log_loses_no_token() {
    let (_dir, home, listed) = filled();
    fs::remove_file(home.auth_log()).unwrap();
    let opened = Store::open(&home, NOW).unwrap().opened();
    assert!(opened.auth_log_was_missing && !opened.database_was_missing);
    fs::remove_file(home.store()).unwrap();
    assert_eq!(Store::open(&home, NOW).unwrap().tokens().list(NOW).unwrap(), listed);
}

#[test]
fn damage_of_the_log_costs_at_most_its_own_lines_and_is_said() {
    let (_dir, home, listed) = filled();
    let clean = fs::read(home.auth_log()).unwrap();
    for at in (0..clean.len()).step_by(7) {
        let mut bytes = clean.clone();
        bytes[at] ^= 4;
        fs::write(home.auth_log(), &bytes).unwrap();
        let _ = fs::remove_file(home.store());
        let store = Store::open(&home, Timestamp(NOW.0 + at as u64)).unwrap();
        let found = store.tokens().list(NOW).unwrap();
        let lost = store.opened().auth_lines_lost;
        assert!(found.iter().all(|record| listed.contains(record)));
        let torn = at + 1 == clean.len();
        // A newline that is hit joins two lines; the header's line holds no token.
        assert!(torn || lost >= 1 && (found.len() as u64) + 2 >= 3, "at {at}: {lost} lost, {}", found.len());
        if lost > 0 {
            let aside = home.auth_log().with_extension(format!("log.damaged-{}", NOW.0 + at as u64));
            assert_eq!(fs::read(aside).unwrap(), bytes, "kept aside");
            drop(store);
            let again = Store::open(&home, NOW).unwrap();
            assert_eq!((again.opened().auth_lines_lost, again.tokens().list(NOW).unwrap()), (0, found));
        }
    }
}

#[test]
fn damage_of_the_log_beside_a_whole_database_costs_nothing() {
    let (_dir, home, listed) = filled();
    let mut bytes = fs::read(home.auth_log()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(home.auth_log(), &bytes).unwrap();
    drop(Store::open(&home, NOW).unwrap());
    fs::remove_file(home.store()).unwrap();
    assert_eq!(Store::open(&home, NOW).unwrap().tokens().list(NOW).unwrap(), listed);
}

#[test]
fn a_torn_end_of_the_log_is_cut_and_written_over() {
    let (_dir, home, listed) = filled();
    let clean = fs::read(home.auth_log()).unwrap();
    fs::write(home.auth_log(), [&clean[..], b"{\"c\":\"0000"].concat()).unwrap();
    let store = Store::open(&home, NOW).unwrap();
    assert_eq!(store.opened().auth_lines_lost, 0);
    assert_eq!(fs::read(home.auth_log()).unwrap(), clean);
    store.tokens().put_held(&token("d", 3, 1), b"D", NOW).unwrap();
    drop(store);
    fs::remove_file(home.store()).unwrap();
    assert_eq!(Store::open(&home, NOW).unwrap().tokens().list(NOW).unwrap().len(), listed.len() + 1);
}

#[test]
fn a_log_of_a_later_version_is_refused_and_left() {
    let (_dir, home, _) = filled();
    let text = fs::read_to_string(home.auth_log()).unwrap();
    let newer = text.replacen("\"v\":1", "\"v\":2", 1);
    fs::write(home.auth_log(), &newer).unwrap();
    assert!(matches!(Store::open(&home, NOW), Err(StoreError::Newer { found: 2, .. })));
    assert_eq!(fs::read_to_string(home.auth_log()).unwrap(), newer);
}

#[test]
fn a_large_log_of_what_is_over_is_rewritten_at_start() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    // Straight into the log: the syncs of so many puts would be slow.
    let row = |i: u64, hours| row(token(&format!("t{i}"), 3, hours), vec![7; 16 * 1024]);
    store.tokens().put_held(&row(999, 90).record, b"live", NOW).unwrap();
    for i in 0..220 {
        store.auth().append(&[Record::Token(row(i, 1))], NOW, Keep::Soon).unwrap();
    }
    drop(store);
    let size = || fs::metadata(home.auth_log()).unwrap().len();
    assert!(size() > limits::AUTH_LOG_REWRITE_BYTES);
    let later = NOW.plus_ms(3 * HOUR);
    let store = Store::open(&home, later).unwrap();
    assert!(size() < 2000, "{}", size());
    store.tokens().put_held(&row(1000, 90).record, b"new", later).unwrap();
    drop(store);
    fs::remove_file(home.store()).unwrap();
    let store = Store::open(&home, later).unwrap();
    assert_eq!(cids(&store.tokens().list(later).unwrap()), [("t1000", false), ("t999", false)]);
}

mod delivered;
mod finding;
mod renewal;
