//! read, write and edit on files nice and nasty.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use clankers_tools::{CutBy, Status};
use serde_json::json;

use crate::lab::{Lab, fifo};

#[tokio::test]
async fn read_shows_pages_and_says_how_to_go_on() {
    let lab = Lab::new();
    lab.put("a", (1..=5000).map(|n| format!("line {n}\n")).collect::<String>());
    let first = lab.run("read", json!({"path": "a"})).await;
    assert!(first.text.starts_with("line 1\nline 2\n"));
    assert!(
        first.text.ends_with("line 2000\n\n[lines 1 to 2000 of 5000; continue with offset 2001]"),
        "{}",
        &first.text[first.text.len() - 90..]
    );
    let cut = first.truncated.unwrap();
    assert_eq!((cut.by, cut.shown_lines, cut.total_lines), (CutBy::Lines, 2000, Some(5000)));
    let last = lab.ok("read", json!({"path": "a", "offset": 4001})).await;
    assert!(last.starts_with("line 4001\n") && last.ends_with("\nline 5000"));
    let some = lab.run("read", json!({"path": "a", "offset": 10, "limit": 2})).await;
    assert_eq!(some.text, "line 10\nline 11\n\n[lines 10 to 11 of 5000; continue with offset 12]");
    assert_eq!(some.truncated, None);
    let beyond = lab.fails("read", json!({"path": "a", "offset": 5001})).await;
    assert!(beyond.contains("it has 5000 lines"), "{beyond}");
}

#[tokio::test]
async fn read_stops_before_the_line_that_does_not_fit() {
    let lab = Lab::new();
    lab.put("wide", format!("{}\n", "é".repeat(2000)).repeat(100));
    let outcome = lab.run("read", json!({"path": "wide"})).await;
    assert_eq!(outcome.truncated.unwrap().by, CutBy::Bytes);
    let (text, note) = outcome.text.rsplit_once("\n\n").unwrap();
    assert!(text.lines().all(|line| line.chars().count() == 2000));
    let shown = text.lines().count();
    assert_eq!(note, format!("[lines 1 to {shown} of 100; continue with offset {}]", shown + 1));
    // Pages join without a gap or an overlap.
    let mut seen = 0;
    while seen < 100 {
        let page = lab.run("read", json!({"path": "wide", "offset": seen + 1})).await;
        seen += page.details.unwrap()["lines"].as_u64().unwrap();
    }
    assert_eq!(seen, 100);
}

#[tokio::test]
async fn a_line_longer_than_the_limit_is_named_not_halved() {
    let lab = Lab::new();
    lab.put("long", format!("{}\nnext\n", "x".repeat(200_000)));
    let outcome = lab.run("read", json!({"path": "long"})).await;
    assert_eq!(outcome.status, Status::Ok);
    assert!(
        outcome.text.starts_with("[line 1 alone is 200000 bytes") && outcome.text.contains("offset 2"),
        "{}",
        outcome.text
    );
    assert_eq!(lab.ok("read", json!({"path": "long", "offset": 2})).await, "next");
}

#[tokio::test]
async fn odd_texts_are_read() {
    let lab = Lab::new();
    lab.put("crlf", "a\r\nb\r\n");
    lab.put("bom", "\u{feff}a\nb");
    lab.put("empty", "");
    lab.put("newline", "\n");
    lab.put("latin1", b"caf\xe9\n");
    assert_eq!(lab.ok("read", json!({"path": "crlf"})).await, "a\nb");
    assert_eq!(lab.ok("read", json!({"path": "bom"})).await, "a\nb");
    assert_eq!(lab.ok("read", json!({"path": "empty"})).await, "[empty is empty]");
    assert_eq!(lab.ok("read", json!({"path": "newline"})).await, "");
    let latin1 = lab.ok("read", json!({"path": "latin1"})).await;
    assert!(latin1.starts_with("caf\u{fffd}\n\n[some bytes are not UTF-8"), "{latin1}");
}

#[tokio::test]
async fn what_is_not_text_is_refused_kindly() {
    let lab = Lab::new();
    lab.put("bin", b"\x7fELF\x02\x01");
    lab.put("late", [b"text\n".repeat(4000), vec![0]].concat());
    lab.put("utf16", b"\xff\xfea\0b\0");
    assert!(lab.fails("read", json!({"path": "bin"})).await.contains("ELF binary, 6 bytes"));
    assert!(lab.fails("read", json!({"path": "late", "offset": 3990})).await.contains("NUL"));
    assert!(lab.fails("read", json!({"path": "utf16"})).await.contains("UTF-16"));
    assert!(lab.fails("read", json!({"path": "."})).await.contains("is a directory"));
    assert!(lab.fails("read", json!({"path": "none"})).await.contains("no such file"));
    assert!(lab.fails("read", json!({"path": "bin/x"})).await.contains("not a directory"));
}

