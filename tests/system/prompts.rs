//! Prompts: run once, in order, cancelled by whoever may, and outliving their clients.

use std::{fs, time::Duration};

use clankers_auth::GrantSpec;
use clankers_protocol::{
    event::{Outcome, StreamItem},
    refusal::RefusalCode,
    request::prompt::{Accepted, Prompt, SessionChoice},
};
use clankers_tests::{
    NodeHome, Script, Turn,
    cli::Ran,
    forge,
    hostile::{Answer, Hostile},
    model, wait,
};
use serde_json::{Value, json};

use crate::{BIN, attacks::raw};

/// Waits in a shell until the test makes the file.
const GATE: &str = "until [ -e go ]; do sleep 0.01; done";

/// The durable events among these lines.
fn durable(lines: &[Value]) -> Vec<Value> {
    lines.iter().filter(|line| line.get("seq").is_some()).cloned().collect()
}

fn seqs(ran: &Ran) -> Vec<u64> {
    durable(&ran.json_lines()).iter().map(|line| line["seq"].as_u64().unwrap()).collect()
}

fn first(ran: &Ran) -> Value {
    let accepted = ran.json_lines().remove(0);
    assert_eq!(accepted["type"], "accepted", "{}", ran.story());
    accepted
}

fn outcome(ran: &Ran) -> String {
    let last = ran.json_lines().pop().unwrap();
    assert_eq!(last["type"], "settled", "{}", ran.story());
    last["outcome"].as_str().unwrap().to_owned()
}

fn ask(home: &NodeHome, text: &str, more: &[&str]) -> clankers_tests::cli::Cli {
    home.cli(["rpc", "prompt", "local", text, "--mode", "json"]).args(more)
}

#[test]
fn a_prompt_id_runs_once_whoever_asks_again_and_when() {
    let home = NodeHome::new(BIN);
    let counted = format!("echo run >> count.txt; {GATE}");
    home.script(&Script::of([
        Turn::says("I will.").and_calls("bash", &json!({ "command": counted })),
        Turn::says("done, {{status}}"),
    ]));
    let mut node = home.start();
    let once = |text: &str| ask(&home, text, &["--prompt-id", "once"]);
    let count = || fs::read_to_string(home.workspace().join("count.txt")).unwrap();

    // Ten at once, while it runs.
    let mut runs: Vec<_> = (0..10).map(|_| once("count").start()).collect();
    let accepted: Vec<Value> = runs.iter_mut().map(|run| run.json_of_type("accepted")).collect();
    home.file("go", "");
    let duplicates = accepted.iter().filter(|line| line["duplicate"] == true).count();
    assert_eq!(duplicates, 9, "{accepted:?}");
    let session = accepted[0]["session"].clone();
    assert!(accepted.iter().all(|line| line["session"] == session), "{accepted:?}");
    let ran: Vec<Ran> = runs.into_iter().map(|run| run.finish().ok()).collect();
    let events = durable(&ran[0].json_lines());
    assert_eq!(events.last().unwrap()["outcome"], "completed");
    for ran in &ran {
        assert_eq!(durable(&ran.json_lines()), events, "{}", ran.story());
    }
    assert_eq!(count(), "run\n");

    // After its end, with other words, and into another session: still the first one.
    let other = first(&ask(&home, "/ls", &[]).run().ok());
    let other = other["session"].as_str().unwrap();
    for again in [once("count"), once("something else"), once("count").args(["--session", other])] {
        let again = again.run().ok();
        assert_eq!(first(&again)["duplicate"], true);
        assert_eq!(durable(&again.json_lines()), events, "{}", again.story());
    }

    // Another principal's id is another prompt.
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--tools", "ls"]);
    let theirs = guest
        .cli(["rpc", "prompt", node.ticket(), "/ls", "--prompt-id", "once", "--mode", "json"])
        .run()
        .ok();
    let theirs = first(&theirs);
    assert_eq!((&theirs["duplicate"], theirs["session"] == session), (&json!(false), false));

    // After a crash of the node.
    node.kill9();
    node.restart();
    let again = once("count").run().ok();
    assert_eq!(first(&again)["duplicate"], true);
    assert_eq!(durable(&again.json_lines()), events, "{}", again.story());
    assert_eq!(count(), "run\n");
}

