//! Paths that lead out of the workspace, or into the node's home.

use std::{fs, os::unix::fs::symlink, path::Path};

use clankers_auth::GrantSpec;
use clankers_protocol::event::Outcome;
use clankers_tests::{
    NodeHome, forge,
    hostile::{Guest, Hostile},
};

use super::raw;
use crate::BIN;

/// What nobody but the owner may see.
const SECRET: &str = "the-secret-that-must-not-leave";

/// Fails when an attack got somewhere.
async fn harmless(guest: &Guest, text: &str) {
    let taken = raw::run(guest, text).await.unwrap();
    let results = taken.results();
    assert!(!format!("{results:?}").contains(SECRET), "{text}: {results:?}");
    assert_ne!(taken.outcome(), Outcome::Completed, "{text}: {results:?}");
}

/// Paths that lead out of the workspace at `root`, or into the node's home.
fn reads(root: &Path, outside: &Path) -> Vec<String> {
    let up = name(outside);
    let absolute = outside.join("secret.txt").display().to_string();
    let root = root.display();
    vec![
        format!("../{up}/secret.txt"),
        format!("workspace/../../{up}/secret.txt"),
        format!("workspace/./.././../{up}/secret.txt"),
        absolute.clone(),
        format!("/{absolute}"),
        format!("/proc/self/root{absolute}"),
        format!("rootlink{absolute}"),
        "link".into(),
        "dirlink/secret.txt".into(),
        "dirlink/../dirlink/secret.txt".into(),
        "user/.clankers/identity.key".into(),
        "./user//.clankers/./identity.key".into(),
        "workspace/../user/.clankers/identity.key".into(),
        format!("{root}/user/.clankers/identity.key"),
        "homelink/identity.key".into(),
        "user/.clankers/logs/bait.txt".into(),
        "user/.clankers".into(),
        "..\\..\\etc\\passwd".into(),
        "~/secret".into(),
        "link\u{0}.txt".into(),
        "".into(),
        "/proc/self/environ".into(),
        "/dev/stdin".into(),
    ]
}

/// Searches that begin there.
fn searches(outside: &Path) -> Vec<String> {
    vec![
        format!("/grep {SECRET} .."),
        format!("/grep {SECRET} dirlink"),
        format!("/grep {SECRET} link"),
        format!("/grep {SECRET} user/.clankers"),
        format!("/grep {SECRET} {}", outside.display()),
        "/ls ..".into(),
        "/ls dirlink".into(),
        "/ls homelink".into(),
        "/ls user/.clankers".into(),
        "/ls /".into(),
        "/find * ..".into(),
        "/find * user/.clankers".into(),
        "/find ../* workspace/../..".into(),
    ]
}

/// Files that nobody else may write.
fn writes(outside: &Path) -> Vec<String> {
    let up = name(outside);
    vec![
        format!("../{up}/evil"),
        format!("{}/evil", outside.display()),
        "dirlink/evil".into(),
        "homelink/evil".into(),
        "user/.clankers/settings.toml".into(),
        "user/.clankers/sessions/evil.jsonl".into(),
        "user/.clankers/identity.key".into(),
        "workspace/.git/hooks/post-checkout".into(),
        "workspace/.git/config".into(),
        "workspace/x/../.git/hooks/pre-commit".into(),
        "new/.git/hooks/pre-commit".into(),
    ]
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tool_reaches_out_of_the_workspace_or_into_the_nodes_home() {
    let home = NodeHome::new(BIN);
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret.txt");
    fs::write(&secret, SECRET).unwrap();
    // The owner offers all of this machine's user: the node's home lies inside.
    home.settings(&format!("workspace = {:?}\n", home.root().display().to_string()));
    let node = home.start();
    let key = fs::read_to_string(home.path().join("identity.key")).unwrap();
    fs::write(home.path().join("logs/bait.txt"), SECRET).unwrap();
    symlink(&secret, home.root().join("link")).unwrap();
    symlink(outside.path(), home.root().join("dirlink")).unwrap();
    symlink(home.path(), home.root().join("homelink")).unwrap();
    symlink("/proc/self/root", home.root().join("rootlink")).unwrap();
    fs::create_dir_all(home.workspace().join(".git/hooks")).unwrap();

    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::operator());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let away = outside.path();
    for path in reads(home.root(), away) {
        let arguments = serde_json::json!({ "path": path }).to_string();
        harmless(&guest, &format!("/read {arguments}")).await;
    }
    for search in searches(away) {
        harmless(&guest, &search).await;
    }
    // Through everything there is, nothing of it comes up.
    for search in [format!("/grep {SECRET}"), "/find **/*".into(), format!("/grep {}", &key[..20])] {
        let taken = raw::run(&guest, &search).await.unwrap();
        let seen = format!("{:?}", taken.results());
        assert!(
            !seen.contains("bait") && !seen.contains("identity") && !seen.contains("secret.txt"),
            "{seen}"
        );
        assert!(!seen.contains(key.trim()), "{seen}");
    }
    for path in writes(away) {
        let arguments = serde_json::json!({ "path": path, "content": "evil" }).to_string();
        harmless(&guest, &format!("/write {arguments}")).await;
        let edit = serde_json::json!({ "path": path, "edits": [{ "old": "a", "new": "evil" }] }).to_string();
        harmless(&guest, &format!("/edit {edit}")).await;
    }
    harmless(&guest, "/bash cat user/.clankers/identity.key").await;
    assert_eq!(fs::read_to_string(home.path().join("identity.key")).unwrap(), key);
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    assert_eq!(fs::read_dir(home.workspace().join(".git/hooks")).unwrap().count(), 0);
    assert!(!home.path().join("evil").exists() && !home.root().join("new/.git").exists());

    // And an honest path is one, in each of its spellings.
    let absolute = home.workspace().join("notes.txt").display().to_string();
    for path in ["workspace/notes.txt", "./workspace//notes.txt", &absolute] {
        let taken = raw::run(&guest, &format!("/read {path}")).await.unwrap();
        assert_eq!(taken.outcome(), Outcome::Completed, "{path}: {:?}", taken.results());
    }
    peer.close().await;
}
