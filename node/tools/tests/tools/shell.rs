//! bash: output, ends, and what is left behind.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clankers_tools::{AllowAll, CutBy, OutputSink, Status, ToolOutcome};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::lab::{Lab, alive, pid_in, until};

async fn bash(lab: &Lab, command: &str) -> ToolOutcome {
    lab.run("bash", json!({"command": command})).await
}

#[tokio::test]
async fn a_command_runs_in_the_workspace() {
    let lab = Lab::new();
    let outcome = bash(&lab, "pwd; echo err >&2; cat; test -t 0 || echo no-terminal").await;
    let here = lab.tools.workspace().path().display().to_string();
    assert_eq!((outcome.status, outcome.text), (Status::Ok, format!("{here}\nerr\nno-terminal")));
    assert_eq!(bash(&lab, "true").await.text, "[no output, exit code 0]");
}

#[tokio::test]
async fn exit_codes_and_signals_are_reported() {
    let lab = Lab::new();
    let failed = bash(&lab, "echo out; exit 3").await;
    assert_eq!((failed.status, failed.text.as_str()), (Status::Error, "out\n\n[exit code 3]"));
    assert_eq!(failed.details.unwrap()["exit_code"], 3);
    let killed = bash(&lab, "kill -SEGV $$").await;
    assert_eq!((killed.status, killed.text.as_str()), (Status::Error, "[killed by signal 11 (SEGV)]"));
    assert_eq!(killed.details.unwrap()["signal"], 11);
    assert!(bash(&lab, "no-such-program-here").await.text.contains("exit code 127"));
}

#[tokio::test]
async fn long_output_keeps_its_end_and_all_of_it_in_a_file() {
    let lab = Lab::new();
    let outcome = bash(&lab, "seq 1 5000").await;
    let cut = outcome.truncated.unwrap();
    assert_eq!((cut.by, cut.shown_lines, cut.total_lines), (CutBy::Lines, 2000, Some(5000)));
    assert!(outcome.text.starts_with("3001\n3002\n"));
    let details = outcome.details.unwrap();
    let file = details["output_file"].as_str().unwrap();
    assert!(outcome.text.contains(&format!(
        "[only the last 2000 of 5000 lines are shown; the whole output is in {file}, read and grep open it]"
    )));
    let whole = fs::read_to_string(file).unwrap();
    assert_eq!((whole.lines().count(), whole.lines().next()), (5000, Some("1")));
    let line = bash(&lab, "head -c 300000 /dev/zero | tr '\\0' x; exit 1").await;
    assert!(
        line.text.contains("only the end of the last line of 1 is shown")
            && line.text.contains("exit code 1"),
        "{}",
        &line.text[line.text.len() - 200..]
    );
    let dir = std::path::Path::new(file).parent().unwrap().to_owned();
    drop(lab);
    assert!(!dir.exists(), "outputs outlived the session");
}

#[tokio::test]
async fn more_output_than_is_kept_is_said() {
    let lab = Lab::new();
    let outcome = bash(&lab, "yes 0123456789abcdef0123456789abcdef | head -c 280000000").await;
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
    let details = outcome.details.unwrap();
    assert_eq!(details["output_bytes"], 280_000_000);
    assert_eq!(fs::metadata(details["output_file"].as_str().unwrap()).unwrap().len(), 256 << 20);
    assert!(
        outcome.text.contains("the first 256 MiB of the output")
            && outcome.text.contains("11564544 bytes after them are lost")
    );
    assert!(outcome.text.len() < 53 * 1024);
}

#[tokio::test]
async fn output_that_is_not_text_stays_valid() {
    let lab = Lab::new();
    let outcome = bash(&lab, "printf 'a\\377b\\303'; printf '\\251\\n'").await;
    assert_eq!(outcome.text, "a\u{fffd}bé");
}