#[test]
fn prompts_of_one_session_run_in_order_and_do_not_mix() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": GATE })),
        Turn::says("first: {{prompt}}").piece_chars(2),
        Turn::says("second: {{prompt}}").piece_chars(2),
        Turn::says("third: {{prompt}}").piece_chars(2),
    ]));
    let _node = home.start();
    let mut a = ask(&home, "alpha", &[]).start();
    let session = a.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    a.json_of_type("tool_call");
    let mut b = ask(&home, "beta", &["--session", &session]).start();
    b.json_of_type("accepted");
    let mut c = ask(&home, "gamma", &["--session", &session[..8]]).start();
    c.json_of_type("accepted");
    let ps = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!((&ps[0]["state"], &ps[0]["attached"]), (&json!("running"), &json!(3)), "{ps}");
    home.file("go", "");
    let (a, b, c) = (a.finish().ok(), b.finish().ok(), c.finish().ok());
    for (ran, text) in [(&a, "first: alpha"), (&b, "second: beta"), (&c, "third: gamma")] {
        let lines = ran.json_lines();
        let said = lines.iter().rfind(|line| line["type"] == "message").unwrap();
        assert_eq!(said["text"], text, "{}", ran.story());
        let deltas = lines.iter().filter(|line| line["type"] == "text_delta");
        let streamed: String = deltas.map(|line| line["text"].as_str().unwrap()).collect();
        assert_eq!(streamed, text, "{}", ran.story());
        assert_eq!(outcome(ran), "completed");
    }
    let (a, b, c) = (seqs(&a), seqs(&b), seqs(&c));
    assert!(a.last() < b.first() && b.last() < c.first(), "{a:?} {b:?} {c:?}");
    let all = [a, b, c].concat();
    assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] != pair[1]), "{all:?}");
}

#[test]
fn what_is_cancelled_or_out_of_time_ends_at_the_node() {
    let home = NodeHome::new(BIN);
    home.script(&Script::always(Turn::says("thinking it over").hangs()));
    let _node = home.start();

    let mut run = ask(&home, "think", &[]).start();
    run.json_of_type("text_delta");
    run.interrupt();
    let ran = run.finish().code(130);
    assert_eq!(outcome(&ran), "cancelled");
    assert!(durable(&ran.json_lines()).iter().any(|line| line["type"] == "message"), "{}", ran.story());

    let ran = ask(&home, "think", &["--timeout", "200ms"]).run().code(124);
    assert_eq!(outcome(&ran), "timed_out");

    // A queued prompt is cancelled before its turn comes; the running one is not touched by that.
    let mut running = ask(&home, "think", &[]).start();
    let session = running.json_of_type("accepted")["session"].as_str().unwrap().to_owned();
    running.json_of_type("text_delta");
    let mut queued = ask(&home, "and then", &["--session", &session]).start();
    queued.json_of_type("accepted");
    queued.interrupt();
    let queued = queued.finish().code(130);
    assert_eq!((outcome(&queued).as_str(), seqs(&queued).len()), ("cancelled", 1));
    assert_eq!(home.cli(["ps", "--json"]).run().ok().json()[0]["state"], "running");
    home.cli(["daemon", "kill", &session]).run().ok();
    assert_eq!(outcome(&running.finish().code(130)), "cancelled");

    let ps = home.cli(["ps", "-a", "--json"]).run().ok().json();
    let states: Vec<_> = ps.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert!(!states.contains(&"running") && states.len() == 3, "{ps}");
}

#[test]
fn a_prompt_goes_on_when_its_client_is_killed() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": format!("{GATE}; echo made > made.txt") })),
        Turn::says("made it, {{status}}"),
    ]));
    let _node = home.start();
    let mut run = ask(&home, "make", &["--prompt-id", "lost"]).start();
    run.json_of_type("tool_call");
    run.kill9();
    let state = || home.cli(["ps", "--json"]).run().ok().json()[0]["state"].clone();
    assert_eq!(state(), "running");
    home.file("go", "");
    wait::until("the prompt's end without its client", Duration::from_secs(20), || {
        (state() == "idle").then_some(())
    });
    assert_eq!(fs::read_to_string(home.workspace().join("made.txt")).unwrap(), "made\n");
    let again = ask(&home, "make", &["--prompt-id", "lost"]).run().ok();
    assert_eq!((&first(&again)["duplicate"], outcome(&again).as_str()), (&json!(true), "completed"));
}

