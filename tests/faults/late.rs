//! How soon a viewer has what it came for: one that comes late, one whose process was killed, one whose node was.

use std::time::{Duration, Instant};

use clankers_client::{AttachStream, Client, ClientError, Way, Wish};
use clankers_lab::{Lab, Setting};
use clankers_protocol::{
    attach::Shown,
    event::StreamItem,
    request::attach::{From, Role},
};
use clankers_tests::{Node, NodeHome, Script, Turn, node::Start, owner::Owner};
use serde_json::{Value, json};

use super::{A, B, BIN, LIMIT, load};

/// One way (time): a round trip is 100 ms.
pub(crate) const FAR: Duration = Duration::from_millis(50);
/// What a late comer is to have (events).
const EVENTS: u64 = 10_000;
/// Within which it is to have them (time): the bar, and the better one.
const BAR: [Duration; 2] = [Duration::from_millis(700), Duration::from_millis(450)];
/// What fails the test (time).
const SLOW: Duration = Duration::from_secs(10);
/// How often each is measured (count).
const ROUNDS: usize = 5;
/// Tools that are called in each step of the long prompt (count).
const CALLS: usize = 20;
/// A prompt may take its time.
const MANY_TURNS: &str = "[limits]\nmax_turns = 1000\n";

/// One connection.
struct Road(Client);

impl Way for Road {
    type Keep = ();
    type Error = ClientError;

    async fn reach(&self) -> Result<(Client, ()), ClientError> {
        Ok((self.0.clone(), ()))
    }

    async fn renew(&self, _client: &Client, (): &()) {}

    async fn part(&self, (): ()) {}
}

/// A session of so many events at a node on host B, behind a link with this delay.
fn long_session(lab: &Lab, scripts: &std::path::Path) -> (NodeHome, Node, String) {
    let desk = NodeHome::new(lab.host(B).stand_in(BIN.as_ref(), scripts));
    let turn = || (0..CALLS).fold(Turn::default(), |turn, _| turn.and_calls("ls", &json!({})));
    let turns = usize::try_from(EVENTS).unwrap() / (2 * CALLS) + 1;
    let script = Script::of((0..turns).map(|_| turn()).chain([Turn::says("the end")]));
    desk.script_and(&script, MANY_TURNS);
    let node = Start::new().bind(Some("0.0.0.0:0")).on(&desk);
    let words = ["rpc", "prompt", "local", "go", "--mode", "json", "--max-turns", "1000"];
    let ran = desk.cli(words).within(LIMIT * 4).run().ok();
    let lines = ran.json_lines();
    assert!(lines.last().unwrap()["seq"].as_u64() > Some(EVENTS), "{}", lines.len());
    let session = lines[0]["session"].as_str().unwrap().to_owned();
    (desk, node, session)
}

/// From the request until the last of them has come, on a connection that is there already.
async fn join(client: &Client, session: &str) -> Duration {
    let wish = Wish { session: Some(session.to_owned()), role: Role::View, from: From::Tail(EVENTS) };
    let start = Instant::now();
    let mut stream = AttachStream::open(Road(client.clone()), wish);
    let mut seen = 0;
    while seen < EVENTS {
        let shown = tokio::time::timeout(LIMIT, stream.next()).await.expect("in time");
        seen += u64::from(matches!(shown.expect("a stream"), Shown::Item(StreamItem::Durable(_))));
    }
    start.elapsed()
}

#[test]
fn a_late_comer_behind_100_ms_has_ten_thousand_events() {
    let scripts = tempfile::tempdir().unwrap();
    let Some(lab) = Lab::builder().seed(7).start() else { return };
    let (desk, node, session) = long_session(&lab, scripts.path());
    lab.links().set(&Setting::delayed(FAR));
    let times = lab.host(A).inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                // A fresh connection for each: its windows are as small as those of any first request.
                let owner = Owner::across(&node).await;
                times.push([join(owner.client(), &session).await, join(owner.client(), &session).await]);
                owner.close().await;
            }
            times
        })
    });
    for (what, which) in [("on a fresh connection", 0), ("on one that carried as much before", 1)] {
        let mut sorted: Vec<Duration> = times.iter().map(|pair| pair[which]).collect();
        sorted.sort_unstable();
        let median = sorted[ROUNDS / 2];
        println!("late join of {EVENTS} events at 100 ms RTT, {what}: {sorted:?} ({})", load());
        println!("  median {median:?}, bar {BAR:?}");
        assert!(median < SLOW, "{what}: {sorted:?}");
    }
    drop((node, desk));
}