#[tokio::test]
async fn output_comes_live_and_in_whole() {
    let lab = Lab::new();
    let (sender, mut receiver) = mpsc::channel(4);
    let call =
        lab.call("bash", json!({"command": "echo first; until [ -e go ]; do sleep 0.01; done; seq 1 3000"}));
    let tools = lab.tools.clone();
    let run = tokio::spawn(async move {
        tools.run(&call, Arc::new(AllowAll), OutputSink::new(sender), Default::default()).await
    });
    let first = tokio::time::timeout(Duration::from_secs(10), receiver.recv()).await.unwrap().unwrap();
    assert_eq!((first.offset, first.text.as_str()), (0, "first\n"));
    assert!(!run.is_finished());
    lab.put("go", "");
    let mut text = first.text;
    while let Some(chunk) = receiver.recv().await {
        assert_eq!(chunk.offset, text.len() as u64);
        text += &chunk.text;
    }
    let want: String =
        std::iter::once("first\n".to_owned()).chain((1..=3000).map(|n| format!("{n}\n"))).collect();
    assert_eq!(text, want);
    assert_eq!(run.await.unwrap().status, Status::Ok);
}

#[tokio::test]
async fn a_listener_that_sleeps_or_leaves_stops_nothing() {
    let lab = Lab::new();
    let (sender, receiver) = mpsc::channel(1);
    let call = lab.call("bash", json!({"command": "yes | head -c 1000000", "timeout": 1}));
    let asleep = lab.tools.run(&call, Arc::new(AllowAll), OutputSink::new(sender), Default::default()).await;
    assert!(asleep.text.contains("timed out"), "{}", asleep.text);
    drop(receiver);
    let (sender, _) = mpsc::channel(1);
    let gone = lab.tools.run(&call, Arc::new(AllowAll), OutputSink::new(sender), Default::default()).await;
    assert_eq!(gone.status, Status::Ok);
}

#[tokio::test]
async fn a_timeout_kills_the_whole_tree() {
    let lab = Lab::new();
    // A child, a grandchild in a session of its own, one that also left its parent, one that dropped its environment.
    let command = "sleep 1000 & echo $! > child; setsid sh -c 'echo $$ > grand; exec sleep 1000' & \
                   (setsid sh -c 'echo $$ > orphan; exec sleep 1000' &) ; \
                   env -i setsid sh -c 'echo $$ > bare; exec sleep 1000' & echo started; wait";
    let started = Instant::now();
    let outcome = lab.run("bash", json!({"command": command, "timeout": 1})).await;
    assert_eq!(outcome.status, Status::Error);
    assert!(outcome.text.starts_with("started\n\n[timed out after 1 s"), "{}", outcome.text);
    assert!(started.elapsed() < Duration::from_secs(5));
    for file in ["child", "grand", "orphan", "bare"] {
        let pid = pid_in(&lab.at(file)).await;
        until(&format!("{file} is dead"), || !alive(pid)).await;
    }
}

#[tokio::test]
async fn cancelling_kills_the_whole_tree_and_keeps_what_was_printed() {
    let lab = Lab::new();
    let cancel = CancellationToken::new();
    let call = lab.call(
        "bash",
        json!({"command": "echo partial; trap '' TERM INT; sleep 1000 & echo $! > child; wait; wait"}),
    );
    let (tools, token) = (lab.tools.clone(), cancel.clone());
    let run =
        tokio::spawn(async move { tools.run(&call, Arc::new(AllowAll), OutputSink::none(), token).await });
    let child = pid_in(&lab.at("child")).await;
    cancel.cancel();
    let outcome = tokio::time::timeout(Duration::from_secs(5), run).await.unwrap().unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    assert!(outcome.text.starts_with("partial\n\n[interrupted"), "{}", outcome.text);
    until("the child is dead", || !alive(child)).await;
}

