//! grep and find beside `rg` and `fd`, over trees made at random: ignore files in several directories, negations,
//! repositories in repositories, hidden and binary files, odd names, links, odd line ends.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::lab::Lab;

const DIRS: &[&str] =
    &["", "a", "a/b", "a/b/c", "b", "b/a", "build", ".h", "sp ace", "a/é", "b/a/[q]", "a/sub", "a/sub/b"];
const NAMES: &[&str] = &[
    "f.rs", "f.txt", "g.log", "keep.log", ".hid", "build", "b", "#c", "!n", "[q].rs", "é.rs", "f.rs ", "F.RS",
];
const RULES: &[&str] = &[
    "*.log",
    "!keep.log",
    "/build",
    "build/",
    "a/",
    "**/b",
    "a/**",
    "!a/f.rs",
    "*.[rt]s",
    "# no rule",
    "",
    "   ",
    "\\#c",
    "\\!n",
    "f.rs ",
    "f.rs\\ ",
    "*",
    "!*/",
    "!*.rs",
    "!.hid",
    "/a/b",
    "a/*/f.rs",
    "[a-c]",
    "?",
    "b/**/g.log",
    "/",
    ".*",
    "!b",
    "é*",
    "\\[q\\].rs",
    "*.log\r",
    "sub",
    "/f.txt",
    "b/a",
    "{f,g}.*",
    "!f.txt",
    "/*",
    "!/a",
];
/// The rule `*` in the list above.
const EVERYTHING: usize = 16;
const TEXTS: &[&[u8]] = &[
    b"",
    b"word1 end\nword2\n",
    b"word1 end\r\nword2 end\r\n",
    b"x\n\n\nword3 end",
    b"\xef\xbb\xbfword1 first\nWORD2\n",
    b"\0word1 end\n",
    b"word1 \xff\xfe end\nw\xc3\xb6rd\n",
    // (A word after a lone CR begins a line since ripgrep 14, and did not before.)
    b"word1 \rx end\n",
    b"\nword3 word1 word2 end\nend\n",
];
const PATTERNS: &[&str] =
    &["word1", "word[13]", "^word", "end$", "(?i)WORD2", "w.rd", r"\bend\b", "word1 .* end", "^$", "x?"];
const GLOBS: &[&str] =
    &["*", "*.rs", "f.*", "{b,build}", "[fg].*", "?", "*e*", "a/**/*.rs", "**/b", "b*", ".*", "é*"];

/// A tree, as indices into the lists above.
#[derive(Debug, Clone)]
struct Tree {
    files: Vec<(usize, usize, usize)>,
    rules: Vec<(usize, usize, Vec<usize>)>,
    /// A directory that is a repository of its own.
    repository: Option<usize>,
    links: Vec<(usize, usize)>,
}

fn trees() -> impl Strategy<Value = Tree> {
    let rule = prop_oneof![0..RULES.len(), Just(EVERYTHING)];
    let rules = (prop_oneof![Just(0), 0..DIRS.len()], 0usize..8, proptest::collection::vec(rule, 1..5));
    (
        proptest::collection::vec((0..DIRS.len(), 0..NAMES.len(), 0..TEXTS.len()), 1..28),
        proptest::collection::vec(rules, 0..5),
        proptest::option::of(prop_oneof![Just(1), Just(11), 1..DIRS.len()]),
        proptest::collection::vec((0..DIRS.len(), 0..DIRS.len()), 0..3),
    )
        .prop_map(|(files, rules, repository, links)| Tree { files, rules, repository, links })
}

fn plant(tree: &Tree) -> Lab {
    let lab = Lab::new();
    // Names can clash (`b` is a file here and a directory there); whoever comes first stays.
    let put = |path: String, content: &[u8]| {
        let path = lab.at(&path);
        if fs::create_dir_all(path.parent().unwrap()).is_ok() {
            let _ = fs::write(path, content);
        }
    };
    put(".git/HEAD".into(), b"word1 end\n");
    for (dir, name, text) in &tree.files {
        put(format!("{}/{}", DIRS[*dir], NAMES[*name]).trim_start_matches('/').into(), TEXTS[*text]);
    }
    for (dir, kind, rules) in &tree.rules {
        let name = match kind {
            0..5 => ".gitignore",
            5..7 => ".ignore",
            _ => ".git/info/exclude",
        };
        let dir = if *kind == 7 { "" } else { DIRS[*dir] };
        let rules: String = rules.iter().map(|rule| format!("{}\n", RULES[*rule])).collect();
        put(format!("{dir}/{name}").trim_start_matches('/').into(), rules.as_bytes());
    }
    if let Some(repository) = tree.repository {
        let _ = fs::create_dir_all(lab.at(DIRS[repository]).join(".git"));
    }
    for (from, to) in &tree.links {
        let _ = symlink(lab.at(DIRS[*to]), lab.at(DIRS[*from]).join("link.rs"));
    }
    lab
}

