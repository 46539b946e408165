use std::{fs, os::unix::fs::PermissionsExt};

use super::*;
use crate::{DiskKind, limits};

#[test]
fn appended_is_there_after_reopening() {
    let (_dir, home) = home();
    let mut log = create(&home);
    let (id, epoch) = (log.session(), log.epoch());
    assert_eq!((log.head_seq(), all(&log)), (0, vec![]));
    let first = log.append(&[prompt("p1", "hé\u{2028}llo\n\"x\"\0")], Timestamp(5)).unwrap();
    let more = log.append(&[message("a"), settled("p1", 1)], Timestamp(6)).unwrap();
    let events: Vec<Durable> = first.into_iter().chain(more).collect();
    assert_eq!(events.iter().map(|e| e.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(all(&log), events);
    let reader = log.reader();
    drop(log);
    let mut seen = Vec::new();
    let mut log = SessionLog::open_with(&home, id, Timestamp(9), |d| seen.push(d)).unwrap();
    assert_eq!(seen, events);
    assert_eq!((log.head_seq(), log.epoch(), log.dropped_tail()), (3, epoch, None));
    assert_eq!(log.append(&[], Timestamp(7)).unwrap(), []);
    assert_eq!(log.append(&[message("b")], Timestamp(7)).unwrap()[0].seq, 4);
    assert_eq!(all(&reader), events, "a reader of the earlier opening");
    assert_eq!(all(&log)[..3], events);
    let path = home.sessions_dir().join(format!("{id}.jsonl"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    // The format, for other tools: JSON lines.
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["v"], &lines[0]["session"]), (&1.into(), &id.to_string().into()));
    assert_eq!((&lines[1]["seq"], &lines[1]["event"]["type"]), (&1.into(), &"prompt".into()));
}

#[test]
fn reads_are_bounded() {
    let (_dir, home) = home();
    let mut log = create(&home);
    let events: Vec<Event> = (0..20).map(|i| message(&"x".repeat(100 * i))).collect();
    let events = log.append(&events, Timestamp(1)).unwrap();
    assert_eq!(log.read(5, Page { events: 3, bytes: usize::MAX }).unwrap(), events[4..7]);
    assert_eq!(log.read(20, Page { events: 9, bytes: 1 }).unwrap(), events[19..], "one, however large");
    assert_eq!(log.read(21, ALL).unwrap(), []);
    assert_eq!(log.read(u64::MAX, ALL).unwrap(), []);
    assert_eq!(log.read(1, Page { events: 0, bytes: 0 }).unwrap(), []);
    let page = log.read(1, Page { events: 99, bytes: 2000 }).unwrap();
    assert!(!page.is_empty() && page.len() < 10, "{}", page.len());
    let mut scanned = Vec::new();
    log.scan(18, |d| scanned.push(d.seq)).unwrap();
    assert_eq!(scanned, [18, 19, 20]);
}

#[test]
fn one_writer() {
    let (_dir, home) = home();
    let mut log = create(&home);
    let id = log.session();
    assert!(matches!(open(&home, id), Err(LogError::Busy(busy)) if busy == id));
    log.append(&[message("a")], Timestamp(1)).unwrap();
    assert_eq!(all(&LogReader::open(&home, id).unwrap()).len(), 1, "reading needs no lock");
    drop(log);
    open(&home, id).unwrap();
    let again = NewSession { id: Some(id), ..new() };
    assert!(matches!(SessionLog::create(&home, &again, Timestamp(1)), Err(LogError::Exists(e)) if e == id));
    let nobody = SessionId([9; 32]);
    assert!(matches!(open(&home, nobody), Err(LogError::NotFound(_))));
    assert!(matches!(LogReader::open(&home, nobody), Err(LogError::NotFound(_))));
}

#[test]
fn too_much_is_refused_and_leaves_nothing() {
    let (_dir, home) = home();
    let mut log = create(&home);
    log.append(&[message("a")], Timestamp(1)).unwrap();
    let big = message(&"x".repeat(limits::LINE_BYTES));
    let error = log.append(&[message("b"), big], Timestamp(1)).unwrap_err();
    assert!(matches!(error, LogError::TooLarge { what: "an event's line", .. }), "{error}");
    let many = vec![message("c"); limits::BATCH_EVENTS + 1];
    assert!(matches!(log.append(&many, Timestamp(1)), Err(LogError::TooLarge { .. })));
    assert_eq!(log.append(&[message("d")], Timestamp(1)).unwrap()[0].seq, 2);
    let id = log.session();
    drop(log);
    assert_eq!(all(&open(&home, id).unwrap()).len(), 2);
    let largest = NewSession { cwd: "x".repeat(limits::CWD_BYTES + 1), ..new() };
    assert!(matches!(SessionLog::create(&home, &largest, Timestamp(1)), Err(LogError::TooLarge { .. })));
    // What the protocol lets in fits: 512 KiB of what JSON writes longest.
    let worst = prompt("p", &"\u{1}".repeat(clankers_protocol::limits::PROMPT_BYTES));
    open(&home, id).unwrap().append(&[worst], Timestamp(1)).unwrap();
}

#[test]
fn a_log_that_others_touch_is_not_written_to() {
    let (_dir, home) = home();
    for (what, touch) in [
        ("deleted", (|p| fs::remove_file(p).unwrap()) as fn(&std::path::Path)),
        ("cut shorter", |p| fs::File::options().write(true).open(p).unwrap().set_len(300).unwrap()),
        ("written to", |p| {
            let text = fs::read_to_string(p).unwrap();
            fs::write(p, text + "x").unwrap();
        }),
    ] {
        let mut log = create(&home);
        log.append(&[message(&"a".repeat(500))], Timestamp(1)).unwrap();
        touch(&home.sessions_dir().join(format!("{}.jsonl", log.session())));
        let error = log.append(&[message("b")], Timestamp(1)).unwrap_err();
        assert!(matches!(error, LogError::Disturbed { what: w, .. } if w == what), "{error}");
    }
}

#[test]
fn the_digest_says_what_runs() {
    let (_dir, home) = home();
    let mut log = create(&home);
    let events = [prompt("a", "\n  first \u{1b}[2J line\nmore"), settled("a", 1), prompt("b", "second")];
    let mut digest = Digest::default();
    log.append(&events, Timestamp(3)).unwrap().iter().for_each(|d| digest.see(d));
    let marks: Vec<_> = digest.prompts.iter().map(|p| (p.prompt_id.as_str(), p.seq, p.settled)).collect();
    assert_eq!(marks, [("a", 1, Some(2)), ("b", 3, None)]);
    assert_eq!(digest.unsettled().map(|p| p.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(digest.title.as_deref(), Some("first \u{fffd}[2J line"));
    assert_eq!((digest.model.as_deref(), digest.last_at), (Some("scripted/b"), Some(Timestamp(3))));
}

/// A file system of 256 KiB, unmounted when dropped.
struct Tiny(tempfile::TempDir);

impl Tiny {
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mount = ["-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs"];
        let done = std::process::Command::new("mount").args(mount).arg(dir.path()).output();
        done.is_ok_and(|out| out.status.success()).then_some(Self(dir))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(self.0.path()).status().unwrap();
    }
}

#[test]
fn a_full_disk_costs_nothing_that_was_acknowledged() {
    let Some(tiny) = Tiny::mount() else {
        eprintln!("skipped: only root can mount a small file system");
        return;
    };
    let home = Home::open(tiny.0.path()).unwrap();
    let mut log = create(&home);
    let ballast = home.root().join("ballast");
    fs::write(&ballast, vec![0; 100 * 1024]).unwrap();
    let mut kept = Vec::new();
    let error = loop {
        match log.append(&[message(&"x".repeat(9000)), message("y")], Timestamp(1)) {
            Ok(more) => kept.extend(more),
            Err(error) => break error,
        }
    };
    assert_eq!(error.disk_kind(), Some(DiskKind::Full), "{error}");
    assert!(!kept.is_empty());
    assert_eq!(all(&log), kept, "reading goes on");
    assert_eq!(all(&LogReader::open(&home, log.session()).unwrap()), kept);
    fs::remove_file(&ballast).unwrap();
    kept.extend(log.append(&[message("after")], Timestamp(2)).unwrap());
    let id = log.session();
    drop(log);
    let log = open(&home, id).unwrap();
    assert_eq!((all(&log), log.dropped_tail()), (kept, None));
}
