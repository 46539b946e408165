//! What arrives, and how it is told.

use std::fs;

use clankers_tests::NodeHome;

use super::{MIB, Two, content, receipt, shape, tree};
use crate::BIN;

#[test]
fn a_file_arrives_with_the_hash_that_b3sum_prints() {
    let two = Two::with(&["--drop"]);
    let bytes = content(7, 3 * MIB + 5);
    let file = two.lap.file("a.bin", &bytes);
    let ran = two.send([file.to_str().unwrap()]).run().ok();
    let lines = ran.json_lines();
    let said = receipt(&lines);
    assert_eq!(said["files"], 1);
    assert_eq!(said["bytes"], bytes.len());
    assert_eq!(said["sent_bytes"], bytes.len());
    assert_eq!(said["name"], "a.bin");
    assert_eq!(said["root"], blake3::hash(&bytes).to_hex().as_str());
    for line in lines.iter().filter(|line| line["type"] == "progress") {
        for field in ["bytes", "total", "files", "rate_bps"] {
            assert!(line[field].is_u64(), "{field} in {line}");
        }
        assert!(line["eta_s"].is_u64() || line["eta_s"].is_null(), "{line}");
    }
    assert!(fs::read(two.inbox().join("a.bin")).unwrap() == bytes);
}

#[test]
fn a_directory_arrives_as_it_is() {
    let two = Two::with(&["--drop"]);
    let files: Vec<(String, usize)> = (0..300).map(|n| (format!("d{}/f{n}", n % 9), n * 37)).collect();
    let mut files: Vec<(&str, usize)> = files.iter().map(|(path, len)| (path.as_str(), *len)).collect();
    files.extend([("large", 5 * MIB + 1), ("x/y/z/deep", 1), ("empty", 0)]);
    let dir = tree(&two.lap, "project", &files);
    fs::create_dir(dir.join("nothing")).unwrap();
    std::os::unix::fs::symlink("large", dir.join("link")).unwrap();
    let ran = two.send([dir.to_str().unwrap(), "--to", "work/2026"]).run().ok();
    let lines = ran.json_lines();
    assert_eq!(receipt(&lines)["files"], files.len());
    fs::remove_file(dir.join("link")).unwrap();
    let there = two.inbox().join("work/2026/project");
    let (mut sent, mut landed) = (shape(&dir), shape(&there));
    // Taking the link away has touched the directory that was sent.
    assert!(sent.remove(".").is_some() && landed.remove(".").is_some());
    assert_eq!(landed, sent);
}

#[test]
fn who_has_no_right_is_refused_at_once() {
    let two = Two::with(&["--read-only"]);
    let file = two.lap.file("a.bin", content(1, MIB));
    let ran = two.send([file.to_str().unwrap()]).run().code(4);
    let error = ran.error();
    assert!(error["hints"].to_string().contains("--drop"), "{error}");
    assert!(!two.inbox().exists(), "nothing is made for who may not");
    // A stranger without any token likewise.
    let stranger = NodeHome::new(BIN);
    stranger.cli(["rpc", "send-file", two.desk.ticket(), file.to_str().unwrap()]).run().code(4);
}

#[test]
fn size_and_path_of_a_token_hold() {
    let two = Two::with(&["--drop", "--max-size", "1MiB", "--path", "in"]);
    let small = two.lap.file("small", content(1, MIB));
    let large = two.lap.file("large", content(2, MIB + 1));
    let (small, large) = (small.to_str().unwrap(), large.to_str().unwrap());
    two.send([small, "--to", "in/deep"]).run().ok();
    two.send([small, "--to", "in"]).run().ok();
    two.send([large, "--to", "in"]).run().code(4);
    two.send([small]).run().code(4);
    two.send([small, "--to", "inside"]).run().code(4);
    two.send([small, "--to", "../in"]).run().code(2);
    assert!(two.inbox().join("in/deep/small").exists() && two.inbox().join("in/small").exists());
}

#[test]
fn quotas_hold_and_say_so() {
    let settings = "[files]\nmax_bytes_per_peer = 3000000\nmax_files = 3\nmax_depth = 2\n";
    let two = Two::settled(settings, &["--drop"]);
    let one = two.lap.file("one", content(1, 2 * MIB));
    let two_more = two.lap.file("two", content(2, MIB));
    let many = tree(&two.lap, "many", &[("a", 1), ("b", 1), ("c", 1), ("d", 1)]);
    two.send([one.to_str().unwrap()]).run().ok();
    let deep = tree(&two.lap, "deep", &[("in/it", 1)]);
    let too_deep = "\"deep/in/it\" is 3 levels deep, the limit here is 2";
    let all = [
        (&two_more, "you have 2.0 MiB here, and with this you would have more than 2.9 MiB", "make room"),
        (&many, "3 at a time", "archive"),
        (&deep, too_deep, "archive"),
    ];
    for (path, words, hint) in all {
        let error = two.send([path.to_str().unwrap()]).run().code(5).error();
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert!(error["hints"][0].as_str().unwrap().contains(hint), "{error}");
    }
    fs::remove_file(two.inbox().join("one")).unwrap();
    two.send([two_more.to_str().unwrap()]).run().ok();
}

#[test]
fn names_that_are_taken_are_dealt_with_as_asked() {
    let two = Two::with(&["--drop"]);
    let file = two.lap.file("a.txt", "one");
    let path = file.to_str().unwrap();
    let name = |words: &[&str], code: i32| {
        let ran = two.send([path]).args(words).run().code(code);
        let lines = ran.json_lines();
        lines.iter().rfind(|line| line["type"] == "receipt").map(|line| line["name"].clone())
    };
    assert_eq!(name(&[], 0).unwrap(), "a.txt");
    fs::write(&file, "another").unwrap();
    assert_eq!(name(&[], 0).unwrap(), "a (1).txt");
    assert_eq!(name(&["--on-conflict", "refuse"], 1), None);
    name(&["--on-conflict", "skip"], 1);
    assert_eq!(fs::read_to_string(two.inbox().join("a.txt")).unwrap(), "one");
    assert_eq!(name(&["--on-conflict", "overwrite"], 0).unwrap(), "a.txt");
    assert_eq!(fs::read_to_string(two.inbox().join("a.txt")).unwrap(), "another");
    assert_eq!(name(&["--on-conflict", "skip"], 0).unwrap(), "a.txt");
}
