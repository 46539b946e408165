//! Nothing outside is reached, and nothing of the node.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, Mutex};

use clankers_tools::{AllowAll, Forbidden, Status, ToolCall, Workspace};
use serde_json::{Value, json};

use crate::lab::{Lab, only};

const SECRET: &str = "the-secret-of-the-node";

/// Every tool but bash, pointed at a path.
fn every(path: &str) -> Vec<(&'static str, Value)> {
    vec![
        ("read", json!({"path": path})),
        ("write", json!({"path": path, "content": "stolen"})),
        ("edit", json!({"path": path, "edits": [{"old_text": SECRET, "new_text": "stolen"}]})),
        ("grep", json!({"pattern": ".", "path": path})),
        ("find", json!({"pattern": "*", "path": path})),
        ("ls", json!({"path": path})),
    ]
}

#[tokio::test]
async fn paths_that_lead_out_are_refused() {
    let lab = Lab::new();
    fs::write(lab.outer.path().join("secret"), SECRET).unwrap();
    fs::create_dir(lab.at("src")).unwrap();
    let absolute = lab.outer.path().join("secret");
    for path in [
        "../secret",
        "src/../../secret",
        "..",
        "src/../..",
        absolute.to_str().unwrap(),
        "/etc/passwd",
        "/",
        "a\0b",
        "..\\secret",
        "~/x",
        "/proc/self/environ",
        "./../secret",
        "src/./../../secret",
        "",
    ] {
        for (tool, args) in every(path) {
            let text = lab.denied(tool, args.clone()).await;
            assert!(!text.contains(SECRET));
            assert!(ToolCall::parse(tool, &args.to_string()).unwrap().facts(lab.tools.workspace()).is_err());
        }
    }
    assert_eq!(fs::read_to_string(absolute).unwrap(), SECRET);
}

#[tokio::test]
async fn links_that_lead_out_are_refused() {
    let lab = Lab::new();
    let outside = lab.outer.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), SECRET).unwrap();
    fs::create_dir(lab.at("src")).unwrap();
    symlink(&outside, lab.at("absolute")).unwrap();
    symlink("../outside", lab.at("relative")).unwrap();
    symlink("../../outside/secret", lab.at("src/file")).unwrap();
    symlink("src/../../outside", lab.at("winding")).unwrap();
    symlink("relative", lab.at("chain")).unwrap();
    symlink("/proc/self/root", lab.at("magic")).unwrap();
    for path in [
        "absolute",
        "absolute/secret",
        "relative/secret",
        "src/file",
        "winding/secret",
        "chain/secret",
        "magic/etc/passwd",
        "absolute/new",
    ] {
        for (tool, args) in every(path) {
            let text = lab.denied(tool, args).await;
            assert!(text.contains("leads out of the workspace") && !text.contains(SECRET), "{path}: {text}");
        }
    }
    for (tool, args) in [("grep", json!({"pattern": SECRET})), ("find", json!({"pattern": "secret"}))] {
        let text = lab.ok(tool, args).await;
        assert!(text.contains("nothing matches"), "{text}");
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), SECRET);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[tokio::test]
async fn inner_links_work_also_absolute_ones() {
    let lab = Lab::new();
    lab.put("a/b/file", "found");
    symlink("../../a/b", lab.at("a/b/self")).unwrap();
    symlink(lab.at("a").canonicalize().unwrap(), lab.at("absolute")).unwrap();
    symlink("a/b/../b/./file", lab.at("winding")).unwrap();
    for path in ["a/b/self/self/file", "absolute/b/file", "winding"] {
        assert_eq!(lab.ok("read", json!({"path": path})).await, "found", "{path}");
    }
    let absolute = lab.tools.workspace().path().join("a/b/file");
    assert_eq!(lab.ok("read", json!({"path": absolute})).await, "found");
}

#[tokio::test]
async fn link_loops_end() {
    let lab = Lab::new();
    symlink("b", lab.at("a")).unwrap();
    symlink("a", lab.at("b")).unwrap();
    symlink("self/self/x", lab.at("self")).unwrap();
    symlink(".", lab.at("here")).unwrap();
    lab.put("f", "x\n");
    for path in ["a", "b/x", "self"] {
        for (tool, args) in every(path) {
            assert!(lab.fails(tool, args).await.contains("loop"), "{tool} {path}");
        }
    }
    assert_eq!(lab.ok("find", json!({"pattern": "f"})).await, "f");
    assert_eq!(lab.ok("grep", json!({"pattern": "x"})).await, "f:1: x");
}

