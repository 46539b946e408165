//! What people compare agents by: opening a long session, searching a large tree, a whole one-shot process beside
//! another agent's.

use std::{
    env, fs,
    path::Path,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use clankers_protocol::{
    NodeId, Timestamp,
    conversation::{StopReason, ToolStatus, Usage},
    event::{Event, MessageEvent, Outcome, PromptEvent, SettledEvent, ToolCallEvent, ToolResultEvent},
};
use clankers_store::{Home, NewSession, SessionLog};
use clankers_tests::{
    NodeHome, load,
    model::{MODEL, MockModel, Reply},
    process::{Input, Process},
    script::{Script, Turn},
    stats::{Samples, millis},
};
use clankers_tools::{AllowAll, Forbidden, OutputSink, ToolCall, Tools, Workspace};
use tokio_util::sync::CancellationToken;

use crate::{
    limits::{
        AGENT_RUNS, MEMORY_LOOK, OPENINGS, PATIENCE, RESULT_BYTES, TREE_DIRS, TREE_FILE_BYTES, TREE_FILES,
        TURNS, TURNS_BATCH,
    },
    peers::Lab,
    report::{Judge, Row},
};

/// The shell command line of another agent that prompts a model and ends.
const OTHER: &str = "CLANKERS_BENCH_OTHER";
/// A shell command line that is run once before, where the other needs files of its own.
const OTHER_SETUP: &str = "CLANKERS_BENCH_OTHER_SETUP";
/// What the mock says, and both print.
const ANSWER: &str = "Hello, world.";
/// What is searched for: plain text that is nowhere, rare plain text, and regular expressions.
const PATTERNS: [&str; 4] =
    ["nowhere_to_be_found", "needle_in_the_hay", r"needle_\w+_hay\(\d+\)", r"\bfn \w{40,}\b"];

/// A long session: whole processes that open it, beside the same that begin a new one.
pub(crate) fn session(lab: &Lab) -> Vec<Row> {
    let home = lab.home();
    home.script(&Script::always(Turn::says("Done.")));
    let id = long_session(&home);
    let (mut going_on, mut new, mut showing) = (Samples::new(), Samples::new(), Samples::new());
    let timed = |words: &[&str], said: &str| {
        let ran = home.cli(words).run().ok();
        assert!(ran.out().contains(said), "{}", ran.story());
        millis(ran.exit.took)
    };
    let mut turns = [
        (&mut going_on, vec!["-p", "hi", "--session", &id], "Done."),
        (&mut new, vec!["-p", "hi"], "Done."),
        (&mut showing, vec!["session", "show", &id, "--json"], "\"completed\""),
    ];
    for round in 0..lab.rounds * OPENINGS {
        // Whoever comes first in a round is somebody else in the next.
        turns.rotate_left(round % 2);
        for (samples, words, said) in &mut turns {
            samples.push(timed(words, said));
        }
    }
    let figure = format!("`clankers -p --session`, {TURNS} turns: opened, asked, synced");
    vec![
        Row::new(&figure, "ms", going_on, Judge::P50, 100.0, 50.0).beside("a new session", new),
        Row::shown("  `session show --json` of it", "ms", showing),
    ]
}

/// Writes a session of [`TURNS`] turns with the store's own writer, and gives its id.
fn long_session(lab: &NodeHome) -> String {
    let principal = lab.id();
    let home = Home::open(&lab.path()).expect("the node's home");
    let cwd = lab.workspace().display().to_string();
    let new = NewSession { id: None, principal, cwd, model: "scripted".into(), title: None };
    let mut log = SessionLog::create(&home, &new, Timestamp(1)).expect("a new log");
    let turns: Vec<u64> = (0..TURNS).collect();
    for batch in turns.chunks(TURNS_BATCH) {
        let mut seq = log.head_seq();
        let mut events = Vec::new();
        for n in batch {
            let turn = turn(*n, principal, seq + 1);
            seq += turn.len() as u64;
            events.extend(turn);
        }
        log.append(&events, Timestamp(2)).expect("appended");
    }
    log.session().to_string()
}

/// A prompt, a message that calls a tool, what the tool said, a message, the end.
fn turn(n: u64, principal: NodeId, prompt_seq: u64) -> Vec<Event> {
    let prompt_id: clankers_protocol::PromptId = format!("p{n}").parse().expect("an id");
    let message = |item: String, text: &str, stop| {
        Event::Message(MessageEvent { item, thinking: Vec::new(), text: text.into(), stop })
    };
    let (asking, call) = (format!("p{prompt_seq}-1"), format!("call-{n}"));
    let line = "let channel = buffer.take(hay, stack); // await the result\n";
    vec![
        Event::Prompt(PromptEvent {
            prompt_id: prompt_id.clone(),
            principal,
            leaf: None,
            text: format!("Please look at it again, for the {n}th time."),
            model: "scripted".into(),
        }),
        message(asking.clone(), "I look.", StopReason::ToolUse),
        Event::ToolCall(ToolCallEvent {
            item: call.clone(),
            message: asking,
            name: "read".into(),
            arguments: "{\"path\":\"src/lib.rs\"}".into(),
        }),
        Event::ToolResult(ToolResultEvent {
            item: call,
            name: "read".into(),
            status: ToolStatus::Ok,
            text: line.repeat(RESULT_BYTES.div_ceil(line.len())),
        }),
        message(format!("p{prompt_seq}-2"), &"It is as it was. ".repeat(20), StopReason::EndTurn),
        Event::Settled(SettledEvent {
            prompt_id,
            prompt_seq,
            outcome: Outcome::Completed,
            reason: None,
            usage: Usage::default(),
            cost: None,
        }),
    ]
}

/// The tool `grep`, in this process, beside a process of `rg`, over the same tree.
pub(crate) fn grep(lab: &Lab) -> Vec<Row> {
    if Command::new("rg").arg("--version").output().is_err() {
        eprintln!("! skipped: ripgrep (`rg`) is not installed");
        return Vec::new();
    }
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { env::temp_dir() };
    let tree = tempfile::Builder::new().prefix("clankers-bench-").tempdir_in(place).expect("a directory");
    fill(tree.path());
    let workspace = Workspace::open(tree.path(), Forbidden::none()).expect("a workspace");
    let tools = Tools::new(Arc::new(workspace), None);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut rows = Vec::new();
    for pattern in PATTERNS {
        let (mut ours, mut theirs, mut start) = (Samples::new(), Samples::new(), Samples::new());
        for round in 0..=lab.rounds {
            let mine = || runtime.block_on(ours_finds(&tools, pattern));
            let (first, second) = if round % 2 == 0 {
                (mine(), rg_finds(tree.path(), pattern))
            } else {
                let second = rg_finds(tree.path(), pattern);
                (mine(), second)
            };
            assert_eq!(first.1, second.1, "hits of {pattern:?}: ours, and rg's");
            // The first round only warms the caches.
            if round > 0 {
                ours.push(millis(first.0));
                theirs.push(millis(second.0));
                start.push(millis(rg(tree.path(), &["--version"]).0));
            }
        }
        let files = TREE_DIRS * TREE_FILES;
        let figure = format!("grep `{pattern}`, {files} files");
        let row = Row::new(&figure, "ms", ours, Judge::Ratio, 1.2, 1.0);
        rows.push(row.beside("rg", theirs).beside("`rg --version`", start));
    }
    rows
}

/// How long the tool took, and how many lines it found.
async fn ours_finds(tools: &Tools, pattern: &str) -> (Duration, u64) {
    let arguments = serde_json::json!({ "pattern": pattern }).to_string();
    let call = ToolCall::parse("grep", &arguments).expect("a call");
    let began = Instant::now();
    let outcome = tools.run(&call, Arc::new(AllowAll), OutputSink::none(), CancellationToken::new()).await;
    let took = began.elapsed();
    let hits = outcome.details.as_ref().and_then(|details| details["hits"].as_u64());
    (took, hits.unwrap_or_else(|| panic!("{}", outcome.text)))
}

/// The same of ripgrep, told to look where the tool looks.
fn rg_finds(tree: &Path, pattern: &str) -> (Duration, u64) {
    rg(tree, &["-n", "--no-heading", "--no-config", "--hidden", "--glob", "!.git", pattern, "./"])
}

fn rg(tree: &Path, words: &[&str]) -> (Duration, u64) {
    let began = Instant::now();
    let output = Command::new("rg").args(words).current_dir(tree).output().expect("rg runs");
    let took = began.elapsed();
    (took, output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64)
}

/// The same tree every time: words without meaning, a needle in every 300th file.
fn fill(tree: &Path) {
    const WORDS: [&str; 8] = ["let", "mut", "result", "self", "buffer", "hay", "needle", "await"];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    // xorshift64, Marsaglia 2003.
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % 1_000_003).expect("small")
    };
    for d in 0..TREE_DIRS {
        let folder = tree.join(format!("area{}/part{}", d % 20, d / 20));
        fs::create_dir_all(&folder).expect("a directory of the tree");
        for f in 0..TREE_FILES {
            let mut text = String::with_capacity(TREE_FILE_BYTES + 100);
            while text.len() < TREE_FILE_BYTES {
                (0..3 + random() % 9).for_each(|_| text.extend([WORDS[random() % WORDS.len()], " "]));
                text.push('\n');
            }
            if (d * TREE_FILES + f) % 300 == 7 {
                text.push_str(&format!("fn needle_in_the_hay({f}) {{}}\n"));
            }
            fs::write(folder.join(format!("file{f}.rs")), text).expect("a file of the tree");
        }
    }
    fs::write(tree.join(".gitignore"), "target/\n*.log\n").expect("an ignore file");
}

