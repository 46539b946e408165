//! Paths: what a token for some of them does not reach.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use clankers_protocol::{event::Outcome, refusal::RefusalCode};
use clankers_tests::{
    NodeHome,
    forge::{self, Link},
    hostile::{Guest, Hostile},
};
use serde_json::json;
use ucan::{Policy, Profile};

use super::granted;
use crate::{
    BIN,
    attacks::{info, raw},
};

const SECRET: &str = "not-within-the-scope";

async fn denied(guest: &Guest, text: &str) {
    let taken = raw::run(guest, text).await.unwrap();
    let results = taken.results();
    assert!(!format!("{results:?}").contains(SECRET), "{text}: {results:?}");
    assert_ne!(taken.outcome(), Outcome::Completed, "{text}: {results:?}");
}

async fn allowed(guest: &Guest, text: &str) -> String {
    let taken = raw::run(guest, text).await.unwrap();
    let results = format!("{:?}", taken.results());
    assert_eq!(taken.outcome(), Outcome::Completed, "{text}: {results}");
    assert!(!results.contains(SECRET), "{text}: {results}");
    results
}

fn bait(home: &NodeHome) -> String {
    for name in ["secret.txt", "src2/secret.txt", "srcx", "café/secret.txt"] {
        home.file(name, SECRET);
    }
    home.file("cafe\u{301}/secret.txt", SECRET);
    home.file("src/ok.txt", "fine");
    let src = home.workspace().join("src");
    symlink("../secret.txt", src.join("link")).unwrap();
    symlink("..", src.join("up")).unwrap();
    symlink("../src2", src.join("dirlink")).unwrap();
    fs::create_dir_all(src.join(".git/hooks")).unwrap();
    home.workspace().display().to_string()
}

