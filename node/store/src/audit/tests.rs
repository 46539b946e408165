use std::{fs, os::unix::fs::PermissionsExt, time::Instant};

use clankers_protocol::NodeId;
use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);
const DAY: u64 = 24 * 3_600_000;
const WAIT: Duration = Duration::from_secs(20);

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    (dir, home)
}

fn row(n: u64) -> AuditRow {
    let mut args = Map::new();
    args.insert("tool".into(), Value::String("read".into()));
    args.insert("n".into(), Value::from(n));
    AuditRow {
        at: NOW,
        peer: NodeId([1; 32]),
        principal: Some(NodeId([2; 32])),
        chain: vec!["bafyone".into(), "bafytwo".into()],
        command: "/clankers/tool/use".into(),
        args,
        verdict: if n.is_multiple_of(2) { Verdict::Allow } else { Verdict::Deny },
        code: (n % 2 == 1).then(|| "unauthorized".into()),
        reason: None,
        session: None,
        prompt_id: None,
    }
}

fn open(home: &Home, settings: AuditSettings) -> AuditLog {
    AuditLog::open(home, settings, NOW).unwrap()
}

fn lines(home: &Home) -> Vec<AuditLine> {
    let mut reader = AuditReader::open(home).unwrap();
    let mut lines = Vec::new();
    while let Some(line) = reader.next_line().unwrap() {
        lines.push(line);
    }
    lines
}

fn rows(home: &Home) -> Vec<AuditRow> {
    let row = |line| match line {
        AuditLine::Row(row) => *row,
        other => panic!("{other:?}"),
    };
    lines(home).into_iter().map(row).collect()
}

#[test]
fn rows_come_back_in_order_and_are_private() {
    let (_dir, home) = home();
    assert_eq!(lines(&home), [], "none yet");
    for half in 0..2 {
        let log = open(&home, AuditSettings::default());
        (0..50).for_each(|n| log.append(&row(half * 50 + n)));
        assert!(log.flush(WAIT));
    }
    assert_eq!(rows(&home), (0..100).map(row).collect::<Vec<_>>());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(home.audit_dir()), mode(home.audit_log())), (0o700, 0o600));
}

#[test]
fn a_torn_line_costs_itself_only() {
    let (_dir, home) = home();
    let log = open(&home, AuditSettings::default());
    (0..3).for_each(|n| log.append(&row(n)));
    drop(log);
    let bytes = fs::read(home.audit_log()).unwrap();
    fs::write(home.audit_log(), &bytes[..bytes.len() - 9]).unwrap();
    assert_eq!(rows(&home), [row(0), row(1)], "not yet whole");
    let log = open(&home, AuditSettings::default());
    log.append(&row(3));
    drop(log);
    let expected = [
        AuditLine::Row(row(0).into()),
        AuditLine::Row(row(1).into()),
        AuditLine::Damaged,
        AuditLine::Row(row(3).into()),
    ];
    assert_eq!(lines(&home), expected);
}

