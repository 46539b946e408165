//! Bytes lost and bytes flipped: none goes unnoticed, and what is read is always a beginning of what was written.

use std::{fs, path::PathBuf};

use proptest::prelude::*;

use super::*;

struct Written {
    _dir: tempfile::TempDir,
    home: Home,
    id: SessionId,
    path: PathBuf,
    bytes: Vec<u8>,
    events: Vec<Durable>,
}

/// A log of a few events in a few appends.
fn written(sizes: &[usize]) -> Written {
    let (dir, home) = home();
    let mut log = create(&home);
    let mut events = Vec::new();
    for (i, size) in sizes.iter().enumerate() {
        let batch = [prompt(&format!("p{i}"), &"é\n".repeat(*size)), settled(&format!("p{i}"), 1)];
        events.extend(log.append(&batch, Timestamp(10 + i as u64)).unwrap());
    }
    let id = log.session();
    let path = home.sessions_dir().join(format!("{id}.jsonl"));
    let bytes = fs::read(&path).unwrap();
    Written { _dir: dir, home, id, path, bytes, events }
}

/// How many events stand whole before this place (bytes), and how many lines.
fn whole_before(w: &Written, at: usize) -> usize {
    w.bytes[..at].iter().filter(|b| **b == b'\n').count().saturating_sub(1)
}

