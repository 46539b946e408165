//! grep, find and ls.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::process::Command;

use clankers_tools::{CutBy, Status};
use serde_json::json;

use crate::lab::Lab;

fn tree() -> Lab {
    let lab = Lab::new();
    lab.put(".gitignore", "target/\n*.log\n!keep.log\n/only-here\n");
    lab.put("src/main.rs", "fn main() {}\n// TODO one\n");
    lab.put("src/deep/lib.rs", "// TODO two\r\nlast TODO");
    lab.put("src/deep/.gitignore", "hidden.rs\n");
    lab.put("src/deep/hidden.rs", "TODO\n");
    lab.put("src/only-here", "TODO\n");
    lab.put("only-here", "TODO\n");
    lab.put("target/out.rs", "TODO\n");
    lab.put("a.log", "TODO\n");
    lab.put("keep.log", "TODO\n");
    lab.put(".github/ci.yml", "TODO\n");
    lab.put(".git/config", "TODO\n");
    lab.put("bin", b"TODO\0TODO\n");
    lab
}

#[tokio::test]
async fn grep_finds_in_order_and_honours_gitignore() {
    let lab = tree();
    let text = lab.ok("grep", json!({"pattern": "TODO"})).await;
    let want = ".github/ci.yml:1: TODO\nkeep.log:1: TODO\nsrc/deep/lib.rs:1: // TODO two\nsrc/deep/lib.rs:2: last TODO\nsrc/main.rs:2: // TODO one\nsrc/only-here:1: TODO";
    assert_eq!(text, want);
    // A directory's parents' rules count as well.
    let deep = lab.ok("grep", json!({"pattern": "TODO", "path": "src/deep"})).await;
    assert_eq!(deep, "src/deep/lib.rs:1: // TODO two\nsrc/deep/lib.rs:2: last TODO");
    let all = lab.ok("grep", json!({"pattern": "TODO", "all": true})).await;
    assert!(
        all.contains("target/out.rs:1:")
            && all.contains("src/deep/hidden.rs:1:")
            && !all.contains(".git/config"),
        "{all}"
    );
    // What is asked for by name is searched.
    assert_eq!(lab.ok("grep", json!({"pattern": "TODO", "path": "target"})).await, "target/out.rs:1: TODO");
    assert_eq!(lab.ok("grep", json!({"pattern": "TODO", "path": "a.log"})).await, "a.log:1: TODO");
}

#[tokio::test]
async fn a_plain_ignore_file_is_stronger_than_gits_however_far_above() {
    let lab = Lab::new();
    lab.put(".ignore", "*.log\n");
    lab.put("a/.gitignore", "!*.log\n*.tmp\n");
    lab.put("a/x.log", "hit\n");
    lab.put("a/x.tmp", "hit\n");
    lab.put("a/inner/.git/HEAD", "");
    lab.put("a/inner/y.log", "hit\n");
    lab.put("a/inner/y.tmp", "hit\n");
    lab.put("a/inner/y.txt", "hit\n");
    // The repository within ends the reach of git's own files, not that of others.
    assert_eq!(lab.ok("grep", json!({"pattern": "hit"})).await, "a/inner/y.tmp:1: hit\na/inner/y.txt:1: hit");
}

#[tokio::test]
async fn grep_takes_its_options() {
    let lab = tree();
    let glob = lab.ok("grep", json!({"pattern": "todo", "ignore_case": true, "glob": "*.rs"})).await;
    assert_eq!(glob.lines().count(), 3, "{glob}");
    let path_glob = lab.ok("grep", json!({"pattern": "TODO", "glob": "src/**/*.rs"})).await;
    assert_eq!(path_glob.lines().count(), 3, "{path_glob}");
    assert_eq!(
        lab.ok("grep", json!({"pattern": "main()", "literal": true})).await,
        "src/main.rs:1: fn main() {}"
    );
    assert_eq!(lab.ok("grep", json!({"pattern": "^last TODO$"})).await, "src/deep/lib.rs:2: last TODO");
    assert_eq!(
        lab.ok("grep", json!({"pattern": "two$"})).await,
        "src/deep/lib.rs:1: // TODO two",
        "a CRLF line ends before its CR"
    );
    assert!(lab.ok("grep", json!({"pattern": "absent"})).await.contains("nothing matches"));
    assert!(lab.ok("grep", json!({"pattern": "TODO", "path": "bin"})).await.contains("binary"));
    assert!(lab.fails("grep", json!({"pattern": "("})).await.contains("not valid"));
    for bomb in ["(a{1000}){1000}".to_owned(), "(".repeat(4_000), "[[:alpha:]]{999}".repeat(200)] {
        assert!(lab.fails("grep", json!({"pattern": bomb})).await.contains("not valid"));
    }
}

