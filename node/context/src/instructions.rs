//! AGENTS.md and CLAUDE.md: advice for agents, without any right that goes with it. A project's AGENTS.md needs no trust; its
//! CLAUDE.md, written for another agent, is used once the project is trusted.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use crate::{
    limits,
    note::{Kind, Note, Notes, label},
    os::Head,
    places::{Origin, Places},
    source::{Source, Trouble},
    text,
};

/// One file of instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The file.
    pub path: PathBuf,
    /// How it is called towards the model: clean, relative to the project or with `~`.
    pub label: String,
    /// Whose it is.
    pub origin: Origin,
    /// Its text, clean.
    pub text: String,
    /// The file's size when only its beginning is here (bytes).
    pub cut_from: Option<u64>,
}

/// In one directory: the open standard first.
const NAMES: [&str; 2] = ["AGENTS.md", "CLAUDE.md"];

/// The owner's AGENTS.md, then AGENTS.md and CLAUDE.md from the project's root down to the session's directory.
///
/// Where both stand in one directory and say different things, both are read, AGENTS.md first. What was read already is
/// not repeated: the same file under another name (a link), the same text, and a CLAUDE.md that only includes AGENTS.md.
/// Together they have [`limits::INSTRUCTIONS_BYTES`]: the ones further up come first, what is beyond is cut and noted.
pub(crate) fn read(places: &Places, trusted: bool, notes: &mut Notes) -> Vec<Instruction> {
    let mut reader =
        Reader { read: Vec::new(), seen: HashSet::new(), left: limits::INSTRUCTIONS_BYTES, notes };
    let user = Source { base: places.user_dir(), origin: Origin::User };
    reader.file(&user, Path::new("AGENTS.md"));
    let project = Source { base: places.project().to_owned(), origin: Origin::Project };
    for dir in places.chain() {
        for name in NAMES {
            if trusted || name == NAMES[0] {
                reader.file(&project, &dir.join(name));
            } else {
                reader.leave(&project, &dir.join(name));
            }
        }
    }
    reader.read
}

struct Reader<'a> {
    read: Vec<Instruction>,
    /// Device and inode of what was read.
    seen: HashSet<(u64, u64)>,
    /// What may still be told (bytes).
    left: usize,
    notes: &'a mut Notes,
}