/// Ways out of `src`.
fn ways_out(workspace: &str) -> Vec<String> {
    let beneath = [
        "secret.txt",
        "../x",
        "../../etc/passwd",
        "src/../secret.txt",
        "src/../../etc/passwd",
        "src/./../secret.txt",
        "src2/secret.txt",
        "srcx",
        "src/../src2/secret.txt",
        "SRC/ok.txt",
        "Src/ok.txt",
        "src\\..\\secret.txt",
        "src/\u{0}/../../secret.txt",
        "src\u{0}",
        "/etc/passwd",
        "src/link",
        "src/up/secret.txt",
        "src/dirlink/secret.txt",
        "src/up/src/../secret.txt",
        ".",
        "",
        "./",
        "café/secret.txt",
        "cafe\u{301}/secret.txt",
        "ſrc/ok.txt",
        "src/../.git/config",
        "~/secret",
        "src /../secret.txt",
    ];
    let absolute = ["secret.txt", "src2/secret.txt", "src/../secret.txt", "src/link", "src/up/secret.txt"];
    let absolute = absolute.iter().map(|path| format!("{workspace}/{path}"));
    beneath.iter().map(|path| (*path).to_owned()).chain(absolute).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tool_keeps_to_the_paths_of_the_token() {
    let home = NodeHome::new(BIN);
    let workspace = bait(&home);
    let node = home.start();
    let all = ["--tools", "read,grep,find,ls,write,edit", "--path", "src"];
    let (peer, guest, _) = granted(&node, &all).await;
    for path in ways_out(&workspace) {
        denied(&guest, &format!("/read {}", json!({ "path": path }))).await;
        denied(&guest, &format!("/ls {}", json!({ "path": path }))).await;
        let arguments = json!({ "path": path, "content": "evil" });
        denied(&guest, &format!("/write {arguments}")).await;
    }
    for search in [
        format!("/grep {SECRET}"),
        format!("/grep {SECRET} src2"),
        "/find **/*".into(),
        "/ls".into(),
        format!("/grep {SECRET} src/up"),
    ] {
        denied(&guest, &search).await;
    }
    for hook in ["src/.git/hooks/pre-commit", "src/.git/config", "src/new/.git/hooks/x", "src/.GIT/hooks/x"] {
        let arguments = json!({ "path": hook, "content": "evil" });
        denied(&guest, &format!("/write {arguments}")).await;
    }
    let edit = json!({ "path": "src/link", "edits": [{ "old": "not", "new": "evil" }] });
    denied(&guest, &format!("/edit {edit}")).await;

    // What is within the scope works in each of its spellings, and searching there follows no link out of it.
    for path in ["src/ok.txt", "./src//ok.txt", "src/./ok.txt", &format!("{workspace}/src/ok.txt")] {
        assert!(allowed(&guest, &format!("/read {path}")).await.contains("fine"));
    }
    allowed(&guest, "/write src/deep/new.txt made").await;
    allowed(&guest, "/ls src").await;
    allowed(&guest, &format!("/grep {SECRET} src")).await;
    let found = allowed(&guest, &format!("/find {}", json!({ "pattern": "**/*", "path": "src" }))).await;
    assert!(found.contains("ok.txt") && !found.contains("secret.txt"), "{found}");
    assert_eq!(fs::read_to_string(home.workspace().join("secret.txt")).unwrap(), SECRET);
    assert_eq!(fs::read_dir(home.workspace().join("src/.git/hooks")).unwrap().count(), 0);
    peer.close().await;

    // Two names that look alike are two names.
    let (peer, guest, _) = granted(&node, &["--tools", "read", "--path", "café"]).await;
    denied(&guest, "/read cafe\u{301}/secret.txt").await;
    let taken = raw::run(&guest, "/read café/secret.txt").await.unwrap();
    assert_eq!(taken.outcome(), Outcome::Completed, "{:?}", taken.results());
    peer.close().await;
}

/// Lets a name lead inside and outside in turn, until it is told to stop.
fn swap(src: &Path, stop: &std::sync::atomic::AtomicBool) {
    for round in 0_u64.. {
        if stop.load(std::sync::atomic::Ordering::Relaxed) {
            return;
        }
        let fresh = src.join("door.new");
        symlink(if round % 2 == 0 { "../src2" } else { "inner" }, &fresh).unwrap();
        fs::rename(&fresh, src.join("door")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_swapped_between_check_and_open_leads_nowhere() {
    let home = NodeHome::new(BIN);
    bait(&home);
    home.file("src/inner/secret.txt", "harmless");
    let node = home.start();
    let (peer, guest, _) = granted(&node, &["--tools", "read,grep", "--path", "src"]).await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let swapping = std::thread::spawn({
        let (stop, src) = (stop.clone(), home.workspace().join("src"));
        move || swap(&src, &stop)
    });
    let (mut opened, mut refused, deadline) = (0, 0, Instant::now() + Duration::from_secs(20));
    // Until both sides of the door were seen often enough.
    while opened < 20 || refused < 20 {
        assert!(Instant::now() < deadline, "{opened} opened, {refused} refused");
        let taken = raw::run(&guest, "/read src/door/secret.txt").await.unwrap();
        let results = format!("{:?}", taken.results());
        assert!(!results.contains(SECRET), "{results}");
        if results.contains("harmless") { opened += 1 } else { refused += 1 }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    swapping.join().unwrap();
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_is_refused_under_any_path_scope() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let audience = peer.id().to_string();
    for what in [&["--tools", "bash"][..], &["--tools", "read,bash"]] {
        let ran = node.cli(["token", "create", "--for", &audience, "--path", "src"]).args(what).run().code(2);
        assert!(ran.err().contains("shell"), "{}", ran.story());
    }
    // With the node's own key: a policy that names a path and means to let bash through.
    let through = Policy::or([
        Policy::one_of(".cmd", ["/clankers/prompt/send", "/clankers/shell/exec"]),
        Policy::eq(".path", "src"),
    ]);
    let link = Link::new(home.seed(), node.id(), peer.id())
        .policy(Policy::build([through], Profile::Strict).unwrap());
    let (guest, _) = peer.welcomed(node.address(), vec![forge::container([link.bytes()])]).await;
    let taken = raw::run(&guest, "/bash touch owned").await.unwrap();
    assert_eq!(taken.outcome(), Outcome::Denied, "{:?}", taken.results());
    assert!(!home.workspace().join("owned").exists());
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_argument_that_a_request_does_not_have_denies_it() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    for policy in [
        Policy::one_of(".session", ["a"]),
        Policy::like(".nothing", "*"),
        Policy::eq(".ctx.nothing", ucan::Ipld::Integer(0)),
        Policy::like(".path", "*"),
    ] {
        let link = Link::new(home.seed(), node.id(), peer.id())
            .policy(Policy::build([policy], Profile::Strict).unwrap());
        let (guest, _) = peer.welcomed(node.address(), vec![forge::container([link.bytes()])]).await;
        assert_eq!(raw::refused(&guest, &info()).await, RefusalCode::Unauthorized);
    }
    peer.close().await;
}