#[tokio::test]
async fn grep_shows_context() {
    let lab = Lab::new();
    lab.put("a", "1\n2\nhit\n4\n5\n6\n7\nhit\n9\n");
    lab.put("b", "hit\n");
    let text = lab.ok("grep", json!({"pattern": "hit", "context": 1})).await;
    assert_eq!(text, "a-2- 2\na:3: hit\na-4- 4\n--\na-7- 7\na:8: hit\na-9- 9\n--\nb:1: hit");
}

#[tokio::test]
async fn grep_stops_at_its_limits() {
    let lab = Lab::new();
    lab.put("many", "hit\n".repeat(150));
    lab.put("zlong", format!("start {} hit\n", "x".repeat(10_000)));
    let outcome = lab.run("grep", json!({"pattern": "hit"})).await;
    assert_eq!(outcome.details.unwrap()["hits"], 100);
    assert_eq!(outcome.truncated.unwrap().by, CutBy::Count);
    assert!(outcome.text.contains("only the first 100 hits"));
    let exactly = lab.run("grep", json!({"pattern": "hit", "path": "zlong", "limit": 1})).await;
    assert_eq!(exactly.truncated, None);
    let line = exactly.text.lines().next().unwrap();
    assert!(line.ends_with("x [line cut]") && line.chars().count() < 530, "{line}");
    assert!(exactly.text.contains("cut at 500 characters"));
}

#[tokio::test]
async fn a_line_of_many_mebibytes_does_not_fill_the_memory() {
    let lab = Lab::new();
    lab.put("wide", format!("hit\n{}\n", "x".repeat(20 << 20)));
    lab.put("zafter", "hit\n");
    let text = lab.ok("grep", json!({"pattern": "hit"})).await;
    assert!(text.contains("zafter:1: hit") && text.contains("1 could not be read"), "{text}");
}

#[tokio::test]
async fn find_matches_names_and_paths() {
    let lab = tree();
    assert_eq!(lab.ok("find", json!({"pattern": "*.rs"})).await, "src/deep/lib.rs\nsrc/main.rs");
    assert_eq!(lab.ok("find", json!({"pattern": "src/**/*.rs"})).await, "src/deep/lib.rs\nsrc/main.rs");
    assert_eq!(lab.ok("find", json!({"pattern": "deep/*.rs", "path": "src"})).await, "src/deep/lib.rs");
    assert_eq!(lab.ok("find", json!({"pattern": "{deep,target}"})).await, "src/deep/");
    assert_eq!(lab.ok("find", json!({"pattern": "target", "all": true})).await, "target/");
    assert!(lab.ok("find", json!({"pattern": "nothing*"})).await.contains("nothing matches"));
    for bad in ["[".to_owned(), "{".repeat(4_000), "{a,".repeat(1_000) + &"}".repeat(1_000)] {
        assert!(lab.fails("find", json!({"pattern": bad})).await.contains("not valid"));
    }
    assert!(lab.fails("find", json!({"pattern": "*", "path": "bin"})).await.contains("not a directory"));
}

#[tokio::test]
async fn find_and_ls_stop_at_their_limits() {
    let lab = Lab::new();
    fs::create_dir(lab.at("d")).unwrap();
    for n in 0..1_100 {
        fs::write(lab.at(&format!("d/{n:04}")), "").unwrap();
    }
    let find = lab.run("find", json!({"pattern": "*", "path": "d"})).await;
    assert_eq!((find.truncated.unwrap().by, find.truncated.unwrap().shown_lines), (CutBy::Count, 1000));
    let ls = lab.run("ls", json!({"path": "d"})).await;
    assert_eq!(ls.truncated.unwrap().shown_lines, 500);
    assert!(ls.text.ends_with("[500 of 1100 entries; find with a pattern shows the others]"));
    let few = lab.run("ls", json!({"path": "d", "limit": 3})).await;
    assert!(few.text.starts_with("0000\n0001\n0002\n\n["));
}