#[test]
fn a_turn_ends_with_the_code_of_what_ended_it() {
    let here = |script: Script, more: &[&str]| {
        let home = NodeHome::new(BIN);
        home.script(&script);
        home.cli(["-p", "go", "--mode", "json"]).args(more).run()
    };
    let busy = Script::of([Turn::calls("ls", &json!({}))]).repeat();
    let ran = here(busy, &["--max-turns", "2"]).code(5);
    assert_eq!(outcome(&ran), "limit");
    let calls = ran.json_lines().iter().filter(|line| line["type"] == "tool_call").count();
    assert!((1..=2).contains(&calls), "{}", ran.story());

    let broken = Script::always(Turn::fails("garbage", "what is this").after_text("half an ans"));
    let ran = here(broken, &[]).code(1);
    assert_eq!(outcome(&ran), "failed");
    assert!(ran.err().contains("what is this"), "{}", ran.story());

    // Three tools side by side, each with its result, and the last word after all of them.
    let three = Turn::calls("grep", &json!({ "pattern": "TODO" }))
        .and_calls("read", &json!({ "path": "notes.txt" }))
        .and_calls("ls", &json!("{broken"));
    let ran = here(Script::of([three, Turn::says("{{status}}")]), &[]).code(0);
    let results: Vec<Value> =
        ran.json_lines().into_iter().filter(|line| line["type"] == "tool_result").collect();
    let mut ended: Vec<_> =
        results.iter().map(|r| (r["name"].as_str().unwrap(), r["status"].as_str().unwrap())).collect();
    ended.sort_unstable();
    assert_eq!(ended, [("grep", "ok"), ("ls", "error"), ("read", "ok")], "{}", ran.story());

    let home = NodeHome::new(BIN);
    let server = model::MockModel::start([model::Reply::Status(
        401,
        String::new(),
        r#"{"error":{"message":"no such key"}}"#.into(),
    )]);
    let ran = home
        .cli(["-p", "go", "--model", "openai/some", "--mode", "json"])
        .env("OPENAI_BASE_URL", server.base())
        .env("OPENAI_API_KEY", "sk-secret-of-the-test")
        .run()
        .code(3);
    assert_eq!(outcome(&ran), "credentials");
    assert!(!ran.story().contains("sk-secret-of-the-test"), "{}", ran.story());
}

