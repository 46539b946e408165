//! What there is to be got, and who is told.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::{MIB, Two, tree};

/// A node that exports a directory beside its workspace as `docs`, and its workspace as `ws`.
fn exporting(rights: &[&str]) -> Two {
    let mut two = Two::with(rights);
    let home = two.desk.home();
    let docs = home.root().join("shelf");
    for (path, bytes) in [("a/1", MIB), ("a/2", 10), ("b", 0)] {
        let path = docs.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, vec![7; bytes]).unwrap();
    }
    std::os::unix::fs::symlink("/etc/passwd", docs.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", docs.join("out")).unwrap();
    let (docs, ws) = (docs.display().to_string(), home.workspace().display().to_string());
    home.settings(&format!("[files.exports]\ndocs = {docs:?}\nws = {ws:?}\n"));
    two.desk.kill9();
    two.desk.restart();
    two
}

fn list(two: &Two, path: &[&str]) -> Value {
    two.lap.cli(["--json", "rpc", "get-file", two.desk.ticket(), "--list"]).args(path).run().ok().json()
}

fn paths(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|one| one["path"].as_str().unwrap()).collect()
}

#[test]
fn who_may_read_is_told_what_there_is() {
    let two = exporting(&["--read-only"]);
    let ticket = two.desk.ticket();
    let dir = |path: &str| json!({"path": path, "kind": "dir", "bytes": 0, "changed": null});
    assert_eq!(list(&two, &[]), json!([dir("docs"), dir("ws")]));
    // The same without a word but the peer's.
    let ran = two.lap.cli(["rpc", "get-file", ticket]).run().ok();
    let lines: Vec<&str> = ran.out().lines().map(str::trim).collect();
    assert_eq!(lines, ["docs/", "ws/"], "{}", ran.story());
    let docs = list(&two, &["docs"]);
    assert_eq!(paths(&docs), ["docs/a", "docs/b"], "links cannot be got");
    assert!(docs[0]["changed"].as_str().unwrap().ends_with('Z'), "{docs}");
    let a = list(&two, &["docs/a/"]);
    assert_eq!(paths(&a), ["docs/a/1", "docs/a/2"]);
    assert_eq!((&a[0]["bytes"], &a[0]["kind"]), (&MIB.into(), &"file".into()));
    assert_eq!(paths(&list(&two, &["docs/a/2"])), ["docs/a/2"]);
    // What is listed can be got by what it is listed as.
    two.lap.cli(["rpc", "get-file", ticket, a[1]["path"].as_str().unwrap()]).run().ok();
    assert_eq!(fs::read(two.lap.workspace().join("2")).unwrap(), [7; 10]);
    for path in ["docs/none", "none", "docs/link", "docs/out", "docs/out/hosts", "docs/b/c"] {
        two.lap.cli(["rpc", "get-file", ticket, "--list", path]).run().code(7);
    }
    for path in ["docs/../x", "/etc"] {
        two.lap.cli(["rpc", "get-file", ticket, "--list", path]).run().code(2);
    }
    two.lap.cli(["rpc", "get-file", ticket, "--list", "docs", "-o", "x"]).run().code(2);
    two.lap.cli(["rpc", "get-file", ticket, "-o", "x"]).run().code(2);
}

#[test]
fn a_long_list_comes_whole_and_in_order() {
    let two = exporting(&["--read-only"]);
    let many = two.desk.home().workspace().join("many");
    fs::create_dir(&many).unwrap();
    let names: BTreeSet<String> = (0..2_500).map(|number| format!("ws/many/{number}")).collect();
    for name in &names {
        fs::write(many.join(name.rsplit('/').next().unwrap()), "").unwrap();
    }
    let listed = list(&two, &["ws/many"]);
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(paths(&listed), wanted);
}

#[test]
fn who_may_not_read_is_told_nothing() {
    for rights in [&["--drop"][..], &[]] {
        let two = exporting(rights);
        for path in [&[][..], &["docs"], &["docs/a/1"], &["none"]] {
            let words = ["--json", "rpc", "get-file", two.desk.ticket(), "--list"];
            let ran = two.lap.cli(words).args(path).run().code(4);
            assert_eq!(ran.out(), "", "{path:?}");
            let said = ran.error().to_string();
            assert!(!said.contains("docs/a") && !said.contains("ws"), "{path:?}: {said}");
        }
    }
}

#[test]
fn a_token_for_a_part_is_told_of_that_part() {
    let two = exporting(&["--read-only", "--path", "."]);
    assert_eq!(paths(&list(&two, &[])), ["ws"], "the other export is not in the token's workspace");
    let refused = |two: &Two, path: &[&str]| {
        let ran = two.lap.cli(["rpc", "get-file", two.desk.ticket(), "--list"]).args(path).run().code(4);
        assert_eq!(ran.out(), "", "{path:?}");
    };
    refused(&two, &["docs"]);
    let two = exporting(&["--read-only", "--path", "src"]);
    tree(two.desk.home(), "src", &[("deep/er", 1)]);
    tree(two.desk.home(), "src2", &[("x", 1)]);
    let told = list(&two, &["ws/src"]);
    assert!(paths(&told).contains(&"ws/src/deep") && paths(&told).contains(&"ws/src/main.rs"), "{told}");
    assert_eq!(paths(&list(&two, &["ws/src/deep"])), ["ws/src/deep/er"]);
    for path in [&[][..], &["ws"], &["ws/src2"], &["docs/src"], &["docs"]] {
        refused(&two, path);
    }
}
