//! A mesh through one's own `iroh-relay`: two nodes that cannot reach each other directly; the relay is killed and comes
//! back.
//!
//! The relay is a program of its own, as its users run it. As a library beside our own it would bring its server's features
//! into the binary that the benches measure.

use std::{
    env, fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use clankers_tests::{
    NodeHome,
    node::Start,
    process::{Input, Process},
    wait,
};

use super::{
    LIMIT,
    place::{HEALED, HEARD, Place, greps, greps_soon, see, team},
};

/// The version that these tests were written against.
const VERSION: &str = "1.4.1";
const PORT: u16 = 3340;

/// Where the relay is installed: in the user's cache, so that it is built once.
fn relay() -> Result<PathBuf, String> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.or_else(home).ok_or("neither HOME nor XDG_CACHE_HOME is set")?;
    let place = cache.join("clankers").join(format!("iroh-relay-{VERSION}"));
    let program = place.join("bin/iroh-relay");
    if !program.exists() {
        // A test fetches nothing from anywhere unless it was told to.
        if env::var_os("CLANKERS_TEST_INSTALL").is_none_or(|value| value != "1") {
            return Err(format!(
                "iroh-relay {VERSION} is not installed; CLANKERS_TEST_INSTALL=1 installs it"
            ));
        }
        let words =
            ["install", "iroh-relay", "--version", VERSION, "--features", "server", "--locked", "--root"];
        let mut install = Command::new("cargo");
        // Not where this test is built: that directory may be locked.
        install.args(words).arg(&place).env_remove("CARGO_TARGET_DIR").stdin(Stdio::null());
        let done = install.output().map_err(|error| format!("cargo cannot be run: {error}"))?;
        if !done.status.success() {
            let why = String::from_utf8_lossy(&done.stderr).lines().last().unwrap_or_default().to_owned();
            return Err(format!("cargo cannot install iroh-relay: {why}"));
        }
    }
    if program.exists() { Ok(program) } else { Err("the package iroh-relay has no such program".into()) }
}

/// The relay on a host, until it is dropped: plain HTTP, for its namespace alone.
fn start(place: &Place, host: usize, program: &Path) -> Process {
    let config = place.scripts().join("relay.toml");
    let address = place.lab.host(host).address();
    let text = format!(
        "enable_relay = true\nhttp_bind_addr = \"{address}:{PORT}\"\n\
         enable_quic_addr_discovery = false\nenable_metrics = false\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = place.lab.host(host).command(program);
    command.arg("--config-path").arg(&config);
    let process = Process::spawn(command, Input::Nothing);
    wait::until("the relay", LIMIT, || {
        assert!(process.exit().is_none(), "{}", process.story());
        let dial = || TcpStream::connect((address, PORT)).is_ok();
        place.lab.host(host).inside(dial).then_some(())
    });
    process
}

#[test]
fn a_mesh_through_ones_own_relay_that_is_killed_and_comes_back() {
    let program = match relay() {
        Ok(program) => program,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(place) = Place::new(3, 25) else { return };
    let first = start(&place, 2, &program);
    place.lab.between(0, 1).cut();
    let url = format!("http://{}:{PORT}", place.lab.host(2).address());
    let begin = |home: &NodeHome| Start::new().bind(Some("0.0.0.0:0")).relay(Some(&url)).on(home);
    let (anna, bert) = (begin(&place.home(0, "anna")), begin(&place.home(1, "bert")));
    for node in [&anna, &bert] {
        wait::until("the relay in the ticket", LIMIT, || {
            node.status().to_string().contains(&url).then_some(())
        });
    }
    team("core", &[&anna, &bert]);
    println!("relay: a prompt took {:?}", greps_soon(&bert, "anna", HEARD));
    let members = bert.cli(["team", "members", "--json"]).run().ok().json();
    let path = members.as_array().unwrap().iter().find(|one| one["id"] == anna.id().to_string().as_str());
    assert_eq!(path.unwrap()["path"], "relay", "{members}");

    drop(first);
    let killed = Instant::now();
    let (code, said) = greps(&bert, "anna");
    println!("relay: without it, after {:?}: {said}", killed.elapsed());
    assert_eq!(code, Some(6), "it cannot be reached, and that is said: {said}");
    let _second = start(&place, 2, &program);
    let back = Instant::now();
    greps_soon(&bert, "anna", HEALED);
    println!("relay: a prompt worked {:?} after its return", back.elapsed());
    for node in [&anna, &bert] {
        see(node, &[&anna, &bert], "alive", HEALED);
    }
}