#[test]
fn a_denied_tool_inside_a_turn_is_the_models_problem() {
    let home = NodeHome::new(BIN);
    home.script(&Script::of([
        Turn::calls("bash", &json!({ "command": "touch owned" }))
            .and_calls("write", &json!({ "path": "owned", "content": "x" }))
            .and_calls("grep", &json!({ "pattern": "TODO" })),
        Turn::says("settled anyway"),
    ]));
    let node = home.start();
    let guest = NodeHome::new(BIN);
    node.grant(&guest, &["--tools", "grep"]);
    let ran = guest.cli(["rpc", "prompt", node.ticket(), "look", "--mode", "json"]).run().ok();
    assert_eq!(outcome(&ran), "completed");
    let mut ended: Vec<(String, String)> = ran
        .json_lines()
        .iter()
        .filter(|line| line["type"] == "tool_result")
        .map(|r| (r["name"].as_str().unwrap().to_owned(), r["status"].as_str().unwrap().to_owned()))
        .collect();
    ended.sort();
    let ended: Vec<_> = ended.iter().map(|(name, status)| (name.as_str(), status.as_str())).collect();
    assert_eq!(ended, [("bash", "denied"), ("grep", "ok"), ("write", "denied")], "{}", ran.story());
    assert!(!home.workspace().join("owned").exists());
    // The same asked for directly is the prompter's own problem.
    guest.cli(["rpc", "prompt", node.ticket(), "/bash touch owned"]).run().code(4);
    guest.cli(["rpc", "prompt", node.ticket(), "/read missing"]).run().code(4);
    guest.cli(["rpc", "prompt", node.ticket(), "/grep x missing"]).run().code(1);
    assert!(!home.workspace().join("owned").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_a_prompt_may_end_with_its_stream() {
    let home = NodeHome::new(BIN);
    home.script_and(&Script::always(Turn::says("thinking").hangs()), "[limits]\nmax_queue = 2\n");
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::operator());
    let (guest, _) = peer.welcomed(node.address(), vec![chain]).await;
    let mut first = raw::prompt("think");
    first.cancel_on_close = true;
    let mut running = guest.say(&first).await;
    let accepted: Accepted = running.answer().await.message();
    assert!(matches!(running.answer().await, Answer::Frame(_)), "it runs");
    let mut waiting = Vec::new();
    let next = |text: &str| {
        let session = SessionChoice::Existing(accepted.session.to_string());
        Prompt { session, ..raw::prompt(text) }
    };
    for _ in 0..2 {
        let prompt = next("and then");
        let mut talk = guest.say(&prompt).await;
        let _accepted: Accepted = talk.answer().await.message();
        waiting.push(prompt);
    }
    assert_eq!(raw::refused(&guest, &next("too much")).await, RefusalCode::Busy);
    // What waits already is no new prompt; and another session has a queue of its own.
    let mut again = guest.say(&waiting[0]).await;
    assert!(again.answer().await.message::<Accepted>().duplicate);
    assert_eq!(raw::run(&guest, "/ls").await.unwrap().outcome(), Outcome::Completed);
    // The first was to end with its stream; the next one takes its turn then.
    running.finish();
    assert!(matches!(again.answer().await, Answer::Frame(_)), "the second runs");
    let ended = raw::send(&guest, &first).await.unwrap();
    assert_eq!((ended.accepted.duplicate, ended.outcome()), (true, Outcome::Cancelled));
    peer.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_hangs_up_at_once_leaves_a_whole_prompt_or_none() {
    let home = NodeHome::new(BIN);
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::root());
    for round in 0..24_u32 {
        let prompt = raw::prompt(&format!("/bash echo run >> hung-{round}.txt"));
        let (guest, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
        let mut talk = guest.say(&prompt).await;
        match round % 4 {
            0 => guest.connection().close(0, ""),
            1 => talk.reset(7),
            2 => drop(talk),
            _ => drop(talk.answer().await.message::<Accepted>()),
        }
        guest.connection().close(0, "");
        let (again, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
        let taken = raw::send(&again, &prompt).await.unwrap();
        assert_eq!(taken.outcome(), Outcome::Completed, "round {round}");
        let ran = fs::read_to_string(home.workspace().join(format!("hung-{round}.txt"))).unwrap();
        assert_eq!(ran, "run\n", "round {round}");
        again.connection().close(0, "");
    }
    let sessions = home.cli(["ps", "--json"]).run().ok().json();
    assert_eq!(sessions.as_array().unwrap().len(), 24, "sessions of nothing were left behind");
    peer.close().await;
}

#[test]
fn two_principals_may_choose_one_id_in_one_session() {
    let home = NodeHome::new(BIN);
    let mut node = home.start();
    let guest = NodeHome::new(BIN);
    // Both may read: what one of them may not do is not done in a session with their words.
    node.grant(&guest, &["--tools", "ls,read"]);
    let same = ["--prompt-id", "same", "--mode", "json"];
    let theirs = || guest.cli(["rpc", "prompt", node.ticket(), "/ls src"]).args(same).run().ok();
    let before = theirs();
    let session = first(&before)["session"].as_str().unwrap().to_owned();
    let ours = || {
        home.cli(["rpc", "prompt", "local", "/read notes.txt", "--session", &session]).args(same).run().ok()
    };
    let mine = ours();
    assert_eq!((&first(&mine)["duplicate"], &first(&mine)["session"]), (&json!(false), &json!(session)));
    let text = |ran: &Ran| durable(&ran.json_lines()).iter().map(ToString::to_string).collect::<String>();
    assert!(text(&mine).contains("three") && !text(&mine).contains("main.rs"), "{}", mine.story());
    assert!(text(&before).contains("main.rs") && !text(&before).contains("three"), "{}", before.story());
    for ran in [theirs(), ours()] {
        assert_eq!(first(&ran)["duplicate"], true);
        let wanted = if text(&ran).contains("main.rs") { &before } else { &mine };
        assert_eq!(durable(&ran.json_lines()), durable(&wanted.json_lines()));
    }
    node.kill9();
    node.restart();
    let again = home.cli(["rpc", "prompt", "local", "/ls"]).args(same).run().ok();
    assert_eq!(durable(&again.json_lines()), durable(&mine.json_lines()));
    let again = guest.cli(["rpc", "prompt", node.ticket(), "/ls"]).args(same).run().ok();
    assert_eq!(durable(&again.json_lines()), durable(&before.json_lines()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stalls_waits_alone_and_misses_nothing_durable() {
    let home = NodeHome::new(BIN);
    // Ten times what a stream's flow control holds.
    let turn = || Turn::says("{{prompt}}").piece_chars(16 * 1024).and_calls("ls", &json!({}));
    home.script(&Script::of((0..14).map(|_| turn()).chain([Turn::says("the end")])));
    let node = home.start();
    let peer = Hostile::start().await;
    let chain = forge::grant(&home.seed(), peer.id(), &GrantSpec::operator());
    let (stalled, _) = peer.welcomed(node.address(), vec![chain.clone()]).await;
    let (eager, _) = peer.welcomed(node.address(), vec![chain]).await;
    let prompt = raw::prompt(&"abcdefgh".repeat(45_000));

    let mut silent = stalled.say(&prompt).await;
    let taken = raw::send(&eager, &prompt).await.unwrap();
    assert_eq!(taken.outcome(), Outcome::Completed);
    // Another one, in the same session, while the first still does not read.
    let mut after = raw::prompt("/ls");
    after.session = SessionChoice::Existing(taken.accepted.session.to_string());
    assert_eq!(raw::send(&eager, &after).await.unwrap().outcome(), Outcome::Completed);

    let late = raw::follow(&mut silent).await.unwrap();
    assert_eq!(late.seqs(), taken.seqs());
    let events = |taken: &raw::Taken| -> Vec<StreamItem> {
        taken.items.iter().filter(|item| matches!(item, StreamItem::Durable(_))).cloned().collect()
    };
    assert!(events(&late) == events(&taken), "the same seqs, but other events");
    peer.close().await;
}