#[tokio::test]
async fn the_gate_sees_real_paths() {
    let lab = Lab::new();
    lab.put("secret/key", SECRET);
    lab.put("src/ok", "fine");
    lab.put("src2/no", SECRET);
    symlink("../secret/key", lab.at("src/link")).unwrap();
    symlink("../secret", lab.at("src/dir")).unwrap();
    let gate = only("src");
    assert_eq!(lab.gated("read", json!({"path": "src/ok"}), gate.clone()).await.text, "fine");
    for path in ["src/link", "src/dir/key", "src/dir/new", "src/dir", "secret/key", "src2/no", "src2", "."] {
        for (tool, args) in every(path) {
            let outcome = lab.gated(tool, args, gate.clone()).await;
            assert_eq!(outcome.status, Status::Denied, "{tool} {path}: {}", outcome.text);
            assert!(!outcome.text.contains(SECRET));
        }
    }
    // What is denied and what does not exist look alike through a link.
    let (there, not) = (
        lab.gated("read", json!({"path": "src/dir/key"}), gate.clone()).await,
        lab.gated("read", json!({"path": "src/dir/kez"}), gate).await,
    );
    assert_eq!(there.text.replace("key", "kez"), not.text);
    assert_eq!(lab.get("secret/key"), SECRET.as_bytes());
    assert!(!lab.at("secret/new").exists());
}

#[tokio::test]
async fn what_is_judged_before_is_what_is_asked_about_while_running() {
    let lab = Lab::new();
    lab.put("a/b/c", "x");
    let root = lab.tools.workspace().path().display().to_string();
    for spelled in ["a/b/c", "./a//b/c", "a/../a/b/./c", "a/b/c/", "/a/b/c", "//a/./b/c", "a/x/../b/c"] {
        let path = if spelled.starts_with('/') { format!("{root}{spelled}") } else { spelled.to_owned() };
        let call = lab.call("read", json!({"path": path}));
        let judged = call.facts(lab.tools.workspace()).unwrap().path.unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        let gate = move |path: &str| {
            log.lock().unwrap().push(path.to_owned());
            true
        };
        assert_eq!(lab.gated("read", json!({"path": path}), Arc::new(gate)).await.text, "x", "{path}");
        assert_eq!(
            (judged.as_str(), asked.lock().unwrap().as_slice()),
            ("a/b/c", [judged.clone()].as_slice())
        );
    }
}

#[tokio::test]
async fn searches_leave_out_what_the_gate_denies() {
    let lab = Lab::new();
    lab.put("src/ok", "hit\n");
    lab.put("top", "hit\n");
    lab.put("secret/key", "hit\n");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let gate = Arc::new(move |path: &str| {
        log.lock().unwrap().push(path.to_owned());
        path == "." || path == "src" || path.starts_with("src/")
    });
    assert_eq!(lab.gated("grep", json!({"pattern": "hit"}), gate.clone()).await.text, "src/ok:1: hit");
    assert_eq!(lab.gated("find", json!({"pattern": "*"}), gate.clone()).await.text, "src/\nsrc/ok");
    assert_eq!(lab.gated("ls", json!({}), gate).await.text, "src/");
    let asked = asked.lock().unwrap();
    for path in [".", "src/ok", "top", "secret/key"] {
        assert!(asked.iter().any(|a| a == path), "the gate was not asked about {path}");
    }
}

fn home_beside(outer: &Path) -> Forbidden {
    let home = outer.join("work/home");
    fs::create_dir_all(home.join("inbox")).unwrap();
    fs::create_dir_all(home.join("deep/er")).unwrap();
    fs::write(home.join("identity.key"), SECRET).unwrap();
    fs::write(home.join("deep/er/log"), SECRET).unwrap();
    fs::write(home.join("inbox/gift"), "for you").unwrap();
    Forbidden::new([home.clone()]).except([home.join("inbox")])
}