#[tokio::test]
async fn images_are_named_or_attached() {
    let lab = Lab::new();
    let png = [b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 20]].concat();
    lab.put("a.png", &png);
    let named = lab.fails("read", json!({"path": "a.png"})).await;
    assert!(
        named.contains("is an image (image/png, 28 bytes)") && named.contains("cannot be shown"),
        "{named}"
    );
    let tools = clankers_tools::Tools::new(lab.tools.workspace().clone(), None).with_images();
    let lab = Lab { outer: lab.outer, tools: std::sync::Arc::new(tools) };
    let outcome = lab.run("read", json!({"path": "a.png"})).await;
    assert_eq!((outcome.attachments[0].mime, &outcome.attachments[0].bytes), ("image/png", &png));
    lab.put("big.png", [png, vec![0; 4_000_000]].concat());
    assert!(lab.fails("read", json!({"path": "big.png"})).await.contains("limit is 3750000"));
}

#[tokio::test]
async fn a_huge_file_costs_only_what_is_shown() {
    let lab = Lab::new();
    lab.put("huge", "first\nsecond\n");
    // 1 TiB, all but its beginning a hole.
    fs::File::options().write(true).open(lab.at("huge")).unwrap().set_len(1 << 40).unwrap();
    let some =
        tokio::time::timeout(Duration::from_secs(10), lab.run("read", json!({"path": "huge", "limit": 1})))
            .await
            .unwrap();
    assert!(some.text.contains("NUL"), "{}", some.text);
    lab.put("tall", "0123456789abcde\n".repeat(9000));
    fs::File::options().write(true).open(lab.at("tall")).unwrap().set_len(1 << 40).unwrap();
    let some =
        tokio::time::timeout(Duration::from_secs(10), lab.run("read", json!({"path": "tall", "limit": 2})))
            .await
            .unwrap();
    assert!(some.text.ends_with("[lines 1 to 2 of more; continue with offset 3]"), "{}", some.text);
}

#[tokio::test]
async fn pipes_and_devices_are_not_opened() {
    let lab = Lab::new();
    fifo(&lab.at("pipe"));
    std::os::unix::net::UnixListener::bind(lab.at("socket")).unwrap();
    for (path, kind) in [("pipe", "named pipe"), ("socket", "socket")] {
        for (tool, args) in [
            ("read", json!({"path": path})),
            ("write", json!({"path": path, "content": "x"})),
            ("edit", json!({"path": path, "edits": [{"old_text": "a", "new_text": "b"}]})),
            ("grep", json!({"pattern": "a", "path": path})),
        ] {
            let outcome =
                tokio::time::timeout(Duration::from_secs(5), lab.run(tool, args)).await.expect("it blocked");
            assert!(
                outcome.status == Status::Error && outcome.text.contains(kind),
                "{tool}: {}",
                outcome.text
            );
        }
    }
    // A whole search passes by them.
    let grep =
        tokio::time::timeout(Duration::from_secs(5), lab.run("grep", json!({"pattern": "a"}))).await.unwrap();
    assert_eq!(grep.status, Status::Ok, "{}", grep.text);
}

#[tokio::test]
async fn a_device_is_refused() {
    let lab = Lab::new();
    let device = lab.at("zero");
    let made = rustix::fs::mknodat(
        rustix::fs::CWD,
        &device,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::from_raw_mode(0o600),
        rustix::fs::makedev(1, 5),
    );
    if made.is_err() {
        eprintln!("skipped: only root may make a device, and not in every container");
        return;
    }
    assert!(lab.fails("read", json!({"path": "zero"})).await.contains("device"));
    assert!(lab.fails("write", json!({"path": "zero", "content": ""})).await.contains("device"));
}

#[tokio::test]
async fn write_makes_parents_and_reports_bytes() {
    let lab = Lab::new();
    assert_eq!(
        lab.ok("write", json!({"path": "a/b/c.txt", "content": "héllo\n"})).await,
        "created a/b/c.txt: 7 bytes written"
    );
    assert_eq!(
        lab.ok("write", json!({"path": "./a//b/c.txt", "content": ""})).await,
        "replaced a/b/c.txt: 0 bytes written"
    );
    assert_eq!(lab.get("a/b/c.txt"), b"");
    assert!(lab.fails("write", json!({"path": "a", "content": ""})).await.contains("is a directory"));
    assert!(
        lab.fails("write", json!({"path": "a/b/c.txt/d", "content": ""})).await.contains("not a directory")
    );
    assert_eq!(fs::read_dir(lab.at("a/b")).unwrap().count(), 1, "a temporary file was left behind");
}

