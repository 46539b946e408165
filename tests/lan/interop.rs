//! Other people's mDNS sees a real node, and a real node's mDNS survives theirs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clankers_lab::Lab;
use clankers_mesh::{Browser, Mdns, discovery::record::instance};
use clankers_tests::{
    Node, NodeHome,
    node::Start,
    process::{Input, Process},
};
use serde_json::Value;

use super::{BIN, LIMIT, knows, on, until};

/// The version that these tests were written against.
const ZEROCONF: &str = "zeroconf==0.154.0";
const SERVICE: &str = "_clankers._udp.local.";

/// A lab of two hosts with a real node on the second.
struct World {
    node: Node,
    scripts: tempfile::TempDir,
    /// Last: the programs on its hosts go first.
    lab: Lab,
}

fn world(seed: u64) -> Option<World> {
    let lab = Lab::builder().hosts(2).seed(seed).start()?;
    let scripts = tempfile::tempdir().unwrap();
    let home = NodeHome::new(lab.host(1).stand_in(BIN.as_ref(), scripts.path()));
    let node = Start::new().bind(Some("0.0.0.0:0")).mdns(Some("on")).on(&home);
    Some(World { node, scripts, lab })
}

impl World {
    fn name(&self) -> String {
        instance(self.node.id())
    }

    fn port(&self) -> u16 {
        let addr = self.node.addrs().into_iter().find(|a| a.is_ipv4()).expect("an IPv4 address");
        addr.port()
    }

    /// What stands in the TXT record of this node, in no particular order.
    fn txt(&self) -> Vec<String> {
        let (name, port) = (self.name(), self.port());
        [
            "txtvers=1",
            &format!("id={name}"),
            &format!("v={}", env!("CARGO_PKG_VERSION")),
            &format!("p4={port}"),
        ]
        .map(str::to_owned)
        .to_vec()
    }
}

/// Python with zeroconf: installed beside what cargo builds, so that it is fetched once.
fn python() -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("zeroconf");
    let python = place.join("bin/python");
    let works = || {
        let tried = Command::new(&python).args(["-c", "import zeroconf"]).stderr(Stdio::null()).status();
        tried.is_ok_and(|status| status.success())
    };
    if !works() {
        // A test fetches nothing from anywhere unless it was told to.
        if std::env::var_os("CLANKERS_TEST_INSTALL").is_none_or(|value| value != "1") {
            return Err(format!("{ZEROCONF} is not installed; CLANKERS_TEST_INSTALL=1 installs it"));
        }
        let step = |command: &mut Command| {
            let done = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
            let why = String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or_default().to_owned();
            done.status.success().then_some(()).ok_or(why)
        };
        step(Command::new("python3").args(["-m", "venv"]).arg(&place))?;
        step(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--timeout=20", ZEROCONF]))?;
    }
    if works() { Ok(python) } else { Err(format!("{ZEROCONF} cannot be imported")) }
}

/// Prints what zeroconf finds of our service, one line of JSON.
const FIND: &str = r#"
import json, sys, threading
from zeroconf import ServiceBrowser, Zeroconf
found = threading.Event()
class Listener:
    def add_service(self, zc, kind, name):
        info = zc.get_service_info(kind, name, 5000)
        if info:
            txt = [k.decode() + "=" + (v or b"").decode() for k, v in info.properties.items()]
            print(json.dumps({"name": name, "addrs": info.parsed_addresses(), "port": info.port, "txt": txt}), flush=True)
            found.set()
    def update_service(self, *_): pass
    def remove_service(self, zc, kind, name): pass
zc = Zeroconf()
ServiceBrowser(zc, sys.argv[1], Listener())
ok = found.wait(20)
zc.close()
sys.exit(0 if ok else 1)
"#;

/// Announces what we do not: the same service with odd contents, and others.
const ODD: &str = r#"
import socket, sys
from zeroconf import ServiceInfo, Zeroconf
zc = Zeroconf()
kind, addr = sys.argv[1], socket.inet_aton(sys.argv[2])
names = ["printer with spaces", "b\u00fcro\u202e", "x" * 60, "a.b.c", "-"]
texts = [{}, {"txtvers": "9"}, {"txtvers": "1", "id": "not an id"}, {b"": b"", b"\x00\x1b[2J": b"\xff" * 200}, {"n": "A" * 240}]
for n, (name, txt) in enumerate(zip(names, texts)):
    zc.register_service(ServiceInfo(kind, name + "." + kind, addresses=[addr], port=n, properties=txt, server="odd%d.local." % n))
print("ready", flush=True)
sys.stdin.read()
zc.close()
"#;