#[tokio::test]
async fn a_dropped_call_kills_the_whole_tree() {
    let lab = Lab::new();
    let call = lab.call("bash", json!({"command": "setsid sleep 1000 & echo $! > child; wait"}));
    let tools = lab.tools.clone();
    let run = tokio::spawn(async move {
        tools.run(&call, Arc::new(AllowAll), OutputSink::none(), Default::default()).await
    });
    let child = pid_in(&lab.at("child")).await;
    run.abort();
    until("the child is dead", || !alive(child)).await;
}

#[tokio::test]
async fn background_children_do_not_hold_the_call() {
    let lab = Lab::new();
    let started = Instant::now();
    let outcome = bash(&lab, "(while :; do echo noise; sleep 0.02; done) & echo $! > child; echo done").await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(
        outcome.status == Status::Ok && outcome.text.contains("done") && outcome.text.contains("background"),
        "{}",
        outcome.text
    );
    let child = pid_in(&lab.at("child")).await;
    // It lives on, and does not die of a closed pipe.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(alive(child));
    let quiet = bash(&lab, "sleep 1000 > /dev/null 2>&1 & echo $! > quiet").await;
    assert!(!quiet.text.contains("background"), "{}", quiet.text);
    for file in ["child", "quiet"] {
        let pid = pid_in(&lab.at(file)).await;
        assert!(alive(pid), "{file}");
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
}

#[tokio::test]
async fn what_a_session_left_running_can_be_killed_and_nothing_else() {
    let (lab, other) = (Lab::new(), Lab::new());
    for lab in [&lab, &other] {
        bash(lab, "(setsid sleep 1000 & echo $! > child) > /dev/null 2>&1").await;
    }
    let (mine, theirs) = (pid_in(&lab.at("child")).await, pid_in(&other.at("child")).await);
    lab.tools.kill_background().await;
    until("the child is dead", || !alive(mine)).await;
    assert!(alive(theirs));
    other.tools.kill_background().await;
    until("the other is dead", || !alive(theirs)).await;
}

#[tokio::test]
async fn a_storm_of_forks_is_put_down() {
    let lab = Lab::new();
    // Each child makes a session of its own and two more, to a depth: some hundred processes that keep coming.
    lab.put("storm.sh", "[ $1 -gt 0 ] || exec sleep 1000\nsetsid sh storm.sh $(($1 - 1)) &\nsetsid sh storm.sh $(($1 - 1)) &\nwait\n");
    let outcome = lab.run("bash", json!({"command": "sh storm.sh 6", "timeout": 1})).await;
    assert!(outcome.text.contains("timed out"), "{}", outcome.text);
    let here = lab.at("").canonicalize().unwrap();
    let left = || {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter(|p| fs::read_link(p.path().join("cwd")).is_ok_and(|cwd| cwd == here))
            .count()
    };
    until("nothing of the storm is left", || left() == 0).await;
}

#[tokio::test]
async fn a_moved_workspace_is_not_left_for_another() {
    let lab = Lab::new();
    fs::rename(lab.at(""), lab.outer.path().join("moved")).unwrap();
    fs::create_dir(lab.at("")).unwrap();
    assert!(lab.fails("bash", json!({"command": "touch here"})).await.contains("was deleted or moved"));
    // File tools hold the directory itself and still work in it.
    lab.ok("write", json!({"path": "a", "content": "x"})).await;
    assert!(lab.outer.path().join("moved/a").exists());
}

#[tokio::test]
async fn calls_run_side_by_side() {
    let lab = Lab::new();
    // Each waits for the other's file, so one after the other they would never end.
    let (a, b) = tokio::join!(
        lab.run("bash", json!({"command": "touch a; until [ -e b ]; do sleep 0.01; done", "timeout": 10})),
        lab.run("bash", json!({"command": "touch b; until [ -e a ]; do sleep 0.01; done", "timeout": 10})),
    );
    assert_eq!((a.status, b.status), (Status::Ok, Status::Ok));
}