#[tokio::test]
async fn write_keeps_the_mode_but_not_set_id() {
    let lab = Lab::new();
    lab.put("run.sh", "old");
    fs::set_permissions(lab.at("run.sh"), fs::Permissions::from_mode(0o6751)).unwrap();
    lab.ok("write", json!({"path": "run.sh", "content": "new"})).await;
    assert_eq!(fs::metadata(lab.at("run.sh")).unwrap().mode() & 0o7777, 0o751);
}

#[tokio::test]
async fn write_goes_through_inner_links_and_leaves_other_names_alone() {
    let lab = Lab::new();
    lab.put("real/file", "old");
    symlink("real/file", lab.at("link")).unwrap();
    symlink("real/new", lab.at("dangling")).unwrap();
    fs::hard_link(lab.at("real/file"), lab.at("twin")).unwrap();
    let text = lab.ok("write", json!({"path": "link", "content": "new"})).await;
    assert!(text.contains("real/file"), "{text}");
    lab.ok("write", json!({"path": "dangling", "content": "made"})).await;
    assert_eq!(lab.get("real/file"), b"new");
    assert_eq!(lab.get("real/new"), b"made");
    assert_eq!(lab.get("twin"), b"old");
    assert!(fs::symlink_metadata(lab.at("link")).unwrap().is_symlink());
}

/// Root may do everything, so root has this done by nobody.
#[test]
fn permissions_are_respected() {
    let mut apart = Command::new(std::env::current_exe().unwrap());
    let home = tempfile::tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65_534;
        let program = home.path().join("tests");
        fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
        std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        apart = Command::new(program);
        apart.uid(NOBODY).gid(NOBODY);
    }
    let output = apart
        .args(["--ignored", "--exact", "files::permissions_of_a_mortal", "--nocapture"])
        .env("TMPDIR", home.path())
        .current_dir(home.path())
        .output();
    match output {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) => eprintln!("skipped: cannot run as nobody here: {error}"),
    }
}

#[tokio::test]
#[ignore = "the test before runs it"]
async fn permissions_of_a_mortal() {
    assert!(!rustix::process::geteuid().is_root());
    let lab = Lab::new();
    lab.put("secret", "x");
    lab.put("fixed", "x");
    lab.put("closed/x", "x");
    lab.put("passage/inner/x", "x");
    let chmod =
        |path: &str, mode| fs::set_permissions(lab.at(path), fs::Permissions::from_mode(mode)).unwrap();
    chmod("secret", 0o000);
    chmod("fixed", 0o444);
    chmod("closed", 0o000);
    chmod("passage", 0o111);
    assert!(lab.fails("read", json!({"path": "secret"})).await.contains("ermission denied"));
    assert!(lab.fails("read", json!({"path": "closed/x"})).await.contains("ermission denied"));
    assert!(lab.fails("ls", json!({"path": "passage"})).await.contains("ermission denied"));
    let edit = json!({"path": "fixed", "edits": [{"old_text": "x", "new_text": "y"}]});
    assert!(lab.fails("write", json!({"path": "fixed", "content": "y"})).await.contains("ermission denied"));
    assert!(lab.fails("edit", edit).await.contains("ermission denied"));
    assert!(
        lab.fails("write", json!({"path": "passage/new", "content": "y"})).await.contains("ermission denied")
    );
    assert_eq!(lab.get("fixed"), b"x");
    let grep = lab.ok("grep", json!({"pattern": "x"})).await;
    assert_eq!(grep, "fixed:1: x\n\n[3 could not be read]");
    // A directory that can be gone through but not listed.
    #[cfg(target_os = "linux")]
    assert_eq!(lab.ok("read", json!({"path": "passage/inner/x"})).await, "x");
    for dir in ["closed", "passage"] {
        chmod(dir, 0o755);
    }
}

