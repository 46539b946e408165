//! What happens to tools on a bad day: kept outputs, huge files, calls dropped half way, several sessions at once.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clankers_tools::{AllowAll, OutputSink, Status, Tools};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, only, until};

/// The file that a long output went to.
async fn spilled(lab: &Lab) -> String {
    let outcome = lab.run("bash", json!({"command": "seq 1 5000"})).await;
    outcome.details.unwrap()["output_file"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_whole_output_can_be_read_and_searched() {
    let lab = Lab::new();
    let file = spilled(&lab).await;
    let page = lab.ok("read", json!({"path": file, "offset": 41, "limit": 2})).await;
    assert!(page.starts_with("41\n42\n\n[lines 41 to 42 of 5000"), "{page}");
    let hits = lab.ok("grep", json!({"pattern": "^123[45]$", "path": file})).await;
    assert!(hits.lines().count() == 2 && hits.ends_with(":1235: 1235"), "{hits}");
    // Authority is asked about a path that lies in no scope.
    let call = lab.call("read", json!({"path": file}));
    let facts = call.facts(lab.tools.workspace()).unwrap();
    assert!(facts.path.unwrap().starts_with("~/output/bash-"));
    assert_eq!(lab.gated("read", json!({"path": file}), only("src")).await.status, Status::Denied);
}

#[tokio::test]
async fn a_kept_output_opens_nothing_else() {
    let (lab, other) = (Lab::new(), Lab::new());
    let file = spilled(&lab).await;
    other.denied("read", json!({"path": file})).await;
    lab.denied("write", json!({"path": file, "content": "x"})).await;
    lab.denied("edit", json!({"path": file, "edits": [{"old_text": "41\n", "new_text": ""}]})).await;
    let dir = std::path::Path::new(&file).parent().unwrap().to_str().unwrap();
    for path in
        [dir.to_owned(), format!("{dir}/../secret"), format!("{dir}/bash-1.log/../x"), format!("{dir}/x")]
    {
        lab.denied("read", json!({"path": path})).await;
    }
    lab.denied("read", json!({"path": "~/output/bash-1.log"})).await;
    lab.fails("ls", json!({"path": file})).await;
    // A command may put what it likes in that place; a link there leads nowhere.
    fs::write(lab.outer.path().join("secret"), "secret").unwrap();
    fs::remove_file(&file).unwrap();
    symlink(lab.outer.path().join("secret"), &file).unwrap();
    assert!(lab.fails("read", json!({"path": file})).await.contains("no such file"));
}

#[tokio::test]
async fn a_huge_file_is_no_burden_to_edit_grep_and_write() {
    let lab = Lab::new();
    lab.put("huge", "hit\n");
    fs::File::options().write(true).open(lab.at("huge")).unwrap().set_len(3 << 30).unwrap();
    lab.put("small", "hit\n");
    let started = Instant::now();
    let edit = json!({"path": "huge", "edits": [{"old_text": "hit", "new_text": "x"}]});
    assert!(lab.fails("edit", edit).await.contains("the limit is 4194304"));
    assert_eq!(lab.ok("grep", json!({"pattern": "hit"})).await, "small:1: hit");
    lab.ok("write", json!({"path": "huge", "content": "tiny"})).await;
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[tokio::test]
async fn binaries_full_of_hits_do_not_hide_what_comes_after_them() {
    let lab = Lab::new();
    // Past the first buffer, so that hits are found before the NUL is.
    let binary = [b"hit\n".repeat(90), b"no\n".repeat(40_000), vec![0]].concat();
    for n in 0..80 {
        lab.put(&format!("a{n:03}"), &binary);
        lab.put(&format!("b{n:03}"), "hit\n");
    }
    let text = lab.ok("grep", json!({"pattern": "hit"})).await;
    let want: Vec<String> = (0..80).map(|n| format!("b{n:03}:1: hit")).collect();
    assert_eq!(text, want.join("\n"));
}

#[tokio::test]
async fn hits_keep_their_order_when_the_first_file_is_the_slowest() {
    let lab = Lab::new();
    lab.put("a", format!("{}hit\n", "no\n".repeat(2_000_000)));
    for n in 0..300 {
        lab.put(&format!("b{n:03}"), "hit\n");
    }
    let outcome = lab.run("grep", json!({"pattern": "hit"})).await;
    let mut lines = outcome.text.lines();
    assert_eq!(lines.next(), Some("a:2000001: hit"));
    for n in 0..99 {
        assert_eq!(lines.next().map(str::to_owned), Some(format!("b{n:03}:1: hit")));
    }
    assert_eq!(outcome.details.unwrap()["hits"], 100);
    assert!(outcome.truncated.is_some());
}

#[tokio::test]
async fn a_change_dropped_half_way_leaves_the_old_file_or_the_new_and_nothing_else() {
    let lab = Lab::new();
    let (old, new) = ("o".repeat(2 << 20), "n".repeat(2 << 20));
    lab.put("file", &old);
    let (mut kept, mut done) = (0, 0);
    for round in 0..60 {
        let call =
            lab.call("write", json!({"path": "file", "content": if round % 2 == 0 { &new } else { &old }}));
        let (tools, cancel) = (lab.tools.clone(), CancellationToken::new());
        let token = cancel.clone();
        let run =
            tokio::spawn(
                async move { tools.run(&call, Arc::new(AllowAll), OutputSink::none(), token).await },
            );
        for _ in 0..round % 6 {
            tokio::task::yield_now().await;
        }
        if round % 3 == 0 {
            run.abort()
        } else {
            cancel.cancel()
        }
        match run.await.map(|outcome| outcome.status) {
            Ok(Status::Ok) => done += 1,
            Ok(Status::Interrupted) | Err(_) => kept += 1,
            Ok(other) => panic!("{other:?}"),
        }
    }
    assert!(kept > 0, "nothing was ever interrupted ({done} done)");
    until("what had begun is over", || fs::read_dir(lab.at("")).unwrap().count() == 1).await;
    let left = lab.get("file");
    assert!(left == old.as_bytes() || left == new.as_bytes(), "half a file of {} bytes", left.len());
}

#[tokio::test]
async fn what_one_session_read_is_not_what_another_read() {
    let lab = Lab::new();
    let other = Tools::new(lab.tools.workspace().clone(), None);
    lab.put("a", "one\ntwo\n");
    lab.ok("read", json!({"path": "a"})).await;
    let edit = lab.call("edit", json!({"path": "a", "edits": [{"old_text": "one", "new_text": "1"}]}));
    let theirs = other.run(&edit, Arc::new(AllowAll), OutputSink::none(), CancellationToken::new()).await;
    assert_eq!(theirs.status, Status::Ok, "{}", theirs.text);
    let mine = json!({"path": "a", "edits": [{"old_text": "two", "new_text": "2"}]});
    assert!(lab.fails("edit", mine.clone()).await.contains("changed on disk since it was last read"));
    lab.ok("read", json!({"path": "a"})).await;
    lab.ok("edit", mine).await;
    assert_eq!(lab.get("a"), b"1\n2\n");
}

#[tokio::test]
async fn a_storm_of_forks_is_put_down_on_abort() {
    let lab = Lab::new();
    lab.put("storm.sh", "touch started\n[ $1 -gt 0 ] || exec sleep 1000\nsetsid sh storm.sh $(($1 - 1)) &\nsetsid sh storm.sh $(($1 - 1)) &\nwait\n");
    let call = lab.call("bash", json!({"command": "trap '' TERM INT HUP; sh storm.sh 6"}));
    let (tools, cancel) = (lab.tools.clone(), CancellationToken::new());
    let token = cancel.clone();
    let run =
        tokio::spawn(async move { tools.run(&call, Arc::new(AllowAll), OutputSink::none(), token).await });
    until("the storm has begun", || lab.at("started").exists()).await;
    cancel.cancel();
    let outcome = tokio::time::timeout(Duration::from_secs(10), run).await.unwrap().unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    let here = lab.at("").canonicalize().unwrap();
    let left = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        all.filter(|process| fs::read_link(process.path().join("cwd")).is_ok_and(|cwd| cwd == here)).count()
    };
    until("nothing of the storm is left", || left() == 0).await;
}
