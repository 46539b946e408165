use std::{collections::BTreeSet, fs};

use clankers_protocol::event::{Durable, Event, PromptEvent};

use super::*;
use crate::{NewSession, SessionLog};

const ME: NodeId = NodeId([7; 32]);
const YOU: NodeId = NodeId([8; 32]);

struct World {
    _dir: tempfile::TempDir,
    home: Home,
    store: Option<Arc<Store>>,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::open(dir.path()).unwrap();
        let store = Some(Arc::new(Store::open(&home, Timestamp(1)).unwrap()));
        Self { _dir: dir, home, store }
    }

    fn sessions(&self) -> Sessions {
        Sessions::open(&self.home, self.store.clone().unwrap()).unwrap()
    }

    /// Stops the node, loses its database, starts it again.
    fn lose_database(&mut self) {
        self.store = None;
        fs::remove_file(self.home.store()).unwrap();
        self.store = Some(Arc::new(Store::open(&self.home, Timestamp(2)).unwrap()));
    }

    fn session(&self, principal: NodeId, at: u64, prompts: &[&str]) -> (SessionId, SessionLog) {
        let new =
            NewSession { id: None, principal, cwd: "/w".into(), model: "scripted/a".into(), title: None };
        let mut log = SessionLog::create(&self.home, &new, Timestamp(at)).unwrap();
        for prompt in prompts {
            append(&mut log, principal, prompt, at);
        }
        (log.session(), log)
    }
}

fn append(log: &mut SessionLog, principal: NodeId, id: &str, at: u64) -> Durable {
    let prompt_id = id.parse().unwrap();
    let (text, model) = (format!("do {id}"), "scripted/b".to_owned());
    let event = Event::Prompt(PromptEvent { prompt_id, principal, leaf: None, text, model });
    log.append(&[event], Timestamp(at)).unwrap().remove(0)
}

fn ids(entries: &[SessionEntry]) -> Vec<SessionId> {
    entries.iter().map(|entry| entry.id).collect()
}

#[test]
fn the_listing_is_the_same_with_and_without_the_database() {
    let mut world = World::new();
    let sessions = world.sessions();
    assert_eq!(sessions.list(true).unwrap(), []);
    let (a, mut log) = world.session(ME, 1000, &["p1", "p2"]);
    let (b, _busy) = world.session(YOU, 2000, &[]);
    let bare = Sessions::without_store(&world.home);
    let check = |sessions: &Sessions, expected: &[SessionId]| {
        let listed = sessions.list(false).unwrap();
        assert_eq!(ids(&listed), expected);
        assert_eq!(bare.list(false).unwrap(), listed);
        listed
    };
    let listed = check(&sessions, &[b, a]);
    assert_eq!((listed[1].title.as_str(), listed[1].model.as_str()), ("do p1", "scripted/b"));
    assert_eq!((listed[0].title.as_str(), listed[0].model.as_str()), ("", "scripted/a"));
    assert_eq!(
        (listed[1].head_seq, listed[1].principal, listed[1].condition),
        (2, Some(ME), Condition::Whole)
    );
    // Only what was appended is read, and the order is that of activity.
    append(&mut log, ME, "p3", 3000);
    let listed = check(&sessions, &[a, b]);
    assert_eq!(
        (listed[0].head_seq, listed[0].active, listed[0].title.as_str()),
        (3, Timestamp(3000), "do p1")
    );
    drop(sessions);
    world.lose_database();
    assert_eq!(check(&world.sessions(), &[a, b]), listed);
}

#[test]
fn a_prompt_is_found_again_whatever_is_lost() {
    let mut world = World::new();
    let sessions = world.sessions();
    let (a, mut log) = world.session(ME, 1000, &["before"]);
    let durable = append(&mut log, ME, "noted", 1001);
    let place = PromptPlace { session: a, seq: durable.seq };
    let noted: PromptId = "noted".parse().unwrap();
    assert_eq!(sessions.find_prompt(ME, &noted).unwrap(), None);
    assert_eq!(sessions.note_prompt(ME, &noted, place).unwrap(), None);
    let elsewhere = PromptPlace { session: SessionId([1; 32]), seq: 9 };
    assert_eq!(sessions.note_prompt(ME, &noted, elsewhere).unwrap(), Some(place), "the first place stays");
    assert_eq!(sessions.find_prompt(ME, &noted).unwrap(), Some(place));
    assert_eq!(sessions.find_prompt(YOU, &noted).unwrap(), None, "an id is its principal's");
    drop(sessions);
    world.lose_database();
    let sessions = world.sessions();
    for (id, seq) in [("before", 1), ("noted", 2)] {
        let place = Some(PromptPlace { session: a, seq });
        assert_eq!(sessions.find_prompt(ME, &id.parse().unwrap()).unwrap(), place);
        let bare = Sessions::without_store(&world.home);
        assert_eq!(bare.find_prompt(ME, &id.parse().unwrap()).unwrap(), place);
    }
}

#[test]
fn what_a_one_shot_run_left_while_the_node_was_away_is_known_at_start() {
    let mut world = World::new();
    let (a, mut log) = world.session(ME, 1000, &["p1"]);
    drop(world.sessions());
    world.store = None;
    append(&mut log, ME, "p2", 1001);
    let (b, _log) = world.session(ME, 1002, &["p3"]);
    world.store = Some(Arc::new(Store::open(&world.home, Timestamp(2)).unwrap()));
    let sessions = world.sessions();
    let place = |id: &str| sessions.find_prompt(ME, &id.parse().unwrap()).unwrap();
    assert_eq!(place("p2"), Some(PromptPlace { session: a, seq: 2 }));
    assert_eq!(place("p3"), Some(PromptPlace { session: b, seq: 1 }));
}