#[tokio::test]
async fn edit_changes_what_it_names_and_shows_a_diff() {
    let lab = Lab::new();
    lab.put("a.rs", b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\nfour \xff\r\nfive");
    fs::set_permissions(lab.at("a.rs"), fs::Permissions::from_mode(0o640)).unwrap();
    let outcome = lab
        .run("edit", json!({"path": "a.rs", "edits": [{"old_text": "five", "new_text": "5\n6"}, {"old_text": "two\nthree", "new_text": "2\n2.5\n3"}]}))
        .await;
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
    assert_eq!(lab.get("a.rs"), b"\xef\xbb\xbfone\r\n2\r\n2.5\r\n3\r\nfour \xff\r\n5\r\n6");
    assert!(
        outcome.text.contains("-two") && outcome.text.contains("+2.5") && outcome.text.contains("--- a/a.rs"),
        "{}",
        outcome.text
    );
    assert_eq!(fs::metadata(lab.at("a.rs")).unwrap().mode() & 0o777, 0o640);
}

#[tokio::test]
async fn edit_errors_leave_the_file_alone() {
    let lab = Lab::new();
    lab.put("a", "x\nx\ny\n");
    let before = fs::metadata(lab.at("a")).unwrap().ino();
    let edit = |old: &str, new: &str| json!({"path": "a", "edits": [{"old_text": "y", "new_text": "z"}, {"old_text": old, "new_text": new}]});
    assert!(
        lab.fails("edit", edit("nope", "")).await.contains("edit 2 of 2: the old text is not in the file")
    );
    assert!(lab.fails("edit", edit("x", "")).await.contains("2 times, at lines 1, 2"));
    assert!(lab.fails("edit", edit("x\ny", "")).await.contains("overlap"));
    assert!(lab.fails("edit", edit("", "q")).await.contains("old_text is empty"));
    let same = json!({"path": "a", "edits": [{"old_text": "y", "new_text": "y"}]});
    assert!(lab.fails("edit", same).await.contains("change nothing"));
    assert!(
        lab.fails("edit", json!({"path": "b", "edits": [{"old_text": "y", "new_text": "z"}]}))
            .await
            .contains("no such file")
    );
    assert_eq!((lab.get("a"), fs::metadata(lab.at("a")).unwrap().ino()), (b"x\nx\ny\n".to_vec(), before));
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_read_is_not_changed_blindly() {
    let lab = Lab::new();
    lab.put("a", "one\n");
    let edit = json!({"path": "a", "edits": [{"old_text": "one", "new_text": "two"}]});
    lab.ok("read", json!({"path": "a"})).await;
    lab.put("a", "one more\n");
    assert!(lab.fails("edit", edit.clone()).await.contains("changed on disk since it was last read"));
    assert!(lab.fails("write", json!({"path": "a", "content": "x"})).await.contains("changed on disk"));
    lab.ok("read", json!({"path": "a"})).await;
    lab.ok("edit", edit).await;
    assert_eq!(lab.get("a"), b"two more\n");
    // What the session itself wrote it knows; also through another name.
    symlink("a", lab.at("l")).unwrap();
    lab.ok("edit", json!({"path": "l", "edits": [{"old_text": "more", "new_text": "less"}]})).await;
    lab.ok("write", json!({"path": "a", "content": "x"})).await;
}

#[tokio::test]
async fn edits_of_one_file_at_once_all_arrive() {
    let lab = Lab::new();
    lab.put("a", (0..24).map(|n| format!("<{n}>\n")).collect::<String>());
    let edits = (0..24).map(|n| {
        let (tools, call) = (
            lab.tools.clone(),
            lab.call(
                "edit",
                json!({"path": "a", "edits": [{"old_text": format!("<{n}>"), "new_text": format!("[{n}]")}]}),
            ),
        );
        tokio::spawn(async move {
            tools
                .run(
                    &call,
                    std::sync::Arc::new(clankers_tools::AllowAll),
                    clankers_tools::OutputSink::none(),
                    Default::default(),
                )
                .await
        })
    });
    for edit in edits.collect::<Vec<_>>() {
        let outcome = edit.await.unwrap();
        assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
    }
    assert_eq!(lab.get("a"), (0..24).map(|n| format!("[{n}]\n")).collect::<String>().into_bytes());
}

#[tokio::test]
async fn a_deleted_workspace_is_said() {
    let lab = Lab::new();
    fs::remove_dir(lab.at("")).unwrap();
    for (tool, args) in [
        ("read", json!({"path": "a"})),
        ("write", json!({"path": "a/b", "content": ""})),
        ("write", json!({"path": "a", "content": ""})),
        ("bash", json!({"command": "pwd"})),
    ] {
        let text = lab.fails(tool, args).await;
        assert!(text.contains("was deleted or moved"), "{tool}: {text}");
    }
}