/// A node on B that speaks for long, and a guest on A with its grant.
fn talking(lab: &Lab, scripts: &std::path::Path) -> (NodeHome, NodeHome, Node, String) {
    let on = |host: usize| NodeHome::new(lab.host(host).stand_in(BIN.as_ref(), scripts));
    let (guest, desk) = (on(A), on(B));
    let step = |n| Turn::says(&format!("step {n}")).piece_chars(2).delay_ms(10).and_calls("ls", &json!({}));
    desk.script_and(&Script::of((0..2_000).map(step)).repeat(), MANY_TURNS);
    let node = Start::new().bind(Some("0.0.0.0:0")).on(&desk);
    let ran = desk.cli(["rpc", "prompt", "local", "/ls", "--mode", "json"]).run().ok();
    let session = ran.json_lines()[0]["session"].as_str().unwrap().to_owned();
    node.grant(&guest, &["--operator", "--session", &session]);
    (guest, desk, node, session)
}

fn prompt(desk: &NodeHome, session: &str) -> clankers_tests::Running {
    let words =
        ["rpc", "prompt", "local", "go", "--session", session, "--mode", "json", "--max-turns", "1000"];
    let mut run = desk.cli(words).within(LIMIT * 4).start();
    run.json_of_type("tool_call");
    run
}

fn next_live(viewer: &mut clankers_tests::Running) -> (Value, Instant) {
    loop {
        let line = viewer.line().unwrap();
        let value: Value = serde_json::from_slice(&line.bytes).unwrap();
        assert_ne!(value["type"], "gap", "{}", viewer.process().story());
        if value["type"] == "text_delta" {
            return (value, line.at);
        }
    }
}

#[test]
fn a_killed_viewer_is_live_again_as_soon_as_its_process_can_be() {
    let scripts = tempfile::tempdir().unwrap();
    let setting = Setting::delayed(super::DELAY);
    let Some(lab) = Lab::builder().setting(setting).seed(8).start() else { return };
    let (guest, desk, node, session) = talking(&lab, scripts.path());
    let run = prompt(&desk, &session);
    let ticket = node.ticket().to_owned();
    let attach = |from: &[&str]| {
        let words = ["attach", &session, "--remote", &ticket, "--mode", "json", "--read-only"];
        guest.cli(words).args(from).stdin_open().within(LIMIT).start()
    };
    let (mut cursor, mut last, mut times) = (None::<String>, 0, Vec::new());
    for _ in 0..=ROUNDS {
        let from: Vec<&str> = cursor.as_deref().map_or(vec!["--tail", "1"], |cursor| vec!["--after", cursor]);
        let start = Instant::now();
        let mut viewer = attach(&from);
        let (_, at) = next_live(&mut viewer);
        times.push(at - start);
        // It dies at some moment; what it printed until then is what it had.
        viewer.json_of_type("tool_result");
        viewer.kill9();
        let lines = viewer.finish().stdout;
        let text = String::from_utf8_lossy(&lines).into_owned();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let epoch = &lines.iter().find(|line| line["type"] == "attached").unwrap()["epoch"];
        for seq in lines.iter().filter_map(|line| line["seq"].as_u64()) {
            assert!(last == 0 || seq == last + 1, "{seq} after {last}: lost, twice or out of order");
            last = seq;
        }
        cursor = Some(format!("{epoch}:{last}"));
    }
    times.remove(0);
    times.sort_unstable();
    println!("kill -9 of the viewer, 50 ms RTT: process start -> live again {times:?} ({})", load());
    assert!(times[ROUNDS / 2] < super::SLOW * 3, "{times:?}");
    drop(run);
}

#[test]
fn a_viewer_of_a_killed_node_is_live_again_soon_after_the_node_is() {
    let scripts = tempfile::tempdir().unwrap();
    let setting = Setting::delayed(super::DELAY);
    let Some(lab) = Lab::builder().setting(setting).seed(9).start() else { return };
    let (guest, desk, mut node, session) = talking(&lab, scripts.path());
    let words = ["attach", &session, "--remote", node.ticket(), "--mode", "json", "--read-only"];
    let mut viewer = guest.cli(words).stdin_open().within(LIMIT).start();
    viewer.json_of_type("attached");
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let run = prompt(&desk, &session);
        next_live(&mut viewer);
        node.kill9();
        drop(run);
        // It has noticed, and tries again and again.
        while viewer.json_of_type("connection")["state"] != "stale" {}
        let start = Instant::now();
        node.restart();
        // It answers from here on at the latest.
        let took = start.elapsed();
        let back = loop {
            let line = viewer.line().unwrap();
            let value: Value = serde_json::from_slice(&line.bytes).unwrap();
            if value["type"] == "attached" {
                break line.at;
            }
        };
        times.push((back.saturating_duration_since(start), took));
    }
    times.sort_unstable();
    println!(
        "kill -9 of the node, 50 ms RTT: start -> attached again, and -> first answer on its host: {times:?}"
    );
    assert!(times[ROUNDS / 2].0 < super::SLOW * 3, "{times:?}");
    viewer.interrupt();
    let seqs: Vec<u64> = viewer
        .finish()
        .json_lines()
        .iter()
        .filter(|l| l["type"] != "detached")
        .filter_map(|l| l["seq"].as_u64())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "lost, twice or out of order");
}
