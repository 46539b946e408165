//! This machine's own troubles: settings, key, home, port, a second node. Exit code 8, and everything stays as it was.

use std::{
    fs,
    net::UdpSocket,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use clankers_tests::{NodeHome, Start};

use super::Bad;
use crate::{BIN, main_job::demo::processes_of};

fn machine(home: &NodeHome) -> Bad<'_> {
    Bad { home, code: 8, kind: "machine" }
}

const START: &[&str] = &["daemon", "start", "--bind", "127.0.0.1:0", "--relay", "off", "--mdns", "off"];

#[test]
fn settings_that_cannot_be_meant() {
    let home = NodeHome::new(BIN);
    let _key = home.id();
    let bad = machine(&home);
    for (settings, cause) in [
        ("modle = \"offline\"\n", &["settings.toml", "'modle'", "did you mean 'model'"][..]),
        ("[netwrok]\nmdns = false\n", &["'netwrok'", "did you mean 'network'"]),
        ("[network]\nmdns_prot = 1\n", &["mdns_prot", "mdns_port"]),
        ("# fine\nmodel = \"offline\"\n[network]\nmdns = \"maybe\"\n", &["line 4", "boolean"]),
        ("[limits]\nmax_queue = -1\n", &["line 2"]),
        ("[limits]\nmax_queue = 0\n", &["max_queue", "0 would refuse everything"]),
        ("label = \"a\\u001b[31m\"\n", &["label"]),
        ("workspace = \"relative\"\n", &["workspace", "absolute"]),
        ("[network]\nrelay = \"nonsense\"\n", &["relay"]),
        ("model = \"unclosed\n", &["line 1"]),
    ] {
        home.settings(settings);
        let said = bad.says(START, cause);
        assert!(!said.contains('\u{1b}'), "{said}");
        assert_eq!(
            bad.says(&[START, &["-d"]].concat(), cause),
            said,
            "in the background as in the foreground"
        );
        bad.says(&["-p", "hi"], cause);
        assert_eq!(fs::read_to_string(home.path().join("settings.toml")).expect("settings"), settings);
    }
    assert!(!home.path().join("run/node.json").exists());
    assert_eq!(processes_of(home.root()), [], "a start that failed leaves no process");
    home.settings("");
    home.cli(["-p", "/ls"]).run().ok();
}

#[test]
fn a_key_that_is_none_is_refused_and_never_replaced() {
    let home = NodeHome::new(BIN);
    let id = home.id();
    let path = home.path().join("identity.key");
    let good = fs::read(&path).expect("a key");
    let bad = machine(&home);
    let mode = |mode: u32| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
    let upper = String::from_utf8(good.clone()).expect("hex").to_uppercase();
    let no_newline = &good[..64];
    for bytes in [
        b"".as_slice(),
        b"zz\n",
        b"not hex at all",
        &good[..40],
        no_newline,
        &[b'g'; 65],
        upper.as_bytes(),
        &[0xff; 65],
        &[good.as_slice(), b"\n"].concat(),
    ] {
        if bytes == good {
            continue;
        }
        fs::write(&path, bytes).expect("written");
        for words in [&["rpc", "id"][..], &["-p", "hi"], START] {
            bad.says(words, &["identity.key", "left as it is"]);
        }
        assert_eq!(fs::read(&path).expect("the key"), bytes, "never replaced");
    }
    fs::write(&path, &good).expect("written");
    for open in [0o644, 0o640, 0o606] {
        mode(open);
        bad.says(&["rpc", "id"], &["others can read or write it", "chmod 600"]);
        bad.says(START, &["others can read or write it"]);
        assert_eq!(
            fs::metadata(&path).expect("the key").permissions().mode() & 0o777,
            open,
            "nor mended in silence"
        );
    }
    mode(0o600);
    let elsewhere = home.root().join("elsewhere.key");
    fs::rename(&path, &elsewhere).expect("moved");
    symlink(&elsewhere, &path).expect("a link");
    bad.says(&["rpc", "id"], &["symbolic link"]);
    fs::remove_file(&path).expect("the link");
    fs::create_dir(&path).expect("a directory");
    machine(&home).says(&["rpc", "id"], &["identity.key"]);
    fs::remove_dir(&path).expect("the directory");
    fs::rename(&elsewhere, &path).expect("moved back");
    assert_eq!(home.id(), id, "the same as ever");
}