/// After any damage: opening either works or says why, and gives a beginning of the events; what is appended then stays.
fn check_prefix(w: &Written) -> Result<usize, TestCaseError> {
    let read = match LogReader::open(&w.home, w.id) {
        Ok(reader) => reader.read(0, ALL).unwrap(),
        Err(LogError::Damaged { .. } | LogError::Newer { .. }) => Vec::new(),
        Err(error) => panic!("{error}"),
    };
    prop_assert_eq!(&read[..], &w.events[..read.len()]);
    let before = fs::read(&w.path).unwrap();
    match open(&w.home, w.id) {
        Ok(mut log) => {
            prop_assert_eq!(all(&log), read.clone());
            let more = log.append(&[message("more")], Timestamp(99)).unwrap();
            let now: Vec<Durable> = read.iter().cloned().chain(more).collect();
            prop_assert_eq!(all(&log), now.clone());
            drop(log);
            let log = open(&w.home, w.id).unwrap();
            prop_assert_eq!(log.dropped_tail(), None);
            prop_assert_eq!(all(&log), now);
        }
        Err(LogError::Damaged { damage, .. }) => {
            prop_assert_eq!(damage.readable_to, read.len() as u64);
            prop_assert_eq!(fs::read(&w.path).unwrap(), before, "a refused log is left as it is");
        }
        Err(LogError::Newer { .. }) => prop_assert_eq!(fs::read(&w.path).unwrap(), before),
        Err(error) => panic!("{error}"),
    }
    Ok(read.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn cut_anywhere(sizes in prop::collection::vec(0_usize..40, 1..5), at in any::<prop::sample::Index>()) {
        let w = written(&sizes);
        let at = at.index(w.bytes.len());
        fs::write(&w.path, &w.bytes[..at]).unwrap();
        let header = w.bytes.iter().position(|b| *b == b'\n').unwrap();
        let read = check_prefix(&w)?;
        // One byte short of a newline the line is still whole.
        let expected = if at <= header { 0 } else { whole_before(&w, at + 1) };
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn flipped_anywhere(
        sizes in prop::collection::vec(0_usize..40, 1..5),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut w = written(&sizes);
        let at = at.index(w.bytes.len());
        let whole = whole_before(&w, at);
        let clean = w.bytes.clone();
        w.bytes[at] ^= flip;
        fs::write(&w.path, &w.bytes).unwrap();
        let reader = LogReader::open(&w.home, w.id);
        let noticed = !matches!(&reader, Ok(r) if r.ending() == LogEnd::Whole);
        let newline = clean[at] == b'\n';
        prop_assert!(noticed || newline && at == clean.len() - 1, "undetected");
        let read = check_prefix(&w)?;
        prop_assert!(read >= whole, "{} read, {} stood before the damage", read, whole);
    }

    #[test]
    fn a_stretch_of_zeros(
        sizes in prop::collection::vec(0_usize..40, 1..5),
        at in any::<prop::sample::Index>(),
        len in 1_usize..3000,
    ) {
        let mut w = written(&sizes);
        let at = at.index(w.bytes.len());
        let end = (at + len).min(w.bytes.len());
        let whole = whole_before(&w, at);
        w.bytes[at..end].fill(0);
        fs::write(&w.path, &w.bytes).unwrap();
        prop_assert!(check_prefix(&w)? >= whole);
    }

    #[test]
    fn a_damaged_line_under_an_open_reader(at in any::<prop::sample::Index>(), flip in 1_u8..) {
        let w = written(&[3, 30, 3]);
        let reader = LogReader::open(&w.home, w.id).unwrap();
        let header = w.bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
        let at = header + at.index(w.bytes.len() - header);
        let mut bytes = w.bytes.clone();
        bytes[at] ^= flip;
        fs::write(&w.path, &bytes).unwrap();
        for (seq, event) in (1..).zip(&w.events) {
            match reader.read(seq, Page { events: 1, bytes: 1 }) {
                Ok(read) => prop_assert_eq!(&read[..], std::slice::from_ref(event)),
                Err(error) => prop_assert!(matches!(error, LogError::Damaged { .. }), "{}", error),
            }
        }
    }
}

#[test]
fn a_torn_end_is_dropped_and_said() {
    let w = written(&[5, 5]);
    fs::write(&w.path, &w.bytes[..w.bytes.len() - 10]).unwrap();
    let reader = LogReader::open(&w.home, w.id).unwrap();
    assert_eq!(reader.ending(), LogEnd::Torn);
    let log = open(&w.home, w.id).unwrap();
    assert!(matches!(log.dropped_tail(), Some(DroppedTail { finished: false, bytes }) if bytes > 10));
    assert_eq!(log.epoch(), 1000, "nothing that was announced is lost");
    assert_eq!(all(&log), w.events[..3]);
}

#[test]
fn a_finished_end_that_is_damaged_changes_the_epoch_and_is_kept_aside() {
    let mut w = written(&[5, 5]);
    let last = w.bytes.len() - 20;
    w.bytes[last] ^= 1;
    fs::write(&w.path, &w.bytes).unwrap();
    let log = open(&w.home, w.id).unwrap();
    assert!(matches!(log.dropped_tail(), Some(DroppedTail { finished: true, .. })));
    assert_eq!((log.epoch(), log.head_seq()), (2000, 3));
    let aside = fs::read(w.path.with_extension("dropped-2000")).unwrap();
    assert!(w.bytes.ends_with(&aside) && aside.len() > 20);
    drop(log);
    let mut log = open(&w.home, w.id).unwrap();
    assert_eq!((log.epoch(), log.dropped_tail()), (2000, None), "once");
    // Once more: the epoch never goes back, whatever the clock says.
    log.append(&[message("x")], Timestamp(1)).unwrap();
    drop(log);
    let mut bytes = fs::read(&w.path).unwrap();
    let last = bytes.len() - 20;
    bytes[last] ^= 1;
    fs::write(&w.path, &bytes).unwrap();
    assert_eq!(SessionLog::open(&w.home, w.id, Timestamp(1)).unwrap().epoch(), 2001);
    assert_eq!(all(&LogReader::open(&w.home, w.id).unwrap()), w.events[..3]);
}

#[test]
fn damage_before_the_end_is_quarantined() {
    let mut w = written(&[5, 5, 5]);
    let middle = w.bytes.len() / 2;
    w.bytes[middle] ^= 0x20;
    fs::write(&w.path, &w.bytes).unwrap();
    let error = open(&w.home, w.id).unwrap_err();
    let LogError::Damaged { damage, .. } = &error else { panic!("{error}") };
    assert!(damage.readable_to >= 1 && damage.readable_to < 5);
    let reader = LogReader::open(&w.home, w.id).unwrap();
    assert_eq!(reader.ending(), LogEnd::Damaged(damage.clone()));
    assert_eq!(all(&reader).len() as u64, damage.readable_to);
    assert_eq!(fs::read(&w.path).unwrap(), w.bytes);
}

#[test]
fn lines_moved_doubled_or_from_elsewhere_are_damage() {
    let w = written(&[5, 5, 5]);
    let other = written(&[5, 5, 5]);
    let lines: Vec<&[u8]> = w.bytes.split_inclusive(|b| *b == b'\n').collect();
    let foreign: Vec<&[u8]> = other.bytes.split_inclusive(|b| *b == b'\n').collect();
    let arranged: [Vec<&[u8]>; 4] = [
        vec![lines[0], lines[2], lines[1], lines[3], lines[4]],
        vec![lines[0], lines[1], lines[1], lines[2], lines[3]],
        vec![lines[0], lines[1], lines[3], lines[4], lines[5]],
        vec![lines[0], lines[1], foreign[2], foreign[3], lines[4]],
    ];
    for arrangement in arranged {
        fs::write(&w.path, arrangement.concat()).unwrap();
        assert!(matches!(open(&w.home, w.id), Err(LogError::Damaged { .. })));
        let reader = LogReader::open(&w.home, w.id).unwrap();
        let read = all(&reader);
        assert_eq!(read[..], w.events[..read.len()]);
        assert!(read.len() < 2);
    }
    fs::write(&w.path, &other.bytes).unwrap();
    assert!(
        matches!(open(&w.home, w.id), Err(LogError::Damaged { .. })),
        "another session's log under this name"
    );
}

#[test]
fn a_newer_log_is_refused_and_left() {
    let w = written(&[5]);
    let text = String::from_utf8(w.bytes.clone()).unwrap().replacen("\"v\":1", "\"v\":2", 1);
    fs::write(&w.path, &text).unwrap();
    assert!(matches!(open(&w.home, w.id), Err(LogError::Newer { found: 2, .. })));
    assert!(matches!(LogReader::open(&w.home, w.id), Err(LogError::Newer { found: 2, .. })));
    assert_eq!(fs::read_to_string(&w.path).unwrap(), text);
}

#[test]
fn an_event_of_a_later_version_is_not_skipped() {
    let w = written(&[1]);
    let header = w.bytes.split_inclusive(|b| *b == b'\n').next().unwrap();
    let seed = u32::from_str_radix(str::from_utf8(&header[6..14]).unwrap(), 16).unwrap();
    let mut bytes = w.bytes.clone();
    crate::line::seal(seed, "{\"seq\":3,\"at\":1,\"event\":{\"type\":\"later\"}}", &mut bytes);
    fs::write(&w.path, &bytes).unwrap();
    let refused = SessionLog::open_with(&w.home, w.id, Timestamp(1), |_| {});
    assert!(matches!(refused, Err(LogError::UnknownEvent { seq: 3, .. })));
    let reader = LogReader::open(&w.home, w.id).unwrap();
    assert_eq!(reader.read(1, Page { events: 2, bytes: usize::MAX }).unwrap(), w.events);
    assert!(matches!(reader.read(3, ALL), Err(LogError::UnknownEvent { seq: 3, .. })));
    assert_eq!(fs::read(&w.path).unwrap(), bytes);
}

#[test]
fn what_is_no_log_is_refused() {
    let w = written(&[1]);
    let long = vec![b'x'; crate::limits::LINE_BYTES + 100];
    for rubbish in [&b""[..], b"\n", b"{}\n", b"\0\0\0\0", b"{\"c\":\"00000000\",", &long] {
        fs::write(&w.path, rubbish).unwrap();
        assert!(matches!(open(&w.home, w.id), Err(LogError::Damaged { .. })));
        assert!(matches!(LogReader::open(&w.home, w.id), Err(LogError::Damaged { .. })));
    }
    fs::remove_file(&w.path).unwrap();
    fs::create_dir(&w.path).unwrap();
    assert!(open(&w.home, w.id).is_err());
    assert!(matches!(LogReader::open(&w.home, w.id), Err(LogError::Damaged { .. })));
    fs::remove_dir(&w.path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &w.path).unwrap();
    assert!(open(&w.home, w.id).is_err());
    assert!(LogReader::open(&w.home, w.id).is_err());
}
