//! A machine whose clock is wrong by a year, by faketime. Presence is measured with each node's own clock, so that the
//! others do not mind; memberships and tokens have dates, so that it cannot take part, and is told why.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use clankers_tests::{Node, NodeHome, wait};

use super::{
    BIN,
    place::{HEARD, LOST, Place, all_alive, furnished, greps, greps_soon, invite, on_lan, see, team},
};

const YEAR_AHEAD: &str = "+1y";
const YEAR_BEHIND: &str = "-1y";

/// The library that tells the wrong time, as the program `faketime` would load it.
fn library() -> Result<String, String> {
    let mut ask = Command::new("faketime");
    ask.args(["-m", "-f", "+0", "printenv", "LD_PRELOAD"]).stdin(Stdio::null());
    let told = ask.output().map_err(|error| format!("faketime (of the package of that name): {error}"))?;
    let text = String::from_utf8_lossy(&told.stdout).trim().to_owned();
    if told.status.success() && !text.is_empty() {
        Ok(text)
    } else {
        Err("faketime does not work here".into())
    }
}

/// A machine's clock: a file that says how wrong it is, and the product as it runs on that machine.
struct Clock {
    file: PathBuf,
    home: NodeHome,
}

impl Clock {
    /// One that goes wrong from one program to the next.
    fn of(place: &Place, library: &str, host: usize, label: &str) -> Self {
        let wrong = "wrong=$(cat \"$CLOCK\")\n[ -z \"$wrong\" ] || export FAKETIME=\"$wrong\" PRELOADED=1\n";
        Self::by(place, library, (host, label), wrong)
    }

    /// One that goes wrong while a program runs.
    fn live(place: &Place, library: &str, host: usize, label: &str) -> Self {
        let wrong = "export FAKETIME_TIMESTAMP_FILE=\"$CLOCK\" FAKETIME_CACHE_DURATION=1 PRELOADED=1\n";
        Self::by(place, library, (host, label), wrong)
    }