#[test]
fn a_key_is_made_once_by_whoever_is_first() {
    let home = NodeHome::new(BIN);
    let all: Vec<_> = (0..8).map(|_| home.cli(["rpc", "id", "--json"]).start()).collect();
    let ids: Vec<_> = all.into_iter().map(|running| running.finish().ok().json()["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(ids[0], home.id().to_string());
}

#[test]
fn a_home_that_cannot_be_one() {
    let home = NodeHome::new(BIN);
    let bad = machine(&home);
    let file = home.file("a-file", "kept");
    let beneath = file.join("home");
    let mut places = vec![file.clone(), beneath];
    // A root user may write where others may not: nobody writes there.
    let proc = Path::new("/proc/clankers-home");
    if proc.parent().is_some_and(Path::is_dir) {
        places.push(proc.to_owned());
    } else {
        eprintln!("skipped: no /proc here to stand for a file system that takes no files");
    }
    for place in &places {
        let place = place.to_str().expect("text");
        for words in
            [&["rpc", "id"][..], &["-p", "hi"], START, &[START, &["-d"]].concat(), &["token", "list"]]
        {
            bad.says(&[&["--home", place][..], words].concat(), &[place, "--home"]);
        }
    }
    assert_eq!(fs::read_to_string(&file).expect("the file"), "kept");
    home.cli(["--home", "", "rpc", "id"]).run().code(2);
    // Where others could put a key of theirs, ours is not kept.
    let open = home.root().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("a mode");
    bad.says(&["--home", open.to_str().expect("text"), "rpc", "id"], &["chmod 700"]);
    assert_eq!(fs::read_dir(&open).expect("the directory").count(), 0);
    let nowhere = home.cli(["rpc", "id", "--json"]).env("HOME", "").run().code(8).error();
    assert!(nowhere["message"].to_string().contains("HOME"), "{nowhere}");
    assert!(nowhere["hints"].to_string().contains("--home"), "{nowhere}");
    // The variable is the same as the flag.
    let ran = home.cli(["rpc", "id", "--json"]).env("CLANKERS_HOME", &file).run().code(8);
    assert_eq!(ran.error()["kind"], "machine");
}

#[test]
fn a_port_that_is_taken_and_a_home_that_has_its_node() {
    let home = NodeHome::new(BIN);
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let addr = taken.local_addr().expect("an address").to_string();
    let bad = machine(&home);
    let start = ["daemon", "start", "--relay", "off", "--mdns", "off", "--bind", &addr];
    bad.says(&start, &[&addr, "taken", "--bind"]);
    bad.says(&[&start[..], &["-d"]].concat(), &[&addr, "taken"]);
    bad.says(&["rpc", "start", "--relay", "off", "--mdns", "off", "--bind", &addr], &[&addr, "taken"]);
    home.settings(&format!("[network]\nbind = \"{addr}\"\n"));
    let from_settings = ["daemon", "start", "--relay", "off", "--mdns", "off"];
    bad.says(&from_settings, &[&addr, "taken"]);
    assert!(!home.path().join("run/node.json").exists(), "nothing half started is left");
    home.settings("");
    drop(taken);

    let mut node = Start::new().bind(Some(&addr)).on(&home);
    assert_eq!(node.addrs()[0].to_string(), addr, "free again, and taken at once");
    let pid = node.pid().to_string();
    for words in [START, &[START, &["-d"]].concat(), &["rpc", "start", "--relay", "off", "--mdns", "off"]] {
        bad.says(words, &["already running", &format!("process {pid}"), "daemon stop"]);
    }
    // By another name it is the same home.
    let alias = home.root().join("alias");
    symlink(home.path(), &alias).expect("a link");
    let words = [&["--home", alias.to_str().expect("text")], START].concat();
    bad.says(&words, &["already running", &format!("process {pid}")]);
    assert!(node.lives());
    assert_eq!(node.status()["pid"].to_string(), pid, "the first one lives and is still found");
    home.cli(["rpc", "ping", "local"]).run().ok();
    assert_eq!(node.stop().and_then(|exit| exit.code), Some(0));
}