#[test]
fn archived_stays_archived_without_the_database() {
    let mut world = World::new();
    let sessions = world.sessions();
    let (a, mut log) = world.session(ME, 1000, &["p1"]);
    let (b, _) = world.session(ME, 2000, &["p2"]);
    assert!(sessions.archive(a).unwrap());
    assert!(!sessions.archive(a).unwrap(), "once");
    append(&mut log, ME, "goes-on", 1500);
    assert!(sessions.is_busy(a).unwrap());
    drop(log);
    assert!(!sessions.is_busy(a).unwrap());
    assert_eq!(ids(&sessions.list(false).unwrap()), [b]);
    drop(sessions);
    world.lose_database();
    let sessions = world.sessions();
    assert_eq!(ids(&sessions.list(false).unwrap()), [b]);
    let all = sessions.list(true).unwrap();
    assert_eq!(all.iter().map(|e| (e.id, e.archived)).collect::<Vec<_>>(), [(b, false), (a, true)]);
    assert_eq!(SessionLog::open(&world.home, a, Timestamp(1)).unwrap().head_seq(), 2);
    assert!(sessions.unarchive(a).unwrap());
    assert_eq!(sessions.list(false).unwrap().len(), 2);
    let nobody = SessionId([9; 32]);
    assert!(matches!(sessions.archive(nobody), Err(SessionsError::NotFound(id)) if id == nobody));
}

#[test]
fn names() {
    let world = World::new();
    let sessions = world.sessions();
    assert_eq!(sessions.find("last", None).unwrap(), Found::NotFound);
    let fixed = |first: &[u8], principal| {
        let mut id = [0x11; 32];
        id[..first.len()].copy_from_slice(first);
        let new = NewSession {
            id: Some(SessionId(id)),
            principal,
            cwd: String::new(),
            model: String::new(),
            title: None,
        };
        let log = SessionLog::create(&world.home, &new, Timestamp(1)).unwrap();
        let path = world.home.sessions_dir().join(format!("{}.jsonl", log.session()));
        (log.session(), path)
    };
    let (a, a_path) = fixed(&[0xab, 0xcd, 0xe1], ME);
    let (b, b_path) = fixed(&[0xab, 0xcd, 0xe2], YOU);
    let touch = |path: &std::path::Path, second| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(second);
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    touch(&a_path, 100);
    touch(&b_path, 200);
    let find = |name: &str, only| sessions.find(name, only).unwrap();
    assert_eq!(find(&a.to_string(), None), Found::Session(a));
    assert_eq!(find("abcde", None), Found::Ambiguous(2));
    assert_eq!(find("abcde2", None), Found::Session(b));
    assert_eq!(find("abcde", Some(ME)), Found::Session(a), "others' sessions are not there");
    assert_eq!(find(&b.to_string(), Some(ME)), Found::NotFound);
    assert_eq!(find("last", None), Found::Session(b));
    assert_eq!(find("last", Some(ME)), Found::Session(a));
    for nothing in ["", "zz", "ABCDE2", "../x", "abcde2.jsonl"] {
        assert_eq!(find(nothing, None), Found::NotFound, "{nothing}");
    }
    sessions.archive(b).unwrap();
    assert_eq!(find("last", None), Found::Session(a));
    assert_eq!(find("abcde2", None), Found::Session(b), "by its id it is still found");
}

#[test]
fn strange_files_are_no_sessions_and_bad_logs_say_so() {
    let world = World::new();
    let sessions = world.sessions();
    let (good, _) = world.session(ME, 1000, &["p"]);
    let (damaged, log) = world.session(ME, 2000, &["p", "q", "r"]);
    let (newer, _) = world.session(ME, 3000, &["p"]);
    let (wrong_name, empty) = (SessionId([1; 32]), SessionId([2; 32]));
    drop(log);
    let dir = world.home.sessions_dir();
    let path = |id: SessionId| dir.join(format!("{id}.jsonl"));
    let edit = |id, from: &str, to: &str| {
        let text = fs::read_to_string(path(id)).unwrap();
        fs::write(path(id), text.replacen(from, to, 1)).unwrap();
    };
    assert_eq!(sessions.list(false).unwrap().len(), 3);
    edit(damaged, "do q", "do k");
    edit(newer, "\"v\":1", "\"v\":7");
    fs::copy(path(good), path(wrong_name)).unwrap();
    fs::write(path(empty), "").unwrap();
    fs::write(dir.join("notes.txt"), "x").unwrap();
    fs::write(dir.join(format!("{good}.dropped-5")), "x").unwrap();
    fs::write(dir.join("ABCD.jsonl"), "x").unwrap();
    fs::create_dir(path(SessionId([3; 32]))).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", path(SessionId([4; 32]))).unwrap();
    let bare = Sessions::without_store(&world.home);
    for sessions in [&sessions, &bare] {
        let listed = sessions.list(false).unwrap();
        let of = |id| listed.iter().find(|e| e.id == id).map(|e| (e.condition, e.head_seq));
        assert_eq!(listed.len(), 5);
        assert_eq!(of(good), Some((Condition::Whole, 1)));
        assert_eq!(of(damaged), Some((Condition::Damaged, 1)));
        assert_eq!(of(newer), Some((Condition::Newer, 0)));
        assert_eq!(of(wrong_name), Some((Condition::Damaged, 0)));
        assert_eq!(of(empty), Some((Condition::Damaged, 0)));
    }
    let info: BTreeSet<_> = sessions.list(false).unwrap().iter().map(|e| e.info().principal).collect();
    assert_eq!(info, BTreeSet::from([ME, NodeId([0; 32])]));
}
