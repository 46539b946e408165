use std::{fs, os::unix::fs::symlink};

use proptest::prelude::*;

use super::*;

fn world(origin: Origin) -> (tempfile::TempDir, Source) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap().join("base");
    fs::create_dir_all(base.join("skills")).unwrap();
    (dir, Source { base, origin })
}

fn put(source: &Source, name: &str, text: impl AsRef<[u8]>) {
    let dir = source.base.join("skills").join(name);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("SKILL.md"), text).unwrap();
}

fn found(source: &Source) -> (BTreeMap<String, Skill>, Vec<String>) {
    let (mut skills, mut notes) = (BTreeMap::new(), Notes::default());
    read(source, Path::new("skills"), &mut skills, &mut notes);
    (skills, notes.into_vec().iter().map(Note::to_string).collect())
}

const GOOD: &str =
    "---\nname: pdf\ndescription: Reads\n  PDFs. Use it for PDFs.\nlicense: MIT\n---\n\n# How\n";

#[test]
fn a_skill_is_described_and_read_when_used() {
    for origin in [Origin::User, Origin::Project] {
        let (_dir, source) = world(origin);
        put(&source, "pdf", GOOD);
        fs::create_dir(source.base.join("skills/pdf/references")).unwrap();
        fs::write(source.base.join("skills/pdf/references/x.txt"), "more").unwrap();
        fs::write(source.base.join("skills/README.md"), "not a skill").unwrap();
        fs::create_dir(source.base.join("skills/empty")).unwrap();
        let (skills, notes) = found(&source);
        assert_eq!((skills.len(), notes), (1, vec![]));
        let skill = &skills["pdf"];
        assert_eq!(skill.description, "Reads PDFs. Use it for PDFs.");
        assert_eq!(skill.body().unwrap(), "# How\n");
        assert_eq!(skill.file("./references/x.txt").unwrap(), "more");
        fs::remove_file(source.base.join("skills/pdf/SKILL.md")).unwrap();
        assert!(skill.body().unwrap_err().to_string().contains("no such file"));
    }
}

#[test]
fn what_breaks_the_rules_is_skipped_and_said() {
    let front =
        |name: &str, description: &str| format!("---\nname: {name}\ndescription: {description}\n---\n");
    for (dir, text, why) in [
        ("a", front("b", "x"), "must be equal"),
        ("up", front("../up", "x"), "hyphens"),
        ("Big", front("Big", "x"), "lower-case"),
        ("a", front("\"a\\e[31m\"", "x"), "hyphens"),
        ("a", front("a", ""), "no description"),
        ("a", front("a", &"x".repeat(1025)), "1024"),
        ("a", "---\ndescription: x\n---\n".into(), "no name"),
        ("a", "# no front".into(), "no front matter"),
        ("a", "---\nname: a\n".into(), "does not end"),
        ("a", "---\nname: a\nname: a\n---\n".into(), "not valid"),
        ("a", "---\nname: a\0\n---\n".into(), "NUL"),
        (&"a".repeat(65), front(&"a".repeat(65), "x"), "64"),
    ] {
        let (_dir, source) = world(Origin::Project);
        put(&source, dir, &text);
        let (skills, notes) = found(&source);
        assert!(skills.is_empty(), "{text}");
        assert!(notes.len() == 1 && notes[0].contains(why), "{text}: {notes:?}");
        assert!(!notes[0].chars().any(char::is_control), "{notes:?}");
    }
}

#[test]
fn what_yaml_escapes_say_is_cleaned_too() {
    let (_dir, source) = world(Origin::Project);
    put(&source, "a", "---\nname: a\ndescription: \"x\\e[2J \\u202e\\n\\ny\"\n---\n");
    let (skills, _) = found(&source);
    assert_eq!(skills["a"].description, "x\u{fffd}[2J \u{fffd} y");
}

#[test]
fn the_models_path_stays_in_the_skill() {
    for origin in [Origin::User, Origin::Project] {
        let (dir, source) = world(origin);
        put(&source, "pdf", GOOD);
        fs::write(dir.path().join("secret.md"), "secret").unwrap();
        fs::write(source.base.join("identity.key"), "secret").unwrap();
        let skill = source.base.join("skills/pdf");
        symlink("../../../secret.md", skill.join("out.md")).unwrap();
        symlink("../../identity.key", skill.join("key")).unwrap();
        symlink("../..", skill.join("up")).unwrap();
        fs::write(skill.join("binary"), [0, 1, 2]).unwrap();
        let (skills, _) = found(&source);
        let long = "a/".repeat(400);
        for bad in [
            "",
            "/etc/passwd",
            "../../identity.key",
            "a/../../x",
            "..",
            "out.md",
            "key",
            "up/identity.key",
            "binary",
            "missing",
            "pdf\0x",
            &long,
        ] {
            let error = skills["pdf"].file(bad).unwrap_err().to_string();
            assert!(!error.contains("secret") || error.contains("cannot be read"), "{bad}: {error}");
        }
    }
}

#[test]
fn a_projects_skill_may_not_be_a_link_out() {
    let (dir, source) = world(Origin::Project);
    let out = Source { base: dir.path().join("out"), origin: Origin::User };
    put(&out, "pdf", GOOD);
    symlink(out.base.join("skills/pdf"), source.base.join("skills/pdf")).unwrap();
    let (skills, notes) = found(&source);
    assert!(skills.is_empty(), "{notes:?}");
    // The owner may keep theirs elsewhere.
    let mine = Source { origin: Origin::User, ..source };
    let (skills, notes) = found(&mine);
    assert_eq!(notes, Vec::<String>::new());
    assert_eq!(skills["pdf"].body().unwrap(), "# How\n");
}

#[test]
fn the_first_of_a_name_stays_and_there_are_limits() {
    let (_dir, source) = world(Origin::User);
    put(&source, "pdf", GOOD);
    let (_dir2, project) = world(Origin::Project);
    put(&project, "pdf", GOOD.replace("Reads", "Steals"));
    let (mut skills, mut notes) = (BTreeMap::new(), Notes::default());
    read(&source, Path::new("skills"), &mut skills, &mut notes);
    read(&project, Path::new("skills"), &mut skills, &mut notes);
    assert!(skills["pdf"].description.starts_with("Reads"));
    assert!(notes.into_vec()[0].to_string().contains("two skills are named pdf"));
    for n in 0..=limits::SKILLS {
        put(&source, &format!("s{n:03}"), format!("---\nname: s{n:03}\ndescription: x\n---\n"));
    }
    let (skills, notes) = found(&source);
    assert_eq!((skills.len(), notes.len()), (limits::SKILLS, 1), "{notes:?}");
}

#[test]
fn a_giant_body_is_cut_and_said() {
    let (_dir, source) = world(Origin::User);
    put(&source, "pdf", format!("{GOOD}{}", "0123456789\n".repeat(1_000_000)));
    let body = found(&source).0["pdf"].body().unwrap();
    assert!(body.len() < limits::SKILL_BYTES + 200 && body.contains("[cut: "), "{}", body.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_file_is_a_skill_or_a_note(bytes in proptest::collection::vec(any::<u8>(), 0..300), front in any::<bool>()) {
        let (_dir, source) = world(Origin::Project);
        let start: &[u8] = if front { b"---\nname: a\ndescription: " } else { b"" };
        put(&source, "a", [start, &bytes].concat());
        let (skills, notes) = found(&source);
        prop_assert_eq!(skills.len() + notes.len(), 1);
    }
}
