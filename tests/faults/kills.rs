//! A session of fifty turns whose process is killed at its calls that change a file, one after the other, by strace:
//! every time the session opens, has what was acknowledged, and goes on.
//!
//! strace counts each kind of call for each thread, so that the place of the kill in the order of all of its kind is seen
//! afterwards, and places that were not met are aimed at again. `CLANKERS_EVERY_CALL=1` goes on until each was met, or
//! nearly; otherwise it is a sample.

use std::{collections::BTreeMap, fs, path::Path};

use clankers_lab::Inject;
use clankers_tests::{
    NodeHome, Script, Turn,
    process::{Input, Process},
};
use serde_json::{Value, json};

use super::{BIN, LIMIT};

/// Turns of the session (count).
const TURNS: usize = 50;
/// Kills when not every call is asked for (count).
const SAMPLE: usize = 32;
/// How often each place is aimed at before it is given up (count).
const TRIES: usize = 8;
/// What changes a file. Writes are the log's own: what is printed, and wakes a thread, is a `write`.
const CALLS: [&str; 6] = ["pwrite64", "fsync", "fdatasync", "ftruncate", "renameat2", "rename"];
/// Events of one write (count): a message, its usage, the calls in it.
const BATCH: u64 = 3;
/// What a session is closed with when it was cut: the end, and the result of a call that had none (events).
const CLOSING: u64 = 2;
/// The prompt's id.
const ID: &str = "killed";

/// Steps of a linear congruential generator (Knuth's MMIX).
fn roll(state: &mut u64, sides: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % sides.max(1)
}

fn fresh() -> NodeHome {
    let home = NodeHome::new(BIN);
    let turn = |n| Turn::says(&format!("step {n}")).and_calls("ls", &json!({}));
    home.script(&Script::of((1..TURNS).map(turn).chain([Turn::says("the end")])));
    home
}

/// The session in one process under strace: at which of its calls it was killed, or how many it made; the lines that it
/// printed; whether it was killed.
fn suffer(home: &NodeHome, inject: &Inject) -> (usize, Vec<Value>, bool) {
    let record = home.root().join("calls");
    let mut command = inject.clone().record(&record).program(BIN);
    home.furnish(&mut command);
    command.args(["-p", "go", "--mode", "json", "--prompt-id", ID, "--max-turns", "60"]);
    let process = Process::spawn(command, Input::Nothing);
    let exit = process.wait(LIMIT).unwrap_or_else(|| panic!("{}", process.story()));
    let killed = exit.signal.is_some();
    assert!(killed || exit.code == Some(0), "{}", process.story());
    let text = process.stdout().text();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let record = fs::read_to_string(record).unwrap_or_default();
    // Those that returned; one that did not is written as '= ?', as '<unfinished ...>', or not at all.
    let done = |line: &&str| {
        line.rsplit_once(" = ").is_some_and(|(_, result)| result.starts_with(|c: char| c.is_ascii_digit()))
    };
    (record.lines().filter(done).count() + usize::from(killed), lines, killed)
}

/// The events of a session's log, which run from 1 without a gap.
fn logged(home: &NodeHome, session: &str) -> BTreeMap<u64, Value> {
    let text = String::from_utf8(home.session_log(session)).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let events: BTreeMap<u64, Value> =
        lines.filter_map(|mut line| Some((line["seq"].as_u64()?, line["event"].take()))).collect();
    assert!(events.keys().copied().eq(1..=events.len() as u64), "{text}");
    events
}

/// Files beside the logs: nothing was put aside, since nothing was damaged.
fn put_aside(home: &NodeHome) -> Vec<String> {
    let entries = fs::read_dir(home.path().join("sessions")).map(|dir| dir.flatten().collect::<Vec<_>>());
    let names =
        entries.unwrap_or_default().into_iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("dropped") || name.contains("damaged")).collect()
}

/// What was said before the kill is there after it; the session opens, and goes on.
fn check(home: &NodeHome, heard: &[Value], at: &str) {
    let Some(accepted) = heard.first() else {
        // Nobody was told that it was accepted. Sent again it runs, unless it was written down all the same.
        let again = home.cli(["-p", "/ls", "--mode", "json", "--prompt-id", ID]).run();
        let said = again.json_lines();
        let outcome = if said[0]["duplicate"] == true { "interrupted" } else { "completed" };
        assert_eq!(said.last().unwrap()["outcome"], outcome, "{at}: {}", again.story());
        return;
    };
    let session = accepted["session"].as_str().unwrap();
    let again = home.cli(["-p", "go", "--mode", "json", "--prompt-id", ID, "--session", session]).run();
    let said = again.json_lines();
    assert_eq!(said[0]["duplicate"], true, "{at}: {}", again.story());
    assert_eq!(said.last().unwrap()["type"], "settled", "{at}: {}", again.story());
    for line in heard.iter().filter(|line| line.get("seq").is_some()) {
        assert!(said.contains(line), "{at}: acknowledged and lost: {line}");
    }
    let log = logged(home, session);
    let heard_to = heard.iter().filter_map(|line| line["seq"].as_u64()).max().unwrap_or(1);
    let head = log.len() as u64;
    // One write that was not synced, and one before it that nobody had heard of yet.
    assert!(head <= heard_to + 2 * BATCH + CLOSING, "{at}: {head} events, {heard_to} were acknowledged");
    let of = |kind: &str| log.values().filter(|event| event["type"] == kind).count();
    assert_eq!((of("prompt"), of("settled")), (1, 1), "{at}: {log:?}");
    assert_eq!(of("tool_call"), of("tool_result"), "{at}: {log:?}");
    assert_eq!(put_aside(home), Vec::<String>::new(), "{at}");
    home.cli(["-p", "/ls", "--session", session]).run().ok();
}