#[tokio::test]
async fn ls_marks_kinds_and_counts_what_it_leaves_out() {
    let lab = tree();
    symlink("src", lab.at("Link")).unwrap();
    let text = lab.ok("ls", json!({})).await;
    assert_eq!(
        text,
        ".git/\n.github/\n.gitignore\nbin\nkeep.log\nLink@\nsrc/\n\n[3 left out by ignore files; all: true shows them]"
    );
    let all = lab.ok("ls", json!({"all": true})).await;
    assert!(all.contains("target/") && !all.contains('['), "{all}");
    fs::create_dir(lab.at("none")).unwrap();
    assert_eq!(lab.ok("ls", json!({"path": "none"})).await, "[none has no entries]");
}

#[tokio::test]
async fn names_that_are_not_utf8_are_counted() {
    let lab = Lab::new();
    lab.put("ok", "hit\n");
    if fs::write(lab.at("").join(std::ffi::OsStr::from_bytes(b"bad\xff")), "hit\n").is_err() {
        eprintln!("skipped: this file system takes UTF-8 names only");
        return;
    }
    for (tool, args) in
        [("ls", json!({})), ("find", json!({"pattern": "*"})), ("grep", json!({"pattern": "hit"}))]
    {
        assert!(lab.ok(tool, args).await.contains("1 names are not UTF-8"), "{tool}");
    }
}

#[tokio::test]
async fn a_cancelled_search_ends() {
    let lab = Lab::new();
    lab.put("huge", "x\n");
    fs::File::options().write(true).open(lab.at("huge")).unwrap().set_len(1 << 42).unwrap();
    let cancel = tokio_util::sync::CancellationToken::new();
    let call = lab.call("read", json!({"path": "huge", "offset": 1_000_000}));
    let running = lab.tools.run(
        &call,
        std::sync::Arc::new(clankers_tools::AllowAll),
        clankers_tools::OutputSink::none(),
        cancel.clone(),
    );
    let stop = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let (outcome, ()) =
        tokio::time::timeout(std::time::Duration::from_secs(5), async { tokio::join!(running, stop) })
            .await
            .unwrap();
    assert!(outcome.status == Status::Interrupted || outcome.text.contains("NUL"), "{}", outcome.text);
}

#[tokio::test]
async fn an_ignore_file_made_to_hurt_costs_little() {
    let lab = Lab::new();
    lab.put(".gitignore", (0..60_000).map(|n| format!("*a*b{n}*[c-z]*{n}\n")).collect::<String>());
    lab.put("f", "hit\n");
    let started = std::time::Instant::now();
    assert_eq!(lab.ok("grep", json!({"pattern": "hit", "glob": "f"})).await, "f:1: hit");
    assert!(started.elapsed() < std::time::Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn hits_before_a_line_that_is_too_long_are_kept() {
    let lab = Lab::new();
    lab.put("wide", format!("hit\n{}\n", "x".repeat(20 << 20)));
    let text = lab.ok("grep", json!({"pattern": "hit", "path": "wide"})).await;
    assert_eq!(text, "wide:1: hit\n\n[1 could not be read]");
}

/// The same hits as the system's grep, and the same names as its find, over a tree made by a fixed rule.
#[tokio::test]
async fn they_agree_with_grep_and_find_of_the_system() {
    let lab = Lab::new();
    for n in 0..60u32 {
        let dir = ["", "a/", "a/b/", "c d/"][n as usize % 4];
        let lines: String = (0..n % 7).map(|l| format!("{} word{} end\n", n * l, (n + l) % 5)).collect();
        lab.put(&format!("{dir}f{n}.{}", ["txt", "rs"][n as usize % 2]), lines);
    }
    let run = |program: &str, args: &[&str]| {
        let out = Command::new(program).args(args).current_dir(lab.at("")).output().ok()?;
        let mut lines: Vec<String> = String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(|l| l.trim_start_matches("./").to_owned())
            .collect();
        lines.sort();
        Some(lines)
    };
    let Some(grep) = run("grep", &["-rnE", "word[13] end$", "."]) else {
        eprintln!("skipped: no grep here");
        return;
    };
    let mut ours: Vec<String> = lab
        .ok("grep", json!({"pattern": "word[13] end$"}))
        .await
        .lines()
        .map(|l| l.replacen(": ", ":", 1))
        .collect();
    ours.sort();
    assert!(grep.len() > 20 && grep.len() < 100);
    assert_eq!(ours, grep);
    let Some(find) = run("find", &[".", "-name", "f[1-3]*.rs"]) else {
        eprintln!("skipped: no find here");
        return;
    };
    let mut ours: Vec<String> =
        lab.ok("find", json!({"pattern": "f[1-3]*.rs"})).await.lines().map(str::to_owned).collect();
    ours.sort();
    assert_eq!(ours, find);
}
