//! The guides, run as they stand.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
};

use clankers_tests::guide;

use crate::{BIN, main_job::mdns::multicast_works};

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guide").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_agent_by_itself() {
    assert!(guide::run(Path::new(BIN), &page("agent.md")) >= 12);
}

#[test]
fn sharing_a_node() {
    assert!(guide::run(Path::new(BIN), &page("sharing-a-node.md")) >= 20);
}

#[test]
fn attaching() {
    assert!(guide::run(Path::new(BIN), &page("attaching.md")) >= 30);
}

#[test]
fn teams() {
    if !multicast_works() {
        eprintln!("skipped: multicast does not come back on this machine's loopback interface");
        return;
    }
    assert!(guide::run(Path::new(BIN), &page("teams.md")) >= 40);
}

#[test]
fn files() {
    let tools = tempfile::tempdir().unwrap();
    stand_in(tools.path());
    assert!(guide::run_with(Path::new(BIN), Some(tools.path()), &page("files.md")) >= 25);
}

/// What a stand-in for `b3sum` is asked for, a word a line, and where it answers.
const WORDS: &str = "B3SUM_WORDS";
const ANSWER: &str = "B3SUM_ANSWER";

/// Puts a `b3sum` there for machines that have none: this very program, which works the sums out with the crate `blake3`.
fn stand_in(tools: &Path) {
    let own = env::current_exe().unwrap();
    let script = format!(
        r#"#!/bin/sh
out=$(mktemp) || exit 1
{WORDS}=$(printf '%s\n' "$@")
export {WORDS}
{ANSWER}=$out '{}' --exact guide::sums_are_what_b3sum_prints > "$out.log" 2>&1 || {{ cat "$out.log" >&2; exit 1; }}
cat "$out"
rm "$out" "$out.log"
"#,
        own.display()
    );
    let path = tools.join("b3sum");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// As `b3sum [--no-names] [FILE]...` prints it.
fn sums(words: &str) -> String {
    let (flags, files): (Vec<&str>, Vec<&str>) =
        words.lines().filter(|word| !word.is_empty()).partition(|word| *word == "--no-names");
    let mut out = String::new();
    let mut say = |bytes: &[u8], name: &str| {
        let sum = blake3::hash(bytes).to_hex();
        let line = if flags.is_empty() { format!("{sum}  {name}") } else { sum.to_string() };
        writeln!(out, "{line}").unwrap();
    };
    if files.is_empty() {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).unwrap();
        say(&bytes, "-");
    }
    for file in files {
        say(&fs::read(file).unwrap(), file);
    }
    out
}

#[test]
fn sums_are_what_b3sum_prints() {
    if let (Ok(words), Ok(answer)) = (env::var(WORDS), env::var(ANSWER)) {
        return fs::write(answer, sums(&words)).unwrap();
    }
    // Printed by b3sum 1.5.
    let abc = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";
    let dir = tempfile::tempdir().unwrap();
    stand_in(dir.path());
    fs::write(dir.path().join("a"), "abc").unwrap();
    let said = |line: &str| {
        let ran = Command::new("/bin/sh").current_dir(dir.path()).args(["-c", line]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(said("./b3sum a"), format!("{abc}  a\n"));
    assert_eq!(said("printf abc | ./b3sum --no-names"), format!("{abc}\n"));
}