/// A place of a kill: which of [`CALLS`], and which of those in their order, from 1.
type Place = (usize, usize);

/// Which Nth call of a thread is to be the one, to meet this place.
fn aim((call, wanted): Place, met: &BTreeMap<Place, u32>, state: &mut u64) -> u32 {
    let near = met.range((call, 0)..=(call, wanted)).next_back();
    let near = near.or_else(|| met.range((call, wanted)..(call + 1, 0)).next());
    let guess = near.map_or(wanted / 2, |((_, place), nth)| wanted * *nth as usize / *place);
    u32::try_from((guess + roll(state, 5)).saturating_sub(2).clamp(1, wanted)).unwrap()
}

#[test]
fn a_session_killed_at_its_writes_syncs_and_renames_opens_every_time() {
    // Says why, when strace cannot be used.
    if Inject::new(&CALLS).is_none() {
        return;
    }
    let every = std::env::var_os("CLANKERS_EVERY_CALL").is_some();
    let inject = |call: usize, nth| Inject::new(&CALLS[call..=call]).unwrap().signal("KILL").nth(nth);
    // How often each is called when nothing happens.
    let totals: Vec<usize> = (0..CALLS.len()).map(|call| suffer(&fresh(), &inject(call, 60_000)).0).collect();
    let places = totals.iter().enumerate();
    let mut missing: Vec<Place> =
        places.flat_map(|(call, total)| (1..=*total).map(move |place| (call, place))).collect();
    let total = missing.len();
    assert!(total > 3 * TURNS, "{totals:?}");
    let (mut met, mut state, mut kills) = (BTreeMap::new(), 0x5eed_u64, 0_usize);
    let (enough, most) = (SAMPLE * 3 / 4, total.min(SAMPLE) * TRIES);
    let most = if every { total * TRIES } else { most };
    for tried in 0..most {
        // On a busy machine more of them meet nothing.
        if !every && tried >= SAMPLE && kills >= enough {
            break;
        }
        let Some(wanted) = missing.get(roll(&mut state, missing.len())).copied() else { break };
        let nth = aim(wanted, &met, &mut state);
        let home = fresh();
        let (place, heard, killed) = suffer(&home, &inject(wanted.0, nth));
        if !killed {
            continue;
        }
        kills += 1;
        met.insert((wanted.0, place), nth);
        missing.retain(|one| *one != (wanted.0, place));
        check(&home, &heard, &format!("killed at {} number {place}", CALLS[wanted.0]));
    }
    let seen = total - missing.len();
    println!("{kills} kills at {seen} of {total} calls {totals:?}: each opened, 0 acknowledged events lost");
    assert!(kills >= most.min(enough), "{kills} kills");
    // Which thread makes a call differs from run to run, and with it which calls are a thread's Nth.
    assert!(!every || seen * 20 >= total * 19, "not met: {missing:?}");
}

/// A program that is the node under strace while there is a file `inject`, and the plain binary otherwise.
fn stand_in(home: &Path, inject: &Inject) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy());
    let traced = inject.program(BIN);
    let words: Vec<String> = traced.get_args().map(quoted).collect();
    let path = home.join("clankers-traced");
    let script = format!(
        "#!/bin/sh\nif [ \"$1 $2\" = 'daemon start' ] && [ -e '{}' ]; then exec strace {} \"$@\"; fi\nexec '{BIN}' \"$@\"\n",
        home.join("inject").display(),
        words.join(" "),
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_node_killed_at_its_writes_and_syncs_starts_again_with_what_it_said() {
    let Some(inject) = Inject::new(&CALLS) else { return };
    let mut kills = 0;
    for nth in [12, 17, 24, 33, 45, 60] {
        let scripts = tempfile::tempdir().unwrap();
        let program = stand_in(scripts.path(), &inject.clone().signal("KILL").nth(nth));
        let home = NodeHome::new(program);
        let turn = |n| Turn::says(&format!("step {n}")).and_calls("ls", &json!({}));
        home.script(&Script::of((1..TURNS).map(turn).chain([Turn::says("the end")])));
        // Its first start, with its key and its database, is not what is looked at here.
        home.start().stop();
        fs::write(scripts.path().join("inject"), "").unwrap();
        let mut node = home.start();
        let ask =
            || home.cli(["rpc", "prompt", "local", "go", "--mode", "json", "--prompt-id", ID]).within(LIMIT);
        let heard = ask().start().finish();
        fs::remove_file(scripts.path().join("inject")).unwrap();
        if node.lives() {
            assert_eq!(heard.exit.code, Some(0), "{}", heard.story());
            continue;
        }
        kills += 1;
        node.restart();
        let text = String::from_utf8_lossy(&heard.stdout).into_owned();
        let heard: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let again = ask().run();
        let said = again.json_lines();
        if let Some(accepted) = heard.first() {
            assert_eq!(
                (&said[0]["duplicate"], &said[0]["session"]),
                (&json!(true), &accepted["session"]),
                "{nth}"
            );
        }
        for line in heard.iter().filter(|line| line.get("seq").is_some()) {
            assert!(said.contains(line), "{nth}: acknowledged and lost: {line}");
        }
        let log = logged(&home, said[0]["session"].as_str().unwrap());
        assert_eq!(log.values().filter(|event| event["type"] == "prompt").count(), 1, "{nth}: run once");
        assert_eq!(put_aside(&home), Vec::<String>::new(), "{nth}");
    }
    println!("{kills} kills of a node amid a prompt: each started again, 0 acknowledged events lost");
    assert!(kills >= 3, "{kills} kills");
}