/// What whole processes took.
#[derive(Default)]
struct Took {
    wall: Samples,
    cpu: Samples,
    memory: Samples,
}

/// `clankers -p` beside another agent's command line, each with the same model behind it.
pub(crate) fn beside_another(lab: &Lab) -> Vec<Row> {
    let Ok(other) = env::var(OTHER) else {
        eprintln!("! skipped: {OTHER} names no other agent's command line; see docs/benchmarks.md");
        return Vec::new();
    };
    let model = MockModel::start([Reply::Says(vec!["Hello, ".into(), "world.".into()])]);
    let (our_home, their_home) = (lab.home(), lab.home());
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        their_home.furnish(&mut command);
        point_at(&mut command, &model);
        // One process and no shell around it: its memory is its own.
        command.arg("-c").arg(line);
        command
    };
    if let Ok(setup) = env::var(OTHER_SETUP) {
        let done = shell(&setup).output().expect("sh runs");
        assert!(done.status.success(), "{OTHER_SETUP}: {}", String::from_utf8_lossy(&done.stderr));
    }
    let ours = || {
        let mut command = our_home.command();
        point_at(&mut command, &model);
        command.args(["-p", "hi"]);
        command
    };
    let theirs = || shell(&format!("exec {other}"));
    let (mut our_took, mut their_took) = (Took::default(), Took::default());
    // Once before, uncounted: both then have their homes and warm caches.
    for command in [ours(), theirs()] {
        run(command);
    }
    for round in 0..lab.rounds {
        let mut turns: [(&mut Took, &dyn Fn() -> Command); 2] =
            [(&mut our_took, &ours), (&mut their_took, &theirs)];
        turns.rotate_left(round % 2);
        for (took, command) in turns {
            take(took, command);
        }
    }
    let row = |figure: &str, unit, ours: Samples, theirs: Samples| {
        Row::shown(figure, unit, ours).beside("the other agent", theirs)
    };
    vec![
        row("one-shot against the mock beside another agent, wall", "ms", our_took.wall, their_took.wall),
        row("  processor time, all threads", "ms", our_took.cpu, their_took.cpu),
        row("  memory at the highest", "MB", our_took.memory, their_took.memory),
    ]
}

