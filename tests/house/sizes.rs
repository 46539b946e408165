//! Rooms stay small, and nothing is left lying about.

use std::path::{Path, PathBuf};

use super::root;

/// Lines of a source file, tests included.
const FILE_LINES: usize = 500;

/// Words that no source or document holds. Written in two halves so that this file does not hold them.
const WORDS: &[(&str, &str)] = &[
    (concat!("todo", "!("), "unfinished"),
    (concat!("unimplemented", "!("), "unfinished"),
    (concat!("dbg", "!("), "left over from a search"),
    (concat!("/wo", "rk/"), "a path of one machine"),
    (concat!("/ro", "ot/"), "a path of one machine"),
    (concat!("/Us", "ers/"), "a path of one machine"),
    (concat!("bash_", "jobs"), "a tool of one machine"),
    (concat!("crates", ".io"), "a registry's host"),
];

/// Every file of the house with one of these extensions; nothing hidden, nothing built.
pub(crate) fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(dir: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                walk(&path, extensions, found);
            } else if path.extension().is_some_and(|e| extensions.iter().any(|x| e == *x)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extensions, &mut found);
    found.sort();
    found
}

/// What is wrong with a file, each in one line. Pure.
fn faults(name: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let source = name.ends_with(".rs");
    if source && text.lines().count() > FILE_LINES {
        faults.push(format!("{name}: {} lines, the limit is {FILE_LINES}", text.lines().count()));
    }
    if name == "mod.rs" || name.ends_with("/mod.rs") {
        faults.push(format!("{name}: write foo.rs beside foo/ instead"));
    }
    for (number, line) in text.lines().enumerate() {
        for (word, why) in WORDS.iter().filter(|(word, _)| line.contains(word)) {
            faults.push(format!("{name}:{}: '{word}' ({why})", number + 1));
        }
    }
    faults
}

#[test]
fn files_are_small_and_tidy() {
    let files = files(&["rs", "md", "toml"]);
    assert!(files.len() > 100, "only {} files were found", files.len());
    let root = root();
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            faults(&name, &std::fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_fault_is_found() {
    assert_eq!(faults("a.rs", &"x\n".repeat(500)), Vec::<String>::new());
    assert!(faults("a.rs", &"x\n".repeat(501))[0].contains("501 lines"));
    // Documents may be long.
    assert_eq!(faults("a.md", &"x\n".repeat(501)), Vec::<String>::new());
    assert_eq!(faults("node/mod.rs", "").len(), 1);
    assert_eq!(faults("node/modes.rs", ""), Vec::<String>::new());
    for (word, _) in WORDS {
        assert!(faults("a.rs", &format!("fine\n{word}\n"))[0].starts_with("a.rs:2:"));
    }
}