#[tokio::test]
async fn the_nodes_home_is_out_of_reach_whatever_leads_there() {
    let lab = Lab::with(home_beside);
    symlink("home", lab.at("link")).unwrap();
    symlink("home/identity.key", lab.at("keylink")).unwrap();
    fs::hard_link(lab.at("home/identity.key"), lab.at("hard")).unwrap();
    fs::hard_link(lab.at("home/deep/er/log"), lab.at("hardlog")).unwrap();
    for path in [
        "home",
        "home/identity.key",
        "link/identity.key",
        "keylink",
        "home/deep/er/log",
        "home/new",
        "home/deep/new/file",
    ] {
        for (tool, args) in every(path) {
            let text = lab.denied(tool, args).await;
            assert!(
                text.contains("belongs to the node itself") && !text.contains(SECRET),
                "{tool} {path}: {text}"
            );
        }
    }
    for path in ["hard", "hardlog"] {
        for tool in ["read", "edit", "grep", "write"] {
            let args = every(path).into_iter().find(|(name, _)| *name == tool).unwrap().1;
            assert!(lab.denied(tool, args).await.contains("belongs to the node itself"), "{tool} {path}");
        }
    }
    let grep = lab.ok("grep", json!({"pattern": "secret"})).await;
    assert!(grep.contains("nothing matches"), "{grep}");
    let find = lab.ok("find", json!({"pattern": "*", "all": true})).await;
    assert!(!find.contains("home"), "{find}");
    assert_eq!(lab.get("home/identity.key"), SECRET.as_bytes());
    // The inbox is the exception, and other hard links are nobody's business.
    assert_eq!(lab.ok("read", json!({"path": "home/inbox/gift"})).await, "for you");
    lab.ok("write", json!({"path": "link/inbox/answer", "content": "x"})).await;
    lab.put("one", "same");
    fs::hard_link(lab.at("one"), lab.at("two")).unwrap();
    assert_eq!(lab.ok("read", json!({"path": "two"})).await, "same");
}

#[tokio::test]
async fn a_home_that_was_moved_or_made_later_counts() {
    let lab = Lab::with(|outer| Forbidden::new([outer.join("work/home")]));
    fs::create_dir(lab.at("home")).unwrap();
    lab.put("home/identity.key", SECRET);
    lab.denied("read", json!({"path": "home/identity.key"})).await;
    fs::rename(lab.at("home"), lab.at("moved")).unwrap();
    symlink("moved", lab.at("home")).unwrap();
    lab.denied("read", json!({"path": "moved/identity.key"})).await;
}

#[test]
fn a_workspace_in_the_home_is_refused_except_in_its_inbox() {
    let outer = tempfile::tempdir().unwrap();
    let home = outer.path().join("home");
    fs::create_dir_all(home.join("inbox/in")).unwrap();
    fs::create_dir_all(home.join("logs")).unwrap();
    let forbidden = || Forbidden::new([home.clone()]).except([home.join("inbox")]);
    assert!(Workspace::open(&home, forbidden()).is_err());
    assert!(Workspace::open(&home.join("logs"), forbidden()).is_err());
    assert!(Workspace::open(&home.join("inbox/in"), forbidden()).is_ok());
    symlink(&home, outer.path().join("alias")).unwrap();
    assert!(Workspace::open(&outer.path().join("alias/logs"), forbidden()).is_err());
    let above = Workspace::open(outer.path(), forbidden()).unwrap();
    assert_eq!(above.id().len(), 32);
    assert_eq!(above.id(), Workspace::open(outer.path(), Forbidden::none()).unwrap().id());
}

#[test]
fn what_is_no_directory_is_no_workspace() {
    let outer = tempfile::tempdir().unwrap();
    fs::write(outer.path().join("file"), "").unwrap();
    for path in [outer.path().join("file"), outer.path().join("none"), "/proc/self".into()] {
        if path.starts_with("/proc") && !path.exists() {
            continue;
        }
        let error = Workspace::open(&path, Forbidden::none()).unwrap_err().to_string();
        assert!(error.contains("cannot be a workspace"), "{error}");
    }
}

