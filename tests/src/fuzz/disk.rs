//! The target that reads a session's log, as a crash, a full disk or another program left it.

use clankers_protocol::{NodeId, SessionId, Timestamp, event::Event};
use clankers_store::{Home, LogEnd, LogReader, NewSession, SessionLog};

const SESSION: SessionId = SessionId([7; 32]);

thread_local! {
    static PLACE: (tempfile::TempDir, Home) = {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        (dir, home)
    };
}

/// A whole log of session 7, of any bytes.
pub fn session_log(data: &[u8]) {
    PLACE.with(|(_, home)| {
        std::fs::write(home.sessions_dir().join(format!("{SESSION}.jsonl")), data).unwrap();
        let Ok(reader) = LogReader::open(home, SESSION) else { return };
        let mut seen = Vec::new();
        let scanned = reader.scan(1, |durable| seen.push(durable.seq));
        assert!(scanned.is_ok(), "what was found good is not readable: {scanned:?}");
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "sequence numbers go back: {seen:?}");
        assert_eq!(seen.last().copied().unwrap_or(0), reader.head_seq());
        if let LogEnd::Damaged(damage) = reader.ending() {
            assert!(damage.readable_to <= seen.len() as u64 && damage.offset <= data.len() as u64);
        }
        // Opened for writing, it is mended or refused; what was readable stays.
        if let Ok(mended) = SessionLog::open(home, SESSION, Timestamp(2_000_000_000_000)) {
            assert!(mended.head_seq() >= reader.head_seq(), "mending lost events");
        }
    });
}

/// A good log of these events.
pub fn log_of(events: &[Event]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::open(dir.path()).unwrap();
    let new = NewSession {
        id: Some(SESSION),
        principal: NodeId([7; 32]),
        cwd: "/srv/project".into(),
        model: "scripted/a".into(),
        title: None,
    };
    let mut log = SessionLog::create(&home, &new, Timestamp(1_000)).unwrap();
    for event in events {
        log.append(std::slice::from_ref(event), Timestamp(2_000)).unwrap();
    }
    std::fs::read(home.sessions_dir().join(format!("{SESSION}.jsonl"))).unwrap()
}