    fn by(place: &Place, library: &str, (host, label): (usize, &str), wrong: &str) -> Self {
        let file = place.scripts().join(format!("clock-{label}"));
        let script = place.scripts().join(format!("clankers-{label}"));
        fs::write(&file, "").unwrap();
        let text = format!(
            "#!/bin/sh\nCLOCK='{}'\n{wrong}\
             [ -z \"$PRELOADED\" ] || export LD_PRELOAD='{library}' NO_FAKE_STAT=1\n\
             export DONT_FAKE_MONOTONIC=1 FAKETIME_DONT_FAKE_MONOTONIC=1\nexec '{BIN}' \"$@\"\n",
            file.display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
        let binary = place.lab.host(host).stand_in(Path::new(&script), place.scripts());
        Self { file, home: furnished(NodeHome::new(binary), label) }
    }

    /// From the next program on, or from now on, the time is wrong by so much, or right.
    fn set(&self, wrong: &str) {
        fs::write(&self.file, wrong).unwrap();
    }
}

/// What somebody is told whose `team join` fails.
fn refused_to_join(anna: &Node, guest: &Node, what: &str) -> String {
    let ran = guest.cli(["team", "join", "-"]).stdin(invite(anna, guest)).run();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    println!("{what}, join: {said}");
    assert_eq!(ran.exit.code, Some(4), "{what} joined: {}", ran.story());
    assert_eq!(guest.cli(["team", "list", "--json"]).run().ok().json(), serde_json::json!([]));
    said
}

/// A member's clock goes wrong, and is put right.
fn wrong_for_a_while(wrong: &str, seed: u64) {
    let library = match library() {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(place) = Place::new(4, seed) else { return };
    let (anna, bert) = (place.node(0, "anna", "on"), place.node(1, "bert", "on"));
    let clock = Clock::of(&place, &library, 2, "carl");
    let mut carl = on_lan("on").on(&clock.home);
    team("core", &[&anna, &bert, &carl]);
    greps_soon(&carl, "anna", HEARD);

    carl.kill9();
    see(&anna, &[&carl], "lost", LOST);
    clock.set(wrong);
    carl.restart();
    let (code, said) = greps(&carl, anna.ticket());
    println!("a clock wrong by {wrong}, prompt: {said}");
    assert_eq!(code, Some(4), "{said}");
    // The others are as they were, and what they say is not changed by it.
    for node in [&anna, &bert] {
        all_alive(node, &[&anna, &bert]);
    }
    greps_soon(&bert, "anna", HEARD);
    // Nor can one join with it.
    let fresh = Clock::of(&place, &library, 3, "dora");
    fresh.set(wrong);
    let dora = on_lan("on").on(&fresh.home);
    let _said = refused_to_join(&anna, &dora, &format!("a clock wrong by {wrong}"));
    for node in [&anna, &bert] {
        all_alive(node, &[&anna, &bert]);
    }

    carl.kill9();
    clock.set("");
    carl.restart();
    for node in [&anna, &bert, &carl] {
        all_alive(node, &[&anna, &bert, &carl]);
    }
    greps_soon(&carl, "anna", HEARD);
}

#[test]
fn a_clock_a_year_ahead_harms_nobody_else() {
    wrong_for_a_while(YEAR_AHEAD, 23);
}

#[test]
fn a_clock_a_year_behind_harms_nobody_else() {
    wrong_for_a_while(YEAR_BEHIND, 24);
}

/// Whoever is refused because of dates is told to look at the clocks.
#[test]
fn who_cannot_join_for_a_wrong_clock_is_told_to_look_at_it() {
    let library = match library() {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(place) = Place::new(2, 26) else { return };
    let anna = place.node(0, "anna", "on");
    anna.cli(["team", "create", "core"]).run().ok();
    let clock = Clock::of(&place, &library, 1, "dora");
    for wrong in [YEAR_AHEAD, YEAR_BEHIND] {
        clock.set(wrong);
        let mut dora = on_lan("on").on(&clock.home);
        let said = refused_to_join(&anna, &dora, wrong);
        assert!(said.contains("clock"), "a clock wrong by {wrong}: {said}");
        dora.kill9();
    }
}

/// Waits until a node says this of its team. For a moment after a jump its own commands and it do not agree on the time.
fn says(node: &Node, what: &str, holds: impl Fn(&serde_json::Value) -> bool) {
    wait::until(what, HEARD, || {
        let ran = node.cli(["team", "list", "--json"]).run();
        (ran.exit.code == Some(0) && holds(&ran.json()[0])).then_some(())
    });
}

/// A clock that jumps while the node runs (a machine that wakes, a wrong time server), or is ahead at two starts, ends no team
/// and no token: all of it holds again once the clock is right.
#[test]
fn a_clock_that_is_wrong_for_a_moment_ends_no_team() {
    let library = match library() {
        Ok(library) => library,
        Err(why) => return println!("skipped: {why}"),
    };
    let Some(place) = Place::new(2, 27) else { return };
    let anna = place.node(0, "anna", "on");
    let clock = Clock::live(&place, &library, 1, "carl");
    clock.set("+0");
    let mut carl = on_lan("on").on(&clock.home);
    team("core", &[&carl, &anna]);
    greps_soon(&anna, "carl", HEARD);
    says(&carl, "carl gave anna a token", |team| team["grants"]["given"] == 1);

    clock.set("+730d");
    says(&carl, "by that clock carl's membership is over", |team| team["ended"] == "expired");
    // Something is revoked: everybody is looked at.
    let made =
        carl.cli(["token", "create", "--for", &anna.id().to_string(), "--reviewer", "--json"]).run().ok();
    carl.cli(["token", "revoke", made.json()["cid"].as_str().unwrap()]).run().ok();
    says(&carl, "the team does not run at carl", |team| team["alive"] == 0);
    clock.set("+0");
    says(&carl, "it runs again", |team| team["ended"].is_null() && team["alive"] == 2);
    all_alive(&anna, &[&anna, &carl]);
    greps_soon(&anna, "carl", HEARD);

    for _ in 0..2 {
        carl.kill9();
        clock.set("+730d");
        carl.restart();
        says(&carl, "by that clock it is over", |team| team["ended"] == "expired");
    }
    carl.kill9();
    clock.set("+0");
    carl.restart();
    says(&carl, "it runs", |team| team["ended"].is_null() && team["alive"] == 2);
    all_alive(&anna, &[&anna, &carl]);
    greps_soon(&anna, "carl", HEARD);
}