/// The lines that a program prints in the workspace, without `./` and line ends; `None` when there is none such.
fn lines_of(lab: &Lab, programs: &[&str], args: &[&str]) -> Option<BTreeSet<String>> {
    let output = programs
        .iter()
        .find_map(|program| Command::new(program).args(args).current_dir(lab.at("")).output().ok())?;
    assert!(output.stderr.is_empty(), "{programs:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let plain = |line: &str| line.strip_prefix("./").unwrap_or(line).trim_end_matches('\r').to_owned();
    Some(text.split_terminator('\n').map(plain).collect())
}

/// The lines of a tool's answer, without its notes.
fn ours(runtime: &tokio::runtime::Runtime, lab: &Lab, tool: &str, args: Value) -> BTreeSet<String> {
    let outcome = runtime.block_on(lab.run(tool, args));
    assert_eq!(outcome.truncated, None, "{}", outcome.text);
    let text = match outcome.text.rsplit_once('[') {
        Some((text, note)) if note.ends_with(']') && (text.is_empty() || text.ends_with("\n\n")) => {
            text.trim_end_matches('\n')
        }
        _ => &outcome.text,
    };
    text.split('\n').filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn over_trees(test: impl Fn(&tokio::runtime::Runtime, &Lab, usize) -> bool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut runner = TestRunner::new(Config {
        cases: Config::default().cases / 4,
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    });
    let compared = std::cell::Cell::new(0);
    let result = runner.run(&(trees(), any::<usize>()), |(tree, pick)| {
        if test(&runtime, &plant(&tree), pick) {
            compared.set(compared.get() + 1);
        }
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
    if compared.get() == 0 {
        eprintln!("skipped: the other program is not installed here");
    }
}

#[test]
fn grep_gives_what_ripgrep_gives() {
    over_trees(|runtime, lab, pick| {
        let (pattern, all) = (PATTERNS[pick % PATTERNS.len()], pick % 7 == 0);
        let mut args = vec![
            "-n",
            "--no-heading",
            "--no-config",
            "--hidden",
            "--crlf",
            "--glob",
            "!.git/",
            "--no-ignore-global",
            "--no-ignore-parent",
            "--color",
            "never",
        ];
        if all {
            args.push("--no-ignore");
        }
        args.extend(["-e", pattern, "./"]);
        let Some(theirs) = lines_of(lab, &["rg"], &args) else { return false };
        let found = ours(runtime, lab, "grep", json!({"pattern": pattern, "all": all}));
        // `path:line: text` here, `path:line:text` there; no path here has a colon in it.
        let found: BTreeSet<String> = found
            .iter()
            .map(|line| {
                let (path, rest) = line.split_once(':').unwrap();
                format!("{path}:{}", rest.replacen(": ", ":", 1))
            })
            .collect();
        assert_eq!(found, theirs, "{pattern:?} all: {all}");
        true
    });
}

#[test]
fn find_gives_what_fd_gives() {
    over_trees(|runtime, lab, pick| {
        let (glob, all) = (GLOBS[pick % GLOBS.len()], pick % 7 == 0);
        let whole = format!("{}/{glob}", lab.tools.workspace().path().display());
        let mut args = vec![
            "--hidden",
            "--exclude",
            ".git/",
            "--no-global-ignore-file",
            "--color",
            "never",
            "-s",
            "--glob",
        ];
        if all {
            args.push("--no-ignore");
        }
        // With a slash in it the glob is matched with the path.
        if glob.contains('/') {
            args.extend(["--full-path", &whole]);
        } else {
            args.push(glob);
        }
        let Some(theirs) = lines_of(lab, &["fd", "fdfind"], &args) else { return false };
        assert_eq!(
            ours(runtime, lab, "find", json!({"pattern": glob, "all": all})),
            theirs,
            "{glob:?} all: {all}"
        );
        true
    });
}
