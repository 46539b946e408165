use super::*;

fn record(id: &str, started: u64) -> Record {
    Record {
        id: id.to_owned(),
        direction: Direction::Send,
        peer: "desk".into(),
        subject: NodeId([7; 32]),
        path: "/srv/a".into(),
        to: None,
        name: None,
        on_conflict: "rename".into(),
        follow_links: false,
        exclude: Vec::new(),
        limit_rate: None,
        detached: false,
        state: State::Running,
        bytes: 0,
        total: 10,
        sent_bytes: 0,
        files_done: 0,
        rate_bps: 0,
        files: 1,
        root: None,
        error: None,
        receipt: None,
        started: Timestamp(started),
        updated: Timestamp(started),
    }
}

fn records() -> (tempfile::TempDir, Records) {
    let dir = tempfile::tempdir().unwrap();
    let records = Records::new(dir.path().join("transfers"));
    (dir, records)
}

#[test]
fn who_was_killed_is_not_running() {
    let (_dir, records) = records();
    assert!(records.list().unwrap().is_empty(), "a home that has sent nothing");
    let hold = records.hold("aa11").unwrap();
    hold.begin(&record("aa11", 5)).unwrap();
    assert!(records.is_running("aa11"));
    assert!(matches!(records.hold("aa11"), Err(RecordError::Running(_))));
    assert!(matches!(records.forget("aa11"), Err(RecordError::Running(_))));
    assert_eq!(records.find("aa").unwrap().state, State::Running);
    drop(hold);
    assert_eq!(records.find("aa").unwrap().state, State::Interrupted);
    let same = records.same_wish(&record("bb22", 9)).unwrap().unwrap();
    assert_eq!(same.id, "aa11", "what broke off goes on");
    let other = Record { to: Some("x".into()), ..record("bb22", 9) };
    assert_eq!(records.same_wish(&other).unwrap(), None);
    records.forget("aa11").unwrap();
    assert!(matches!(records.find("aa"), Err(RecordError::None(_))));
}

#[test]
fn cancelling_reaches_whoever_runs_it() {
    let (_dir, records) = records();
    assert!(!records.ask_to_cancel("aa11").unwrap(), "nobody runs it");
    let hold = records.hold("aa11").unwrap();
    assert!(!hold.is_cancelled());
    assert!(records.ask_to_cancel("aa11").unwrap());
    assert!(hold.is_cancelled());
    drop(hold);
    assert!(!records.hold("aa11").unwrap().is_cancelled(), "an old wish is no wish of the next run");
}

#[test]
fn the_list_is_bounded_and_what_is_open_stays() {
    let (_dir, records) = records();
    let count = u64::try_from(RECORDS).unwrap() + 5;
    for n in 0..count {
        let state = if n == 0 { State::Interrupted } else { State::Done };
        let one = Record { state, ..record(&format!("{n:04}"), n) };
        records.hold(&one.id).unwrap().begin(&one).unwrap();
    }
    let left = records.list().unwrap();
    assert_eq!(left.len(), RECORDS + 1, "the oldest that are over go");
    assert_eq!(left.last().map(|r| r.id.as_str()), Some("0000"), "what broke off can still go on");
}

#[test]
fn a_file_that_is_no_record_is_left_out() {
    let (_dir, records) = records();
    let hold = records.hold("aa11").unwrap();
    hold.write(&record("aa11", 5)).unwrap();
    for (name, text) in [("bb.json", "{"), ("cc.json", "{}"), ("dd.json", "")] {
        fs::write(records.dir.join(name), text).unwrap();
    }
    // A record under another's name would be found by the wrong id.
    fs::copy(records.dir.join("aa11.json"), records.dir.join("ee.json")).unwrap();
    assert_eq!(records.list().unwrap().len(), 1);
}