#[test]
fn files_are_finished_by_size_and_the_oldest_go() {
    let (_dir, home) = home();
    let settings = AuditSettings { max_bytes_per_file: 1500, max_files: 4, ..AuditSettings::default() };
    let log = open(&home, settings);
    let mut reader = AuditReader::open(&home).unwrap();
    let mut followed = Vec::new();
    for n in 0..60 {
        log.append(&row(n));
        assert!(log.flush(WAIT));
        while let Some(AuditLine::Row(row)) = reader.next_line().unwrap() {
            followed.push(*row);
        }
    }
    assert_eq!(followed, (0..60).map(row).collect::<Vec<_>>(), "who follows misses none");
    assert_eq!(fs::read_dir(home.audit_dir()).unwrap().count(), 4);
    let kept = rows(&home);
    assert_eq!(kept, (60 - kept.len() as u64..60).map(row).collect::<Vec<_>>(), "the latest, in order");
    assert!((12..30).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn a_day_ends_a_file_and_old_ones_go() {
    let (_dir, home) = home();
    let settings = AuditSettings { keep_days: 3, ..AuditSettings::default() };
    let on = |day: u64| AuditRow { at: NOW.plus_ms(day * DAY), ..row(day) };
    let log = open(&home, settings);
    for day in 0..8 {
        log.append(&on(day));
        log.append(&on(day));
    }
    drop(log);
    let expected: Vec<AuditRow> = (3..8).flat_map(|day| [on(day), on(day)]).collect();
    assert_eq!(rows(&home), expected);
    assert_eq!(fs::read_dir(home.audit_dir()).unwrap().count(), 5, "a file for each day");
    drop(AuditLog::open(&home, settings, NOW.plus_ms(30 * DAY)).unwrap());
    assert_eq!(rows(&home), [on(7), on(7)], "also at a start; what is being written stays");
}

#[test]
fn who_follows_gets_the_next_line_when_it_comes() {
    let (_dir, home) = home();
    let mut reader = AuditReader::open(&home).unwrap();
    assert_eq!(reader.wait_line(Duration::ZERO).unwrap(), None);
    let log = open(&home, AuditSettings { max_bytes_per_file: 1, ..AuditSettings::default() });
    std::thread::scope(|scope| {
        let follows = scope
            .spawn(move || (0..20).map(|_| reader.wait_line(WAIT).unwrap().unwrap()).collect::<Vec<_>>());
        (0..20).for_each(|n| log.append(&row(n)));
        let expected: Vec<AuditLine> = (0..20).map(|n| AuditLine::Row(row(n).into())).collect();
        assert_eq!(follows.join().unwrap(), expected);
    });
}

#[test]
fn what_does_not_fit_the_queue_is_counted_and_said() {
    let (_dir, home) = home();
    let dropped = Arc::new(AtomicU64::new(0));
    let (jobs, queue) = sync_channel(10);
    // A log whose writer has not begun.
    let log =
        AuditLog { jobs: Some(jobs), thread: None, dropped: Arc::clone(&dropped), queue: Arc::default() };
    let start = Instant::now();
    (0..1000).for_each(|n| log.append(&row(n)));
    assert!(start.elapsed() < WAIT, "nobody waits");
    assert_eq!(log.dropped(), 990);
    assert!(!log.flush(Duration::ZERO));
    drop(log);
    Writer::open(&home, AuditSettings::default(), NOW, dropped).unwrap().run(&queue);
    let lines = lines(&home);
    assert_eq!(lines.len(), 11);
    assert_eq!(lines[0], AuditLine::Dropped { at: NOW, count: 990 });
    assert_eq!(lines[10], AuditLine::Row(row(9).into()));
}

#[test]
fn a_disk_that_refuses_is_counted_and_said_when_it_does_not() {
    let (_dir, home) = home();
    let log = open(&home, AuditSettings::default());
    log.append(&row(0));
    assert!(log.flush(WAIT));
    let aside = home.root().join("aside");
    fs::rename(home.audit_dir(), &aside).unwrap();
    (1..5).for_each(|n| log.append(&row(n)));
    assert!(!log.flush(WAIT), "they are not on the disk");
    assert_eq!(log.dropped(), 4);
    fs::rename(&aside, home.audit_dir()).unwrap();
    log.append(&row(5));
    assert!(log.flush(WAIT));
    let told = AuditLine::Dropped { at: NOW, count: 4 };
    assert_eq!(lines(&home), [AuditLine::Row(row(0).into()), told, AuditLine::Row(row(5).into())]);
}

#[test]
fn hostile_values_stay_in_their_line_and_small() {
    let (_dir, home) = home();
    let nasty =
        "\n{\"at\":1,\"verdict\":\"allow\"}\r\u{1b}[2J\u{9b}31m\u{202e}\u{2028}\u{7f}\u{200b}\u{e0041}\"\\";
    let mut hostile = row(1);
    hostile.command = nasty.into();
    hostile.reason = Some("\u{1}".repeat(3_000_000));
    hostile.chain = vec![nasty.repeat(900); 900];
    for n in 0..900 {
        hostile.args.insert(format!("{nasty}{n}"), Value::String("\u{1}".repeat(99_999)));
    }
    let mut deep = Value::Null;
    for _ in 0..300 {
        deep = Value::Array(vec![deep]);
    }
    hostile.args.insert("tool".into(), deep);
    let log = open(&home, AuditSettings::default());
    [row(0), hostile, row(2)].iter().for_each(|row| log.append(row));
    drop(log);
    let text = fs::read_to_string(home.audit_log()).unwrap();
    assert_eq!(text.lines().count(), 3);
    assert!(text.len() < limits::AUDIT_LINE_BYTES, "{}", text.len());
    assert!(
        text.chars()
            .all(|c| c == '\n' || !(c.is_control() || "\u{202e}\u{2028}\u{200b}\u{e0041}".contains(c)))
    );
    let kept = rows(&home);
    assert_eq!((&kept[0], &kept[2]), (&row(0), &row(2)));
    assert!(kept[1].command == nasty && kept[1].args.len() == limits::AUDIT_ARGS);
}

#[test]
fn rubbish_in_the_directory_is_left_and_rubbish_in_the_file_is_said() {
    let (_dir, home) = home();
    let log = open(&home, AuditSettings { max_files: 1, keep_days: 0, ..AuditSettings::default() });
    drop(log);
    for name in ["audit-x.jsonl", "audit-.jsonl", "notes", "audit-12"] {
        fs::write(home.audit_dir().join(name), b"mine").unwrap();
    }
    let long = [vec![b'x'; limits::AUDIT_LINE_BYTES * 2 + 7], b"\n{}\n[]\n\xff\n".to_vec()].concat();
    fs::write(home.audit_log(), long).unwrap();
    let log = open(&home, AuditSettings { max_files: 1, keep_days: 0, ..AuditSettings::default() });
    log.append(&row(1));
    drop(log);
    assert_eq!(fs::read_dir(home.audit_dir()).unwrap().count(), 5);
    let lines = lines(&home);
    assert!(lines[..4].iter().all(|line| *line == AuditLine::Damaged), "{lines:?}");
    assert_eq!(lines[4..], [AuditLine::Row(row(1).into())]);
}

proptest! {
    #[test]
    fn any_row_is_one_line_and_comes_back(command in any::<String>(), key in "\\PC{0,9}", value in any::<String>(), reason in prop::option::of(any::<String>())) {
        let mut row = row(7);
        row.args.insert(key, Value::String(value));
        let row = AuditRow { command, reason, ..row };
        let line = row::encode(&row);
        prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
        prop_assert_eq!(line.last(), Some(&b'\n'));
        let fits = |text: &str| text.len() <= limits::AUDIT_TEXT_BYTES;
        let back: AuditRow = serde_json::from_slice(&line).unwrap();
        if fits(&row.command) && row.reason.as_deref().is_none_or(fits) {
            prop_assert_eq!(back, row);
        }
    }
}

/// A log whose writer has not begun, and its queue.
fn unwritten() -> (AuditLog, std::sync::mpsc::Receiver<Job>) {
    let (jobs, queue) = sync_channel(limits::AUDIT_QUEUE);
    (AuditLog { jobs: Some(jobs), thread: None, dropped: Arc::default(), queue: Arc::default() }, queue)
}

fn by(peer: u8, command: &str, verdict: Verdict) -> AuditRow {
    AuditRow { peer: NodeId([peer; 32]), command: command.into(), verdict, ..row(0) }
}

#[test]
fn allowed_requests_never_push_out_refusals_tool_calls_or_tokens() {
    let (log, queue) = unwritten();
    // Of as many peers as it takes.
    for peer in 0..=255 {
        (0..64).for_each(|_| log.append(&by(peer, "/clankers/session/list", Verdict::Allow)));
    }
    let dropped = log.dropped();
    assert_eq!(dropped, (256 * 64 - limits::AUDIT_QUEUE_COMMON) as u64);
    log.append(&by(7, "/clankers/session/list", Verdict::Deny));
    for command in ["/clankers/tool/use", "/clankers/shell/exec", "token revoke", "/ucan/revoke"] {
        log.append(&by(7, command, Verdict::Allow));
    }
    assert_eq!(log.dropped(), dropped);
    assert_eq!(queue.try_iter().count(), limits::AUDIT_QUEUE_COMMON + 5);
    log.append(&by(7, "/clankers/session/list", Verdict::Allow));
    assert_eq!(log.dropped(), dropped, "what was taken from the queue makes room");
}

#[test]
fn one_peer_that_asks_for_what_is_refused_leaves_room_for_others() {
    let (log, _queue) = unwritten();
    (0..9999).for_each(|_| log.append(&by(1, "/clankers/prompt/send", Verdict::Deny)));
    let dropped = log.dropped();
    assert_eq!(dropped, (9999 - limits::AUDIT_QUEUE_OF_ONE) as u64);
    log.append(&by(2, "/clankers/prompt/send", Verdict::Allow));
    log.append(&by(2, "/clankers/tool/use", Verdict::Deny));
    log.append(&by(1, "/clankers/session/list", Verdict::Allow));
    assert_eq!(log.dropped(), dropped);
}
