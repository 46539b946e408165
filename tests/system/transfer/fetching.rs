//! From exports.

use std::fs;

use super::{LARGE, MIB, SLOW, Two, content, moving, receipt, shape, travelled, tree};

/// A node that exports `shared` of its workspace.
fn exporting(rights: &[&str]) -> Two {
    let two = Two::with(rights);
    let mut two = two;
    let shared = tree(two.desk.home(), "shared", &[("a/1", MIB + 3), ("a/2", 10), ("b", 0)]);
    two.desk.home().settings(&format!("[files.exports]\ndocs = \"{}\"\n", shared.display()));
    two.desk.kill9();
    two.desk.restart();
    two
}

#[test]
fn what_is_exported_can_be_got() {
    let two = exporting(&["--read-only"]);
    let ticket = two.desk.ticket();
    let ran = two.lap.cli(["--json", "rpc", "get-file", ticket, "docs/a"]).run().ok();
    assert_eq!(receipt(&ran.json_lines())["files"], 2);
    let shared = two.desk.home().workspace().join("shared");
    assert_eq!(shape(&two.lap.workspace().join("a")), shape(&shared.join("a")));
    two.lap.cli(["rpc", "get-file", ticket, "docs/a/2", "-o", "other"]).run().ok();
    assert!(fs::read(two.lap.workspace().join("other")).unwrap() == fs::read(shared.join("a/2")).unwrap());
    let whole = two.lap.workspace().join("whole");
    fs::create_dir(&whole).unwrap();
    two.lap.cli(["rpc", "get-file", ticket, "docs", "-o", whole.to_str().unwrap()]).run().ok();
    assert_eq!(shape(&whole.join("docs")), shape(&shared));
}

/// As macOS keeps names: whoever asks says them composed, however they are typed.
#[test]
fn a_decomposed_name_can_be_asked_for_by_itself() {
    let two = exporting(&["--read-only"]);
    let shared = two.desk.home().workspace().join("shared");
    fs::write(shared.join("e\u{301}.txt"), "accent").unwrap();
    fs::create_dir(shared.join("a\u{308}")).unwrap();
    fs::write(shared.join("a\u{308}/o\u{308}"), "deep").unwrap();
    for twin in ["A\u{30a}", "\u{212b}"] {
        fs::write(shared.join(twin), twin).unwrap();
    }
    let get = |path: &str| two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), path]).run();
    for (number, asked) in ["docs/e\u{301}.txt", "docs/\u{e9}.txt"].into_iter().enumerate() {
        let landed = receipt(&get(asked).ok().json_lines())["name"].as_str().unwrap().to_owned();
        assert_eq!(landed, ["\u{e9}.txt", "\u{e9} (1).txt"][number]);
        assert_eq!(fs::read(two.lap.workspace().join(landed)).unwrap(), b"accent");
    }
    get("docs/\u{e4}/\u{f6}").ok();
    assert_eq!(fs::read(two.lap.workspace().join("\u{f6}")).unwrap(), b"deep");
    let ran = get("docs/\u{c5}").code(2);
    assert!(ran.error().to_string().contains("several names"), "{}", ran.story());
    get("docs/\u{c8}").code(7);
}

#[test]
fn nothing_else_can_be_got() {
    let two = exporting(&["--read-only"]);
    let ticket = two.desk.ticket();
    let shared = two.desk.home().workspace().join("shared");
    let secret = two.desk.home().file("secret", content(9, 100));
    std::os::unix::fs::symlink(&secret, shared.join("link")).unwrap();
    std::os::unix::fs::symlink(two.desk.home().path(), shared.join("home")).unwrap();
    for path in ["docs/../secret", "/etc/passwd", "docs//a"] {
        two.lap.cli(["rpc", "get-file", ticket, path]).run().code(2);
    }
    for path in ["docs/none", "none", "none/a", "docs/link", "docs/home/identity.key", "docs/home"] {
        two.lap.cli(["rpc", "get-file", ticket, path]).run().code(7);
    }
    assert!(!two.lap.workspace().join("link").exists() && !two.lap.workspace().join("identity.key").exists());
}

#[test]
fn who_may_not_read_gets_nothing_and_learns_nothing() {
    let two = exporting(&["--drop"]);
    for path in ["docs/a", "none"] {
        two.lap.cli(["rpc", "get-file", two.desk.ticket(), path]).run().code(4);
    }
    let two = exporting(&["--read-only", "--max-size", "1KiB"]);
    two.lap.cli(["rpc", "get-file", two.desk.ticket(), "docs/a/2"]).run().ok();
    two.lap.cli(["rpc", "get-file", two.desk.ticket(), "docs/a/1"]).run().code(4);
    two.lap.cli(["rpc", "get-file", two.desk.ticket(), "docs"]).run().code(4);
}

#[test]
fn what_was_interrupted_is_gone_on_with() {
    let two = exporting(&["--read-only"]);
    let bytes = content(5, LARGE);
    two.desk.home().file("shared/big", &bytes);
    let get = || two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), "docs/big"]);
    let landed = two.lap.workspace().join("big");
    let getting = get().args(SLOW).start();
    moving(&two.lap.workspace(), 2);
    getting.kill9();
    assert!(!landed.exists(), "what is not whole has no name");
    // By the same command; and, when that is interrupted as well, by the transfer's name.
    let getting = get().args(SLOW).start();
    moving(&two.lap.workspace(), 4);
    getting.interrupt();
    getting.finish().code(130);
    let (id, state) = super::state(&two.lap);
    assert_eq!(state, "interrupted");
    let resume = ["--json", "rpc", "transfers", "resume", &id, "--limit-rate", "1GiB"];
    let ran = two.lap.cli(resume).run().ok();
    let sent = travelled(&ran.json_lines());
    assert!(sent <= LARGE - 4 * MIB, "what had arrived travelled again: {sent}");
    assert!(fs::read(&landed).unwrap() == bytes);
    assert!(!two.lap.workspace().join(".clankers-part").exists(), "nothing is left beside it");
    assert_eq!(super::state(&two.lap).1, "done");
}