#[tokio::test]
async fn the_kernels_own_files_are_out_of_reach() {
    if !Path::new("/proc/self/environ").exists() {
        eprintln!("skipped: no /proc here");
        return;
    }
    let workspace = Arc::new(Workspace::open(Path::new("/"), Forbidden::none()).unwrap());
    let tools = clankers_tools::Tools::new(workspace, None);
    for path in ["/proc/self/environ", "proc/self/environ", "/proc/self/maps", "/sys/kernel"] {
        let call = ToolCall::parse("read", &json!({"path": path}).to_string()).unwrap();
        let outcome = tools
            .run(&call, Arc::new(AllowAll), clankers_tools::OutputSink::none(), Default::default())
            .await;
        assert_eq!(outcome.status, Status::Denied, "{path}: {}", outcome.text);
    }
}

#[tokio::test]
async fn gits_own_files_are_not_written() {
    let lab = Lab::new();
    for file in [".git/config", ".git/hooks/pre-commit.sample", "sub/.git/HEAD"] {
        lab.put(file, "x");
    }
    symlink(".git/hooks", lab.at("innocent")).unwrap();
    symlink(".git/config", lab.at("conf")).unwrap();
    for path in [
        ".git/hooks/pre-commit",
        ".git/config",
        "innocent/pre-commit",
        "conf",
        ".git/info/attributes",
        "sub/.git/config",
        "new/.git/config",
        ".GIT/hooks/x",
        "sub/.git",
        "x/.git",
    ] {
        let outcome = lab.run("write", json!({"path": path, "content": "#!/bin/sh\nid > /tmp/x\n"})).await;
        assert_ne!(outcome.status, Status::Ok, "{path}");
        if path != "sub/.git" {
            assert!(
                outcome.status == Status::Denied && outcome.text.contains("right to a shell"),
                "{path}: {}",
                outcome.text
            );
        }
    }
    let edit =
        json!({"path": "conf", "edits": [{"old_text": "x", "new_text": "[core]\n\tfsmonitor = evil"}]});
    assert!(lab.denied("edit", edit).await.contains("right to a shell"));
    assert!(!lab.at("new").exists());
    assert_eq!(lab.get(".git/config"), b"x");
    // Reading them is no harm, and neighbours are free.
    assert_eq!(lab.ok("read", json!({"path": ".git/config"})).await, "x");
    lab.ok("write", json!({"path": ".gitignore", "content": "target\n"})).await;
    lab.ok("write", json!({"path": ".github/workflows/ci.yml", "content": "x"})).await;
}

#[tokio::test]
async fn a_bare_repository_is_not_made_of_single_writes() {
    let lab = Lab::new();
    let write = async |path: &str| lab.run("write", json!({"path": path, "content": "x"})).await.status;
    // In every order, the piece that would complete it is refused; so is any change in one that is there.
    for (at, order) in
        [["HEAD", "refs/x", "objects/x"], ["objects/x", "head", "refs/x"], ["config", "HEAD", "commondir"]]
            .iter()
            .enumerate()
    {
        let mut last = Status::Ok;
        for piece in order {
            assert_eq!(last, Status::Ok);
            last = write(&format!("d{at}/{piece}")).await;
        }
        // `head` is `HEAD` only where the file system says so.
        if !order.contains(&"head") {
            assert_eq!(last, Status::Denied, "{order:?}");
        }
    }
    for dir in ["bare.git/objects", "bare.git/refs", "bare.git/hooks"] {
        fs::create_dir_all(lab.at(dir)).unwrap();
    }
    lab.put("bare.git/HEAD", "ref: refs/heads/main\n");
    for path in ["bare.git/config", "bare.git/hooks/post-update", "bare.git/new/deep/er"] {
        assert_eq!(write(path).await, Status::Denied, "{path}");
    }
    assert_eq!(write("refs/heads.rs").await, Status::Ok);
}

#[tokio::test]
async fn names_cannot_forge_lines() {
    let lab = Lab::new();
    lab.put("a\nfake.txt", "hit\n");
    lab.put("b\x1b[2J", "hit\n");
    for (tool, args) in
        [("ls", json!({})), ("find", json!({"pattern": "*"})), ("grep", json!({"pattern": "hit"}))]
    {
        let text = lab.ok(tool, args).await;
        assert_eq!(text.lines().count(), 2, "{tool}: {text:?}");
        assert!(!text.contains('\x1b'), "{tool}: {text:?}");
    }
}