#[test]
fn python_zeroconf_sees_a_node_and_its_odd_records_do_no_harm() {
    let python = match python() {
        Ok(python) => python,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(world) = world(7) else { return };
    let found = world.lab.host(0).command(&python).args(["-c", FIND, SERVICE]).output().unwrap();
    let line = String::from_utf8_lossy(&found.stdout);
    let seen: Value = serde_json::from_str(line.lines().next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("{e}: {line} {}", String::from_utf8_lossy(&found.stderr)));
    assert_eq!(seen["name"], format!("{}.{SERVICE}", world.name()));
    assert_eq!(seen["port"], world.port());
    let host = world.lab.host(1).address().to_string();
    assert!(seen["addrs"].as_array().unwrap().iter().any(|a| *a == host.as_str()), "{seen}");
    for pair in world.txt() {
        assert!(seen["txt"].as_array().unwrap().iter().any(|t| *t == pair.as_str()), "{pair}: {seen}");
    }
    // Nothing else is said: no names of sessions or users, no paths, no tokens.
    let keys = seen["txt"].as_array().unwrap().iter().map(|pair| pair.as_str().unwrap().split('=').next());
    let keys: BTreeSet<&str> = keys.flatten().collect();
    assert!(keys.is_subset(&BTreeSet::from(["txtvers", "id", "v", "p4", "p6", "f", "b"])), "{keys:?}");
    // Now it announces what no node does, and our browser on the same host goes on.
    let address = world.lab.host(0).address().to_string();
    let mut odd = world.lab.host(0).command(&python);
    odd.args(["-c", ODD, SERVICE, &address]);
    let odd = Process::spawn(odd, Input::Open);
    clankers_tests::wait::until("the odd services", LIMIT, || {
        assert!(odd.exit().is_none(), "{}", odd.story());
        odd.stdout().text().contains("ready").then_some(())
    });
    let id = world.node.id();
    on(&world.lab, 0, || async move {
        let browser = Browser::start(&Mdns::default(), None).unwrap();
        let found = browser.discovery();
        until(found, "the node among odd services", |found| knows(found, [id])).await;
        assert_eq!(found.list().len(), 1, "{:?}", found.list());
        browser.stop().await;
    });
}

#[test]
fn dig_is_answered() {
    if Command::new("dig").arg("-v").stderr(Stdio::null()).status().is_err() {
        return println!("skipped: no dig here");
    }
    let Some(world) = world(8) else { return };
    let server = format!("@{}", world.lab.host(1).address());
    let dig = |name: &str, kind: &str| {
        let arguments = ["+short", "+tries=3", "+time=2", "-p", "5353", &server, name, kind];
        super::run(&world.lab, 0, "dig", &arguments)
    };
    let full = format!("{}.{SERVICE}", world.name());
    assert_eq!(dig(SERVICE, "PTR").trim(), full);
    let srv = dig(&full, "SRV");
    assert!(srv.contains(&format!(" {} {}.local.", world.port(), world.name())), "{srv}");
    let txt = dig(&full, "TXT");
    for pair in world.txt() {
        assert!(txt.contains(&format!("\"{pair}\"")), "{pair}: {txt}");
    }
}

/// A system bus on which everybody may do everything: avahi wants one.
const BUS: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=BUS</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>"#;

#[test]
fn avahi_sees_a_node() {
    let there = |program: &str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
    if !["dbus-daemon", "avahi-daemon", "avahi-browse"].into_iter().all(there) {
        return println!("skipped: no avahi, or no D-Bus, here");
    }
    let Some(world) = world(9) else { return };
    let (bus, config) = (world.scripts.path().join("bus"), world.scripts.path().join("bus.conf"));
    fs::write(&config, BUS.replace("BUS", &bus.to_string_lossy())).unwrap();
    let avahi = world.scripts.path().join("avahi.conf");
    fs::write(&avahi, "[server]\nallow-interfaces=eth0\n[publish]\ndisable-publishing=yes\n").unwrap();
    let address = format!("unix:path={}", bus.display());
    let mut daemon = world.lab.host(0).command("dbus-daemon");
    daemon.arg("--nofork").arg(format!("--config-file={}", config.display()));
    let daemon = Process::spawn(daemon, Input::Nothing);
    clankers_tests::wait::until("the bus", LIMIT, || {
        assert!(daemon.exit().is_none(), "{}", daemon.story());
        bus.exists().then_some(())
    });
    let mut server = world.lab.host(0).command("avahi-daemon");
    server.args(["--no-drop-root", "--no-chroot", "--no-rlimits", "-f"]).arg(&avahi);
    server.env("DBUS_SYSTEM_BUS_ADDRESS", &address);
    let server = Process::spawn(server, Input::Nothing);
    let browse = || {
        let mut browse = world.lab.host(0).command("avahi-browse");
        browse.args(["--resolve", "--parsable", "--terminate", "_clankers._udp"]);
        browse.env("DBUS_SYSTEM_BUS_ADDRESS", &address).output().unwrap()
    };
    let name = world.name();
    let line = clankers_tests::wait::until("avahi's answer", LIMIT, || {
        if server.exit().is_some() {
            return Some(None);
        }
        let out = browse();
        let out = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = out.lines().find(|l| l.starts_with('=') && l.contains(&name)).map(str::to_owned);
        line.map(Some)
    });
    let Some(line) = line else {
        return println!("skipped: avahi-daemon does not run here: {}", server.story());
    };
    assert!(line.contains(&format!(";{};", world.port())), "{line}");
    for pair in world.txt() {
        assert!(line.contains(&format!("\"{pair}\"")), "{pair}: {line}");
    }
}