impl Reader<'_> {
    /// Says of a file that it is there and not used; not of one that says what was read already.
    fn leave(&mut self, source: &Source, rel: &Path) {
        let Ok(head) = source.head(rel, limits::INSTRUCTIONS_BYTES) else { return };
        let text = text::clean(&head.bytes).unwrap_or_default();
        let says_no_more = text.trim().is_empty()
            || text.trim() == "@AGENTS.md"
            || self.read.iter().any(|other| other.text == text);
        if self.seen.insert(head.id) && !says_no_more {
            let why = "the project is not trusted; 'clankers trust' there uses it";
            self.notes.skip(Kind::Instructions, &label(source.origin, rel), why);
        }
    }

    fn file(&mut self, source: &Source, rel: &Path) {
        let label = label(source.origin, rel);
        let head = match source.head(rel, limits::INSTRUCTIONS_BYTES) {
            Ok(head) => head,
            Err(Trouble::Missing) => return,
            Err(trouble) => return self.notes.skip(Kind::Instructions, &label, &trouble.to_string()),
        };
        if !self.seen.insert(head.id) {
            return;
        }
        let bytes = if head.is_whole() { &head.bytes } else { text::whole_chars(&head.bytes) };
        let Some(text) = text::clean(bytes) else {
            return self.notes.skip(Kind::Instructions, &label, "it is not text: it holds NUL bytes");
        };
        if text.trim().is_empty() && !head.is_whole() {
            let why = format!("its first {} KiB are blank", limits::INSTRUCTIONS_BYTES / 1024);
            return self.notes.skip(Kind::Instructions, &label, &why);
        }
        let repeats = rel.ends_with("CLAUDE.md") && text.trim() == "@AGENTS.md";
        if text.trim().is_empty() || repeats || self.read.iter().any(|other| other.text == text) {
            return;
        }
        self.keep(
            Instruction { path: source.base.join(rel), label, origin: source.origin, text, cut_from: None },
            &head,
        );
    }

    fn keep(&mut self, mut instruction: Instruction, head: &Head) {
        // What was read of a longer file may end within a line.
        let room =
            if head.is_whole() { self.left } else { self.left.min(instruction.text.len().saturating_sub(1)) };
        let fitting = text::fit(&instruction.text, room);
        if fitting.is_empty() {
            let why = format!(
                "the files before it fill the {} KiB that there are for instructions",
                limits::INSTRUCTIONS_BYTES / 1024
            );
            return self.notes.skip(Kind::Instructions, &instruction.label, &why);
        }
        if !head.is_whole() || fitting.len() < instruction.text.len() {
            instruction.text = fitting.to_owned();
            instruction.cut_from = Some(head.total);
            let (file, shown) = (instruction.label.clone(), instruction.text.len());
            self.notes.add(Note::Cut { file, shown, total: head.total });
        }
        // After a cut nothing more: the start of a sentence may say the opposite of the sentence.
        self.left = match instruction.cut_from {
            Some(_) => 0,
            None => self.left.saturating_sub(instruction.text.len()),
        };
        self.read.push(instruction);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use proptest::prelude::*;

    use super::*;

    fn world() -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        for dir in ["home/agent", "repo/.git", "repo/a/b"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::write(root.join("repo/.git/HEAD"), "x").unwrap();
        let places = Places::find(&root.join("home"), &root.join("repo/a/b")).unwrap();
        (dir, places)
    }

    fn told(places: &Places) -> (Vec<(String, String)>, Vec<Note>) {
        let mut notes = Notes::default();
        let read = read(places, true, &mut notes);
        (read.into_iter().map(|i| (i.label, i.text)).collect(), notes.into_vec())
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
    }

    #[test]
    fn from_the_owner_and_the_root_down() {
        let (_dir, places) = world();
        let put = |rel: &str, text: &str| fs::write(places.project().join(rel), text).unwrap();
        put("../home/agent/AGENTS.md", "mine");
        put("AGENTS.md", "root");
        put("CLAUDE.md", "claude");
        put("a/CLAUDE.md", "@AGENTS.md\n");
        put("a/AGENTS.md", "a");
        put("a/b/CLAUDE.md", "root");
        put("../AGENTS.md", "above the repository");
        let expected = pairs(&[
            ("~/.clankers/agent/AGENTS.md", "mine"),
            ("AGENTS.md", "root"),
            ("CLAUDE.md", "claude"),
            ("a/AGENTS.md", "a"),
        ]);
        assert_eq!(told(&places), (expected, vec![]));
    }

    #[test]
    fn what_was_written_for_another_agent_waits_for_trust() {
        let (_dir, places) = world();
        fs::write(places.project().join("AGENTS.md"), "ours").unwrap();
        fs::write(places.project().join("CLAUDE.md"), "theirs").unwrap();
        fs::write(places.project().join("a/CLAUDE.md"), "@AGENTS.md").unwrap();
        let mut notes = Notes::default();
        let read = read(&places, false, &mut notes);
        assert_eq!(read.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), ["ours"]);
        let notes = notes.into_vec();
        assert!(notes.len() == 1 && notes[0].to_string().contains("clankers trust"), "{notes:?}");
    }

    #[test]
    fn one_file_under_two_names_is_read_once() {
        let (_dir, places) = world();
        fs::write(places.project().join("AGENTS.md"), "x").unwrap();
        symlink("AGENTS.md", places.project().join("CLAUDE.md")).unwrap();
        symlink("../AGENTS.md", places.project().join("a/AGENTS.md")).unwrap();
        fs::hard_link(places.project().join("AGENTS.md"), places.project().join("a/b/AGENTS.md")).unwrap();
        assert_eq!(told(&places), (pairs(&[("AGENTS.md", "x")]), vec![]));
    }

    #[test]
    fn links_out_of_the_project_and_binaries_are_noted() {
        let (_dir, places) = world();
        fs::write(places.project().join("../secret.md"), "secret").unwrap();
        symlink("../secret.md", places.project().join("AGENTS.md")).unwrap();
        fs::File::create(places.project().join("CLAUDE.md")).unwrap().set_len(1 << 30).unwrap();
        let (read, notes) = told(&places);
        assert_eq!((read.len(), notes.len()), (0, 2));
        assert!(
            notes[0].to_string().contains("link out") && notes[1].to_string().contains("NUL"),
            "{notes:?}"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_line_and_said() {
        let (_dir, places) = world();
        fs::write(places.project().join("AGENTS.md"), "0123456789\n".repeat(100_000)).unwrap();
        fs::write(places.project().join("a/AGENTS.md"), "a line that has no place left").unwrap();
        let mut notes = Notes::default();
        let read = read(&places, true, &mut notes);
        assert_eq!(read.len(), 1);
        assert!(read[0].text.ends_with("9\n") && read[0].text.len() > limits::INSTRUCTIONS_BYTES - 20);
        assert_eq!(read[0].cut_from, Some(1_100_000));
        let notes: Vec<String> = notes.into_vec().iter().map(Note::to_string).collect();
        assert!(notes[0].contains("too long") && notes[1].contains("not used"), "{notes:?}");
    }

    #[test]
    fn a_file_that_begins_with_nothing_but_blanks_is_not_left_out_unsaid() {
        let (_dir, places) = world();
        let text = [vec![b' '; limits::INSTRUCTIONS_BYTES], b"\nnever push".to_vec()].concat();
        fs::write(places.project().join("AGENTS.md"), text).unwrap();
        let (read, notes) = told(&places);
        assert!(read.is_empty());
        assert!(notes[0].to_string().contains("first 64 KiB are blank"), "{notes:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn never_more_than_the_limit(sizes in proptest::collection::vec(0_usize..90_000, 6), byte in 1_u8..) {
            let (_dir, places) = world();
            let dirs = ["", "a", "a/b"];
            for (n, size) in sizes.iter().enumerate() {
                let file = places.project().join(dirs[n / 2]).join(NAMES[n % 2]);
                fs::write(file, [vec![byte; *size], format!("\n{n}").into_bytes()].concat()).unwrap();
            }
            let (read, notes) = told(&places);
            let total: usize = read.iter().map(|(_, text)| text.len()).sum();
            prop_assert!(total <= limits::INSTRUCTIONS_BYTES);
            prop_assert!(read.len() == 6 || !notes.is_empty());
        }
    }
}