fn point_at(command: &mut Command, model: &MockModel) {
    command.env("OPENAI_BASE_URL", model.base()).env("OPENAI_API_KEY", "not-a-key");
    command.env("ANTHROPIC_BASE_URL", model.anthropic_base()).env("ANTHROPIC_API_KEY", "not-a-key");
    command.env("CLANKERS_BENCH_MODEL", MODEL);
}

/// One round of one of them: some runs for time, one more for memory, because looking slows it down.
#[allow(clippy::cast_precision_loss)]
fn take(took: &mut Took, command: &dyn Fn() -> Command) {
    let before = children_cpu();
    for _ in 0..AGENT_RUNS {
        took.wall.push(millis(run(command())));
    }
    took.cpu.push(millis(children_cpu() - before) / AGENT_RUNS as f64);
    let process = Process::spawn(command(), Input::Nothing);
    let mut peak = 0;
    while process.exit().is_none() {
        peak = load::memory(process.pid(), "VmHWM").map_or(peak, |now| now.max(peak));
        thread::sleep(MEMORY_LOOK);
    }
    took.memory.push(peak as f64 / 1e6);
}

/// Runs it to its end, which must be a good one, and gives how long that took.
fn run(command: Command) -> Duration {
    let process = Process::spawn(command, Input::Nothing);
    let exit = process.wait(PATIENCE).filter(|exit| exit.code == Some(0));
    let exit = exit.unwrap_or_else(|| panic!("an agent failed: {}", process.story()));
    assert!(process.stdout().text().contains(ANSWER), "no answer: {}", process.story());
    exit.took
}

/// The processor time of all children that have ended, and of theirs: `cutime` and `cstime` of proc(5), in ticks of
/// 10 ms, which is why several runs are taken together.
fn children_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        after_name.split_whitespace().skip(13).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
