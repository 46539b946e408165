use super::*;

fn names(found: FoundToken) -> Vec<String> {
    match found {
        FoundToken::One(kept) => vec![kept.record.cid],
        FoundToken::None => Vec::new(),
        FoundToken::Many(cids) => cids,
    }
}

#[test]
fn by_name_or_the_beginning_of_it() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    let tokens = store.tokens();
    for (cid, issued) in
        [("bafyreiaaa111", true), ("bafyreiaaa222", false), ("bafyreibbb333", true), ("bafyreibbb333", false)]
    {
        let token = token(cid, 3, 5);
        if issued { tokens.put_issued(&token, b"I", NOW) } else { tokens.put_held(&token, b"H", NOW) }
            .unwrap();
    }
    let find = |name: &str| names(tokens.find(name, NOW).unwrap());
    assert_eq!(find("bafyreiaaa2"), ["bafyreiaaa222"]);
    assert_eq!(find("bafyreiaaa"), ["bafyreiaaa111", "bafyreiaaa222"]);
    assert_eq!(find("bafyreibbb"), ["bafyreibbb333"], "issued and held are one name");
    assert_eq!(find("bafyreibbb333"), ["bafyreibbb333"]);
    assert_eq!(tokens.get("bafyreibbb333", NOW).unwrap().unwrap().container, b"I", "the issued one");
    for none in ["", "b", "bafyrei", "bafyreia", "bafyreiccc", "bafyreiaaa1111", "BAFYREIAAA"] {
        assert_eq!(find(none), [""; 0], "{none}");
    }
    let late = tokens.find("bafyreiaaa111", NOW.plus_ms(6 * HOUR + 1)).unwrap();
    assert_eq!(late, FoundToken::None, "over");
}

#[test]
fn a_beginning_that_fits_very_many_tells_a_few() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    fill(&store, 50);
    assert_eq!(names(store.tokens().find("bafyreitest", NOW).unwrap()).len(), limits::CID_CANDIDATES);
}

/// Straight into the tables: so many syncs would be slow.
fn fill(store: &Store, count: u64) {
    let put = |t: &redb::WriteTransaction| {
        (0..count).try_for_each(|i| {
            let record = TokenRecord { issued: true, ..token(&format!("bafyreitest{i:06}"), 3, 1 + i % 100) };
            insert(t, &row(record, vec![7; 1200]))
        })
    };
    store.write(Keep::Now, put).unwrap();
}

#[test]
fn pages_come_to_the_list() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    fill(&store, 230);
    store.tokens().put_held(&token("held", 3, 500), b"H", NOW).unwrap();
    store.tokens().set_renew("bafyreitest000004", Some(60), NOW).unwrap();
    let all = store.tokens().list(NOW).unwrap();
    assert_eq!(all.len(), 231);
    let order = |r: &TokenRecord| (!r.issued, std::cmp::Reverse(r.expires), r.cid.clone());
    assert!(all.is_sorted_by_key(order), "one to be renewed stands where its expiry says");
    let (mut paged, mut more) = (Vec::new(), 1);
    while more > 0 {
        let (page, left) = store.tokens().page(paged.len() as u64, 100, NOW).unwrap();
        paged.extend(page);
        more = left;
    }
    assert_eq!(paged, all);
    assert_eq!(store.tokens().page(999, 100, NOW).unwrap(), (Vec::new(), 0));
}

#[test]
#[ignore = "a measurement"]
fn ten_thousand_issued_stay_fast() {
    let (_dir, home) = home();
    let store = Store::open(&home, NOW).unwrap();
    fill(&store, limits::TOKENS_ISSUED - 10);
    let time = |what: &str, act: &mut dyn FnMut()| {
        let start = std::time::Instant::now();
        (0..10).for_each(|_| act());
        println!("{what}: {:?}", start.elapsed() / 10);
    };
    let tokens = store.tokens();
    time("get", &mut || assert!(tokens.get("bafyreitest005000", NOW).unwrap().is_some()));
    time("find by a beginning", &mut || drop(tokens.find("bafyreitest00500", NOW).unwrap()));
    time("the first page of 100", &mut || assert_eq!(tokens.page(0, 100, NOW).unwrap().0.len(), 100));
    time("the last page", &mut || assert_eq!(tokens.page(9900, 100, NOW).unwrap().0.len(), 90));
    let mut n = 0;
    time("put", &mut || {
        n += 1;
        tokens.put_issued(&token(&format!("new{n}"), 3, 50), &[7; 1200], NOW).unwrap();
    });
    drop(store);
    let start = std::time::Instant::now();
    drop(Store::open(&home, NOW).unwrap());
    println!("open: {:?}", start.elapsed());
}
